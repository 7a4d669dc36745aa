"""Finds suites: files of the suites folder, of folders the user names, entry points of `bench.suites`. No torch.

A file is a suite when it assigns `suite` at its top level. That is read from its syntax tree, so that helpers beside it
(which may import torch) are never imported by the parent.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from bench.axes.engine_axes import engine_axes
from bench.errors import SpecError, one_of
from bench.plan import guard
from bench.plan.suite import Suite


def suites_folder() -> Path:
    """Where the project's own suites lie: beside the package's modules in a wheel, beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / "suites" if (package / "suites").is_dir() else package.parent / "suites"


def suite_files(folders: Sequence[Path] = ()) -> list[Path]:
    """Suite files of the suites folder, then of these folders; a folder that is named twice counts once.

    Raises:
        SpecError: a named folder is not there, or what should be a file in one is none, or cannot be parsed.
    """
    found: dict[Path, Path] = {}  # by where it really lies
    for folder in (suites_folder(), *folders):
        if not folder.is_dir():
            raise SpecError(f"{folder}: no such folder of suites")
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith(".") and _assigns_suite(path):  # editors' locks and copies begin with a dot
                found.setdefault(path.resolve(), path)
    return list(found.values())


def _assigns_suite(path: Path) -> bool:
    if not path.is_file():  # asked first: opening a pipe would wait for somebody to write
        raise SpecError(f"{path}: not a file that could be a suite, but a folder, a pipe or a link that leads nowhere")
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    # ValueError: a byte that no encoding has; MemoryError and RecursionError: nested too deeply for the parser.
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise SpecError(f"{path}: this suite file does not import: {guard.exception_line(error)}") from None
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "suite" for target in targets):
            return True
    return False


def load_suite(path: Path) -> Suite:
    """Import a suite file, under a package of its folder so that relative imports of helpers work.

    Raises:
        SpecError: it does not import, or its `suite` is not a Suite.
    """
    with guard.foreign(f"{path}: this suite file does not import"):
        loaded = _imported(path)
    suite = getattr(loaded, "suite", None)
    if not isinstance(suite, Suite):
        raise SpecError(f"{path}: `suite` is {type(suite).__name__}, not a bench.Suite")
    return suite


def _imported(path: Path) -> ModuleType:
    folder = path.resolve().parent
    package = f"bench_suites_{abs(hash(str(folder))):x}"
    if package not in sys.modules:
        module = ModuleType(package)
        module.__path__ = [str(folder)]
        sys.modules[package] = module
    return importlib.import_module(f"{package}.{path.stem}")


def all_suites(folders: Sequence[Path] = ()) -> dict[str, tuple[Suite, str]]:
    """Every suite by name, with its file; "" for one that came by an entry point.

    Raises:
        SpecError: all that is wrong with any of them; two that have the same name, too.
    """
    engine_axes()  # what is wrong with loops and accelerators from outside is said once, and not of every suite
    mistakes: list[str] = []
    found: dict[str, tuple[Suite, str]] = {}
    for entry in entry_points(group="bench.suites"):
        where = f"entry point bench.suites:{entry.name}"
        try:
            with guard.foreign(where):
                suite = entry.load()
        except SpecError as error:
            mistakes += error.mistakes
            continue
        if not isinstance(suite, Suite):
            mistakes.append(f"{where}: {type(suite).__name__} is not a bench.Suite")
        elif suite.name in found:
            mistakes.append(f"{where}: suite {suite.name!r} is there already; rename one of them")
        else:
            found[suite.name] = (suite, "")
    ours = suites_folder()
    for path in suite_files(folders):
        try:
            if path.parent != ours:  # what leaves the program, or hangs, does so in a child first
                guard.try_in_child(f"{path}: this suite file does not import", partial(_imported, path))
            suite = load_suite(path)
        except SpecError as error:
            mistakes += error.mistakes
            continue
        if suite.name in found:
            other = found[suite.name][1] or "an entry point"
            mistakes.append(f"{path}: suite {suite.name!r} would hide that of {other}; rename one of them")
            continue
        found[suite.name] = (suite, str(path.resolve()))
    if mistakes:
        raise SpecError(mistakes)
    return found


def find_suite(name: str, folders: Sequence[Path] = ()) -> Suite:
    """The suite of that name.

    Raises:
        SpecError: there is none; says which there are.
    """
    suites = all_suites(folders)
    if name not in suites:
        raise SpecError(one_of("suite", name, suites))
    return suites[name][0]
