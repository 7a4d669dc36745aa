"""Python calls: both ways of counting see the same, in whatever interpreter there is, and it is what cProfile sees."""

from __future__ import annotations

import cProfile
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from bench.arm.call_count import MONITORED, CallCount

FILE = ROOT / "bench" / "arm" / "call_count.py"
# Every way into a frame that there is, and what is none: comprehensions, classes' bodies too, C functions, a thread.
WORK = """
import contextlib, threading

def leaf():
    return 1

def numbers(n):
    for i in range(n):
        try:
            yield i
        except ValueError:
            pass

def outer(n):
    yield from numbers(n)

class Thing:
    def __init__(self):
        self.value = leaf()
    def __eq__(self, other):
        return leaf() == 1
    __hash__ = None

async def waits():
    await answers()

async def answers():
    return leaf()

@contextlib.contextmanager
def around():
    yield leaf()

def work():
    [leaf() for _ in range(3)]
    {i: leaf() for i in range(2)}
    {leaf() for _ in range(2)}
    sum(leaf() for _ in range(4))
    list(outer(3))
    thrown = numbers(3)
    next(thrown)
    thrown.throw(ValueError)
    thrown.close()
    Thing() == Thing()
    coroutine = waits()
    try:
        coroutine.send(None)
    except StopIteration:
        pass
    with contextlib.suppress(KeyError), around():
        raise KeyError
    sorted([3, 1, 2], key=lambda value: -value)
    other = threading.Thread(target=leaf)
    other.start()
    other.join()
"""
OWN = {  # of the functions above: the same by every interpreter
    "leaf": 3 + 2 + 2 + 4 + 2 + 1 + 1 + 1,
    "numbers": 4 + 2 + 1,
    "outer": 4,
    "work.<locals>.<genexpr>": 5,
    "Thing.__init__": 2,
    "Thing.__eq__": 1,
    "waits": 1,
    "answers": 1,
    "around": 2,
    "work.<locals>.<lambda>": 3,
    "work": 1,
}
OTHER = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("call_count", sys.argv[1])
found = importlib.util.module_from_spec(spec)
spec.loader.exec_module(found)
exec(sys.stdin.read())
work()
both = []
for monitored in (False, True):
    count = found.CallCount(monitored=monitored)
    count.start()
    work()
    count.stop()
    both.append(count.calls())
print(json.dumps(both))
"""


def work() -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": "worked"}
    exec(compile(WORK, "work", "exec"), scope)
    return scope


@contextmanager
def counting(count: CallCount) -> Iterator[None]:
    count.start()
    yield
    count.stop()


@pytest.mark.parametrize("monitored", [False, *([True] if MONITORED else [])])
def test_a_known_number_of_calls(monitored: bool) -> None:
    done = work()["work"]
    count = CallCount(monitored=monitored)
    with counting(count):
        done()
    calls = count.calls()
    own = {name.removeprefix("worked:"): n for name, n in calls.items() if name.startswith("worked:")}
    assert own == OWN
    assert {name for name in calls if "comp>" in name} == set()
    with counting(count):
        done()
    assert sum(count.calls().values()) == 2 * sum(calls.values())


def test_cprofile_sees_the_same_entries() -> None:
    """It counts entries as well, and comprehensions besides, which are frames in this interpreter or are not."""
    done = work()["work"]
    profile = cProfile.Profile(builtins=False)
    profile.runcall(done)
    seen: dict[str, int] = {}
    for entry in profile.getstats():
        code: Any = entry.code
        if not isinstance(code, str) and code.co_filename == "work" and "comp>" not in code.co_name:
            seen[code.co_qualname] = seen.get(code.co_qualname, 0) + entry.callcount
    if not MONITORED:  # from 3.12 on it hears all threads
        assert seen == OWN


def other_interpreters() -> list[str]:
    """Interpreters of this machine that have sys.monitoring: on the path, or of pyenv."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(versions.glob("3.1[2-9].*/bin/python"))
    return [str(path) for path in found] + ([sys.executable] if MONITORED else [])


def test_both_ways_see_the_same_in_interpreters_that_have_both(processes: None) -> None:
    interpreters = other_interpreters()
    if not interpreters:
        pytest.skip("no interpreter from 3.12 on is here")
    for interpreter in interpreters:
        done = subprocess.run(
            [interpreter, "-I", "-c", OTHER, str(FILE)], input=WORK, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        profiled, monitored = json.loads(done.stdout)
        assert profiled == monitored, interpreter
        own = {name.removeprefix("__main__:"): n for name, n in profiled.items() if name.startswith("__main__:")}
        assert own == OWN, interpreter


def test_nothing_is_counted_while_it_is_paused_or_by_another_thread() -> None:
    leaf = work()["leaf"]
    count = CallCount()
    with counting(count):
        leaf()
        count.paused = True
        leaf()
        count.paused = False
        leaf()
        other = threading.Thread(target=leaf)
        other.start()
        other.join()
    assert count.calls()["worked:leaf"] == 2


def test_the_place_of_another_profiler_is_not_taken() -> None:
    if MONITORED:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # from 3.12 on
        monitoring.use_tool_id(monitoring.PROFILER_ID, "another")
    else:
        sys.setprofile(lambda *_: None)
    try:
        with pytest.raises(RuntimeError, match="taken by another profiler"):
            CallCount().start()
    finally:
        if MONITORED:
            monitoring.free_tool_id(monitoring.PROFILER_ID)
        else:
            sys.setprofile(None)
