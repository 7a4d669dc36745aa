"""A gate from plan to verdict: screen and confirming launches through the conductor, judged by `bench.stats.gate_rule`.

Every cell that is neither baseline nor twin is gated against its group's baseline, whatever axis is compared. What the
sides are (values of an axis, interpreters, commits) is the affair of the `Setup`. No torch, no pandas.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.borders import json_text
from bench.commands.counting import COUNTS_FILE, Counting, count_plan
from bench.commands.gate_exact import Exact, counted_metrics
from bench.commands.gate_judgement import Gate, gate_of, gate_standing, gated_cells, is_counted, launches_of_stages
from bench.commands.gate_setup import Setup, prepared_gate
from bench.commands.run import Measurement, run_document
from bench.commands.selection import Selection
from bench.engine.budget import no_room
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.options import Options, Progress
from bench.errors import RunError
from bench.machine import environment
from bench.plan.cell import Group, Plan
from bench.results import files as store_files
from bench.results import identity, store
from bench.results.run_info import timestamp
from bench.stats.gate_rule import Judgement, Rule

GATE_BUDGET = 300.0
# The second stage draws other data, weights and orders than the screen: its launches are to be fresh in everything.
FRESH = 1000


def gate(
    selection: Selection,
    rule: Rule,
    options: Options,
    out: Path,
    progress: Progress,
    *,
    against: str | None = None,
    dirty: bool = False,
    counting: Counting | None = None,
) -> Gate:
    """Gate these cells, from the sides to the verdict, which is then in gate.json of a new folder under `out`.

    Args:
        against: a commit that the code in this folder is raced with; None: the suite's own compared axis.
        dirty: whether files in this folder may then differ from its commit.
        counting: what is counted besides, and judged; None: nothing.

    Raises:
        BenchError: as `prepared_gate` and `run_gate`.
    """
    with prepared_gate(selection, progress, against, dirty=dirty) as setup:
        folder = store.fresh_folder(out, "results")
        progress.note(f"gate {folder}")
        return run_gate(setup, rule, options, folder, progress, counting)


def run_gate(
    setup: Setup,
    rule: Rule,
    options: Options,
    folder: Path,
    progress: Progress,
    counting: Counting | None = None,
) -> Gate:
    """Measure and judge until every cell is decided or the budget is spent; a stage that does not fit is not begun.

    Args:
        options: budget of the whole gate, launch, timeout, seed, threads, memory limit; the screen makes the
            instrumented launches.
        folder: the gate's own, empty; gets a run's folder for each stage.

    Raises:
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    began = time.monotonic()
    options = replace(options, precision_goal=1e-9)
    stages: dict[str, store.StoredRun] = {}
    interrupted = False
    spent: list[str] = []  # sentences on what the budget had no room for
    groups = [Group(group.id, group.suite, group.runnable) for group in setup.plan.groups]
    groups = [group for group in groups if gated_cells(group)]
    made = replace(setup.plan, groups=tuple(groups))
    first = store.stage(folder, "screen")
    first.close()
    counted: list[Exact] = []
    with setup.fleet(options.threads, first.logs) as fleet:
        if counting is not None:  # first: it is exact and quick, and no budget may run out before
            counted = _count(made, setup.files, options, fleet, folder, progress, counting)
        while groups:
            judgement, broken = gate_standing(made, stages, rule)
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
            before = launches_of_stages(stages)
            stages[judgement.stage] = _measure(
                replace(setup, plan=wanted), judgement, options, left, folder, progress, fleet, stages
            )
            spent += stages[judgement.stage].info["warnings"]
            interrupted = bool(fleet.interrupts)
            if interrupted or launches_of_stages(stages) == before:
                break
    found = gate_of(setup.plan, stages, rule, folder.name, counted)
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


def _count(
    made: Plan,
    files: Mapping[str, str],
    options: Options,
    fleet: Fleet,
    folder: Path,
    progress: Progress,
    counting: Counting,
) -> list[Exact]:
    """What a step of the gated cells does, which is then in counts.json of the gate's folder; and what it comes to."""
    logs = folder / "screen" / store.LOGS
    counts = count_plan(made, files, logs, counting.steps, options.timeout, progress, fleet, options.seed)
    store_files.write_aside(folder / COUNTS_FILE, json_text(counts.to_json(), indent=1) + "\n")
    return counted_metrics(counts, counting.no_more)


def _only(made: Plan, wanted: Sequence[str]) -> Plan:
    """The groups that have wanted cells, with these, the baseline and the twin."""
    groups = []
    for group in made.groups:
        cells = tuple(cell for cell in group.cells if cell.twin or cell.id == cell.baseline or cell.id in wanted)
        if any(cell.id in wanted for cell in cells):
            groups.append(Group(group.id, group.suite, cells))
    return replace(made, groups=tuple(groups))


def _needed(wanted: Plan, judgement: Judgement, stages: Mapping[str, store.StoredRun]) -> float:
    """Seconds of the launches that are wanted, as long as those of these groups were; 0.0 where none was made yet."""
    needed = 0.0
    for group in wanted.groups:
        took = {
            (stage, record.launch): record.launch_seconds
            for stage, run in stages.items()
            for record in run.records
            if record.group == group.id and is_counted(record)
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
    stages: Mapping[str, store.StoredRun],
) -> store.StoredRun:
    """The launches that are wanted, appended to the stage's run; gives the run read back."""
    name = judgement.stage
    opened = store.stage(folder, name)
    earlier = stages.get(name)
    done = () if earlier is None else (*earlier.records, *earlier.instrumented)
    groups = {group.id for group in setup.plan.groups}
    # The conductor takes what these launches took as spent.
    spent = {(record.group, record.launch): record.launch_seconds for record in done if record.group in groups}
    chosen = replace(
        options,
        budget=left + math.fsum(spent.values()),
        launches=judgement.launches,
        instrument=options.instrument if name == "screen" else 0,
        seed=options.seed + (FRESH if name == "confirm" else 0),
    )
    made_from = identity.digests(setup.files)
    if earlier is not None and (edited := identity.edited_files(earlier.info["digests"], made_from)):
        raise RunError(f"{opened.folder}: edited while the gate went on: {', '.join(edited)}")
    conductor = Conductor(setup.plan, setup.files, opened, chosen, progress, done, setup.sides)
    info = run_document(Measurement(setup.plan, setup.files, chosen, setup.sides), f"{folder.name}-{name}")
    if earlier is not None:
        info |= {"plan": earlier.info["plan"], "started": earlier.info["started"]}
    opened.write_info(info)
    stops = conductor.run(fleet)
    told = {"stops": stops, "timing": conductor.timing, "warnings": conductor.warnings}
    opened.write_info({**info, "finished": timestamp(), **told})
    opened.close()
    return store.read_run(opened.folder)
