"""Two runs against each other, and named runs: what is compared, what is refused, what may not be changed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from conftest import call
from old_runs import run_as_of
from scipy import stats
from tiers import Choice

from bench.commands.compare import CAUTION, compare
from bench.commands.compare import other_runs as other_runs_under
from bench.errors import RunError
from bench.report import comparison
from bench.results import baselines, store
from bench.results.record import Record, encode_record
from bench.results.store import StoredRun
from bench.stats.intervals import run_to_run, welch

COSTS = {"plain": 0.0, "fabric": 60e-6}


def made(seed: int = 0, **changes: Any) -> StoredRun:
    truth = {"costs": COSTS, "lengths": {32: 0.01}, **changes}
    return synthetic.make(synthetic.Truth(seed=seed), **truth)


def renamed(run: StoredRun, name: str, **info: Any) -> StoredRun:
    return replace(run, info={**run.info, "run": name, "options": {"seed": 0}, **info})


def every(run: StoredRun, change: Callable[[Record], Record]) -> StoredRun:
    return replace(run, records=tuple(change(record) for record in run.records))


def pair(**changes: Any) -> tuple[StoredRun, StoredRun]:
    """Two runs of the same machine, the second one's steps 10 % longer."""
    return renamed(made(0), "first"), renamed(made(1, lengths={32: 0.011}, **changes), "second")


def written(run: StoredRun, out: Path, name: str) -> Path:
    """The run as it lies on a disk."""
    folder = out / name
    folder.mkdir(parents=True)
    (folder / store.RUN).write_text(json.dumps(run_as_of(2, {**run.info, "run": name})))
    (folder / store.RECORDS).write_text("".join(json.dumps(encode_record(record)) + "\n" for record in run.records))
    return folder


# Statistics.


def test_welch_is_scipys() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(0, 0.02, 7), generator.normal(0.05, 0.005, 12)
    theirs = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    found = welch(list(a), list(b))
    assert found.low is not None
    assert found.high is not None
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((theirs.low, theirs.high))
    assert math.log(found.estimate) == pytest.approx(b.mean() - a.mean())


def test_one_launch_has_no_interval_and_none_no_ratio() -> None:
    assert welch([0.0], [0.1, 0.2]).low is None
    with pytest.raises(ValueError, match="both sides"):
        welch([], [0.1])


def test_ten_percent_are_found_in_every_cell() -> None:
    found = compare(*pair())
    assert (found.exit_code, found.invalid) == (0, "")
    assert [cell.cell for cell in found.cells] == [synthetic.cell_id(loop, 32) for loop in COSTS]
    for cell in found.cells:
        assert cell.within is not None
        assert cell.within.contains(1.1)
        assert not cell.within.contains(1.0)


# How runs differ.


def other_runs(count: int, sd: float = 0.03, **info: Any) -> list[StoredRun]:
    """Runs of the same machine at other times, each of them slower or faster as a whole."""
    random = np.random.default_rng(8)
    return [
        renamed(made(number, lengths={32: 0.01 * math.exp(random.normal(0, sd))}), f"other-{number}", **info)
        for number in range(10, 10 + count)
    ]


def test_without_enough_other_runs_nothing_says_95_percent() -> None:
    for others in ([], other_runs(5)):
        found = compare(*pair(), runs=others)
        for cell in found.cells:
            assert cell.ratio is not None
            assert (cell.ratio.low, cell.ratio.high, cell.runs) == (None, None, len(others))
        said = " ".join(comparison.console(found).split())
        assert f"no interval, so nothing is told: {len(others)} other runs of this machine do not tell" in said
        assert "launches of the two differ by [" in said
        assert "as 5 other runs" not in said


def test_other_runs_tell_how_runs_differ() -> None:
    a, b = pair()
    # Neither of the two is one of the others, and what is no run of this machine and work tells nothing of it.
    strange = [
        *other_runs(3, environment={**a.info["environment"], "cores": 64}),
        *other_runs(3, environment={**a.info["environment"], "torch": "2.1.0"}),
    ]
    found = compare(a, b, runs=[a, b, *strange, *other_runs(8, sd=0.05)])
    for cell in found.cells:
        assert cell.ratio is not None
        assert cell.ratio.low is not None
        assert cell.within is not None
        assert cell.within.low is not None
        assert cell.runs == 8
        assert cell.ratio.estimate == cell.within.estimate
        assert cell.ratio.contains(1.0)  # 10 % between two runs of a machine that differs by 5 % (sd) may be nothing
        assert not cell.within.contains(1.0)
    assert "as 8 other runs of this machine differ" in " ".join(comparison.console(found).split())
    quiet = compare(a, b, runs=other_runs(8, sd=0.001)).cells[0]
    assert quiet.ratio is not None
    assert quiet.ratio.low is not None
    assert not quiet.ratio.contains(1.0)
    # Across machines that differ nobody knows it, whatever was asked for.
    other = renamed(b, "second", environment={**b.info["environment"], "torch": "2.13.0"})
    assert compare(a, other, allow_mismatch=True, runs=other_runs(8)).cells[0].runs == 0


@pytest.mark.parametrize(("runs", "sd"), [(6, 0.03), (10, 0.03), (20, 0.01), (10, 0.0)])
def test_the_interval_of_two_runs_covers(runs: int, sd: float, repeats: Choice) -> None:
    """Launches of 1 %, 8 a run. Welch's interval of the launches covers where runs do not differ, and nowhere else."""
    random, count = np.random.default_rng([runs, 5]), repeats(200, 2000)
    covered = welchs = 0
    for _ in range(count):
        values = random.normal(0, sd, (runs + 2, 1)) + random.normal(0, 0.01, (runs + 2, 8))
        within = welch(values[0].tolist(), values[1].tolist())
        found = run_to_run(within, values[2:].mean(axis=1).tolist())
        assert found is not None
        covered += found.contains(1.0)
        welchs += within.contains(1.0)
    assert covered / count >= 0.93 - 3 * math.sqrt(0.05 / count) * (count < 1000)
    if sd == 0.03:
        assert welchs / count < 0.4


def test_other_runs_are_those_of_the_folder(tmp_path: Path) -> None:
    assert list(other_runs_under(tmp_path)) == []
    for number in range(7):
        written(made(number), tmp_path, f"run-{number}")
    written(made(9), tmp_path, "broken").joinpath(store.RECORDS).write_text("{")
    found = [run.id for run in other_runs_under(tmp_path)]
    assert found == [f"run-{number}" for number in reversed(range(7))]
    done = call("compare", "run-0", "run-1", "--out", str(tmp_path), "--format", "json")
    shown = json.loads(done.stdout)
    assert shown["schema"] == 2
    assert [cell["runs"] for cell in shown["cells"]] == [5, 5]
    assert all(cell["ratio"]["low"] is None for cell in shown["cells"])


# What differs.


def test_other_environments_are_refused_unless_that_is_allowed() -> None:
    a, b = pair()
    b = renamed(b, "second", environment={**b.info["environment"], "torch": "2.13.0", "kernel": "6.1"})
    found = compare(a, b)
    assert found.exit_code == 3
    assert found.cells == ()
    assert "torch: '2.9.0' against '2.13.0'" in found.invalid
    allowed = compare(a, b, allow_mismatch=True)
    assert allowed.exit_code == 0
    for text in (comparison.console(allowed), comparison.markdown(allowed)):
        assert "asked for ratios all the same" in text
        assert text.index("torch: '2.9.0'") < text.index("1.1")
        assert text.index("kernel: None against '6.1'") < text.index("1.1")


def test_every_output_says_that_the_machine_drifts() -> None:
    found = compare(*pair())
    assert CAUTION in found.to_json()["caution"]
    assert " ".join(CAUTION.split()) in " ".join(comparison.console(found).split())
    assert CAUTION in comparison.markdown(found)


def test_no_common_cells_is_invalid_and_names_both_lists() -> None:
    a, b = renamed(made(0), "first"), renamed(made(1, lengths={64: 0.01}), "second")
    found = compare(a, b)
    assert found.exit_code == 3
    assert synthetic.cell_id("plain", 32) in found.invalid
    assert synthetic.cell_id("plain", 64) in found.invalid


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: replace(record, samples_per_step=64), "32 samples a step against 64"),
        (
            lambda record: replace(record, ledger={**record.ledger, "initial_weights": "cc" * 8}),
            "initial_weights differ",
        ),
        (lambda record: replace(record, ledger={**record.ledger, "losses": [0.25, 0.9]}), "loss of step 1"),
        (lambda record: replace(record, point={**record.point, "data": "mnist"}), "data synthetic against mnist"),
    ],
)
def test_other_work_gets_no_ratio(change: Callable[[Record], Record], words: str) -> None:
    a, b = pair()
    b = every(b, lambda record: change(record) if record.point["loop"] == "fabric" else record)
    plain, fabric = compare(a, b).cells
    assert plain.ratio is not None
    assert fabric.ratio is None
    assert words in fabric.reason


def test_with_no_ratio_at_all_it_is_invalid() -> None:
    a, b = pair()
    found = compare(a, every(b, lambda record: replace(record, samples_per_step=64)))
    assert found.exit_code == 3
    assert "no cell has a ratio" in found.invalid


def test_a_cell_that_failed_has_no_ratio() -> None:
    a, b = pair(failures={("fabric", 32, 2): ("crashed", "out of mood")})
    assert "second: crashed" in compare(a, b).cells[1].reason


@pytest.mark.parametrize("seconds", [math.nan, 0.0, -1.0, math.inf])
def test_times_that_are_none_are_invalid(seconds: float) -> None:
    def spoil(record: Record) -> Record:
        assert record.turns is not None
        return replace(record, turns=replace(record.turns, counted=(seconds, *record.turns.counted[1:])))

    a, b = pair()
    found = compare(a, every(b, spoil))
    assert found.exit_code == 3
    assert "must be above 0" in found.invalid
    assert found.cells == ()


# Named runs, and the command line.


def test_a_baseline_outlives_its_run(tmp_path: Path) -> None:
    a, b = pair()
    folder = written(a, tmp_path, "first")
    written(b, tmp_path, "second")
    assert call("baseline", "save", "main", "first", "--out", str(tmp_path)).returncode == 0
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    listed = call("baseline", "list", "--out", str(tmp_path))
    assert "main  run first" in listed.stdout
    done = call("compare", "main", "second", "--out", str(tmp_path), "--format", "json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["cells"]) == 2
    assert call("baseline", "delete", "main", "--out", str(tmp_path)).returncode == 0
    assert "no baselines" in call("baseline", "list", "--out", str(tmp_path)).stdout


def test_a_baseline_is_no_run_of_its_own(tmp_path: Path) -> None:
    baselines.save_baseline("main", store.read_run(written(made(0), tmp_path, "first")), tmp_path)
    assert store.find_folder(None, tmp_path).name == "first"


@pytest.mark.parametrize("file", baselines.COPIED_FILES)
def test_a_baseline_that_was_changed_is_refused(tmp_path: Path, file: str) -> None:
    baselines.save_baseline("main", store.read_run(written(made(0), tmp_path, "first")), tmp_path)
    path = tmp_path / baselines.FOLDER / "main" / file
    path.write_text(path.read_text().replace("0", "1", 1))
    with pytest.raises(RunError, match="not as it was when baseline 'main' was saved"):
        baselines.find_run("main", tmp_path)


def test_what_cannot_be_a_baseline(tmp_path: Path) -> None:
    run = store.read_run(written(made(0), tmp_path, "first"))
    for name in ("../main", "", ".hidden", "a b"):
        with pytest.raises(RunError, match="is not of the form"):
            baselines.save_baseline(name, run, tmp_path)
    with pytest.raises(RunError, match="not finished"):
        baselines.save_baseline("main", replace(run, info={**run.info, "finished": None}), tmp_path)
    with pytest.raises(RunError, match="nothing was measured"):
        baselines.save_baseline("main", replace(run, records=()), tmp_path)
    baselines.save_baseline("main", run, tmp_path)
    with pytest.raises(RunError, match="is there already"):
        baselines.save_baseline("main", run, tmp_path)
    with pytest.raises(RunError, match="unknown baseline 'other'; allowed: main"):
        baselines.delete("other", tmp_path)


def cut(path: Path) -> None:
    path.write_text(path.read_text()[:-40])


def strange(path: Path) -> None:
    path.write_text('{"this is": "something else"}\n')


def planless(path: Path) -> None:
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "plan": {"suites": {}}}))


def nan(path: Path) -> None:
    lines = path.read_text().splitlines()
    first = json.loads(lines[0])
    first["turns"]["counted"][0] = math.nan
    path.write_text("\n".join([json.dumps(first), *lines[1:], ""]))


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda folder: cut(folder / store.RECORDS), 2, "truncated"),
        (lambda folder: cut(folder / store.RUN), 2, "not readable as a run"),
        (lambda folder: strange(folder / store.RUN), 2, "not a run"),
        (lambda folder: planless(folder / store.RUN), 2, "plan: object missing required field `cells`"),
        (lambda folder: strange(folder / store.RECORDS), 2, "missing required field `schema`"),
        (lambda folder: (folder / store.RUN).unlink(), 2, "not a run"),
        (lambda folder: (folder / store.RECORDS).unlink(), 3, "no cell has a ratio"),
        (lambda folder: nan(folder / store.RECORDS), 2, "records.jsonl:1: not readable"),
    ],
    ids=["half a line", "half an info", "another file", "no plan", "another record", "no info", "no records", "nan"],
)
def test_a_spoiled_run_gives_a_sentence_and_no_ratio(
    tmp_path: Path, spoil: Callable[[Path], None], code: int, words: str
) -> None:
    a, b = pair()
    written(a, tmp_path, "first")
    spoil(written(b, tmp_path, "second"))
    done = call("compare", "first", "second", "--out", str(tmp_path))
    assert done.returncode == code
    assert words in " ".join((done.stdout + done.stderr).split())
    assert "B / A" not in done.stdout or "no ratio" in done.stdout


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    written(made(0), tmp_path, "first")
    done = call("compare", "first", "nothing", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "unknown run 'nothing'; allowed: first" in done.stderr
