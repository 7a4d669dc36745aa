"""Suite files as modules: each is one, with the modules beside it, in a package of its own. No torch.

The package has the file's path in its name, so that whatever process comes across a class of a suite, a loader worker
that was started by `spawn` above all, finds the file by the name that the class was pickled under: importing any name
below this module's own makes the finder be there. Two files of one folder share nothing, not even a module beside them
that both import, so the loops that are registered meanwhile are the one suite's alone.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from bench.axes import loops

__path__: list[str] = []  # this module is a package, of modules that the finder finds
PACKAGE_PREFIX = f"{__name__}."


def package_of(file: Path) -> str:
    """The name of the package that a suite file, by its real path, is imported in."""
    encoded = re.sub(rb"[^A-Za-z0-9]", lambda found: b"_%02x" % ord(found[0]), os.fsencode(file))
    return PACKAGE_PREFIX + encoded.decode("ascii")


def without_folder(name: str) -> str:
    """A module's or function's name without the path of its suite's folder: sides of a gate have their own."""
    rest = name.removeprefix(PACKAGE_PREFIX)
    return name if rest == name else rest.partition(".")[2]


def _file_of(package: str) -> Path:
    encoded = package.removeprefix(PACKAGE_PREFIX).encode("ascii")
    return Path(os.fsdecode(re.sub(rb"_([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), encoded)))


def module_of_file(file: Path) -> str:
    """The name of the module that a suite file becomes; a dot in its own name would begin a module within it."""
    return f"{package_of(file)}.{file.stem.replace('.', '_')}"


_read: dict[str, tuple[str, int, int]] = {}  # by module: its file, and how old and long that was when it was read


def import_file(path: Path) -> ModuleType:
    """The module of a suite file; relative imports in it find the modules beside the real file.

    It is imported anew where one of them was edited since: arms, which are new processes, see it as it is now.
    """
    within = f"{package_of(path.resolve())}."
    if any(name.startswith(within) and _stamp(seen[0]) != seen for name, seen in _read.items()):
        forget(path)
    try:
        return importlib.import_module(module_of_file(path.resolve()))
    except BaseException:
        forget(path)
        raise


def _stamp(file: str) -> tuple[str, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return file, 0, 0
    return file, found.st_mtime_ns, found.st_size


def forget(path: Path) -> None:
    """Let a suite file be as if it had never been imported: it did not import to its end, or is another one now."""
    package = package_of(path.resolve())
    for known in (sys.modules, _read):
        for name in [name for name in known if name == package or name.startswith(f"{package}.")]:
            del known[name]
    importlib.invalidate_caches()
    loops.disown(package)


class _Loader(SourceFileLoader):
    """Runs a file of a suite's package; loops that it registers are the suite's."""

    def exec_module(self, module: ModuleType) -> None:
        owner, _, _ = module.__name__.removeprefix(PACKAGE_PREFIX).partition(".")
        _read[module.__name__] = _stamp(self.path)
        with loops.owned(PACKAGE_PREFIX + owner):
            super().exec_module(module)


class _SuiteFiles(MetaPathFinder):
    """Finds the packages of suite files, these files, and the modules beside them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PACKAGE_PREFIX):
            return None
        package, _, inside = fullname.removeprefix(PACKAGE_PREFIX).partition(".")
        file = _file_of(PACKAGE_PREFIX + package)
        if not inside:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(file.parent)]
            return spec
        if fullname == module_of_file(file):
            return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file)))
        found = PathFinder.find_spec(fullname, path, target)
        if found is not None and type(found.loader) is SourceFileLoader:
            found.loader = _Loader(found.loader.name, found.loader.path)
        return found


sys.meta_path.insert(0, _SuiteFiles())
