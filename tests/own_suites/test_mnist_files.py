"""MNIST: torchvision's download code against mirrors of every kind, and what lies on disks. Right, or one message."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT, call
from mnist_mirror import PACKED, RESOURCES, Mode, digits_files, idx, serving, write_raw

from bench.errors import BenchError
from suites import autoencoder, digits, mnist_files

INSTEAD = "--set data=synthetic"


@pytest.fixture(autouse=True)
def resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums of the small files, and no proxy between them and us."""
    monkeypatch.setattr(mnist_files, "RESOURCES", RESOURCES)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def one_message(error: pytest.ExceptionInfo[BenchError], folder: Path) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert INSTEAD in message[:300], "a record keeps as much of it"
    assert "--data.source synthetic" in message[:300]
    assert str(folder) in message
    return message


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


# --- mirrors


def test_mnist_is_downloaded_once_and_is_what_torchvision_reads(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import MNIST

    with serving() as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        mnist_files.fetch_mnist(tmp_path)
        assert sorted(set(mirror.asked)) == sorted(PACKED)
    assert left_in(tmp_path) == {"MNIST", "mnist.lock"}
    (tmp_path / "mnist.lock").unlink()
    train = digits.load_digits("mnist", "train", 220, seed=0, folder=tmp_path)
    held_out = digits.load_digits("mnist", "validation", 160, seed=0, folder=tmp_path)
    test = digits.load_digits("mnist", "test", 220, seed=0, folder=tmp_path)
    assert (len(train), len(held_out), len(test)) == (220, 20, 27)
    assert not (tmp_path / "mnist.lock").exists(), "what is there needs no folder that can be written"
    theirs = MNIST(str(tmp_path), train=True)
    assert torch.equal(torch.cat([train.images, held_out.images])[:, 0], theirs.data)
    assert torch.equal(torch.cat([train.labels, held_out.labels]), theirs.targets)
    assert torch.equal(test.images[:, 0], MNIST(str(tmp_path), train=False).data[:27])
    with pytest.raises(BenchError, match=r"samples=221.*allowed: 1 to 220"):
        digits.load_digits("mnist", "train", 221, seed=0, folder=tmp_path)


BAD: tuple[tuple[Mode, str], ...] = (
    ("404", "404"),
    ("500", "500"),
    ("loop", "redirect|infinite loop"),
    ("html", "corrupted"),
    ("wrong", "corrupted"),
    ("cut", "corrupted|bytes read"),
    ("silent", "timed out|did not come to its end"),
    ("drip", "did not come to its end in"),
    ("endless", "File too large"),
)


@pytest.mark.long
@pytest.mark.parametrize(("mode", "why"), BAD, ids=[mode for mode, _ in BAD])
def test_a_bad_mirror_is_one_message(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode, why: str
) -> None:
    limit = 3.0 if mode in ("silent", "drip") else 40.0
    monkeypatch.setattr(mnist_files, "LARGEST", 2**22)
    with serving(mode) as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        with pytest.raises(BenchError, match=why) as error:
            mnist_files.fetch_mnist(tmp_path / "data", limit)
        assert mirror.address in one_message(error, tmp_path / "data")
        assert mirror.asked
    assert not list((tmp_path / "data" / "MNIST" / "raw").iterdir()), "nothing that is not whole lies where it counts"
    if mode not in ("cut", "drip", "endless"):
        return
    with serving() as mirror:  # what came in part stands in the way of nobody
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        mnist_files.fetch_mnist(tmp_path / "data")
    assert len(mnist_files.read_mnist(tmp_path / "data", "train")[0]) == 240


def test_a_dead_mirror_is_one_message_and_torchvision_names_its_own(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refuses at once
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("BENCH_MNIST_MIRROR", address)
        with pytest.raises(BenchError, match="refused") as error:
            mnist_files.fetch_mnist(tmp_path)
    assert address in one_message(error, tmp_path)
    assert left_in(tmp_path) == {"MNIST", "mnist.lock"}


@pytest.mark.long
@pytest.mark.parametrize("address", ["nonsense", "gopher://127.0.0.1", "http://[", "http://127.0.0.1:99999999"])
def test_an_address_that_is_none_is_one_message(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("BENCH_MNIST_MIRROR", address)
    with pytest.raises(BenchError) as error:
        mnist_files.fetch_mnist(tmp_path)
    assert address in one_message(error, tmp_path)


def test_what_was_whole_serves_the_next_try(processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(PACKED)
    with serving() as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        monkeypatch.setitem(PACKED, names[-1], b"not what it was")
        with pytest.raises(BenchError, match="corrupted"):
            mnist_files.fetch_mnist(tmp_path)
        assert set(mirror.asked) == set(names)
    monkeypatch.undo()
    monkeypatch.setattr(mnist_files, "RESOURCES", RESOURCES)
    with serving() as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        mnist_files.fetch_mnist(tmp_path)
        assert set(mirror.asked) == {names[-1]}
    assert left_in(tmp_path) == {"MNIST", "mnist.lock"}


def test_packed_files_that_somebody_put_there_need_no_mirror(processes: None, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in PACKED.items():
        (raw / name).write_bytes(content)
    mnist_files.fetch_mnist(tmp_path)
    assert len(mnist_files.read_mnist(tmp_path, "t10k")[1]) == 60
    assert {name: (raw / name).read_bytes() for name in PACKED} == PACKED


def test_a_bomb_with_the_right_sum_is_not_unpacked(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(bytes(2**27), mtime=0) * 8  # a file of several parts: 1 GiB in 1 MB
    name = RESOURCES[0][0]
    monkeypatch.setitem(PACKED, name, bomb)
    sums = [(name, hashlib.md5(bomb, usedforsecurity=False).hexdigest()), *RESOURCES[1:]]
    monkeypatch.setattr(mnist_files, "RESOURCES", sums)
    with serving() as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        with pytest.raises(BenchError, match="more than 512 MiB") as error:
            mnist_files.fetch_mnist(tmp_path)
    one_message(error, tmp_path)
    largest = max(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert largest < 2**22


# --- two at once


ASKING = """
import json, sys
from pathlib import Path
from suites import mnist_files
mnist_files.RESOURCES = json.loads(sys.argv[2])
mnist_files.fetch_mnist(Path(sys.argv[1]), float(sys.argv[3]))
print(mnist_files.read_mnist(Path(sys.argv[1]), "train")[0].sum().item())
"""


def ask(folder: Path, seconds: float = 60.0) -> subprocess.Popen[str]:
    """A process that wants MNIST, started in a session of its own."""
    command = [sys.executable, "-c", ASKING, str(folder), json.dumps(RESOURCES), str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


@pytest.mark.long
def test_two_processes_at_once_are_one_download(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        asking = [ask(tmp_path) for _ in range(2)]
        said = [one.communicate(timeout=120) for one in asking]
        assert [one.returncode for one in asking] == [0, 0], said
        assert sorted(name for name in mirror.asked) == sorted([*PACKED] * 2), "asked for its address, and then for it"
    assert len({out for out, _ in said}) == 1


def test_who_waits_for_another_download_does_not_wait_for_ever(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it begin one beside that of a process that was killed: the lock is held while the download lives."""
    with serving("silent") as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        first = ask(tmp_path)
        deadline = time.monotonic() + 60
        while not mirror.asked and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(timeout=60)  # not for its output: the download writes there, too
        with pytest.raises(BenchError, match="another process is still downloading") as error:
            mnist_files.fetch_mnist(tmp_path, 1.0)
        assert len(mirror.asked) == 1
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate(timeout=60)
    one_message(error, tmp_path)


# --- what lies there


def images(count: int = 240) -> bytes:
    return digits_files()["train-images-idx3-ubyte"][16 : 16 + count * 784]


HOSTILE: dict[str, tuple[dict[str, bytes], str]] = {
    "giant": ({"train_images": idx(b"", 2**31 - 1, 2**31 - 1, 2**31 - 1)}, "images of .* pixels; allowed: 28 x 28"),
    "many": ({"train_images": idx(b"", 2**32 - 1, 28, 28)}, "4294967295 samples; allowed: 1 to 1000000"),
    "none": ({"train_images": idx(b"", 0, 28, 28), "train_labels": idx(b"", 0)}, "0 samples"),
    "pixels": ({"train_images": idx(bytes(240 * 1024), 240, 32, 32)}, "images of 32 x 32 pixels"),
    "labels": ({"train_labels": idx(bytes([255]) * 240, 240)}, "a label of 255; allowed: 0 to 9"),
    "floats": ({"train_images": idx(bytes(4 * 240 * 784), 240, 28, 28, kind=13)}, "has floats; allowed: bytes"),
    "count": ({"train_labels": idx(bytes(239), 239)}, "240 images and 239 labels"),
    "swapped": ({"train_images": idx(bytes(240), 240)}, "has 1 dimensions; allowed: 3"),
    "longer": ({"train_images": idx(images() + b"x", 240, 28, 28)}, "has 188177 bytes where 188176 would be"),
    "text": ({"train_labels": b"hello, this is no set of digits"}, "no idx file"),
    "packed": ({"train_images": PACKED["train-images-idx3-ubyte.gz"]}, "no idx file"),
    **{
        f"{name}-{keep}": (
            {name: (idx(images(), 240, 28, 28) if "images" in name else idx(bytes(240), 240))[:keep]},
            "bytes",
        )
        for name in ("train_images", "train_labels")
        for keep in (0, 3, 7, 15, 200)
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_set_of_digits_is_one_message(tmp_path: Path, name: str) -> None:
    changed, why = HOSTILE[name]
    write_raw(tmp_path, **changed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BenchError, match=f"damaged.*{why}") as error:
        digits.load_digits("mnist", "train", 200, seed=0, folder=tmp_path)
    one_message(error, tmp_path / "MNIST")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kB that a header asked for"
    assert len(digits.load_digits("mnist", "test", 60, seed=0, folder=tmp_path)) == 7, "the other part is whole"


@pytest.mark.parametrize("kind", ["fifo", "folder", "link in a circle"])
def test_what_is_no_file_is_one_message(tmp_path: Path, kind: str) -> None:
    path = write_raw(tmp_path) / "train-labels-idx1-ubyte"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    with pytest.raises(BenchError) as error:
        digits.load_digits("mnist", "train", 200, seed=0, folder=tmp_path)
    one_message(error, tmp_path / "MNIST")


def test_a_file_that_could_be_read_and_not_hold_is_not_read_whole(tmp_path: Path) -> None:
    """A file with a hole of a terabyte, whose header says nothing of it."""
    path = write_raw(tmp_path) / "train-images-idx3-ubyte"
    os.truncate(path, 2**40)
    with pytest.raises(BenchError, match="has 1099511627776 bytes where 188176 would be 240 samples"):
        mnist_files.read_mnist(tmp_path, "train")


@pytest.mark.parametrize("blocked", ["data", "data/MNIST", "data/MNIST/raw"])
def test_a_file_where_the_folder_should_be_is_one_message(tmp_path: Path, blocked: str) -> None:
    (tmp_path / blocked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / blocked).write_text("in the way")
    with pytest.raises(BenchError, match=r"Not a directory|File exists") as error:
        digits.load_digits("mnist", "train", 200, seed=0, folder=tmp_path / "data")
    one_message(error, tmp_path / "data")
    assert (tmp_path / blocked).read_text() == "in the way"


AS_SOMEBODY_ELSE = """
import os, sys
from pathlib import Path
from bench.errors import BenchError
from suites import digits
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)  # root may read and write all there is
try:
    digits.load_digits("mnist", "train", 200, 0, Path(sys.argv[1]))
except BenchError as error:
    print(error)
"""


@pytest.mark.parametrize(("mode", "prepared"), [(0o000, True), (0o555, False)])
def test_a_folder_without_the_right_is_one_message(processes: None, tmp_path: Path, mode: int, prepared: bool) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    if prepared:
        write_raw(folder)
    for above in tmp_path.parents:  # pytest's own are for its user alone
        if above.stat().st_uid == os.getuid() and "pytest" in above.name:
            above.chmod(0o755)
    tmp_path.chmod(0o755)
    folder.chmod(mode)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", AS_SOMEBODY_ELSE, str(folder)],
        capture_output=True, text=True, env=environment, timeout=120, check=False,
    )  # fmt: skip
    folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "Permission denied" in done.stdout
    assert INSTEAD in done.stdout
    assert done.stdout.count("\n") == 1


# --- where


def test_data_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    assert mnist_files.default_data_dir() == tmp_path
    monkeypatch.setenv("BENCH_DATA_DIR", "data")
    with pytest.raises(BenchError, match="BENCH_DATA_DIR='data' is not an absolute path"):
        mnist_files.default_data_dir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENCH_DATA_DIR", "~/data")
    assert mnist_files.default_data_dir() == tmp_path / "home" / "data"
    monkeypatch.setenv("BENCH_DATA_DIR", "~nobody_such_user/data")
    with pytest.raises(BenchError, match=r"BENCH_DATA_DIR='~nobody_such_user/data': there is no home folder"):
        mnist_files.default_data_dir()
    monkeypatch.delenv("BENCH_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert mnist_files.default_data_dir() == tmp_path / "cache" / "loopmark"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert mnist_files.default_data_dir() == tmp_path / "home" / ".cache" / "loopmark"


@pytest.mark.parametrize("named", ["x" * 300, "a\0b", "/dev/null/data", "/proc/self/data"])
def test_a_folder_that_cannot_be_is_one_message(tmp_path: Path, named: str) -> None:
    with pytest.raises(BenchError) as error:
        mnist_files.fetch_mnist(tmp_path / named)
    one_message(error, tmp_path / named)


def test_a_data_module_takes_mnist_and_a_home(processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    data = autoencoder.MNISTDataModule("~/own", source="mnist", samples=200, batch_size=50)
    with serving() as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        data.prepare_data()
    assert (tmp_path / "own" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").is_file()
    data.setup("fit")
    data.setup("test")
    assert next(iter(data.train_dataloader()))[0].shape == (50, 1, 28, 28)
    assert {split: len(data.digits[split]) for split in ("validation", "test")} == {"validation": 20, "test": 25}
    with pytest.raises(BenchError, match="data_dir='~nobody_such_user/x': there is no home folder"):
        autoencoder.MNISTDataModule("~nobody_such_user/x", source="mnist")


# --- the command


def race(folder: str) -> subprocess.CompletedProcess[str]:
    """`bench run` over MNIST."""
    arguments = ("--set", "data=mnist", "--set", "loop=plain", "--set", "batch_size=16", "--set", "samples=200")
    quick = ("--threads", "1", "--no-instrument", "--budget", "2s")
    return call("run", "overhead", *arguments, *quick, cwd=Path(folder), timeout=240)


@pytest.mark.long
def test_the_command_trains_on_mnist_below_the_home(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENCH_DATA_DIR", "~/data")
    write_raw(tmp_path / "home" / "data")
    done = race(str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_in(tmp_path) == {"home", "results"}


@pytest.mark.long
@pytest.mark.parametrize("folder", ["~nobody_such_user/data", "{tmp}/data"])
def test_the_command_says_what_to_do_without_mnist(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("BENCH_DATA_DIR", folder.format(tmp=tmp_path))
    with serving("404") as mirror:
        monkeypatch.setenv("BENCH_MNIST_MIRROR", mirror.address)
        done = race(str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr  # a cell that cannot run here is a result
    assert "unsupported" in done.stdout
    said = " ".join(done.stdout.split())
    assert ("there is no home folder '~nobody_such_user'" if "~" in folder else INSTEAD) in said
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "~nobody_such_user").exists()
