"""Gates through real arms and through records with a known truth: verdicts, exit codes, outputs, invalid ones."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import synthetic
from conftest import SUITES, Silent, call

from bench.commands import gate, gate_judgement, gate_setup
from bench.engine.fleet import Fleet
from bench.engine.options import Options
from bench.errors import RunError
from bench.plan import discovery, plan
from bench.plan.cell import Cell, Group, Plan
from bench.report import gate as gate_report
from bench.report.text_layout import terminal_width
from bench.report.units import ratio
from bench.results import store
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.stats.drift import DRIFT_POINTS
from bench.stats.gate_rule import Rule

# Few launches, so that gates through real arms take seconds: the least p of six is 2**-6.
SHORT = Rule(screen=(5,), screen_above=(0,), looks=(6,), alphas=(0.1,), above=(0,))
OPTIONS = Options(budget=120.0, launch=0.1, fork_servers=1)
TALLY = "observed A/A false alarms on this machine: 0 of 59, 95 % upper bound 5 %"


@dataclass(frozen=True)
class Warm(gate_setup.Setup):
    """A setup on the interpreters that all tests share."""

    warm: Fleet | None = None

    def fleet(self, threads: int, logs: Path) -> Fleet:
        return nullcontext(self.warm)


def gated(
    fleet: Fleet, folder: Path, suite: str, *settings: str, options: Options = OPTIONS, rule: Rule = SHORT
) -> gate_judgement.Gate:
    found = discovery.all_suites([SUITES])
    suites = {name: made for name, (made, _) in found.items()}
    made = plan.make_plan(suites, [suite], settings=settings)
    folder.mkdir()
    files = {name: file for name, (_, file) in found.items()}
    return gate.run_gate(Warm(made, files, warm=fleet), rule, options, folder, Silent())


# Real arms.


@pytest.mark.alone
def test_a_real_slowdown_is_a_regression_with_two_runs_behind_it(fleet: Fleet, tmp_path: Path) -> None:
    # Half of every step is burnt on top: far above the margin on a machine however loaded. One that changes its pace
    # while it measures has no verdict, and is asked again; how seldom that is, tests/stats/test_slopes.py holds.
    for attempt in range(3):
        outcome = gated(fleet, tmp_path / f"gate-{attempt}", "power", "slowdown=100", "batch_size=16")
        if not any(": drifting: " in reason for reason in outcome.reasons):
            break
    assert (outcome.verdict, outcome.exit_code) == ("regression", 1)
    head = outcome.decisions[-1]
    assert (head.stage, head.n, head.p) == ("confirm", 6, 2**-6)
    assert outcome.launches == {"screen": 1, "confirm": 6}
    # Both stages are runs like any other, and the verdict follows from them again.
    folder = tmp_path / outcome.gate
    stages = {name: store.read_run(folder / name) for name in ("screen", "confirm")}
    seeds = {name: run.info["options"]["seed"] for name, run in stages.items()}
    assert seeds["screen"] != seeds["confirm"], "the second stage is to be fresh in everything"
    found = discovery.all_suites()
    made = plan.make_plan({"power": found["power"][0]}, ["power"], settings=["slowdown=100", "batch_size=16"])
    again = gate_judgement.gate_of(made, stages, SHORT, outcome.gate)
    assert (again.verdict, again.decisions, again.exact) == (outcome.verdict, outcome.decisions, outcome.exact)
    kept = json.loads((folder / store.GATE).read_text())
    assert (kept["schema"], kept["verdict"], kept["exit_code"]) == (gate_judgement.GATE_SCHEMA, "regression", 1)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("raise", "crashed: "), ("other-data", "unequal-work: "), ("unsupported", "unsupported: ")],
)
def test_an_arm_that_fails_makes_the_gate_invalid(fleet: Fleet, tmp_path: Path, fault: str, words: str) -> None:
    outcome = gated(fleet, tmp_path / "gate", "faults", f"fault={fault}", "at=20")
    assert (outcome.verdict, outcome.exit_code) == ("invalid", 3)
    assert words in outcome.decisions[-1].reason
    assert outcome.decisions[-1].ratio is None


def test_at_the_end_of_the_budget_a_gate_is_inconclusive(fleet: Fleet, tmp_path: Path) -> None:
    outcome = gated(
        fleet,
        tmp_path / "gate",
        "power",
        "slowdown=again",
        "batch_size=16",
        options=replace(OPTIONS, budget=0.5),
        rule=Rule(),
    )
    assert (outcome.verdict, outcome.exit_code) == ("inconclusive", 4)
    assert outcome.launches == {"screen": 1}
    assert "1 of 5 launches of the screen" in outcome.reasons[0]
    assert all(decision.detectable is None for decision in outcome.decisions)


def test_a_stage_that_does_not_fit_is_not_begun(fleet: Fleet, tmp_path: Path) -> None:
    rule = replace(SHORT, looks=(400,))
    outcome = gated(fleet, tmp_path / "gate", "power", "slowdown=100", "batch_size=16", rule=rule)
    assert (outcome.verdict, outcome.exit_code) == ("inconclusive", 4)
    assert outcome.launches == {"screen": 1}, "one value above the bound settles that it is flagged"
    assert [reason for reason in outcome.reasons if "the stage 'confirm' wants take about" in reason]


def test_where_nothing_can_run_nothing_was_measured(tmp_path: Path) -> None:
    done = call("gate", "overhead", "--set", "accelerator=tpu", "--set", "loop=fabric", "--out", str(tmp_path))
    assert done.returncode == 3
    assert "nothing was measured" in done.stdout
    assert "gate: invalid" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gate", "power", "-k", "slowdown=77"], "selects no cell"),
        (["gate", "nothing"], "unknown suite 'nothing'"),
        (["gate", "power", "--margin", "5%"], "margin below target"),
        (["gate", "power", "--target", "200%"], "not a share"),
        (["gate", "power", "--against", "no-such-commit"], "no-such-commit: cannot be checked out"),
        (["gate", "power", "--junit", "nowhere/at/all.xml"], "its folder is not there"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_gated_is_exit_code_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = call(*arguments, "--out", str(tmp_path / "results"))
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert not done.stdout


@pytest.mark.long
def test_the_code_here_against_a_commit_of_it(tmp_path: Path) -> None:
    """A step that got 400 times as much to do since the commit, and one that did not change since."""
    code = tmp_path / "code"
    code.mkdir()

    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
        subprocess.run(command, cwd=code, capture_output=True, check=True)

    git("init", "--quiet", "--initial-branch", "main")
    for times in (1, 400):
        text = f"def extra(batch):\n    for _ in range({times}):\n        batch[0].sin().sum()\n"
        (code / "sidecode.py").write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", f"{times} times")
    out, summary, junit = tmp_path / "results", tmp_path / "summary.md", tmp_path / "gate.xml"
    command = ["gate", "sided", "--suites", str(SUITES), "--against", "HEAD~1", "--launch", "100ms", "--out", str(out)]
    done = call(*command, "--summary", str(summary), "--junit", str(junit), "--format", "json", cwd=code, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["verdict"], said["schema"]) == ("regression", gate_judgement.GATE_SCHEMA)
    assert {decision["cell"] for decision in said["decisions"]} == {
        "sided[environment=git:HEAD~1]#twin",
        "sided[environment=.]",
    }
    assert "regression" in summary.read_text()
    assert ElementTree.parse(junit).getroot().get("failures") == "1"
    assert (Path(said["folder"]) / "confirm" / store.RUN).is_file()
    # Of files that no commit has, there is no verdict unless it is asked for.
    (code / "sidecode.py").write_text("def extra(batch):\n    pass\n")
    refused = call(*command, cwd=code)
    assert refused.returncode == 2
    assert "the code in this folder differs from its commit in sidecode.py" in refused.stderr
    assert "--allow-dirty" in refused.stderr


# Records with a known truth.


def planned(run: StoredRun) -> Plan:
    """The plan of a synthetic run, whose suite has fewer axes than the one of that name."""
    suite = discovery.all_suites()["overhead"][0]
    cells = [
        Cell(
            one["id"],
            one["suite"],
            one["group"],
            {"accelerator": "cpu", **one["point"]},
            one["twin"],
            one["baseline"],
            one["reason"] if one["outcome"] == "unsupported" else "",
        )
        for one in run.info["plan"]["cells"]
    ]
    groups = []
    for name in dict.fromkeys(cell.group for cell in cells):
        own = [cell for cell in cells if cell.group == name]
        own.sort(key=lambda cell: (cell.id != cell.baseline, not cell.twin))
        groups.append(Group(name, "overhead", tuple(own)))
    return Plan({"overhead": suite}, tuple(groups))


def known(
    slowdown: float, *, change: Callable[[Record], Record] = lambda record: record, **more: Any
) -> tuple[Plan, Mapping[str, StoredRun]]:
    """A plan and both stages: one cell of 10 ms steps, `slowdown` slower than its baseline; `change` to each record."""
    truth = {"costs": {"plain": 0.0, "fabric": 0.01 * slowdown}, "lengths": {32: 0.01}, **more}
    stages = {}
    for seed, (name, launches) in enumerate({"screen": 6, "confirm": 24}.items()):
        made = synthetic.make(synthetic.Truth(launches=launches, seed=seed), **truth)
        stages[name] = replace(made, records=tuple(change(record) for record in made.records))
    return planned(stages["screen"]), stages


def judged(slowdown: float, **more: Any) -> gate_judgement.Gate:
    made, stages = known(slowdown, **more)
    return gate_judgement.gate_of(made, stages, Rule(), "gate")


def fabric(record: Record) -> bool:
    return record.point["loop"] == "fabric"


@pytest.mark.parametrize(
    ("slowdown", "verdict", "code"), [(0.0, "pass", 0), (0.1, "regression", 1), (-0.1, "improvement", 0)]
)
def test_the_truth_is_found(slowdown: float, verdict: str, code: int) -> None:
    outcome = judged(slowdown)
    assert (outcome.verdict, outcome.exit_code) == (verdict, code)


def test_equal_records_give_equal_verdicts_to_the_byte() -> None:
    assert json.dumps(judged(0.1).to_json()) == json.dumps(judged(0.1).to_json())


@pytest.mark.parametrize("loop", ["fabric", "plain"])
def test_a_cell_that_drifts_passes_no_gate(loop: str) -> None:
    """Nor does any beside a baseline that does."""

    def drifting(record: Record) -> Record:
        if record.point["loop"] != loop or record.turns is None:
            return record
        counted = [seconds * (1 + 0.05 * number) for number, seconds in enumerate(record.turns.counted)]
        return replace(record, turns=replace(record.turns, counted=tuple(counted)))

    outcome = judged(0.0, drift_sd=0.0, rounds=DRIFT_POINTS, change=drifting)
    assert (outcome.verdict, outcome.exit_code) == ("invalid", 3)
    (fabric,) = [decision for decision in outcome.decisions if not decision.twin]
    assert fabric.verdict == "invalid"
    assert fabric.ratio is None
    beside = "" if loop == "fabric" else "its baseline is "
    assert fabric.reason.startswith(f"{beside}drifting: its steps get slower: +")


def doubled(record: Record) -> Record:
    """Every 20th turn takes twice as long, which the median of turns does not see."""
    if not fabric(record) or record.turns is None:
        return record
    counted = [seconds * (2 if number % 20 == 10 else 1) for number, seconds in enumerate(record.turns.counted)]
    return replace(record, turns=replace(record.turns, counted=tuple(counted)))


def test_a_mean_step_that_got_longer_is_a_regression() -> None:
    outcome = judged(0.0, drift_sd=0.0, rounds=100, change=doubled)
    (head,) = [decision for decision in outcome.decisions if not decision.twin]
    assert (outcome.verdict, head.verdict, head.by) == ("regression", "regression", "mean")
    assert head.ratio is not None
    assert head.mean is not None
    assert head.ratio.estimate == pytest.approx(1.0, abs=0.005)
    assert head.mean.estimate == pytest.approx(1.05, abs=0.005)
    kept = json.loads(json.dumps(outcome.to_json()))["decisions"][-1]
    assert (kept["by"], kept["mean"]["estimate"]) == ("mean", head.mean.estimate)
    for text in (gate_report.console(outcome, TALLY), gate_report.markdown(outcome, TALLY)):
        assert "the mean step, +" in " ".join(text.split())
        assert ratio(head.mean.estimate, head.mean.low, head.mean.high) in text


def test_launches_of_few_sets_of_interpreters_are_told_to_the_rule() -> None:
    """Sides of one interpreter share its layout; those of two do not, and then all launches of one set lean one way."""
    made, stages = known(0.0)
    (group,) = made.groups
    seen = {}
    for more in ((), ("lightning",)):
        cells = [
            replace(one, imports=("torch", *more) if one.point["loop"] == "fabric" else ("torch",))
            for one in group.cells
        ]
        own = replace(made, groups=(replace(group, cells=tuple(cells)),))
        found = gate_judgement.gate_of(own, stages, Rule(), "gate")
        seen[more] = next(one.upper for one in found.decisions if not one.twin)
    assert seen["lightning",] > seen[()]


def twin_slower(record: Record) -> Record:
    if not record.twin or record.turns is None:
        return record
    slower = tuple(1.08 * seconds for seconds in record.turns.counted)
    return replace(record, turns=replace(record.turns, counted=slower))


@pytest.mark.parametrize("slowdown", [0.0, 0.1])
def test_a_twin_that_alarms_is_neither_pass_nor_regression(slowdown: float) -> None:
    outcome = judged(slowdown, change=twin_slower)
    assert (outcome.verdict, outcome.exit_code) == ("invalid", 3)
    assert "the same code as its baseline, reads +8" in outcome.reasons[0]


@pytest.mark.parametrize("seconds", [float("nan"), 0.0, -0.01, float("inf")])
def test_times_that_are_none_are_invalid(seconds: float) -> None:
    def spoil(record: Record) -> Record:
        if not fabric(record) or record.launch != 2 or record.turns is None:
            return record
        return replace(record, turns=replace(record.turns, counted=(seconds, *record.turns.counted[1:])))

    outcome = judged(0.1, change=spoil)
    assert (outcome.verdict, outcome.exit_code) == ("invalid", 3)
    assert "must be above 0" in outcome.reasons[0]


def test_a_baseline_that_failed_leaves_nothing_to_compare_with() -> None:
    outcome = judged(0.0, failures={("plain", 32, 3): ("crashed", "out of mood")})
    assert outcome.verdict == "invalid"
    assert "its baseline is crashed: out of mood" in outcome.decisions[-1].reason


def void(record: Record) -> Record:
    return replace(record, launch=99, outcome="void", reason="its interpreter was killed", turns=None, ledger={})


@pytest.mark.parametrize(
    ("stop", "verdict", "words"), [("launches", "pass", ""), ("void", "invalid", "void: its interpreter was killed")]
)
def test_void_launches_tell_nothing_unless_they_ended_the_stage(stop: str, verdict: str, words: str) -> None:
    made, stages = known(0.0)
    screen = stages["screen"]
    disturbed = tuple(void(record) for record in screen.records if record.launch == 0)
    groups = {record.group for record in screen.records}
    info = {**screen.info, "stops": {group: {"reason": stop, "launches": 7} for group in groups}}
    again = {**stages, "screen": replace(screen, records=(*screen.records, *disturbed), info=info)}
    outcome = gate_judgement.gate_of(made, again, Rule(), "gate")
    assert outcome.verdict == verdict
    assert outcome.launches == gate_judgement.gate_of(made, stages, Rule(), "gate").launches
    assert words in "".join(outcome.reasons)


def test_a_cell_that_cannot_run_here_is_told_and_not_gated() -> None:
    failures = {("trainer", 32, -1): ("unsupported", "no lightning here")}
    outcome = judged(0.0, costs={"plain": 0.0, "fabric": 0.0, "trainer": 0.0}, failures=failures)
    assert outcome.verdict == "pass"
    assert outcome.skipped == ((synthetic.cell_id("trainer", 32), "no lightning here"),)


@pytest.mark.parametrize(
    ("metric", "base", "head", "verdict"),
    [
        ("graph_breaks", 0, 1, "regression"),
        ("recompiles", 2, 0, "improvement"),
        ("graphs", 3, 3, "pass"),
        ("peak_memory_cuda", 2**30, 2**30 + 2**26, "regression"),
        ("peak_memory_cuda", 2**30, 2**30 + 2**20, "pass"),
        ("peak_memory_host", 2**30, 2**29, "improvement"),
    ],
)
def test_metrics_that_need_no_statistics(metric: str, base: int, head: int, verdict: str) -> None:
    def change(record: Record) -> Record:
        value = head if fabric(record) else base
        if metric.startswith("peak"):
            return replace(record, memory={metric: value})
        return replace(record, effective={**record.effective, metric: value})

    outcome = judged(0.0, change=change)
    found = {one.metric: one.verdict for one in outcome.exact}
    assert found[metric] == verdict
    assert outcome.verdict == verdict


def test_a_metric_in_which_the_twin_differs_is_not_judged() -> None:
    def change(record: Record) -> Record:
        return replace(record, memory={"peak_memory_host": 2**30 + 2**28 * (record.twin or fabric(record))})

    outcome = judged(0.0, change=change)
    assert [one.verdict for one in outcome.exact] == ["unsteady"]
    assert outcome.verdict == "pass"


def test_what_differs_between_the_sides_is_told_before_any_ratio() -> None:
    def change(record: Record) -> Record:
        version = "2.5.1" if fabric(record) else "2.6.6"
        return replace(record, effective={**record.effective, "torch": version})

    outcome = judged(0.1, change=change)
    (told,) = outcome.differences
    assert "torch 2.5.1, its baseline's 2.6.6" in told
    found = outcome.decisions[-1].ratio
    assert found is not None
    for text in (gate_report.console(outcome, TALLY), gate_report.markdown(outcome, TALLY)):
        assert text.index("torch 2.5.1") < text.index(ratio(found.estimate, found.low, found.high))


# Outputs.


def awkward() -> gate_judgement.Gate:
    """An invalid gate whose reason has all that breaks tables and XML."""
    return judged(0.1, failures={("fabric", 32, 3): ("crashed", "a | b <tag> & \x1b[31mred\nsecond line")})


def test_every_gate_says_on_what_it_rests() -> None:
    outcome = judged(0.1)
    head = outcome.decisions[-1]
    assert head.sd is not None
    assert head.detectable == pytest.approx(0.05)
    for text in (
        gate_report.console(outcome, TALLY),
        gate_report.markdown(outcome, TALLY),
        gate_report.junit(outcome, TALLY),
    ):
        assert f"{head.n}" in text
        assert gate_report.percent_or_dash(head.sd) in text
        assert "+5 %" in text
        assert TALLY in " ".join(text.split())


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (judged(0.0), {"tests": "1", "failures": "0", "errors": "0", "skipped": "0"}),
        (judged(0.1), {"tests": "1", "failures": "1", "errors": "0", "skipped": "0"}),
        (awkward(), {"tests": "1", "failures": "0", "errors": "1", "skipped": "0"}),
    ],
    ids=["pass", "regression", "invalid"],
)
def test_junit_is_xml_that_counts_right(outcome: gate_judgement.Gate, counts: dict[str, str]) -> None:
    root = ElementTree.fromstring(gate_report.junit(outcome, TALLY).encode())
    assert root.tag == "testsuite"
    assert {name: root.get(name) for name in counts} == counts
    for tag, counter in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert len(root.findall(f"testcase/{tag}")) == int(counts[counter])


def test_junit_of_a_gate_that_measured_nothing_is_no_pass() -> None:
    made, _ = known(0.0)
    nothing = gate_judgement.gate_of(replace(made, groups=()), {}, Rule(), "gate")
    root = ElementTree.fromstring(gate_report.junit(nothing, TALLY))
    assert (nothing.verdict, root.get("errors"), root.get("tests")) == ("invalid", "1", "1")


def test_markdown_keeps_its_table_whatever_the_reason_says() -> None:
    rows = [line for line in gate_report.markdown(awkward(), TALLY).splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2
    assert {row.replace("\\|", "").count("|") for row in rows} == {len(gate_report.GATE_COLUMNS) + 1}


def test_the_console_fits_a_terminal() -> None:
    for outcome in (judged(0.1), awkward()):
        assert max(map(len, gate_report.console(outcome, TALLY).splitlines())) <= terminal_width()


def test_a_stage_is_no_run_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "20250101-000000-abcd").mkdir()
    with pytest.raises(RunError, match="not a run"):
        store.find_folder("20250101-000000-abcd", tmp_path)
