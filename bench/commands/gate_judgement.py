"""What the launches of a gate say so far, and what it has come to at its end. Pure values; no pandas."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.analysis.drift import drifts_of_cells
from bench.commands.endings import CODES
from bench.commands.gate_exact import COUNTS, Exact, exact_metrics
from bench.errors import RunError
from bench.plan.cell import Cell, Group, Plan
from bench.plan.public_names import face
from bench.results import store
from bench.results.record import Record
from bench.results.turns import Turns
from bench.results.version import __version__
from bench.stats import gate_decisions, gate_rule
from bench.stats.drift import drift_reason
from bench.stats.gate_rule import Decision, Judgement, LaunchSeries, Rule, Verdict
from bench.stats.periods import Period, periods_of
from bench.stats.step_times import LEAST_ROUNDS, WINSOR, launch_ratios, longest_counted

# 2: decisions have `by`, `mean` and `upper` over all looks; rules have what each look of the screen lets pass, `above`
# and `layout`.
GATE_SCHEMA = 2


@dataclass(frozen=True)
class Gate:
    """A gate that has ended.

    Attributes:
        verdict: of all cells; see `bench.stats.gate_rule.PRECEDENCE`.
        reasons: why it is not a pass.
        decisions: one a gated cell and one a twin, in the plan's order.
        exact: metrics that need no statistics.
        skipped: cells that cannot run here, each with the reason.
        differences: what else differs between a cell and its baseline, as sentences.
        launches: of each stage, over all groups.
        seconds, budget: wall time.
        interrupted: whether the user ended it.
    """

    gate: str
    verdict: Verdict
    reasons: tuple[str, ...]
    rule: Rule
    decisions: tuple[Decision, ...]
    exact: tuple[Exact, ...]
    skipped: tuple[tuple[str, str], ...]
    differences: tuple[str, ...]
    launches: Mapping[str, int]
    seconds: float
    budget: float
    environment: Mapping[str, Any]
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        return 130 if self.interrupted else CODES[self.verdict]

    def _repr_html_(self) -> str:
        return str(face("gate_html")(self))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"schema": GATE_SCHEMA, "loopmark": __version__, "exit_code": self.exit_code, **asdict(self)}


def gated_cells(group: Group) -> list[Cell]:
    """The cells of a group that have a baseline that can run to be compared with."""
    by_id = {cell.id: cell for cell in group.runnable}
    return [cell for cell in group.runnable if not cell.twin and cell.id != cell.baseline and cell.baseline in by_id]


def launches_of_stages(stages: Mapping[str, store.StoredRun]) -> dict[str, int]:
    return {
        name: len({(record.group, record.launch) for record in run.records if is_counted(record)})
        for name, run in stages.items()
    }


def is_counted(record: Record) -> bool:
    """Whether it is of a launch that was made and that nothing from outside disturbed."""
    return record.launch >= 0 and record.outcome != "void"


def voided_groups(run: store.StoredRun) -> dict[str, str]:
    """The groups of a stage that ended since launches were void one after the other, and why."""
    stops = run.info.get("stops", {})
    last = next((record.reason for record in reversed(run.records) if record.outcome == "void"), "")
    return {group: f"void: {last}" for group, stop in stops.items() if stop["reason"] == "void"}


def gate_standing(made: Plan, stages: Mapping[str, store.StoredRun], rule: Rule) -> tuple[Judgement, dict[str, str]]:
    """Where the gate stands with what was measured, and why cells are unusable, by id.

    Args:
        made: the plan, without cells that cannot run.
    """
    broken: dict[str, str] = {}
    series = []
    records = [record for run in stages.values() for record in run.records]
    failed = [record for record in reversed(records) if record.outcome not in ("ok", "void")]
    bad = {record.cell: f"{record.outcome}: {record.reason}" for record in failed}
    drifts = drifts_of_cells([run.records for run in stages.values()], {cell.id: cell.baseline for cell in made.cells})
    bad = {cell: f"drifting: {drift_reason(drift)}" for cell, drift in drifts.items() if drift.material} | bad
    void = {group: reason for run in stages.values() for group, reason in voided_groups(run).items()}
    measured: dict[str, list[Turns]] = {}
    for record in records:
        if record.turns is not None and record.outcome == "ok":
            measured.setdefault(record.cell, []).append(record.turns)
    periods = {cell: periods_of(turns) for cell, turns in measured.items()}
    for group in made.groups:
        baseline = group.cells[0].id
        for cell in group.cells[1:]:
            own = periods.get(cell.id, ()), periods.get(baseline, ())
            most = longest_counted(measured.get(cell.id, ()), measured.get(baseline, ()), own)
            reason = bad.get(cell.id) or (f"its baseline is {bad[baseline]}" if baseline in bad else "")
            reason = reason or void.get(group.id, "")
            apart = cell.preload != group.cells[0].preload
            found: dict[str, LaunchLogs] = {}
            for name, run in stages.items():
                try:
                    found[name] = launch_log_ratios(run.records, cell.id, baseline, own, most)
                except RunError as error:
                    reason = reason or str(error)
            if reason:
                broken[cell.id] = reason
            else:
                screen, confirm = (found.get(name, LaunchLogs()) for name in ("screen", "confirm"))
                series.append(
                    LaunchSeries(
                        cell.id,
                        group.id,
                        cell.twin,
                        screen.typical,
                        confirm.typical,
                        screen.means,
                        confirm.means,
                        screen.sets if apart else (),
                        confirm.sets if apart else (),
                    )
                )
    return gate_decisions.judge_launches(series, rule), broken


@dataclass(frozen=True)
class LaunchLogs:
    """The log ratios of a cell to its baseline, one a launch.

    Attributes:
        typical, means: of the typical and of the mean step.
        sets: the set of interpreters that each launch came from.
    """

    typical: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    sets: tuple[int, ...] = ()


def launch_log_ratios(
    records: Iterable[Record],
    cell: str,
    baseline: str,
    periods: tuple[Sequence[Period], Sequence[Period]] = ((), ()),
    most: float = WINSOR,
) -> LaunchLogs:
    """Of each launch that has enough rounds of both.

    Args:
        periods, most: of the cell and of its baseline, from all launches of all stages (`step_times.pair_ratios`).

    Raises:
        RunError: a time that is not above 0, or no number.
    """
    turns: dict[int, dict[str, Turns]] = {}
    sets: dict[int, int] = {}
    for record in records:
        if record.turns is not None and record.cell in (cell, baseline) and record.outcome != "void":
            check_times(record)
            turns.setdefault(record.launch, {})[record.cell] = record.turns
            if record.cell == cell:
                sets[record.launch] = record.fork_server
    both = {launch: own for launch, own in sorted(turns.items()) if len(own) == 2}
    kept = {
        launch: launch_ratios(own[cell], own[baseline], periods, most=most)
        for launch, own in both.items()
        if len(set(own[cell].round) & set(own[baseline].round)) >= LEAST_ROUNDS
    }
    return LaunchLogs(
        tuple(one.typical for one in kept.values()),
        tuple(one.mean for one in kept.values()),
        tuple(sets[launch] for launch in kept),
    )


def check_times(record: Record) -> None:
    """Raises:
    RunError: the record has a turn whose time is not above 0, or no number.
    """
    for number, seconds in enumerate(record.turns.settled if record.turns else ()):
        if not (math.isfinite(seconds) and seconds > 0):
            raise RunError(f"{record.cell}, launch {record.launch}, turn {number}: {seconds} seconds; must be above 0")


def gate_of(
    made: Plan, stages: Mapping[str, store.StoredRun], rule: Rule, name: str, counted: Sequence[Exact] = ()
) -> Gate:
    """The verdict that follows from what was measured; the same whenever it is asked.

    Args:
        counted: what a step does, where it was counted; see `bench.commands.gate_exact.counted_metrics`.
    """
    skipped = [(cell.id, cell.unsupported) for cell in made.cells if cell.unsupported and not cell.twin]
    runnable = [Group(group.id, group.suite, group.runnable) for group in made.groups]
    kept = replace(made, groups=tuple(group for group in runnable if gated_cells(group)))
    skipped += [
        (cell.id, f"its baseline cannot run: {group.cells[0].unsupported}")
        for group in made.groups
        if group.cells[0].unsupported
        for cell in group.runnable
        if not cell.twin
    ]
    judgement, broken = gate_standing(kept, stages, rule)
    by_cell = {decision.cell: decision for decision in judgement.decisions}
    records = [record for run in stages.values() for record in run.records]
    instrumented = [record for run in stages.values() for record in run.instrumented]
    exact = [found for group in kept.groups for found in exact_metrics(group, records, instrumented)]
    exact += counted
    decisions = []
    for group in kept.groups:
        for cell in group.cells[1:]:
            if cell.id in broken:
                decisions.append(_unusable(cell, broken[cell.id]))
                continue
            own = [found for found in exact if found.cell == cell.id]
            decisions.append(_with_exact(by_cell[cell.id], own))
    reasons = list(judgement.alarms)
    if not decisions:
        reasons.append("nothing was measured: no cell can be compared with a baseline here")
    reasons += [
        f"{one.cell}: {one.reason}"
        for one in decisions
        if one.verdict not in ("pass", "improvement") and not (judgement.alarms and one.cell not in broken)
    ]
    verdicts = [one.verdict for one in decisions if not one.twin or one.verdict == "invalid"]
    return Gate(
        gate=name,
        verdict=gate_rule.overall(verdicts),
        reasons=tuple(reasons),
        rule=rule,
        decisions=tuple(decisions),
        exact=tuple(exact),
        skipped=tuple(skipped),
        differences=tuple(_differences(kept, records)),
        launches=launches_of_stages(stages),
        seconds=0.0,
        budget=0.0,
        environment={},
    )


def _unusable(cell: Cell, reason: str) -> Decision:
    nothing: dict[str, Any] = dict.fromkeys(("ratio", "mean", "sd", "upper", "p", "alpha", "detectable"))
    return Decision(cell.id, cell.group, cell.twin, "invalid", "screen", 0, "typical", reason=reason, **nothing)


def _with_exact(decision: Decision, exact: Sequence[Exact]) -> Decision:
    """The decision with the exact metrics' say; none of them makes an invalid one valid."""
    worse = [_changed(one) for one in exact if one.verdict == "regression"]
    better = [_changed(one) for one in exact if one.verdict == "improvement"]
    missing = [f"{one.metric}: {one.why}" for one in exact if one.verdict == "unsteady" and one.wanted]
    if decision.twin or decision.verdict == "invalid":
        return decision
    if worse:
        return replace(decision, verdict="regression", reason=f"{'; '.join(worse)}; step time: {decision.reason}")
    if missing and decision.verdict in ("pass", "improvement"):
        return replace(decision, verdict="inconclusive", reason=f"{'; '.join(missing)}; step time: {decision.reason}")
    if better and decision.verdict == "pass":
        return replace(decision, verdict="improvement", reason=f"{'; '.join(better)}; step time: {decision.reason}")
    return decision


def _changed(one: Exact) -> str:
    return f"{one.metric} {one.base:g} to {one.head:g}{f' ({one.why})' if one.why else ''}"


# Differ by what an arm is, or from launch to launch.
_OWN = frozenset({"cores", "compile_cache", "cache_hits", "cache_misses", "lightning_imported", *COUNTS})


def _differences(made: Plan, records: Sequence[Record]) -> list[str]:
    """What differs in the settings and versions that were read back, besides the compared axis."""
    seen = {record.cell: record.effective for record in records if record.effective}
    found = []
    for group in made.groups:
        axis = made.suites[group.suite].compare
        base = seen.get(group.cells[0].id, {})
        for cell in group.cells[1:]:
            own = seen.get(cell.id, {})
            keys = [key for key in base if key in own and key not in _OWN and key != axis]
            keys = [key for key in keys if own[key] != base[key]]
            found += [f"{cell.id}: {key} {own[key]}, its baseline's {base[key]}" for key in keys]
    return found
