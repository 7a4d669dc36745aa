"""Runs as a history: order, boundaries, what is left out, races; the command and its page."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import SUITES, call
from histories import git, repository, run_of, save
from synthetic import PLAIN, cell_id
from tiers import Choice

from bench import cli
from bench.analysis import confirmation as confirming
from bench.analysis import history
from bench.analysis.confirmation import Confirmation, Suspicion
from bench.analysis.history import History
from bench.analysis.history_points import HISTORY_COLUMNS
from bench.commands.confirm import cell_id_parts
from bench.commands.read_history import read_history
from bench.errors import RunError
from bench.machine import environment
from bench.machine import git as commits
from bench.plan import discovery, plan
from bench.report import history as layout
from bench.results import store
from bench.results.record import Record
from bench.results.turns import Turns
from bench.stats import change_points
from bench.stats.intervals import Interval, interval_of_logs


def table(values: Sequence[float] | change_points.Array, **columns: Sequence[Any]) -> pd.DataFrame:
    """Points of one series, one a commit, with these logs."""
    rows: list[dict[str, Any]] = []
    for number, value in enumerate(values):
        row = {
            "suite": "s",
            "group": "s[g]",
            "cell": "s[c]",
            "metric": "step_time",
            "unit": "s",
            "better": "lower",
            "machine": "box",
            "run": f"run{number:03}",
            "commit": f"{number:040x}",
            "started": f"{number:06}",
            "log_median": float(value),
            "se": 0.001,
            "launches": 8,
            "python": "3.11.9",
            "torch": "2.13.0",
            "lightning": "2.6.6",
            "workload": "w",
        }
        rows.append({**row, **{name: column[number] for name, column in columns.items()}})
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))


def only(found: History) -> history.MetricSeries:
    (series,) = found.series
    return series


STEP = math.log(1e-3) + np.random.default_rng(5).normal(0, 0.005, 40) + math.log(1.1) * (np.arange(40) >= 20)


def test_a_change_is_suspected_between_two_commits() -> None:
    series = only(history.analyse(table(STEP)))
    (change,) = series.changes
    assert (change.index, change.before, change.after) == (20, f"{19:040x}", f"{20:040x}")
    assert change.relative == pytest.approx(0.1, abs=0.01)
    assert change.worse
    assert change.state == "suspected"
    assert [(start, end) for start, end, _ in series.levels] == [(0, 20), (20, 40)]
    faster = only(history.analyse(table(-STEP)))
    assert not faster.changes[0].worse


def test_an_update_is_a_boundary_and_not_a_change() -> None:
    torch = ["2.13.0"] * 20 + ["2.14.0"] * 20
    series = only(history.analyse(table(STEP, torch=torch)))
    assert series.changes == []
    assert [(boundary.index, list(boundary.what)) for boundary in series.boundaries] == [
        (20, ["torch 2.13.0 -> 2.14.0"])
    ]
    workload = only(history.analyse(table(STEP, workload=["w"] * 20 + ["v"] * 20)))
    assert [list(boundary.what) for boundary in workload.boundaries] == [["the workload is defined otherwise"]]
    # A change beside a boundary is still found, where it is.
    both = only(history.analyse(table(STEP, torch=["2.13.0"] * 8 + ["2.14.0"] * 32)))
    assert [change.index for change in both.changes] == [20]


def test_another_machine_is_another_series() -> None:
    found = history.analyse(table(STEP, machine=["box"] * 20 + ["bigger box"] * 20))
    assert [len(series.points) for series in found.series] == [20, 20]
    assert not any(series.changes or series.boundaries for series in found.series)


def test_missing_points_leave_the_neighbours_that_were_measured() -> None:
    kept = table(STEP).drop(index=[3, 4, 18, 19, 33])
    (change,) = only(history.analyse(kept)).changes
    assert (change.before, change.after) == (f"{17:040x}", f"{20:040x}")


def test_few_points_are_said_to_be_few() -> None:
    series = only(history.analyse(table(STEP[12:27])))
    assert series.changes == []
    assert "14 steps from a run to the next" in series.note
    assert "from 15 on" in layout.console(history.analyse(table(STEP[12:27])))
    assert only(history.analyse(table(STEP[8:32]))).note == ""


def test_commits_order_the_points_where_git_knows_them() -> None:
    shuffled = table(STEP).sample(frac=1, random_state=1).assign(started="same")
    order = {f"{number:040x}": number for number in range(40)}
    found = history.analyse(shuffled, order=order)
    assert [change.index for change in only(found).changes] == [20]
    assert found.ordered_by == "commit"
    assert history.analyse(table(STEP)).ordered_by == "time"


def test_git_says_which_commit_is_older(tmp_path: Path) -> None:
    hashes = repository(tmp_path, 4)
    assert commits.ancestry(reversed(hashes), tmp_path) == {hash_: place for place, hash_ in enumerate(hashes)}
    assert commits.ancestry([hashes[0], "ab" * 20], tmp_path) is None
    assert commits.ancestry(hashes, tmp_path / "nowhere") is None
    assert commits.resolve_commit("HEAD~1", tmp_path).hash == hashes[2]
    assert commits.resolve_commit(hashes[0][:8], tmp_path).date == int(
        git(tmp_path, "show", "-s", "--format=%at", hashes[0])
    )


# From runs

A, B = "a" * 40, "b" * 40
SHORT = {"rounds": 8, "launches": 3}


def test_points_are_the_estimates_of_runs_and_the_rest_is_told() -> None:
    runs = [run_of(0, A, **SHORT), run_of(1, B, **SHORT), run_of(2, f"{B}-dirty", **SHORT), run_of(3, "none", **SHORT)]
    points, left_out = history.points(runs, "step_time")
    assert set(points["commit"]) == {A, B}
    assert not points["cell"].str.contains("twin").any()
    assert len(left_out) == 2
    assert "differ from commit bbbbbbbb" in left_out[0]
    row = points[(points["run"] == runs[0].id) & (points["cell"] == cell_id(PLAIN, 32))].iloc[0]
    steps = [
        float(np.mean(np.array(record.turns.counted) / record.turns.steps))
        for record in runs[0].records
        if record.cell == cell_id(PLAIN, 32) and record.turns is not None
    ]
    assert row["log_median"] == pytest.approx(np.mean(np.log(steps)))
    assert row["se"] == pytest.approx(np.std(np.log(steps), ddof=1) / math.sqrt(3))
    assert row["launches"] == 3


def test_the_ratio_to_the_baseline_does_not_see_the_machine() -> None:
    steady = [run_of(number, A, factor=1.0 + 0.5 * (number % 2), **SHORT) for number in range(4)]
    raw, _ = history.points(steady, "step_time")
    ratio, _ = history.points(steady, "ratio")
    trainer = "overhead[loop=trainer,batch_size=32,data=synthetic]"
    assert np.ptp(raw.loc[raw["cell"] == trainer, "log_median"]) > 0.35
    assert np.ptp(ratio.loc[ratio["cell"] == trainer, "log_median"]) < 0.03
    assert cell_id(PLAIN, 32) not in set(ratio["cell"])


def test_a_cell_that_failed_in_a_run_has_no_point_there() -> None:
    runs = [run_of(0, A, **SHORT), run_of(1, B, failures={("trainer", 32, 1): ("crashed", "fell")}, **SHORT)]
    points, _ = history.points(runs)
    counts = points["cell"].value_counts()
    assert counts[cell_id("trainer", 32)] == 1
    assert counts[cell_id("fabric", 32)] == 2


def test_unknown_names_are_told_with_those_there_are() -> None:
    runs = [run_of(0, A, **SHORT)]
    with pytest.raises(RunError, match="unknown suite 'overheads'; allowed: overhead"):
        history.points(runs, suites=["overheads"])
    with pytest.raises(RunError, match="unknown metric 'speed'; allowed: step_time, typical_step_time"):
        history.points(runs, "speed")


# Races


def test_only_a_race_makes_a_suspicion_real(tmp_path: Path) -> None:
    found = history.analyse(table(STEP))
    ((pair, members),) = history.suspects(found).items()
    suspicions = [Suspicion(series.cell, series.machine, change.relative) for series, change in members]
    asked: list[tuple[str, str, list[str]]] = []

    def race(ratio: Interval) -> confirming.CommitRace:
        def run(before: str, after: str, cells: Sequence[str]) -> Mapping[str, Interval]:
            asked.append((before, after, list(cells)))
            return dict.fromkeys(cells, ratio)

        return run

    states = {}
    for name, ratio in {
        "slower": Interval(1.09, 1.06, 1.12, 8),
        "same": Interval(1.01, 0.98, 1.04, 8),
        "faster": Interval(0.9, 0.88, 0.92, 8),
        "harmless": Interval(1.01, 1.005, 1.015, 8),
        "smaller": Interval(1.04, 1.03, 1.05, 8),
        "either": Interval(1.06, 1.01, 1.11, 8),
    }.items():
        (done,) = confirming.confirmations_of(*pair, suspicions, race(ratio), "2026-01-01T00:00:00+00:00", 0.02)
        states[name] = done.state
        store.append_confirmations(tmp_path, [confirming.encode_confirmation(done)])
    assert states == {
        "slower": "confirmed",
        "same": "not confirmed",
        "faster": "not confirmed",
        # It excludes 1, as any two builds may, and what is suspected.
        "harmless": "not confirmed",
        "smaller": "confirmed",
        # It excludes 1, and neither a harmless 2 % nor the suspected 10 %.
        "either": "undecided",
    }
    assert asked[0] == (*pair, ["s[c]"])
    told = [confirming.decode_confirmation(line, where) for where, line in store.read_confirmations(tmp_path)]
    assert [confirmation.state for confirmation in told] == list(states.values())
    (change,) = only(history.analyse(table(STEP), confirmations=told[:1])).changes
    assert change.state == "confirmed"
    assert "1.090 [1.060, 1.120]" in layout.console(history.analyse(table(STEP), confirmations=told[:1]))
    (smaller,) = only(history.analyse(table(STEP), confirmations=told[4:5])).changes
    assert smaller.race.endswith("1.040 [1.030, 1.050], a smaller change than suspected")
    (open_,) = only(history.analyse(table(STEP), confirmations=told)).changes
    assert open_.state == "suspected"
    assert open_.race.endswith("which excludes neither a harmless 2 % nor what is suspected")
    # The newest race stands, and only for its own machine.
    assert only(history.analyse(table(STEP), confirmations=told[:2])).changes[0].state == "not confirmed"
    elsewhere = [replace(told[0], machine="another")]
    assert only(history.analyse(table(STEP), confirmations=elsewhere)).changes[0].state == "suspected"


def test_a_race_that_did_not_measure_is_no_answer() -> None:
    with pytest.raises(RunError, match=r"did not measure s\[c\]"):
        confirming.confirmations_of(A, B, [Suspicion("s[c]", "box", 0.1)], lambda before, after, cells: {}, "now", 0.02)
    once = Interval(1.1, None, None, 1)
    with pytest.raises(RunError, match=r"a single launch of s\[c\].*give it a larger --budget"):
        confirming.confirmations_of(
            A, B, [Suspicion("s[c]", "box", 0.1)], lambda before, after, cells: {"s[c]": once}, "now", 0.02
        )
    with pytest.raises(RunError, match="nothing is suspected"):
        confirming.confirmations_of(A, B, [], lambda before, after, cells: {}, "now", 0.02)


def test_a_suspicion_that_is_harmless_is_not_raced() -> None:
    def never(before: str, after: str, cells: Sequence[str]) -> Mapping[str, Interval]:
        raise AssertionError

    with pytest.raises(
        RunError, match=r"--margin: 5 % are called harmless, and no more is suspected of s\[c\] by -3 %"
    ):
        confirming.confirmations_of(A, B, [Suspicion("s[c]", "box", -0.03)], never, "now", 0.05)


@pytest.mark.parametrize(("sd", "truth"), [(0.01, 0.0), (0.01, 0.015), (0.01, 0.07), (0.05, 0.0), (0.05, 0.07)])
def test_a_race_is_seldom_wrong(sd: float, truth: float, repeats: Choice) -> None:
    """7 % are suspected and 2 % harmless: what is none is confirmed in 2.5 % or less, what is real denied as seldom.

    By the rule before, an interval that excludes 1, a harmless 1.5 % were confirmed more often than not.
    """
    random = np.random.default_rng(2)
    runs = repeats(200, 2000)
    said = []
    before = 0
    for _ in range(runs):
        ratio = interval_of_logs((math.log1p(truth) + random.normal(0, sd, 8)).tolist())
        (done,) = confirming.confirmations_of(
            A, B, [Suspicion("s[c]", "box", 0.07)], lambda *_, ratio=ratio: {"s[c]": ratio}, "now", 0.02
        )
        said.append(done.state)
        before += ratio.estimate > 1 and not ratio.contains(1.0)
    wrong = "not confirmed" if truth == 0.07 else "confirmed"
    most = 0.025 + 3 * math.sqrt(0.025 / runs)
    assert said.count(wrong) / runs <= most
    if truth == 0.015:
        assert before / runs > 0.5
    if sd == 0.01:
        assert said.count("undecided") / runs < 0.1
    else:
        assert "undecided" in said


def test_lines_of_schema_1_are_read_as_they_were_said() -> None:
    data = confirming.encode_confirmation(
        Confirmation(A, B, "c", "m", 0.1, Interval(1.01, 1.005, 1.015, 8), "confirmed", "now")
    )
    del data["margin"]
    told = confirming.decode_confirmation(json.dumps({**data, "schema": 1}).encode(), "file:1")
    assert (told.state, told.margin) == ("confirmed", 0.0)
    for spoilt in (
        {**data, "schema": 2},
        {**data, "schema": 1, "margin": 0.02},
        {**data, "schema": 1, "state": "undecided"},
    ):
        with pytest.raises(RunError, match=r"^file:1: "):
            confirming.decode_confirmation(json.dumps(spoilt).encode(), "file:1")


@pytest.mark.parametrize("change", [{"schema": 3}, {"state": "real"}, {"more": 1}, {"ratio": {"estimate": 1.0}}])
def test_a_tampered_confirmation_is_refused(change: Mapping[str, Any]) -> None:
    data = confirming.encode_confirmation(
        Confirmation(A, B, "c", "m", 0.1, Interval(1.1, 1.0, 1.2, 8), "confirmed", "now")
    )
    assert confirming.decode_confirmation(json.dumps(data).encode(), "file:1").state == "confirmed"
    with pytest.raises(RunError, match=r"^file:1: "):
        confirming.decode_confirmation(json.dumps({**data, **change}).encode(), "file:1")


def test_ids_are_read_back() -> None:
    assert cell_id_parts("overhead[loop=trainer,batch_size=64]") == (
        "overhead",
        {"loop": "trainer", "batch_size": "64"},
    )
    assert cell_id_parts("sided") == ("sided", {})


# The command


class Fetches(HTMLParser):
    """Everything in a page that would be fetched; a link is followed only by its reader."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and tag != "a" and not (value or "").startswith("#"):
                self.found.append(f"{tag} {name}={value}")
        if tag in ("link", "iframe"):
            self.found.append(tag)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """22 commits, the 12th 10 % slower, from the 19th on another torch; runs of all, and two bad ones."""
    folder = tmp_path_factory.mktemp("history") / "code"
    hashes = repository(folder, 22)
    for number, hash_ in enumerate(hashes):
        torch = "2.14.0" if number >= 18 else "2.13.0"
        save(run_of(number, hash_, 1.1 if number >= 11 else 1.0, {"torch": torch}, **SHORT), folder / "results")
    save(run_of(30, f"{hashes[-1]}-dirty", 3.0, **SHORT), folder / "results")
    cut = save(run_of(31, hashes[-1], 3.0, **SHORT), folder / "results") / "records.jsonl"
    cut.write_text(cut.read_text()[:-20])
    return folder, hashes


def test_the_command_tells_what_changed_where(told: tuple[Path, list[str]]) -> None:
    folder, hashes = told
    page = folder / "pages" / "history.html"
    done = call("history", "--metric", "step_time", "--html", str(page), cwd=folder)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert f"between {hashes[10][:8]} and {hashes[11][:8]}, suspected in 6 cells: +" in said
    assert f"bench confirm {hashes[10][:8]} {hashes[11][:8]}" in said
    assert f"from {hashes[18][:8]} on, torch 2.13.0 -> 2.14.0: a boundary in 6 series" in said
    assert "differ from commit" in said
    assert "truncated" in said
    assert "points are in the order of their commits" in said
    assert change_points.method() in said
    shown = json.loads(call("history", "--metric", "step_time", "--format", "json", cwd=folder).stdout)
    assert len(shown["series"]) == 6
    for series in shown["series"]:
        assert [(change["index"], change["state"]) for change in series["changes"]] == [(11, "suspected")]
        assert [boundary["index"] for boundary in series["boundaries"]] == [18]
        assert len(series["points"]) == 22
    text = page.read_text()
    reader = Fetches()
    reader.feed(text)
    assert reader.found == []
    assert text.count("<svg") == 6  # a drawing for each series
    embedded = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    assert embedded is not None
    data = json.loads(embedded[1])
    assert [run[:3] for run in data["runs"]] == [[run["run"], run["commit"], run["started"]] for run in shown["runs"]]
    for series, own in zip(data["series"], shown["series"], strict=True):
        assert (series["cell"], series["changes"]) == (own["cell"], own["changes"])
        for name, column in (("value", "values"), ("low", "low"), ("high", "high"), ("launches", "launches")):
            assert series[column] == pytest.approx([point[name] for point in own["points"]], rel=1e-5)
    assert not re.search(r"\bnan\b", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL), re.IGNORECASE)


def test_the_command_tells_ratios_unless_asked_for_more(told: tuple[Path, list[str]]) -> None:
    """All steps became 10 % longer, the baseline's too: what each loop costs over it has not changed."""
    shown = json.loads(call("history", "--format", "json", cwd=told[0]).stdout)
    assert shown["metric"] == "ratio"
    assert len(shown["series"]) == 4  # two loops in two groups; a baseline has no ratio
    assert not any(series["changes"] for series in shown["series"])


def test_without_a_baseline_beside_it_the_step_time_is_told(processes: None, tmp_path: Path) -> None:
    told: list[str] = []
    plain = [run_of(number, A, **SHORT) for number in range(2)]
    for run in plain:
        alone = tuple(record for record in run.records if record.point["loop"] == "plain" and not record.twin)
        save(replace(run, records=alone), tmp_path)
    found = read_history(tmp_path, tmp_path, None, tell=told.append)
    assert found.metric == "step_time"
    assert any(text.startswith("ratios: no cell of these runs has a baseline beside it") for text in found.left_out)
    with pytest.raises(RunError, match="no run under"):
        read_history(tmp_path, tmp_path, "ratio", tell=told.append)


def test_of_many_series_a_break_that_one_may_have_by_chance_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One series of 100 whose p is 0.0009: of so many, 0.09 have such a one without a change."""
    sure = change_points.Break(20, 0.1, 0.0009, 20, 20)
    monkeypatch.setattr(change_points, "breaks", lambda stretches: [[sure] if stretches[0][0] > -6.5 else []])
    quiet = [table([-7.0] * 40, cell=[f"s[{number}]"] * 40) for number in range(99)]
    alone = table([-6.0] * 40, cell=["s[changed]"] * 40)
    assert only(history.analyse(alone)).changes
    many = history.analyse(pd.concat([alone, *quiet]))
    assert not any(series.changes for series in many.series)
    assert "a break that 100 series may have by chance is not told" in layout.console(many)


def test_nothing_to_tell_is_one_message_and_exit_code_2(
    told: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, hashes = told
    monkeypatch.chdir(folder)

    def refused(*arguments: str, words: str) -> None:
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        said = capsys.readouterr()
        assert (left.value.code, said.out) == (2, "")
        assert words in said.err

    refused("history", "--out", str(tmp_path / "none"), words="no runs under")
    save(run_of(0, "none", **SHORT), tmp_path / "one")
    refused("history", "--out", str(tmp_path / "one"), words="no commit is known of it")
    refused("history", "--metric", "speed", words="unknown metric 'speed'; allowed: step_time")
    refused("history", "--suite", "other", words="unknown suite 'other'; allowed: overhead")
    refused("confirm", hashes[3], hashes[4], words=f"allowed: {hashes[10][:8]} {hashes[11][:8]}")
    refused(
        "confirm", hashes[10], hashes[11], "--margin", "9%", "--size", "5%", words="--margin: 9 % are called harmless"
    )
    refused("confirm", hashes[10], hashes[11], "--margin", "much", words="not a share")
    refused("confirm", "nowhere", hashes[4], words="commit 'nowhere' is not in the git repository")
    refused("history", "--html", "/proc/nowhere/page.html", words="cannot be written")
    (tmp_path / "one" / store.CONFIRMATIONS).write_text("{\n")
    save(run_of(1, hashes[0], **SHORT), tmp_path / "one")
    refused("history", "--out", str(tmp_path / "one"), words=f"{store.CONFIRMATIONS}:1:")


CODE = "def extra(batch):\n    for _ in range({times}):\n        batch[0].sin().sum()\n"


@pytest.mark.long
def test_confirm_races_the_two_commits_and_the_history_knows(tmp_path: Path) -> None:
    """All of it: 32 runs of two commits tell of a change, which is real; the race says so, and the history then too."""
    hashes = []
    git_folder = tmp_path / "code"
    git_folder.mkdir()
    git(git_folder, "init", "--quiet", "--initial-branch", "main")
    for times in (1, 400):
        (git_folder / "sidecode.py").write_text(CODE.format(times=times))
        git(git_folder, "add", "sidecode.py")
        git(git_folder, "commit", "--quiet", "--message", f"{times} times")
        hashes.append(git(git_folder, "rev-parse", "HEAD"))
    suite = discovery.find_suite("sided", [SUITES])
    made = plan.make_plan({"sided": suite}, ["sided"])
    random = np.random.default_rng(3)
    for number in range(32):
        level = 2.0 if number >= 16 else 1.0
        records = []
        for cell, launch in itertools.product(made.cells, range(3)):
            step = 1e-3 * level * math.exp(random.normal(0, 0.004))
            same = {
                name: tuple([value] * 8)
                for name, value in {
                    "first": step,
                    "counted": step,
                    "cpu": step,
                    "involuntary": 0,
                    "faults": 0,
                    "stolen": 0.0,
                }.items()
            }
            turns = Turns(1, round=tuple(range(8)), position=tuple([0] * 8), **same)
            records.append(
                Record(
                    "sided",
                    cell.id,
                    cell.group,
                    dict(cell.point),
                    cell.twin,
                    launch,
                    "ok",
                    turns=turns,
                    effective={"accelerator": "cpu"},
                    samples_per_step=8,
                )
            )
        info = {
            "run": f"20260101-0000{number:02}-0000",
            "plan": plan.plan_document(made),
            "finished": "2026-11-23T12:00:00+00:00",
            "argv": [],
            "started": f"2026-01-01T00:00:{number:02}+00:00",
            "environment": {**environment.environment(1), "commit": hashes[number >= 16]},
        }
        save(store.StoredRun(tmp_path, info, tuple(records)), git_folder / "results")
    done = call(
        "confirm",
        hashes[0][:10],
        "HEAD",
        "--suites",
        str(SUITES),
        "--budget",
        "45s",
        "--precision-goal",
        "50%",
        cwd=git_folder,
    )
    assert done.returncode == 0, done.stderr
    assert "\nconfirmed: sided: raced over" in done.stdout
    told = json.loads(call("history", "--format", "json", cwd=git_folder).stdout)
    (series,) = told["series"]
    (change,) = series["changes"]
    assert (change["before"], change["after"], change["state"]) == (*hashes, "confirmed")
    assert any("it compared environments" in text for text in told["left_out"])  # the race itself is no point
