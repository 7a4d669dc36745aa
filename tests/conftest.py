"""Shared by all tests: warm interpreters, started once, since importing torch and lightning takes seconds each."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bench.axes import loops
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.interpreter_sets import SEATS
from bench.engine.options import Options, Progress
from bench.plan import discovery, plan
from bench.results import store
from bench.results.record import Record

ROOT = Path(__file__).resolve().parent.parent
SUITES = Path(__file__).resolve().parent / "suites"
pytest_plugins = ("tiers", "opened_pages")
# Those that the program's own suites race unless they are told otherwise.
USUAL_LOOPS = ("plain", "fabric", "trainer-barebones", "trainer")
# Those that need nothing but what the program itself needs.
OWN_LOOPS = tuple(name for name, loop in loops.registry().items() if {*loop.preload} <= {"torch", "lightning"})
# Those whose packages are here: `nox -s extras` has them all.
INSTALLED_LOOPS = tuple(
    name for name, loop in loops.registry().items() if all(map(importlib.util.find_spec, loop.preload))
)
# Where one of the packages is missing, the tests of them all are not there: `nox -s tests` has none of them. In `nox -s
# extras`, which says so, they are there whatever is missing, and fail.
COMPLETE = set(INSTALLED_LOOPS) == set(loops.registry()) or os.environ.get("BENCH_EXTRAS") == "all"
collect_ignore_glob = [] if COMPLETE else ["extras/test_*.py"]
# The same of those in a browser and `nox -s browser`.
if importlib.util.find_spec("playwright") is None and os.environ.get("BENCH_BROWSER") != "all":
    collect_ignore_glob.append("browser/test_*.py")
# Those of the built site are there in `nox -s docs`, which has built it, and says where.
collect_ignore_glob += [] if "BENCH_SITE" in os.environ else ["site/test_*.py"]


# The interpreters that all tests of a session share, by number of the set and preload.
WARM = ((0, ("torch",)), (0, ("torch", "lightning")))
SHARED: list[Fleet] = []


@pytest.fixture(scope="session")
def fleet(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet with one fork server of each preload, for all tests of the session."""
    with Fleet(1, tmp_path_factory.mktemp("fork_servers")) as warm:
        warm.ensure_fork_servers(WARM, 0)
        SHARED.append(warm)
        yield warm
        SHARED.clear()


@pytest.fixture(autouse=True)
def fleet_as_found() -> Iterator[None]:
    """The next test has the shared fleet as the first one had it, whatever a run has left: the first set, all alive."""
    yield
    for shared in SHARED:
        settle(shared)


def settle(shared: Fleet) -> None:
    """End all interpreters but those of the first set, which arrive when they like; have those that all tests share."""
    for server in [server for server in shared.fork_servers.values() if server.number >= SEATS]:
        shared.bury(server, "of a run that has ended")
    shared.set_in_use, shared.coming, shared.interrupts = 0, [], 0
    shared.ensure_fork_servers(WARM, 0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for torch in this process: threads that wait for each other take ten times as long on shared cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Silent:
    """Progress that nobody sees; notes are kept."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, text: str) -> None:
        pass

    def update(self, spent: float, budget: float, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


class Bench:
    """Runs suites on the warm fleet, each into a folder of its own."""

    def __init__(self, fleet: Fleet, out: Path) -> None:
        self.fleet = fleet
        self.out = out
        self.stops: dict[str, dict[str, object]] = {}
        self.warnings: list[str] = []
        self.folder = out

    def run(
        self,
        suite: str,
        *settings: str,
        options: Options,
        select: str | None = None,
        progress: Progress | None = None,
        done: Sequence[Record] = (),
    ) -> tuple[Record, ...]:
        """The records of a run of one suite; `done`: those of an earlier part of it, which it goes on from."""
        found = discovery.all_suites([SUITES])
        suites = {name: made for name, (made, _) in found.items()}
        made = plan.make_plan(suites, [suite], settings=settings, select=select)
        opened = store.create(self.out)
        self.folder = opened.folder
        opened.write_info({"run": opened.folder.name, "plan": plan.plan_document(made)})
        files = {name: file for name, (_, file) in found.items()}
        conductor = Conductor(made, files, opened, options, progress or Silent(), done)
        self.stops = conductor.run(self.fleet)
        self.warnings = conductor.warnings
        opened.close()
        return store.read_run(opened.folder).records


@pytest.fixture
def bench(fleet: Fleet, tmp_path: Path) -> Bench:
    """Runs on the warm fleet, in this test's own folder."""
    return Bench(fleet, tmp_path / "results")


def call(*arguments: str, timeout: float = 120.0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m bench ARGUMENTS` as a user calls it."""
    command: Sequence[str] = [sys.executable, "-m", "bench", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, cwd=cwd or ROOT, env=environment, check=False
    )
