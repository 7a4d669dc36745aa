"""What arms do that is bad. Nothing is simulated: each of these really happens, in the arm, at a stage of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.axes.loops.workload import Workload

from . import parts

STEP = 20  # calls of the loss before it happens; audited steps are the first of a launch
BUILDING: dict[str, Callable[[], None]] = {}
LOSING: dict[str, Callable[[], Any]] = {}
LOADING: dict[str, Callable[[], Any]] = {}


def faulty(name: str) -> Workload:
    """The workload of parts.py, with the misdeed of that name in it."""
    from . import beyond, loaders, own  # noqa: F401 - they put their misdeeds into the three tables

    if os.environ.get("RANK", "1") != "1":  # of several ranks only the second is bad
        return parts.workload()
    if name in BUILDING:
        BUILDING[name]()
        return parts.workload()
    made = parts.workload()
    if name in LOADING:
        return replace(made, batches=LOADING[name]())
    if name in LOSING:
        calls = 0

        def loss(model: Any, batch: Any) -> Any:
            nonlocal calls
            calls += 1
            right = parts.loss(model, batch)
            given = LOSING[name]() if calls == STEP else None
            return right if given is None else given(right) if callable(given) else given

        return replace(made, loss=loss)
    if name != "none":
        raise ValueError(f"no misdeed {name!r}")
    return made


def building(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    return lambda deed: BUILDING.setdefault(name, deed)


def losing(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    return lambda deed: LOSING.setdefault(name, deed)


def raising(error: BaseException) -> Callable[[], Any]:
    def deed() -> Any:
        raise error

    return deed


def sleeping(*_: Any) -> None:
    time.sleep(3600)


def sent(number: int) -> Callable[[], Any]:
    """A signal to itself; what it does not end, or stop, hangs."""

    def deed() -> None:
        os.kill(os.getpid(), number)
        time.sleep(3600)

    return deed
