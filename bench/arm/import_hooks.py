"""Something to do to a module as soon as it is imported: a script's arm imports what the script does, and no more."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Act = Callable[[ModuleType], None]


def put_in_place(owner: Any, name: str, function: Any) -> None:
    """Let a module or a class have this function by this name: whoever calls it from now on gets it."""
    setattr(owner, name, function)


def when_imported(name: str, act: Act) -> None:
    """Call `act` with the module of this name: now, if it is imported, else when somebody imports it."""
    if name in sys.modules:
        act(sys.modules[name])
        return
    finder = next((one for one in sys.meta_path if isinstance(one, _Finder)), None)
    if finder is None:
        finder = _Finder()
        sys.meta_path.insert(0, finder)
    finder.acts.setdefault(name, []).append(act)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what the others find, and gives it a loader that acts after it."""

    def __init__(self) -> None:
        self.acts: dict[str, list[Act]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.acts:
            return None
        for finder in sys.meta_path:
            found = None if finder is self else finder.find_spec(fullname, path, target)
            if found is not None and found.loader is not None:
                found.loader = _Loader(found.loader, self.acts.pop(fullname))
                return found
        return None


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, acts: Sequence[Act]) -> None:
        self._loader, self._acts = loader, acts

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Libraries look for their files through the loader that they know.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        for act in self._acts:
            act(module)
