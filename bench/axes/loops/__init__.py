"""The training loops: one file or function each, found by looking; a new loop is one file here, nothing else.

A loop is a function `loop(job)` decorated with `@register(name, ...)`. Its name is registry key, axis value, column and
label. Loop files import nothing heavy at their top level, so that the parent can list them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from bench.axes.plugins import plugins
from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.axes.loops.job import Job


@dataclass(frozen=True)
class Loop:
    """A training loop: what `--set loop=` takes, what its interpreter has imported before it forks, and the code.

    Attributes:
        name: registry key, axis value, column and label.
        preload: modules that its fork server imports, the first being torch; a plain arm's never imports lightning.
        run: trains `job.workload` over `job.stream` until the stream ends.
        title: the first line of the function's docstring.
        trainer: what its Trainer is, `full` or `barebones`, and so which sets of the axis `trainer` it takes; "": none.
    """

    name: str
    preload: tuple[str, ...]
    run: Callable[[Job], None]
    title: str
    trainer: str = ""


_loops: dict[str, Loop] = {}


def register(
    name: str, *, preload: tuple[str, ...], trainer: str = ""
) -> Callable[[Callable[[Job], None]], Callable[[Job], None]]:
    """Put a function into the registry under `name`; a second loop of the same name is refused."""

    def keep(run: Callable[[Job], None]) -> Callable[[Job], None]:
        if name in _loops and _loops[name].run is not run:
            raise SpecError(f"loop {name!r} is registered twice: {_loops[name].run.__module__} and {run.__module__}")
        title = (run.__doc__ or name).strip().splitlines()[0]
        _loops[name] = Loop(name, preload, run, title, trainer)
        return run

    return keep


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
