"""Which tier a test is in: read from its fixtures, its code and its file's imports, and held by a guard.

| marker | what a test has that has it |
|---|---|
| `process` | the fixture `processes`, by way of others too, or code that starts a process, its own or that of tests/ |
| `torch` | an import of torch or lightning, in code as above, or at the top of its file by way of any other |
| `thorough` | the fixture `cases`, and tries them all; its other half, which tries some, is quick |
| `simulation` | the fixture `repeats`, and repeats as often as it takes to be sure; its other half is quick |
| `long` | minutes of real runs or compiling: set by hand, as seconds cannot be read from code |
| `quick` | none of these |

`pytest -m quick` does not import the files that import torch. A test without `process` or `torch` that starts a process
fails, whatever is run, and so does a quick one that imports torch: nobody has to remember any of this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from inspect import unwrap
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import hypothesis
import pytest
from imports import file_of, packages_at_the_top

TESTS = Path(__file__).resolve().parent
SLOWER = frozenset({"process", "torch", "thorough", "simulation", "long", "xla", "cuda"})
HEAVY = frozenset({"torch", "torchvision", "torch_xla", "lightning"})
STARTERS = frozenset({"subprocess", "multiprocessing", "fork", "forkpty", "posix_spawn"})
# What CPython tells audit hooks (PEP 578) when a process is started; os.popen and asyncio come down to these.
STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})


@pytest.fixture(scope="session")
def processes() -> None:
    """May start processes, where the code does not show it: asked for by a test, or by a fixture for all of its own."""


Choice = Callable[[int, int], int]


@pytest.fixture(params=[pytest.param(False, id="few"), pytest.param(True, id="full", marks=pytest.mark.simulation)])
def repeats(request: pytest.FixtureRequest) -> Choice:
    """`repeats(few, full)`: how often to repeat a simulation. The test is there twice, quick and as a `simulation`.

    Its limits are to be made for the number that it gets: what is rare is not expected in few.
    """
    return lambda few, full: full if request.param else few


@pytest.fixture(params=[pytest.param(False, id="some"), pytest.param(True, id="all", marks=pytest.mark.thorough)])
def cases(request: pytest.FixtureRequest) -> Choice:
    """`cases(some, all)`: how much of what takes long to try. The test is there twice, quick and `thorough`."""
    return lambda some, every: every if request.param else some


def examples(most: int) -> int:
    """So many of hypothesis' examples, or, of quick tests alone, as many as those have."""
    return min(most, hypothesis.settings().max_examples)


# --- what code does


def tiers_of(functions: Iterable[Callable[..., Any]]) -> set[str]:
    """`process` and `torch`, if these functions or those of tests/ that they come to need it."""
    tiers: set[str] = set()
    seen: set[FunctionType] = set()
    left = [own for function in functions for own in _functions_in(function)]
    while left:
        function = left.pop()
        if function not in seen:
            seen.add(function)
            needs, named = _own(function)
            tiers |= needs
            left += named
    return tiers


@cache
def _own(function: FunctionType) -> tuple[frozenset[str], tuple[FunctionType, ...]]:
    """What a function's own code needs, and the functions of tests/ that it names."""
    names = frozenset(_names(function.__code__))
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    values += [
        vars(value).get(name) for value in values if isinstance(value, ModuleType) and _is_ours(value) for name in names
    ]
    values += [value for cell in function.__closure__ or () for value in _content(cell)]
    needs = set()
    if names & STARTERS or any(getattr(value, "__module__", None) == "subprocess" for value in values):
        needs.add("process")
    if any(_imports_torch(name) for name in names):
        needs.add("torch")
    return frozenset(needs), tuple(own for value in values for own in _functions_in(value))


def _names(code: CodeType) -> Iterator[str]:
    """Names that are looked up, attributes and modules that are imported, in inner functions, too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _content(cell: CellType) -> Iterator[object]:
    with suppress(ValueError):  # a name that has no value yet
        yield cell.cell_contents


def _functions_in(value: object) -> Iterator[FunctionType]:
    """A function of tests/, the methods of such a class, and what a collection or a partial has of them."""
    if isinstance(value, partial):
        value = (value.func, *value.args, *value.keywords.values())
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for one in value:
            yield from _functions_in(one)
    elif isinstance(value, type):
        if _is_ours(sys.modules.get(value.__module__)):
            for one in vars(value).values():
                yield from _functions_in(one)
    elif callable(value) or isinstance(value, staticmethod | classmethod | property):
        function = value.fget if isinstance(value, property) else unwrap(value)
        # What hypothesis makes of a test has the test in an attribute.
        function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
        if isinstance(function, FunctionType) and TESTS in Path(function.__code__.co_filename).parents:
            yield function


def _is_ours(module: ModuleType | None) -> bool:
    return TESTS in Path(getattr(module, "__file__", None) or "/").parents


@cache
def _imports_torch(name: str) -> bool:
    """Whether importing a module of this name does, as far as there is one."""
    if name.split(".")[0] in HEAVY:
        return True
    file = file_of(name) if "." in name else None
    return file is not None and bool(packages_at_the_top(file) & HEAVY)


# --- markers


def markers(item: pytest.Function) -> set[str]:
    """The tiers of one test; `quick`, if there is no other."""
    fixtures = [definition for group in item._fixtureinfo.name2fixturedefs.values() for definition in group]
    arguments = item.callspec.params.values() if hasattr(item, "callspec") else ()
    tiers = tiers_of([item.function, *(definition.func for definition in fixtures), *filter(callable, arguments)])
    if "processes" in item.fixturenames:
        tiers.add("process")
    if packages_at_the_top(item.path) & HEAVY:
        tiers.add("torch")
    tiers |= {mark.name for mark in item.iter_markers()} & SLOWER
    return tiers or {"quick"}


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function):
            for name in markers(item) - {mark.name for mark in item.iter_markers()}:
                item.add_marker(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", type=share, metavar="N/M", help="with -m quick: the files of one process of several")


def share(text: str) -> tuple[int, int]:
    """`2/3` as numbers: the second process of three."""
    number, of = map(int, text.split("/"))
    if not 1 <= number <= of:
        raise ValueError(text)
    return number, of


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of quick tests alone, leave out files that import torch, which takes seconds, and those of other processes."""
    if config.option.markexpr != "quick" or not collection_path.match("test_*.py"):
        return None
    if packages_at_the_top(collection_path) & HEAVY:
        return True
    number, of = config.option.share or (1, 1)
    return shared_out(of)[collection_path] != number or None


@cache
def shared_out(processes: int) -> dict[Path, int]:
    """Which process has which file: each, beginning with the longest, goes to the one with the fewest lines so far."""
    lines = {path: path.read_bytes().count(b"\n") for path in TESTS.rglob("test_*.py")}
    own = dict.fromkeys(range(1, processes + 1), 0)
    found = {}
    for path in sorted(
        (path for path in lines if not packages_at_the_top(path) & HEAVY), key=lambda path: -lines[path]
    ):
        found[path] = min(own, key=lambda number: own[number])
        own[found[path]] += lines[path]
    return found


# --- the guard


class Guard:
    """Sees in one test what its tier does not have, and ends it there; the code under test cannot hide it."""

    def __init__(self) -> None:
        self._item: pytest.Item | None = None
        self._seen: list[str] = []

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook; these cannot be taken away, so there is one, and it has nothing to do between tests."""
        if self._item is None:
            return
        # Libraries start some of their own when they are imported: torch's ask ldconfig for theirs.
        free = any(self._item.get_closest_marker(tier) for tier in ("process", "torch"))
        if event in STARTS and not free:
            self._refuse(f"starts a process ({event}{arguments[:2]}), which its code does not show: `processes`")
        elif event == "import" and str(arguments[0]) in HEAVY and self._item.get_closest_marker("quick"):
            self._refuse(f"imports {arguments[0]}, which its code does not show: `one_thread`")

    def _refuse(self, what: str) -> None:
        self._seen.append(f"this test {what} is the fixture to ask for, or let it do without")
        pytest.fail(self._seen[-1])

    @contextmanager
    def watching(self, item: pytest.Item) -> Iterator[None]:
        self._item, self._seen = item, []
        try:
            yield
        finally:
            self._item = None
        if self._seen:  # and was caught, or came up in a thread
            pytest.fail(self._seen[0])


guard = Guard()


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(guard.audit)
    if "PYTEST_XDIST_WORKER" in os.environ:  # it finds 80 columns there, and a lone pytest with no terminal none
        os.environ.pop("COLUMNS", None)
    # No deadline: time is not tested, and another test on the same cores lengthens an example by any factor. In quick
    # tests some of the examples that tests have otherwise. Where CI is set, examples are the same in every run: what a
    # change has broken is not what luck has found. Hypothesis sees to that by itself.
    hypothesis.settings.register_profile("usual", deadline=None)
    hypothesis.settings.register_profile("quick", deadline=None, max_examples=5)
    hypothesis.settings.load_profile("quick" if config.option.markexpr == "quick" else "usual")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with guard.watching(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    with guard.watching(item):
        return (yield)
