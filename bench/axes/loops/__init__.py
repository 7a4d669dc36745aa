"""The training loops: one file or function each, found by looking; a new loop is one file here, nothing else.

A loop is a function `loop(job)` decorated with `@register(name, ...)`. Its name is registry key, axis value, column and
label. Loop files import nothing heavy at their top level, so that the parent can list them. One that is registered in a
suite's own file, or in a module beside it that the file imports, is that suite's alone.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from bench.axes.plugins import plugins
from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.axes.loops.job import Job


@dataclass(frozen=True)
class Loop:
    """A training loop: what `--set loop=` takes, what its interpreter has imported before it forks, and the code.

    Attributes:
        run: trains `job.workload` over `job.stream` until the stream ends.
        preload: modules that its fork server imports, the first being torch; a plain arm's never imports lightning.
        name: registry key, axis value, column and label; of a suite's own loop the key in its `loops`.
        title: the first line of the function's docstring.
        trainer: what its Trainer is, `full` or `barebones`, and so which sets of the axis `trainer` it takes; "": none.
    """

    run: Callable[[Job], None]
    preload: tuple[str, ...] = ("torch",)
    name: str = ""
    title: str = ""
    trainer: str = ""


_loops: dict[str, Loop] = {}
_own: dict[str, dict[str, Loop]] = {}  # by owner: a suite's file, as the package that is made of it
_beside: dict[str, dict[str, Loop]] = {}  # by module: those that suites' files import by absolute names
_owner: ContextVar[str] = ContextVar("owner", default="")


def register(
    name: str, *, preload: tuple[str, ...], trainer: str = ""
) -> Callable[[Callable[[Job], None]], Callable[[Job], None]]:
    """Put a function into the registry under `name`; a second loop of the same name is refused.

    While a suite's own file is imported, into the loops of that suite instead.
    """

    def keep(run: Callable[[Job], None]) -> Callable[[Job], None]:
        owner = _owner.get()
        there = _own[owner] if owner else _loops
        other = there.get(name)
        if other is not None and other.run is not run:
            raise SpecError(f"loop {name!r} is registered twice: {other.run.__module__} and {run.__module__}")
        there[name] = Loop(run, preload, name, first_line(run) or name, trainer)
        if owner and not run.__module__.startswith(f"{owner}."):
            _beside.setdefault(run.__module__, {})[name] = there[name]
        return run

    return keep


def first_line(run: Callable[[Job], None]) -> str:
    """The first line of a function's docstring, or ""."""
    return (getattr(run, "__doc__", None) or "").strip().partition("\n")[0].strip()


@contextmanager
def owned(owner: str) -> Iterator[None]:
    """Loops that are registered meanwhile are the owner's alone.

    Args:
        owner: the package that a suite's file is imported in, or what else tells suites apart.
    """
    registry()  # loops of other distributions register themselves as they are imported, and not as this owner's
    _own.setdefault(owner, {})
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)


def disown(owner: str) -> None:
    """Forget an owner's loops: its file did not import, and may be imported again."""
    _own.pop(owner, None)


def own_loops(owner: str | None = None) -> dict[str, Loop]:
    """The loops of this owner by name, or, without one, of the suite's file that is being imported; none otherwise.

    Those of a module beside the file, under its absolute name, are registered once for all suites that import it, so
    for each of these it is looked whether it knows the module.
    """
    owner = _owner.get() if owner is None else owner
    if not owner:
        return {}
    names = {name for name in _beside if _knows(owner, name)}
    return {**{key: loop for name in names for key, loop in _beside[name].items()}, **_own.get(owner, {})}


def _knows(owner: str, name: str) -> bool:
    """Whether a module of the owner's package has the module of that name, or something from it, as a global."""
    ours = [module for key, module in sys.modules.items() if key.startswith(f"{owner}.") and module is not None]
    return any(
        (value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)) == name
        for module in ours
        for value in list(vars(module).values())
    )


@cache
def registry() -> Mapping[str, Loop]:
    """Every loop by name, `plain` first: those of this package, then those of the entry-point group `bench.loops`.

    Raises:
        SpecError: an entry point does not import, or two loops have the same name.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    plugins("bench.loops")  # their functions register themselves as they are imported
    order = ["plain", "fabric", "trainer-barebones", "trainer"]
    names = [name for name in order if name in _loops] + sorted(set(_loops) - set(order))
    return {name: _loops[name] for name in names}
