"""A gate from plan to verdict: screen and confirming launches through the conductor, judged by `bench.stats.gate_rule`.

Every cell that is neither baseline nor twin is gated against its group's baseline, whatever axis is compared. What the
sides are (values of an axis, interpreters, commits) is the affair of the `Setup`. No torch, no pandas.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.commands.endings import CODES
from bench.commands.gate_exact import COUNTS, Exact, compared
from bench.engine.budget import no_room
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.options import Options, Progress
from bench.errors import RunError
from bench.machine import environment
from bench.plan import plan
from bench.plan.cell import Cell, Group, Plan
from bench.plan.side import Side
from bench.results import identity, run_info, store
from bench.results.record import Record, Turns
from bench.results.version import __version__
from bench.stats import gate_rule
from bench.stats.gate_rule import Decision, Judgement, LaunchSeries, Rule, Verdict
from bench.stats.ratios import LEAST_ROUNDS, log_ratio

GATE_SCHEMA = 1

# Seconds of turns in a launch. A gate's power comes from the number of launches, and start-up takes 1 to 2 s of each.
LAUNCH = 1.5
GATE_BUDGET = 300.0
# The second stage draws other data, weights and orders than the screen: its launches are to be fresh in everything.
FRESH = 1000


@dataclass(frozen=True)
class Setup:
    """What is gated: the one place where sides are plugged in.

    Attributes:
        plan: its groups' baselines are "base", their other cells "head", whatever axis is compared.
        files: the suite file of each suite, and of `SUITE@SIDE` where a side has its own.
        sides: environments by name, where the plan compares some (`environments.prepared` makes
            them); all are built.
        known: sentences on what is known to differ before anything is measured.
    """

    plan: Plan
    files: Mapping[str, str]
    sides: Mapping[str, Side] | None = None
    known: tuple[str, ...] = ()

    def fleet(self, threads: int, logs: Path) -> Fleet:
        """The processes that all stages share."""
        return Fleet(threads, logs, self.sides)


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

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"schema": GATE_SCHEMA, "loopmark": __version__, "exit_code": self.exit_code, **asdict(self)}


def run_gate(setup: Setup, rule: Rule, options: Options, folder: Path, progress: Progress) -> Gate:
    """Measure and judge until every cell is decided or the budget is spent; a stage that does not fit is not begun.

    Args:
        options: budget of the whole gate, launch, timeout, seed, threads, memory limit; looks are taken in the screen.
        folder: the gate's own, empty; gets a run's folder for each stage.

    Raises:
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    began = time.monotonic()
    options = replace(options, launch=options.launch or LAUNCH, target=1e-9)
    stages: dict[str, store.Run] = {}
    interrupted = False
    spent: list[str] = []  # sentences on what the budget had no room for
    groups = [Group(group.id, group.suite, group.runnable) for group in setup.plan.groups]
    groups = [group for group in groups if _gated(group)]
    made = replace(setup.plan, groups=tuple(groups))
    first = store.stage(folder, "screen")
    first.close()
    with setup.fleet(options.threads, first.logs) as fleet:
        while groups:
            judgement, broken = standing(made, stages, rule)
            left = options.budget - (time.monotonic() - began)
            if not judgement.wanted or broken or left <= 0:
                break
            wanted = _only(made, judgement.wanted)
            needed = _needed(wanted, judgement, stages)
            if needed > left:
                spent.append(no_room(judgement.stage, needed, left, options.budget))
                break
            progress.phase(
                f"{judgement.stage}: {len(judgement.wanted)} cells, to {judgement.launches} launches of "
                f"{len(wanted.groups)} groups"
            )
            before = _launches(stages)
            stages[judgement.stage] = _measure(
                replace(setup, plan=wanted), judgement, options, left, folder, progress, fleet, stages
            )
            spent += stages[judgement.stage].info["warnings"]
            interrupted = bool(fleet.interrupts)
            if interrupted or _launches(stages) == before:
                break
    found = gate_of(setup.plan, stages, rule, folder.name)
    found = replace(
        found,
        reasons=(*found.reasons, *(dict.fromkeys(spent) if found.verdict == "inconclusive" else ())),
        differences=(*setup.known, *found.differences),
        seconds=round(time.monotonic() - began, 3),
        budget=options.budget,
        environment=environment.environment(options.threads),
        interrupted=interrupted,
    )
    store.write_gate(folder, found.to_json())
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _gated(group: Group) -> list[Cell]:
    """The cells of a group that have a baseline that can run to be compared with."""
    by_id = {cell.id: cell for cell in group.runnable}
    return [cell for cell in group.runnable if not cell.twin and cell.id != cell.baseline and cell.baseline in by_id]


def _only(made: Plan, wanted: Sequence[str]) -> Plan:
    """The groups that have wanted cells, with these, the baseline and the twin."""
    groups = []
    for group in made.groups:
        cells = tuple(cell for cell in group.cells if cell.twin or cell.id == cell.baseline or cell.id in wanted)
        if any(cell.id in wanted for cell in cells):
            groups.append(Group(group.id, group.suite, cells))
    return replace(made, groups=tuple(groups))


def _launches(stages: Mapping[str, store.Run]) -> dict[str, int]:
    return {
        name: len({(record.group, record.launch) for record in run.records if _counts(record)})
        for name, run in stages.items()
    }


def _counts(record: Record) -> bool:
    """Whether it is of a launch that was made and that nothing from outside disturbed."""
    return record.launch >= 0 and record.outcome != "void"


def _voided(run: store.Run) -> dict[str, str]:
    """The groups of a stage that ended since launches were void one after the other, and why."""
    stops = run.info.get("stops", {})
    last = next((record.reason for record in reversed(run.records) if record.outcome == "void"), "")
    return {group: f"void: {last}" for group, stop in stops.items() if stop["reason"] == "void"}


def _needed(wanted: Plan, judgement: Judgement, stages: Mapping[str, store.Run]) -> float:
    """Seconds of the launches that are wanted, as long as those of these groups were; 0.0 where none was made yet."""
    needed = 0.0
    for group in wanted.groups:
        took = {
            (stage, record.launch): record.launch_seconds
            for stage, run in stages.items()
            for record in run.records
            if record.group == group.id and _counts(record)
        }
        made = sum(stage == judgement.stage for stage, _ in took)
        needed += max(0, judgement.launches - made) * statistics.median(took.values() or [0.0])
    return needed


def _measure(
    setup: Setup,
    judgement: Judgement,
    options: Options,
    left: float,
    folder: Path,
    progress: Progress,
    fleet: Fleet,
    stages: Mapping[str, store.Run],
) -> store.Run:
    """The launches that are wanted, appended to the stage's run; gives the run read back."""
    name = judgement.stage
    opened = store.stage(folder, name)
    earlier = stages.get(name)
    done = () if earlier is None else (*earlier.records, *earlier.looks)
    groups = {group.id for group in setup.plan.groups}
    # The conductor takes what these launches took as spent.
    spent = {(record.group, record.launch): record.launch_seconds for record in done if record.group in groups}
    chosen = replace(
        options,
        budget=left + math.fsum(spent.values()),
        launches=judgement.launches,
        looks=options.looks if name == "screen" else 0,
        seed=options.seed + (FRESH if name == "confirm" else 0),
    )
    made_from = identity.digests(setup.files)
    if earlier is not None and (edited := identity.edited(earlier.info["digests"], made_from)):
        raise RunError(f"{opened.folder}: edited while the gate went on: {', '.join(edited)}")
    conductor = Conductor(setup.plan, setup.files, opened, chosen, progress, done, setup.sides)
    info = {
        "run": f"{folder.name}-{name}",
        "loopmark": __version__,
        "argv": [],
        "options": vars(chosen),
        "plan": plan.plan_document(setup.plan) if earlier is None else earlier.info["plan"],
        "files": dict(setup.files),
        "environment": environment.environment(options.threads),
        "sides": list(setup.sides or ()),
        "started": _now() if earlier is None else earlier.info["started"],
        "finished": None,
        "stops": {},
        "timing": {},
        "warnings": [],
        "digests": {"options": run_info.options_digest(vars(chosen)), "files": made_from},
    }
    opened.write_info(info)
    stops = conductor.run(fleet)
    told = {"stops": stops, "timing": conductor.timing, "warnings": conductor.warnings}
    opened.write_info({**info, "finished": _now(), **told})
    opened.close()
    return store.read_run(opened.folder)


def standing(made: Plan, stages: Mapping[str, store.Run], rule: Rule) -> tuple[Judgement, dict[str, str]]:
    """Where the gate stands with what was measured, and why cells are unusable, by id.

    Args:
        made: the plan, without cells that cannot run.
    """
    broken: dict[str, str] = {}
    series = []
    records = [record for run in stages.values() for record in run.records]
    failed = [record for record in reversed(records) if record.outcome not in ("ok", "void")]
    bad = {record.cell: f"{record.outcome}: {record.reason}" for record in failed}
    void = {group: reason for run in stages.values() for group, reason in _voided(run).items()}
    for group in made.groups:
        baseline = group.cells[0].id
        for cell in group.cells[1:]:
            reason = bad.get(cell.id) or (f"its baseline is {bad[baseline]}" if baseline in bad else "")
            reason = reason or void.get(group.id, "")
            values: dict[str, tuple[float, ...]] = {}
            for name, run in stages.items():
                try:
                    values[name] = tuple(_log_ratios(run.records, cell.id, baseline))
                except RunError as error:
                    reason = reason or str(error)
            if reason:
                broken[cell.id] = reason
            else:
                found = values.get("screen", ()), values.get("confirm", ())
                series.append(LaunchSeries(cell.id, group.id, cell.twin, *found))
    return gate_rule.judge_launches(series, rule), broken


def _log_ratios(records: Iterable[Record], cell: str, baseline: str) -> list[float]:
    """Of each launch that has enough rounds of both.

    Raises:
        RunError: a time that is not above 0, or no number.
    """
    turns: dict[int, dict[str, Turns]] = {}
    for record in records:
        if record.turns is not None and record.cell in (cell, baseline) and record.outcome != "void":
            check_times(record)
            turns.setdefault(record.launch, {})[record.cell] = record.turns
    both = [own for _, own in sorted(turns.items()) if len(own) == 2]
    enough = [own for own in both if len(set(own[cell].round) & set(own[baseline].round)) >= LEAST_ROUNDS]
    return [log_ratio(own[cell], own[baseline]) for own in enough]


def check_times(record: Record) -> None:
    """Raises:
    RunError: the record has a turn whose time is not above 0, or no number.
    """
    for number, seconds in enumerate(record.turns.counted if record.turns else ()):
        if not (math.isfinite(seconds) and seconds > 0):
            raise RunError(f"{record.cell}, launch {record.launch}, turn {number}: {seconds} seconds; must be above 0")


def gate_of(made: Plan, stages: Mapping[str, store.Run], rule: Rule, name: str) -> Gate:
    """The verdict that follows from what was measured; the same whenever it is asked."""
    skipped = [(cell.id, cell.unsupported) for cell in made.cells if cell.unsupported and not cell.twin]
    runnable = [Group(group.id, group.suite, group.runnable) for group in made.groups]
    kept = replace(made, groups=tuple(group for group in runnable if _gated(group)))
    skipped += [
        (cell.id, f"its baseline cannot run: {group.cells[0].unsupported}")
        for group in made.groups
        if group.cells[0].unsupported
        for cell in group.runnable
        if not cell.twin
    ]
    judgement, broken = standing(kept, stages, rule)
    by_cell = {decision.cell: decision for decision in judgement.decisions}
    records = [record for run in stages.values() for record in run.records]
    looks = [record for run in stages.values() for record in run.looks]
    exact = [found for group in kept.groups for found in compared(group, records, looks)]
    decisions = []
    for group in kept.groups:
        for cell in group.cells[1:]:
            if cell.id in broken:
                decisions.append(_unusable(cell, broken[cell.id]))
                continue
            own = [found for found in exact if found.cell == cell.id and found.verdict != "unsteady"]
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
        launches=_launches(stages),
        seconds=0.0,
        budget=0.0,
        environment={},
    )


def _unusable(cell: Cell, reason: str) -> Decision:
    nothing: dict[str, Any] = dict.fromkeys(("sd", "ratio", "upper", "p", "alpha", "detectable"))
    return Decision(cell.id, cell.group, cell.twin, "invalid", "screen", 0, reason=reason, **nothing)


def _with_exact(decision: Decision, exact: Sequence[Exact]) -> Decision:
    """The decision with the exact metrics' say; none of them makes an invalid one valid."""
    worse = [f"{one.metric} {one.base:g} to {one.head:g}" for one in exact if one.verdict == "regression"]
    better = [f"{one.metric} {one.base:g} to {one.head:g}" for one in exact if one.verdict == "improvement"]
    if decision.twin or decision.verdict == "invalid":
        return decision
    if worse:
        return replace(decision, verdict="regression", reason=f"{'; '.join(worse)}; step time: {decision.reason}")
    if better and decision.verdict == "pass":
        return replace(decision, verdict="improvement", reason=f"{'; '.join(better)}; step time: {decision.reason}")
    return decision


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
