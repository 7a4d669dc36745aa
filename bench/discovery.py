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
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from bench.errors import SpecError, one_of
from bench.spec import Suite


def suites_folder() -> Path:
    """Where the project's own suites lie: beside the package's modules in a wheel, beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    return package / "suites" if (package / "suites").is_dir() else package.parent / "suites"


def suite_files(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Suite files by the name of the file; those of later folders hide earlier ones of the same name.

    Raises:
        SpecError: a named folder is not there, or a file in one cannot be parsed.
    """
    found: dict[str, Path] = {}
    for folder in (suites_folder(), *folders):
        if not folder.is_dir():
            raise SpecError(f"{folder}: no such folder of suites")
        for path in sorted(folder.glob("*.py")):
            if _assigns_suite(path):
                found[path.stem] = path
    return found


def _assigns_suite(path: Path) -> bool:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: this suite file does not import: {type(error).__name__}: {error}") from None
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
    folder = path.resolve().parent
    package = f"bench_suites_{abs(hash(str(folder))):x}"
    if package not in sys.modules:
        module = ModuleType(package)
        module.__path__ = [str(folder)]
        sys.modules[package] = module
    try:
        loaded = importlib.import_module(f"{package}.{path.stem}")
    except SpecError as error:
        raise SpecError([f"{path}: {mistake}" for mistake in error.mistakes]) from None
    except Exception as error:
        raise SpecError(f"{path}: this suite file does not import: {type(error).__name__}: {error}") from error
    suite = getattr(loaded, "suite", None)
    if not isinstance(suite, Suite):
        raise SpecError(f"{path}: `suite` is {type(suite).__name__}, not a bench.spec.Suite")
    return suite


def all_suites(folders: Sequence[Path] = ()) -> dict[str, tuple[Suite, str]]:
    """Every suite by name, with its file; "" for one that came by an entry point.

    Raises:
        SpecError: all that is wrong with any of them.
    """
    mistakes: list[str] = []
    found: dict[str, tuple[Suite, str]] = {}
    for entry in entry_points(group="bench.suites"):
        suite = entry.load()
        if isinstance(suite, Suite):
            found[suite.name] = (suite, "")
        else:
            mistakes.append(f"entry point bench.suites:{entry.name}: {type(suite).__name__} is not a bench.spec.Suite")
    for path in suite_files(folders).values():
        try:
            suite = load_suite(path)
        except SpecError as error:
            mistakes += error.mistakes
            continue
        found[suite.name] = (suite, str(path.resolve()))
    if mistakes:
        raise SpecError(mistakes)
    return found


def named(name: str, folders: Sequence[Path] = ()) -> Suite:
    """The suite of that name.

    Raises:
        SpecError: there is none; says which there are.
    """
    suites = all_suites(folders)
    if name not in suites:
        raise SpecError(one_of("suite", name, suites))
    return suites[name][0]
