"""Where a script runs, and its connection: what it does to either is known for what it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PLACE = """
import json, os, sys
from pathlib import Path
from bench.arm.script_arm import ScratchPlace
folder, scratch = map(Path, sys.argv[1:])
os.chdir(scratch)
sys.path += [str(folder), str(folder / "src"), str(folder / "venv" / "lib"), str(folder.parent / "elsewhere")]
place = ScratchPlace(folder, scratch / "cache")
found = [path for path in sys.path if path.startswith((str(folder.parent), str(scratch)))]
print(json.dumps([str(place.folder), os.getcwd(), place.of_script(folder / "train.py"), found]))
"""


def test_modules_are_found_in_the_copy_and_those_of_an_environment_where_it_is(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "project", tmp_path / "scratch"
    for name in ("project/src", "project/venv/lib", "elsewhere", "scratch"):
        (tmp_path / name).mkdir(parents=True)
    (folder / "venv" / "pyvenv.cfg").touch()
    (folder / "train.py").touch()
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PLACE, folder, scratch],
        capture_output=True,
        text=True,
        env={**os.environ, **one, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    root, here, script, found = json.loads(done.stdout)
    assert here == root
    assert script == f"{root}/train.py"
    assert found == [root, f"{root}/src", str(folder / "venv" / "lib"), str(tmp_path / "elsewhere")]


def test_without_landlock_larger_files_are_copies_and_that_is_told(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "project", tmp_path / "scratch"
    for made in (folder, scratch):
        made.mkdir()
    (folder / "data.gz").write_bytes(b"x" * 2**20)
    code = (
        "import os, sys; from pathlib import Path; from bench.arm import script_arm\n"
        "script_arm.protect = lambda folders, keep=(): ''\n"
        "os.chdir(sys.argv[2])\n"
        "place = script_arm.ScratchPlace(Path(sys.argv[1]), Path(sys.argv[2], 'cache'))\n"
        "Path('data.gz').write_bytes(b'')\n"
        "print(place.told)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, folder, scratch], capture_output=True, text=True, cwd=ROOT)
    assert (
        "this system has no Landlock to keep them there; not covered: files that scripts name by absolute"
        in done.stdout
    )
    assert (folder / "data.gz").stat().st_size == 2**20


WIRE = """
import os, sys
from multiprocessing import Pipe
from bench.arm.script_wire import ScriptWire
ours, theirs = Pipe()
wire = ScriptWire(ours)
wire.send_bytes(b"hello")
assert theirs.recv_bytes() == b"hello"
def closed():
    os.close(ours.fileno())
    wire.send_bytes(b"x")
def taken():
    other = os.open("/dev/null", os.O_RDWR)
    os.dup2(other, ours.fileno())
    wire.recv_bytes()
def gone():
    theirs.close()
    wire.recv_bytes()
def child():
    if pid := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    wire.recv_bytes()
globals()[sys.argv[1]]()
print("it went on")
"""


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("closed", "the script has closed descriptor"),
        ("taken", "the script has closed descriptor"),
        ("gone", "the conductor is gone"),
        ("child", "a child of the script asked for batches"),
    ],
)
def test_a_connection_that_is_gone_ends_the_process_with_a_line(how: str, words: str) -> None:
    done = subprocess.run([sys.executable, "-c", WIRE, how], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"\nbench: {words}")


def test_own_last_words_are_those_of_the_log(tmp_path: Path) -> None:
    code = "import sys\nfrom bench.arm.script_wire import own_last_words\n"
    code += "print('usage\\nno such option\\n', file=sys.stderr)"
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\nprint(own_last_words())"],
            stderr=log,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=True,
        )
    assert done.stdout == "no such option\n"


def test_what_a_scripts_own_handler_raises_while_it_is_held_is_the_scripts() -> None:
    """A TimeoutError is an OSError, and is no end of the connection."""
    code = """
import signal
from multiprocessing import Pipe
from bench.arm.script_wire import ScriptWire
def ring(number, frame):
    raise TimeoutError("a step took too long")
signal.signal(signal.SIGALRM, ring)
ours, theirs = Pipe()
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    ScriptWire(ours).recv_bytes()
except TimeoutError as error:
    print("the script's:", error)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "the script's: a step took too long\n", done.stderr
