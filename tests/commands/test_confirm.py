"""A race judges its own run, whatever is written into the same folder meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from histories import git, repository, run_of, save

import bench
from bench import cli
from bench.commands import confirm
from bench.commands.environments import Wish
from bench.commands.run import Measurement
from bench.plan.plan import plan_document
from bench.plan.side import Side
from bench.results import store
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.results.turns import Turns

SLOWER = 1.1  # what the second commit's step takes over the first one's
SHORT: dict[str, Any] = {"launches": 3, "rounds": 8}


@pytest.fixture
def folder(processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of 22 commits, the 12th 10 % slower, with a run of each; it is the working folder."""
    for number, commit in enumerate(repository(tmp_path, 22)):
        save(run_of(number, commit, SLOWER if number >= 11 else 1.0, **SHORT), tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def raced(work: Measurement, slower: float) -> list[Record]:
    """Records of a race in which the second side took `slower` times as long, without noise."""
    records = []
    for cell in (cell for group in work.plan.groups for cell in group.cells):
        other = cell.point["environment"] != cell.baseline.partition("environment=")[2].partition(",")[0]
        for launch in range(3):
            step = 1e-3 * (slower if other else 1.0) * (1 + 0.001 * launch)
            nothing = {"involuntary": (0,) * 8, "faults": (0,) * 8, "stolen": (0.0,) * 8}
            times = {name: (step,) * 8 for name in ("first", "counted", "cpu")}
            turns = Turns(1, round=tuple(range(8)), position=(0,) * 8, **times, **nothing)
            same = {"effective": {"accelerator": "cpu"}, "samples_per_step": 8, "turns": turns}
            records.append(Record(cell.suite, cell.id, cell.group, dict(cell.point), cell.twin, launch, "ok", **same))
    return records


@pytest.fixture
def race(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of measuring: a race of the two commits, and then, of somebody else's, a newer one that found nothing.

    Gives the ids of the races themselves, as they are made.
    """
    made: list[str] = []

    @contextmanager
    def ready_sides(wishes: Sequence[Wish], progress: object) -> Iterator[Mapping[str, Side]]:
        yield {wish.name: Side(wish.name, "python", ()) for wish in wishes}

    def measured(work: Measurement, out: Path, progress: object, *, command: Sequence[str]) -> StoredRun:
        now = datetime.now(UTC)
        info = {
            "plan": plan_document(work.plan),
            "finished": now.isoformat(),
            "argv": list(command),
            "started": now.isoformat(),
        }
        for later, slower in ((0, SLOWER), (1, 1.0)):
            name = f"{now + timedelta(hours=later):%Y%m%d-%H%M%S}-{later:04}"
            save(StoredRun(out, {**info, "run": name}, tuple(raced(work, slower))), out)
            made.append(name)
        return store.read_run(out / made[-2])

    monkeypatch.setattr(confirm.environments, "ready_sides", ready_sides)
    monkeypatch.setattr(confirm, "measure_cells", measured)
    return made


def test_the_race_and_not_the_newest_run_confirms(folder: Path, race: list[str]) -> None:
    commits = git(folder, "rev-list", "--reverse", "HEAD").split()
    done = bench.confirm(commits[10], commits[11])
    own, newer = race
    assert store.find_folder(None, Path("results")).name == newer
    assert done.run.id == own
    assert {one.state for one in done.confirmations} == {"confirmed"}
    assert all(one.ratio.estimate == pytest.approx(SLOWER) for one in done.confirmations)
    assert bench.load(done.run.folder).cells["ratio"].dropna().max() == pytest.approx(SLOWER)


def test_the_command_prints_its_own_race(folder: Path, race: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    commits = git(folder, "rev-list", "--reverse", "HEAD").split()
    assert cli.exit_code(["confirm", commits[10][:10], commits[11]]) == 0
    said = capsys.readouterr().out
    own, newer = race
    assert f"run results/{own};" in said
    assert newer not in said
    assert said.count("\nconfirmed: ") == 6
    lines = (folder / "results" / store.CONFIRMATIONS).read_text().splitlines()
    assert {json.loads(line)["state"] for line in lines} == {"confirmed"}
