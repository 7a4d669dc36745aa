"""`bench explain`: where the extra time of one cell over another is spent. No torch, no pandas at the top.

A run has most of it: timed launches say how much, and its stacks.json how it divides. Where it has no stacks of these
two cells, they are launched once more, for that alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.commands.run import suites_of_run
from bench.engine.arm_request import request, widest_layout
from bench.engine.fleet import Fleet
from bench.engine.options import Progress
from bench.engine.sampled_launches import EXPLAIN_SECONDS, LaunchPlace, sample_pair, unsampled_reason
from bench.engine.stopping import Interrupted
from bench.errors import RunError, SpecError, one_of, quote
from bench.machine import environment
from bench.machine.scratch import scratch_folder
from bench.plan.cell import Cell, as_text
from bench.plan.plan import plan_of_document
from bench.results import store
from bench.results.stacks import STACKS_FILE, SampledPair, add_stacks, read_stacks
from bench.results.store import StoredRun

if TYPE_CHECKING:
    from bench.analysis.explain import Explanation

TIMED = ("ok", "noisy")  # outcomes of cells whose steps may be compared


@dataclass(frozen=True)
class Asking:
    """How stacks are sampled where a run has none.

    Attributes:
        again: whether also where it has some.
        folders: folders with more suite files.
        timeout: seconds for one answer of an arm.
        seconds: that each cell is sampled for.
    """

    again: bool = False
    folders: tuple[Path, ...] = ()
    timeout: float = 60.0
    seconds: float = EXPLAIN_SECONDS


def explain_cells(
    run: StoredRun, one: str, other: str, progress: Progress, asking: Asking | None = None
) -> Explanation:
    """Where the extra time of one cell of a run over another is spent.

    Args:
        one, other: each a cell's id, a part of it that no other has, or a value of the compared axis; in any order.

    Raises:
        SpecError: there are no such cells, or they cannot be compared; says which could be.
        RunError: the run has no launch with both, or its stacks are not readable, or cannot be sampled here.
        NotSampled: an arm was lost while its stacks were sampled.
    """
    from bench.analysis.explain import explain, timed_difference

    asking = asking or Asking()
    kept = read_stacks(run.folder)
    base, own = chosen_pair(run.info, (one, other), kept)
    for cell in (base, own):
        if reason := _untimed(run, cell):
            raise SpecError(f"{cell}: {reason}: there is no step of it to explain")
    try:
        step, difference = timed_difference(run, base, own)
    except ValueError as error:
        raise RunError(
            f"{run.folder}: {error}; only launches that timed both, step by step, can be explained"
        ) from None
    found = [pair for each in kept if (pair := each.of(base, own)) is not None]
    if not found or asking.again:
        why = "are sampled again" if found else f"has no stacks of these two in {STACKS_FILE}; they are sampled now"
        progress.note(f"{run.folder}: {why}")
        found = [sample_again(run, base, own, progress, asking)]
        add_stacks(run.folder, found[0])
    return explain(step, difference, found[-1])


def chosen_pair(info: Mapping[str, Any], asked: tuple[str, str], kept: Sequence[SampledPair] = ()) -> tuple[str, str]:
    """Ids of the two cells that two texts name, the baseline first where it is one of them.

    A value of the compared axis is of several groups: that of stacks which are kept goes before the first group.

    Raises:
        SpecError: there are no such cells, it is one cell twice, or they are of several groups.
    """
    cells = info["plan"]["cells"]
    group_of = {cell["id"]: cell["group"] for cell in cells}
    baselines = {cell["id"]: cell["baseline"] for cell in cells}
    first, second = (_named(info, text) for text in asked)
    if (first == second and len(first) == 1) or asked[0] == asked[1]:
        raise SpecError(f"{quote(first[0])} twice: a cell is explained against another one of its group")
    pairs = [(a, b) for a in first for b in second if a != b and group_of[a] == group_of[b]]
    if not pairs:
        beside = [cell for cell in group_of if group_of[cell] == group_of[first[0]] and cell != first[0]]
        raise SpecError(
            f"{quote(first[0])} and {quote(second[0])} are not of one group, so their steps are not the same work; "
            f"allowed beside the first: {', '.join(beside)}"
        )
    # Values of an axis are of several groups; what was sampled says which one is meant.
    known = {frozenset(cell.cell for cell in pair.cells) for pair in kept}
    chosen = next((pair for pair in pairs if frozenset(pair) in known), pairs[0])
    if len({group_of[a] for a, _ in pairs}) < len(pairs):
        raise SpecError(
            f"{quote(asked[0])} and {quote(asked[1])} are several pairs; give whole ids: {', '.join(sum(pairs, ()))}"
        )
    return chosen if chosen[1] != baselines[chosen[1]] else chosen[::-1]


def _named(info: Mapping[str, Any], text: str) -> list[str]:
    """The cells that a text names: one by its id, one in each group by a value, or one by a part of its id.

    Raises:
        SpecError: none, or several by a part.
    """
    cells = info["plan"]["cells"]
    if any(cell["id"] == text for cell in cells):
        return [text]
    compare = {name: suite["compare"] for name, suite in info["plan"]["suites"].items()}
    values = {cell["id"]: as_text(cell["point"][compare[cell["suite"]]]) for cell in cells if not cell["twin"]}
    if by_value := [cell for cell, value in values.items() if value == text]:
        return by_value
    parts = [cell["id"] for cell in cells if text and text in cell["id"]]
    plain = [name for name in parts if name in values] or parts
    if len(plain) == 1:
        return plain
    if plain:
        raise SpecError(f"{quote(text)} is a part of {len(plain)} cells: {', '.join(plain)}; give more of one")
    raise SpecError(one_of("cell", text, list(dict.fromkeys([*values.values(), *(cell["id"] for cell in cells)]))))


def _untimed(run: StoredRun, cell: str) -> str:
    """Why a cell has no step that may be compared, or ""."""
    planned = next(one for one in run.info["plan"]["cells"] if one["id"] == cell)
    if planned["outcome"] != "ok":
        return f"{planned['outcome']}: {planned['reason']}"
    own = [record for record in run.records if record.cell == cell]
    if not own:
        return "it was never launched"
    bad = [record for record in own if record.outcome not in TIMED]
    return f"{bad[-1].outcome}: {bad[-1].reason}" if bad and len(bad) == len(own) else ""


def sample_again(run: StoredRun, base: str, own: str, progress: Progress, asking: Asking) -> SampledPair:
    """Launch two cells of a stored run, and sample their stacks.

    Raises:
        RunError: this is another machine than the run's, or its suites are not as they were.
        SpecError: a suite is gone, or a cell cannot be sampled.
        NotSampled: an arm was lost.
        KeyboardInterrupt: the user ends it.
    """
    options = run.info["options"]
    threads = int(options.get("threads", 1))
    differ = environment.mismatches(run.info["environment"], environment.environment(threads))
    if differ:
        raise RunError(f"{run.folder}: its stacks can be sampled only where it was measured: {'; '.join(differ)}")
    if any("loop" not in cell["point"] for cell in run.info["plan"]["cells"] if cell["id"] in (base, own)):
        raise SpecError(f"{run.folder}: a race of scripts: their stacks are not sampled; `py-spy record` looks at one")
    if run.info["sides"]:
        raise RunError(f"{run.folder}: a run of several environments cannot be launched again")
    suites, files = suites_of_run(run.info, asking.folders)
    plan = plan_of_document(run.info["plan"], suites, threads)
    cells = {cell.id: cell for cell in plan.cells}
    pair = cells[base], cells[own]
    for cell in pair:
        if reason := cell.unsupported or unsampled_reason(cell):
            raise SpecError(f"{cell.id}: {reason}")
    place = widest_layout(plan.cells, threads)
    with scratch_folder("explain-") as home, Fleet(threads, home / store.LOGS) as fleet:
        seed = int(options.get("seed", 0))

        def asked(cell: Cell) -> dict[str, Any]:
            return request(cell, files[cell.suite], place, threads=threads, seed=seed, caches=fleet.caches)

        progress.phase(f"sampling {base} and {own}")
        there = LaunchPlace(fleet, place, asked, lambda name: home / store.LOGS / f"{name}.log", seed, asking.timeout)
        try:
            return sample_pair(pair, there, asking.seconds)
        except Interrupted:
            raise KeyboardInterrupt from None
