"""Finds suites: files of the suites folder, of folders the user names, entry points of `bench.suites`. No torch.

A file is a suite when it assigns `suite` at its top level. That is read from its syntax tree, so that helpers beside it
(which may import torch) are never imported by the parent. A file that the user names is one whatever it looks like.

What is wrong with one file stops no other: it is refused, and whoever looks for a suite is told.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from bench.axes import loops
from bench.axes.engine_axes import engine_axes
from bench.errors import SpecError, one_of, quote
from bench.plan import guard
from bench.plan.suite import Suite
from bench.plan.suite_files import import_file, module_of_file, package_of

BROKEN = "this suite file does not import"


@dataclass(frozen=True)
class Refusal:
    """A file or an entry point that gives no suite, and every reason.

    Attributes:
        suite: the suite's name, where another has it.
    """

    where: str
    mistakes: tuple[str, ...]
    suite: str = ""

    def __str__(self) -> str:
        """One line: where, then all that is wrong."""
        first, *others = self.mistakes
        told = "; ".join([first, *(other.removeprefix(f"{self.where}: {BROKEN}: ") for other in others)])
        return f"left out: {told if first.startswith(self.where) else f'{self.where}: {told}'}"


@dataclass(frozen=True)
class Found:
    """The suites that there are by name, each with its file, "" for one of an entry point; and what was refused."""

    suites: Mapping[str, tuple[Suite, str]]
    refused: tuple[Refusal, ...] = ()

    def get(self, name: str) -> tuple[Suite, str]:
        """The suite of that name, and its file.

        Raises:
            SpecError: there is none; says which there are, and what was refused, since it may be among these.
        """
        if name not in self.suites:
            raise SpecError([one_of("suite", name, self.suites), *self.near([name])])
        return self.suites[name]

    def near(self, names: Sequence[str]) -> list[str]:
        """What there is to say of these names, which no suite has: files that were refused, and suites that are none.

        A file's `suite` is its suite; another Suite in it has a name that nobody can ask for.
        """
        hidden = [
            f"{file}: {told}, and only `suite` counts"
            for _, file in self.suites.values()
            for name, told in (own_suites(Path(file)) if file else {}).items()
            if name in names
        ]
        return [*hidden, *map(str, self.refused)]


@dataclass
class _Search:
    """Suites so far; of two that have the same name neither is taken, since nobody knows which is meant."""

    found: dict[str, list[tuple[Suite, str]]] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)

    def take(self, where: str, file: str, load: Callable[[], Suite]) -> None:
        try:
            suite = load()
        except SpecError as error:
            self.refused.append(Refusal(where, error.mistakes))
        else:
            self.found.setdefault(suite.name, []).append((suite, file))

    def end(self) -> Found:
        for name, own in self.found.items():
            if len(own) > 1:
                where = " and ".join(file or "an entry point" for _, file in own)
                text = f"{where}: all have suite {name!r}; rename one of them, or name one by its file's path"
                self.refused.append(Refusal(where, (text,), name))
        return Found({name: own[0] for name, own in self.found.items() if len(own) == 1}, tuple(self.refused))


def suites_folder() -> Path:
    """Where the project's own suites lie: beside the package's modules in a wheel, beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / "suites" if (package / "suites").is_dir() else package.parent / "suites"


def suite_files(folders: Sequence[Path] = ()) -> list[Path]:
    """Files of the suites folder, then of these folders, that may be suites; one that is named twice counts once.

    Raises:
        SpecError: a named folder is not there.
    """
    found: dict[str, Path] = {}  # by where it really lies
    for folder in (suites_folder(), *folders):
        if not folder.is_dir():
            raise SpecError(f"{folder}: no such folder of suites")
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("."):  # editors' locks and copies begin with a dot
                found.setdefault(os.path.realpath(path), path)  # which takes links in a circle, too
    return list(found.values())


def assigns_suite(path: Path) -> bool:
    """Whether a file assigns `suite` at its top level, so that it is a suite's.

    Raises:
        SpecError: it is no file, or none of Python.
    """
    if not path.is_file():  # asked first: opening a pipe would wait for somebody to write
        raise SpecError(f"{path}: not a file that could be a suite, but a folder, a pipe or a link that leads nowhere")
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    # ValueError: a byte that no encoding has; MemoryError and RecursionError: nested too deeply for the parser.
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise SpecError(f"{path}: {BROKEN}: {guard.exception_line(error)}") from None
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "suite" for target in targets):
            return True
    return False


def load_suite(path: Path) -> Suite:
    """Import a suite file, under a package of its own so that relative imports of helpers work.

    Raises:
        SpecError: it does not import, or its `suite` is not a Suite.
    """
    with guard.foreign(f"{path}: {BROKEN}"):
        loaded = import_file(path)
        suite = getattr(loaded, "suite", None)
        others = own_suites(path).values()
        if isinstance(suite, Suite):
            return _with_loops(suite, package_of(path.resolve()))
    named = f"; {' and '.join(others)}, and only `suite` counts" if others else ""
    if "suite" not in vars(loaded):
        raise SpecError(f"{path}: assigns no `suite` at its top level{named or '; allowed: `suite = Suite(...)`'}")
    raise SpecError(f"{path}: `suite` is {type(suite).__name__}, not a bench.Suite{named}")


def own_suites(path: Path) -> dict[str, str]:
    """The suites of a file that was imported that are not its `suite`: by name, in words."""
    names = vars(sys.modules[module_of_file(path.resolve())])
    return {
        value.name: f"suite {value.name!r} is assigned to `{name}`"
        for name, value in names.items()
        if isinstance(value, Suite) and value is not names.get("suite")
    }


def _with_loops(suite: Suite, owner: str) -> Suite:
    """The suite with all of its owner's loops, those, too, that were registered after it was made."""
    own = loops.own_loops(owner)
    return suite if own.keys() <= suite.loops.keys() else replace(suite, loops={**own, **suite.loops})


def is_path(name: str) -> bool:
    """Whether the name of a suite is that of a file."""
    return name.endswith(".py") or "/" in name or os.sep in name


def suite_of_file(name: str) -> tuple[Suite, str]:
    """The suite of a file that the user names, and where that really lies.

    Raises:
        SpecError: there is no such file, or it gives no suite.
    """
    engine_axes()
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            raise SpecError(f"{name}: a folder, not a suite file; name a file of it, or say --suites {name}")
        if not path.exists():
            raise SpecError(f"{name}: no such suite file")
        if not path.is_file():
            raise SpecError(f"{name}: not a file that could be a suite")
    except (OSError, ValueError) as error:  # a name that no file can have
        raise SpecError(f"{quote(name)}: no such suite file: {error}") from None
    if path.suffix != ".py":
        raise SpecError(f"{name}: not a suite file; allowed: a file of Python, *.py")
    return _looked_into(path), str(path.resolve())


def _looked_into(path: Path) -> Suite:
    if path.resolve().parent != suites_folder():  # what leaves the program, or hangs, does so in a child first
        guard.try_in_child(f"{path}: {BROKEN}", partial(import_file, path))
    return load_suite(path)


def _entry_points() -> Iterator[tuple[str, Callable[[], Suite]]]:
    for entry in entry_points(group="bench.suites"):
        where = f"entry point bench.suites:{entry.name}"

        def load(where: str = where, entry: EntryPoint = entry) -> Suite:
            with guard.foreign(where), loops.owned(where):
                suite = entry.load()
            if not isinstance(suite, Suite):
                raise SpecError(f"{where}: {type(suite).__name__} is not a bench.Suite")
            return _with_loops(suite, where)

        yield where, load


def look_for_suites(folders: Sequence[Path] = ()) -> Found:
    """Every suite that there is: of entry points, of the project's own folder, of these.

    Raises:
        SpecError: a folder is not there, or a loop or an accelerator of another distribution is wrong.
    """
    engine_axes()  # what is wrong with loops and accelerators from outside is said once, and not of every suite
    search = _Search()
    for where, load in _entry_points():
        search.take(where, "", load)
    for path in suite_files(folders):
        try:
            if not assigns_suite(path):
                continue
        except SpecError as error:
            search.refused.append(Refusal(str(path), error.mistakes))
        else:
            search.take(str(path), str(path.resolve()), partial(_looked_into, path))
    return search.end()


def all_suites(folders: Sequence[Path] = ()) -> dict[str, tuple[Suite, str]]:
    """Every sound suite by name, with its file; "" for one that came by an entry point.

    Raises:
        SpecError: see `look_for_suites`.
    """
    return dict(look_for_suites(folders).suites)


def find_suite(name: str, folders: Sequence[Path] = ()) -> Suite:
    """The suite of that name.

    Raises:
        SpecError: there is none; says which there are.
    """
    return look_for_suites(folders).get(name)[0]
