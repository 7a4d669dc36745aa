"""What files import, read from their syntax and without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"


@dataclass
class Imports:
    """Dotted names that a file imports, those for types only among the late ones."""

    top: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)


@cache
def imports(path: Path) -> Imports:
    found = Imports()

    def visit(node: ast.AST, kept: set[str]) -> None:
        for child in _blocks(node):
            where = kept
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and kept is found.top:
                where = found.late
            elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                where = found.types
            if isinstance(child, ast.Import):
                where |= {alias.name for alias in child.names}
            elif isinstance(child, ast.ImportFrom) and child.module:
                where |= {f"{child.module}.{alias.name}" for alias in child.names} | {child.module}
            visit(child, where)

    visit(ast.parse(path.read_bytes()), found.top)
    return found


def _blocks(node: ast.AST) -> Iterator[ast.AST]:
    """The statements in a statement; in expressions nothing is imported, and most of a file is expressions."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        children = getattr(node, name, ())
        if isinstance(children, list):  # the body of a lambda or of `a if b else c` is none
            yield from children


@cache
def file_of(module: str) -> Path | None:
    """The file of a module of this project, by its dotted name; tests import each other without `tests.`."""
    for folder in (ROOT, TESTS):
        path = folder.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


@cache
def _at_the_top(path: Path) -> tuple[frozenset[Path], frozenset[str]]:
    """The project's own files and the packages from elsewhere that a file itself imports."""
    own: set[Path] = set()
    packages: set[str] = set()
    for name in imports(path).top:
        parts = name.split(".")
        # Importing a module imports the packages around it, too.
        found = {file for end in range(1, len(parts) + 1) if (file := file_of(".".join(parts[:end])))}
        own |= found
        if not found:
            packages.add(parts[0])
    return frozenset(own), frozenset(packages)


@cache
def packages_at_the_top(path: Path) -> frozenset[str]:
    """Packages from elsewhere that importing this file imports, by way of the project's own files, too."""
    packages: set[str] = set()
    seen: set[Path] = set()
    left = [path]
    while left:
        file = left.pop()
        if file not in seen:
            seen.add(file)
            own, foreign = _at_the_top(file)
            left += own
            packages |= foreign
    return frozenset(packages)
