"""Modules by the names that they had in version 0.1, for users' loops, metrics and suites that import them.

A meta path finder answers for them. What it gives is the module of the new name, not a second one: a loop that
registers itself through the old name is in the same registry. `bench.spec` and `bench.arm.Job` are of that time as
well, and are there as they were.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

OLD_MODULES: Mapping[str, str] = {
    "bench.accelerators": "bench.axes.accelerators",
    "bench.loops": "bench.axes.loops",
    "bench.loops.lazy": "bench.axes.loops.plain_xla",
    "bench.precision": "bench.axes.precision",
    "bench.record": "bench.results.record",
    "bench.stream": "bench.arm.stream",
}
GOES_IN = "0.4"  # two minor releases after the one in which the new names came


def new_name(fullname: str) -> str | None:
    """What a module of an old name, or one within it, is called now; None where the name is not of these."""
    package, _, name = fullname.rpartition(".")
    return OLD_MODULES.get(fullname) or (f"{OLD_MODULES[package]}.{name}" if package in OLD_MODULES else None)


class _OldModules:
    """Finds a module by its old name, and says the new one, once, since then it is in `sys.modules`.

    It has what a finder and a loader have, and not their classes: these take a third of the time of `import bench`.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        new = new_name(fullname)
        if new is None:
            return None
        warnings.warn(
            f"{fullname} is {new} now, and the old name may go in version {GOES_IN}; suites, loops and metrics take "
            "what they need from bench itself",
            DeprecationWarning,
            stacklevel=2,
        )
        return ModuleSpec(fullname, self, origin=new)  # type: ignore[arg-type]  # it has what a loader has

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """None: the import system makes it."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of the empty one that the import system has made."""
        sys.modules[module.__name__] = importlib.import_module(str(new_name(module.__name__)))


def install() -> None:
    """Let old names be found, from now on."""
    if not any(isinstance(finder, _OldModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OldModules())  # before the one that would find files within a package of an old name
