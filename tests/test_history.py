"""Change points against a known truth and against an exact search; boundaries, alarms, races; the command and its page."""

from __future__ import annotations

import importlib.util
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

from bench import changes, commits, confirming, discovery, environment, history, plan, store
from bench.cli.exporting import parse
from bench.confirming import Confirmation, Suspicion
from bench.errors import RunError
from bench.history import COLUMNS, History
from bench.intervals import Interval
from bench.record import Record, Turns
from bench.report import history as layout

NOISE = 0.005
needs_ruptures = pytest.mark.skipif(importlib.util.find_spec("ruptures") is None,
                                    reason="ruptures is not installed (the extra `history`)")


def noise(seed: int, n: int, sd: float = NOISE) -> changes.Array:
    return np.random.default_rng(seed).normal(0, sd, n)


def found(values: Sequence[float] | changes.Array) -> list[changes.Break]:
    return changes.breaks(list(values), changes.sigma(np.diff(values)))


def brute(values: changes.Array, penalty: float) -> float:
    """The least cost of any split, by trying every one."""
    n, best = len(values), math.inf
    for pieces in range(1, n // changes.LEAST_PIECE + 1):
        for cuts in itertools.combinations(range(1, n), pieces - 1):
            edges = [0, *cuts, n]
            if min(b - a for a, b in itertools.pairwise(edges)) >= changes.LEAST_PIECE:
                best = min(best, cost(values, cuts, penalty))
    return best


def cost(values: changes.Array, cuts: Sequence[int], penalty: float) -> float:
    edges = [0, *cuts, len(values)]
    return sum(float(((values[a:b] - values[a:b].mean()) ** 2).sum()) for a, b in itertools.pairwise(edges)) \
        + penalty * len(cuts)


def test_the_dynamic_programme_is_exact() -> None:
    for seed in range(30):
        values = noise(seed, 14, 1.0) + 2.0 * (np.arange(14) > seed % 11)
        for penalty in (0.5, 2.0, 8.0):
            assert cost(values, changes.exact(values, penalty), penalty) == pytest.approx(brute(values, penalty))


@needs_ruptures
def test_ruptures_finds_what_the_dynamic_programme_finds() -> None:
    for seed in range(40):
        random = np.random.default_rng(seed)
        steps = np.repeat(random.normal(0, 0.03, 5), random.integers(5, 40, 5))
        values = steps + random.normal(0, NOISE, len(steps)) - 7.0
        penalty = changes.PENALTY * NOISE**2 * math.log(len(values))
        assert changes._by_ruptures(values, penalty) == changes.exact(values, penalty)


def test_the_spread_is_that_of_single_points_whatever_the_steps() -> None:
    values = noise(1, 2000) + 0.1 * (np.arange(2000) // 100)
    assert changes.sigma(np.diff(values)) == pytest.approx(NOISE, rel=0.06)
    assert changes.sigma(np.zeros(20)) == changes.LEAST_SIGMA


@pytest.mark.parametrize(("step", "recall"), [(0.025, 0.8), (0.05, 1.0), (0.10, 1.0), (-0.05, 1.0)])
def test_steps_are_found_where_they_are(step: float, recall: float) -> None:
    exact = 0
    for seed in range(50):
        n, at = 60, 12 + seed % 36
        breaks = found(noise(seed, n) + math.log1p(step) * (np.arange(n) >= at))
        assert len(breaks) <= 1  # precision: nothing else is told
        if breaks:
            assert abs(breaks[0].index - at) <= (0 if abs(step) >= 0.05 else 2)
            assert math.expm1(breaks[0].shift) == pytest.approx(step, abs=4 * NOISE)
            exact += breaks[0].index == at
    assert exact >= recall * 50


def test_a_step_of_the_harmless_size_is_told_or_not_but_never_elsewhere() -> None:
    told = [found(noise(seed, 60) + math.log1p(0.02) * (np.arange(60) >= 30)) for seed in range(50)]
    assert 10 <= sum(map(bool, told)) <= 40  # half of the estimates lie below 2 %
    assert {item.index for breaks in told for item in breaks} <= set(range(27, 34))
    below = [found(noise(seed, 60) + math.log1p(0.01) * (np.arange(60) >= 30)) for seed in range(50)]
    assert not any(below)


def test_series_without_a_change_have_none() -> None:
    """Gaussian, with spikes, with heavy tails: 200 points each, of 1 % noise."""
    models = {
        "gaussian": lambda random: random.normal(0, 0.01, 200),
        "spikes": lambda random: random.normal(0, 0.01, 200) + (random.random(200) < 0.05) * random.exponential(0.05, 200),
        "heavy": lambda random: random.standard_t(3, 200) * 0.01,
    }
    for name, model in models.items():
        broken = sum(bool(found(model(np.random.default_rng(seed)))) for seed in range(200))
        assert broken <= 2, name  # 99 % of them or more


def test_noise_that_is_hardly_penalised_has_breaks() -> None:
    """The check above can fail: with ruptures' usual penalty, or none of the other conditions, it does."""
    broken = 0
    for seed in range(50):
        values = np.random.default_rng(seed).normal(0, 0.01, 200)
        broken += bool(changes.exact(values, 0.5 * 0.01**2 * math.log(200)))
    assert broken > 25


@pytest.mark.parametrize("length", [1, 2])
def test_a_burst_of_a_commit_or_two_is_no_change(length: int) -> None:
    for seed in range(20):
        assert found(noise(seed, 60) + 0.1 * ((np.arange(60) >= 30) & (np.arange(60) < 30 + length))) == []


@pytest.mark.parametrize("length", [4, 5])
def test_a_longer_burst_is_a_change_and_one_back(length: int) -> None:
    for seed in range(20):
        breaks = found(noise(seed, 60) + 0.1 * ((np.arange(60) >= 30) & (np.arange(60) < 30 + length)))
        assert [item.index for item in breaks] == [30, 30 + length]
        assert breaks[0].shift > 0 > breaks[1].shift


def test_a_ramp_is_told_and_only_where_it_rises() -> None:
    ramp = 0.1 * np.clip((np.arange(90) - 30) / 30, 0, 1)
    for seed in range(20):
        breaks = found(noise(seed, 90) + ramp)
        assert breaks
        assert all(28 <= item.index <= 62 and item.shift > 0 for item in breaks)


def test_a_step_of_the_last_points_waits_until_it_can_be_certain() -> None:
    values = noise(3, 40)
    assert found(values + 0.1 * (np.arange(40) >= 38)) == []
    assert [item.index for item in found(values + 0.1 * (np.arange(40) >= 37))] == [37]
    # Of few points no p is small enough, however far apart they are: 1 of C(8, 4) ways is 0.014.
    assert changes.permutation_p(np.zeros(4), np.ones(4)) == pytest.approx(2 / 70)
    assert changes.permutation_p(np.zeros(3), np.ones(30)) == pytest.approx(1 / math.comb(33, 3))


def test_the_permutation_test_keeps_its_level() -> None:
    random = np.random.default_rng(7)
    low = sum(changes.permutation_p(random.normal(size=5), random.normal(size=6)) <= 0.05 for _ in range(1000))
    assert low <= 50 + 3 * math.sqrt(1000 * 0.05 * 0.95)
    drawn = changes.permutation_p(random.normal(size=40), random.normal(size=40) + 5)
    assert drawn == 1 / (changes._DRAWN + 1)


@pytest.mark.parametrize("n", [17, 31, 80])
def test_the_newest_point_seldom_alarms_for_nothing(n: int) -> None:
    fired = sum(changes.newest([noise(seed, n, 0.02).tolist()]).fired for seed in range(1500))
    assert fired <= 15  # 1 %


def test_the_newest_point_alarms_for_a_step_and_says_what_it_lacks() -> None:
    values = noise(1, 30).tolist()
    stepped = changes.newest([[*values, values[-1] + 0.05]])
    assert stepped.fired
    assert stepped.difference == pytest.approx(0.05)
    assert not changes.newest([[*values, values[-1] + 0.015]]).fired  # harmless, however quiet the series
    assert changes.newest([values[:15] + [9.0]]) == changes.Newest(pytest.approx(9.0 - values[14]), None, False)
    # The first point after a boundary has nothing to be compared with.
    assert changes.newest([values, [1.0]]).difference is None


# Histories


def table(values: Sequence[float] | changes.Array, **columns: Sequence[Any]) -> pd.DataFrame:
    """Points of one series, one a commit, with these logs."""
    rows: list[dict[str, Any]] = []
    for number, value in enumerate(values):
        row = {"suite": "s", "group": "s[g]", "cell": "s[c]", "metric": "step_time", "unit": "s", "better": "lower",
               "machine": "box", "run": f"run{number:03}", "commit": f"{number:040x}", "started": f"{number:06}",
               "log_median": float(value), "se": 0.001, "launches": 8, "python": "3.11.9", "torch": "2.13.0",
               "lightning": "2.6.6", "workload": "w"}
        rows.append({**row, **{name: column[number] for name, column in columns.items()}})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def only(found: History) -> history.Series:
    (series,) = found.series
    return series


STEP = math.log(1e-3) + noise(5, 40) + math.log(1.1) * (np.arange(40) >= 20)


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
    assert [(boundary.index, list(boundary.what)) for boundary in series.boundaries] == [(20, ["torch 2.13.0 -> 2.14.0"])]
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
    assert commits.resolve("HEAD~1", tmp_path).hash == hashes[2]
    assert commits.resolve(hashes[0][:8], tmp_path).date == int(git(tmp_path, "show", "-s", "--format=%at", hashes[0]))


# From runs

A, B = "a" * 40, "b" * 40
SHORT = {"rounds": 8, "launches": 3}


def test_points_are_the_estimates_of_runs_and_the_rest_is_told() -> None:
    runs = [run_of(0, A, **SHORT), run_of(1, B, **SHORT), run_of(2, f"{B}-dirty", **SHORT), run_of(3, "none", **SHORT)]
    points, left_out = history.points(runs)
    assert set(points["commit"]) == {A, B}
    assert not points["cell"].str.contains("twin").any()
    assert len(left_out) == 2
    assert "differ from commit bbbbbbbb" in left_out[0]
    row = points[(points["run"] == runs[0].id) & (points["cell"] == cell_id(PLAIN, 32))].iloc[0]
    steps = [float(np.median(np.array(record.turns.counted) / record.turns.steps)) for record in runs[0].records
             if record.cell == cell_id(PLAIN, 32) and record.turns is not None]
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
    with pytest.raises(RunError, match="unknown metric 'speed'; allowed: step_time, throughput"):
        history.points(runs, "speed")


# Races


def test_only_a_race_makes_a_suspicion_real(tmp_path: Path) -> None:
    found = history.analyse(table(STEP))
    ((pair, members),) = history.suspects(found).items()
    suspicions = [Suspicion(series.cell, series.machine, change.relative) for series, change in members]
    asked: list[tuple[str, str, list[str]]] = []

    def race(ratio: Interval) -> confirming.Race:
        def run(before: str, after: str, cells: Sequence[str]) -> Mapping[str, Interval]:
            asked.append((before, after, list(cells)))
            return dict.fromkeys(cells, ratio)
        return run

    states = {}
    for name, ratio in {"slower": Interval(1.09, 1.06, 1.12, 8), "same": Interval(1.01, 0.98, 1.04, 8),
                        "faster": Interval(0.9, 0.88, 0.92, 8), "once": Interval(1.1, None, None, 1)}.items():
        (done,) = confirming.confirm(*pair, suspicions, race(ratio), "2026-01-01T00:00:00+00:00")
        states[name] = done.state
        store.append_confirmations(tmp_path, [confirming.to_json(done)])
    assert states == {"slower": "confirmed", "same": "not confirmed", "faster": "not confirmed", "once": "not confirmed"}
    assert asked[0] == (*pair, ["s[c]"])
    told = [confirming.from_json(data) for data in store.read_confirmations(tmp_path)]
    assert [confirmation.state for confirmation in told] == list(states.values())
    (change,) = only(history.analyse(table(STEP), confirmations=told[:1])).changes
    assert change.state == "confirmed"
    assert "1.090 [1.060, 1.120]" in layout.console(history.analyse(table(STEP), confirmations=told[:1]))
    # The newest race stands, and only for its own machine.
    assert only(history.analyse(table(STEP), confirmations=told[:2])).changes[0].state == "not confirmed"
    elsewhere = [replace(told[0], machine="another")]
    assert only(history.analyse(table(STEP), confirmations=elsewhere)).changes[0].state == "suspected"


def test_a_race_that_did_not_measure_is_no_answer() -> None:
    with pytest.raises(RunError, match=r"did not measure s\[c\]"):
        confirming.confirm(A, B, [Suspicion("s[c]", "box", 0.1)], lambda before, after, cells: {}, "now")
    with pytest.raises(RunError, match="nothing is suspected"):
        confirming.confirm(A, B, [], lambda before, after, cells: {}, "now")


@pytest.mark.parametrize("change", [{"schema": 2}, {"state": "real"}, {"more": 1}, {"ratio": {"estimate": 1.0}}])
def test_a_tampered_confirmation_is_refused(change: Mapping[str, Any]) -> None:
    data = confirming.to_json(Confirmation(A, B, "c", "m", 0.1, Interval(1.1, 1.0, 1.2, 8), "confirmed", "now"))
    assert confirming.from_json(json.loads(json.dumps(data))).state == "confirmed"
    with pytest.raises(RunError):
        confirming.from_json({**data, **change})


def test_ids_are_read_back() -> None:
    assert parse("overhead[loop=trainer,batch_size=64]") == ("overhead", {"loop": "trainer", "batch_size": "64"})
    assert parse("sided") == ("sided", {})


# The command


class Fetches(HTMLParser):
    """Everything in a page that would be fetched or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.found.append(f"{tag} {name}={value}")
        if tag in ("link", "iframe") or (tag == "script" and ("type", "application/json") not in attrs):
            self.found.append(tag)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A repository of 22 commits, the 12th 10 % slower and the 18th with another torch, and runs of all; two bad runs."""
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
    done = call("history", "--html", str(page), cwd=folder)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert f"between {hashes[10][:8]} and {hashes[11][:8]}, 6 cells" in said
    assert f"bench confirm {hashes[10][:8]} {hashes[11][:8]}" in said
    assert "torch 2.13.0 -> 2.14.0" in said
    assert "differ from commit" in said
    assert "truncated" in said
    assert "points are in the order of their commits" in said
    assert changes.method() in said
    shown = json.loads(call("history", "--format", "json", cwd=folder).stdout)
    assert len(shown["series"]) == 6
    for series in shown["series"]:
        assert [(change["index"], change["state"]) for change in series["changes"]] == [(11, "suspected")]
        assert [boundary["index"] for boundary in series["boundaries"]] == [18]
        assert len(series["points"]) == 22
    text = page.read_text()
    reader = Fetches()
    reader.feed(text)
    assert reader.found == []
    assert text.count("<svg") == 2  # a figure for each group
    embedded = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    assert embedded is not None
    assert json.loads(embedded[1]) == shown
    assert not re.search(r"\bnan\b", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL), re.IGNORECASE)


def test_nothing_to_tell_is_one_message_and_exit_code_2(told: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, hashes = told

    def refused(*arguments: str, words: str) -> None:
        done = call(*arguments, cwd=folder)
        assert done.returncode == 2, done.stdout
        assert words in done.stderr
        assert "Traceback" not in done.stderr

    refused("history", "--out", str(tmp_path / "none"), words="no runs under")
    save(run_of(0, "none", **SHORT), tmp_path / "one")
    refused("history", "--out", str(tmp_path / "one"), words="no commit is known of it")
    refused("history", "--metric", "speed", words="unknown metric 'speed'; allowed: step_time")
    refused("history", "--suite", "other", words="unknown suite 'other'; allowed: overhead")
    refused("confirm", hashes[3], hashes[4], words=f"allowed: {hashes[10][:8]} {hashes[11][:8]}")
    refused("confirm", "nowhere", hashes[4], words="commit 'nowhere' is not in the git repository")
    refused("history", "--html", "/proc/nowhere/page.html", words="cannot be written")
    (tmp_path / "one" / store.CONFIRMATIONS).write_text("{\n")
    save(run_of(1, hashes[0], **SHORT), tmp_path / "one")
    refused("history", "--out", str(tmp_path / "one"), words=f"{store.CONFIRMATIONS}:1:")


CODE = "def extra(batch):\n    for _ in range({times}):\n        batch[0].sin().sum()\n"


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
    suite = discovery.named("sided", [SUITES])
    made = plan.make_plan({"sided": suite}, ["sided"])
    random = np.random.default_rng(3)
    for number in range(32):
        level = 2.0 if number >= 16 else 1.0
        records = []
        for cell, launch in itertools.product(made.cells, range(3)):
            step = 1e-3 * level * math.exp(random.normal(0, 0.004))
            same = {name: tuple([value] * 8) for name, value in
                    {"first": step, "counted": step, "cpu": step, "involuntary": 0, "faults": 0, "stolen": 0.0}.items()}
            turns = Turns(1, round=tuple(range(8)), position=tuple([0] * 8), **same)  # type: ignore[arg-type]
            records.append(Record("sided", cell.id, cell.group, dict(cell.point), cell.twin, launch, "ok", turns=turns,
                                  effective={"accelerator": "cpu"}, samples_per_step=8))
        info = {"run": f"20260101-0000{number:02}-0000", "plan": plan.to_json(made), "finished": "yes", "argv": [],
                "started": f"2026-01-01T00:00:{number:02}+00:00",
                "environment": {**environment.environment(1), "commit": hashes[number >= 16]}}
        save(store.Run(tmp_path, info, tuple(records)), git_folder / "results")
    done = call("confirm", hashes[0][:10], "HEAD", "--suites", str(SUITES), "--budget", "12s", cwd=git_folder)
    assert done.returncode == 0, done.stderr
    assert "\nconfirmed: sided: raced over" in done.stdout
    told = json.loads(call("history", "--format", "json", cwd=git_folder).stdout)
    (series,) = told["series"]
    (change,) = series["changes"]
    assert (change["before"], change["after"], change["state"]) == (*hashes, "confirmed")
    assert any("it compared environments" in text for text in told["left_out"])  # the race itself is no point
