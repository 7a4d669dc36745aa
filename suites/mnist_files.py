"""MNIST's four files: where they lie, how they are had, and read without trust. No torchvision in this process.

They are right or there is one message, which says how to do without them. What a mirror or a disk gives is not
believed: the download has limits (`mnist_download.py`), and no byte is read before header and length of a file agree.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from bench.errors import BenchError, quote
from bench.results.files import POLL, cache_folder, try_lock

SIDE = 28
CLASSES = 10
MOST_SAMPLES = 1_000_000  # in a file: 784 MB; MNIST has 60 000, and the largest set in its format that is known 697 932
LARGEST = 64 * 2**20  # bytes of a file that a mirror gives, packed or not; MNIST's largest has 47 040 016
# A download is given up after so long, whoever waits for whom in it. An arm must have said so before its command
# gives it up, which is after 60 s; files that are whole are kept, so that the next try begins behind them.
ARM_SECONDS = 45.0
SECONDS = 600.0
START = 120.0  # seconds that an interpreter may take to import torchvision: 3 on one idle core
MIRROR = "BENCH_MNIST_MIRROR"
RESOURCES: list[tuple[str, str]] | None = None  # names and MD5 sums of what is downloaded; None: torchvision's own
KINDS = {"images": ("idx3", 3), "labels": ("idx1", 1)}
TYPES = {8: "bytes", 9: "signed bytes", 11: "16-bit integers", 12: "integers", 13: "floats", 14: "doubles"}
Part = Literal["train", "t10k"]
INSTEAD = "choose data=synthetic (--set data=synthetic; of bench train --data.source synthetic)"


def raw_name(part: Part, kind: str) -> str:
    """How torchvision names a file that it has unpacked."""
    return f"{part}-{kind}-{KINDS[kind][0]}-ubyte"


RAW_NAMES = tuple(raw_name(part, kind) for part in ("train", "t10k") for kind in KINDS)


# --- where


def default_data_dir() -> Path:
    """Where MNIST lies: `BENCH_DATA_DIR`, or the program's folder in the user's cache.

    Raises:
        BenchError: `BENCH_DATA_DIR` is a relative path, or begins with the home of nobody.
    """
    named = os.environ.get("BENCH_DATA_DIR")
    if not named:
        try:
            return cache_folder()
        except RuntimeError:  # no HOME, and the user has no entry
            raise BenchError("there is no home folder to keep MNIST in; set BENCH_DATA_DIR") from None
    folder = data_folder(named, "BENCH_DATA_DIR")
    if not folder.is_absolute():  # an arm works in a folder of its own, which goes with it
        raise BenchError(f"BENCH_DATA_DIR={named!r} is not an absolute path, e.g. {folder.absolute()}")
    return folder


def data_folder(named: str | os.PathLike[str], what: str = "data_dir") -> Path:
    """The folder that somebody named, with `~` made what it stands for.

    Args:
        what: what it is called where it was named.

    Raises:
        BenchError: there is no such home.
    """
    try:
        return Path(named).expanduser()
    except RuntimeError:
        user = quote(Path(named).parts[0])
        raise BenchError(f"{what}={quote(os.fspath(named))}: there is no home folder {user}; name one") from None


# --- the download


def fetch_mnist(folder: Path, seconds: float = SECONDS) -> None:
    """Make MNIST's files be there. Where they are, nothing is written and no network touched.

    Processes that ask at the same time wait for the first, and so there is one download.

    Args:
        folder: as torchvision's `root`: the files lie in `MNIST/raw` under it.
        seconds: after which it is given up, the wait for another process included.

    Raises:
        BenchError: the files are not there and cannot be had; names the folder, what to do without, and why.
    """
    raw = folder / "MNIST" / "raw"
    try:
        if not _missing(raw):
            return
        deadline = time.monotonic() + seconds
        raw.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder / "mnist.lock", deadline) as descriptor:
            if names := _missing(raw):
                _fill(folder, names, deadline, descriptor)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _not_had(folder, f"{getattr(error, 'filename', None) or folder}: {why}") from error


def _not_had(folder: Path, why: str) -> BenchError:
    # A record keeps the first 300 characters of a reason: what helps comes first.
    return BenchError(
        f"MNIST cannot be had: {INSTEAD}, or put torchvision's files into {folder / 'MNIST' / 'raw'}; {why}"
    )


def _missing(raw: Path) -> list[str]:
    """Names of files that are not there.

    Raises:
        OSError: it cannot be seen whether they are.
    """
    return [name for name in RAW_NAMES if _kind_of(raw / name) is None]


def _kind_of(path: Path) -> int | None:
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _fill(folder: Path, names: list[str], deadline: float, lock: int) -> None:
    """Download aside, look at what came, and only then put it where it is looked for."""
    aside = folder / "MNIST.part"  # one name: what is whole in it serves the next try
    there, raw = aside / "MNIST" / "raw", folder / "MNIST" / "raw"
    there.mkdir(parents=True, exist_ok=True)
    for name in RAW_NAMES:
        with suppress(FileNotFoundError):
            (there / name).unlink()  # torchvision does not look into what a killed process left half unpacked
        packed = raw / f"{name}.gz"
        if _kind_of(packed) == stat.S_IFREG and packed.stat().st_size <= LARGEST and not (there / packed.name).exists():
            shutil.copyfile(packed, there / packed.name)  # somebody put it there; its sum is compared
    if why := _download(aside, deadline, lock):
        if not any(there.glob("*.gz")):
            shutil.rmtree(aside, ignore_errors=True)
        raise _not_had(folder, f"{_mirror() or 'from its mirrors'}: {why}")
    try:
        for name in names:
            _numbers(there / name)
        for name in names:
            os.replace(there / name, raw / name)
    finally:  # what has the right sum and is no set of digits would be taken again
        shutil.rmtree(aside, ignore_errors=True)


def _mirror() -> str:
    return os.environ.get(MIRROR, "")


def _download(aside: Path, deadline: float, lock: int) -> str:
    """Run the download; gives why it failed, or nothing."""
    program = Path(__file__).with_name("mnist_download.py")
    left = deadline - time.monotonic()
    mirror = _mirror()
    asked = {
        "root": str(aside),
        "seconds": max(0.1, left),
        "largest": LARGEST,
        "mirrors": [f"{mirror.rstrip('/')}/"] if mirror else None,
        "resources": RESOURCES,
    }
    path = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(program), json.dumps(asked)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=(lock,),  # so that it is held while this process lives, whatever becomes of its parent
            timeout=left + START,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"torchvision was not imported within {START:g} s"
    if done.returncode == -signal.SIGALRM:
        return f"it did not come to its end in {asked['seconds']:.3g} s"
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    try:
        return json.loads(lines[-1]) or ""
    except (IndexError, ValueError):
        return f"its process ended with status {done.returncode}"


@contextmanager
def _one_at_a_time(path: Path, deadline: float) -> Iterator[int]:
    """Hold a lock file, whose descriptor this gives.

    Raises:
        OSError: it cannot be made, or another process holds it past the deadline.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise OSError(errno.ETIMEDOUT, "another process is still downloading", str(path))
            time.sleep(POLL)
        yield descriptor
    finally:
        os.close(descriptor)


# --- what lies there


def read_mnist(folder: Path, part: Part) -> tuple[Tensor, Tensor]:
    """The images and labels of a part, as they lie in `folder`.

    Returns:
        images, uint8, (samples, 28, 28), and labels, int64, (samples,).

    Raises:
        BenchError: a file cannot be read, or is not what it should be.
    """
    raw = folder / "MNIST" / "raw"
    try:
        images, labels = (_numbers(raw / raw_name(part, kind)) for kind in KINDS)
        if len(images) != len(labels):
            raise ValueError(f"{part} has {len(images)} images and {len(labels)} labels")
        if len(labels) and int(labels.max()) >= CLASSES:
            raise ValueError(f"{raw_name(part, 'labels')} has a label of {int(labels.max())}; allowed: 0 to 9")
    except (OSError, ValueError) as error:
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise BenchError(
            f"MNIST's files are damaged: delete {folder / 'MNIST'} for a new download, or {INSTEAD}; {why}"
        ) from error
    return images, labels.to(torch.int64)


def _numbers(path: Path) -> Tensor:
    """What an idx file has: a header of its type and sizes, and then a byte a number (yann.lecun.com/exdb/mnist).

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, has other numbers or sizes than digits have, or another length than it says.
    """
    dimensions = 3 if "-images-" in path.name else 1
    length = 4 * (dimensions + 1)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path.name} is not a regular file")
        header = file.read(length)
        if len(header) < length:
            raise ValueError(f"{path.name} has {len(header)} bytes, fewer than its header")
        nothing, kind, sizes = struct.unpack(">HBB", header[:4])
        if nothing or kind not in TYPES:
            raise ValueError(f"{path.name} begins with {header[:4]!r}, and is no idx file")
        if kind != 8:
            raise ValueError(f"{path.name} has {TYPES[kind]}; allowed: bytes")
        if sizes != dimensions:
            raise ValueError(f"{path.name} has {sizes} dimensions; allowed: {dimensions}")
        count, *sides = struct.unpack(f">{dimensions}I", header[4:])
        if sides not in ([], [SIDE, SIDE]):
            raise ValueError(f"{path.name} has images of {' x '.join(map(str, sides))} pixels; allowed: 28 x 28")
        if not 1 <= count <= MOST_SAMPLES:
            raise ValueError(f"{path.name} says that it has {count} samples; allowed: 1 to {MOST_SAMPLES}")
        size = count * (SIDE * SIDE if sides else 1)
        if found.st_size != length + size:
            raise ValueError(f"{path.name} has {found.st_size} bytes where {length + size} would be {count} samples")
        content = bytearray(size)
        if file.readinto(content) != size:
            raise ValueError(f"{path.name} became shorter while it was read")
    return torch.frombuffer(content, dtype=torch.uint8).view(count, *sides)
