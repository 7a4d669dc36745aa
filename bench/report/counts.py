"""Counts as plain text: what a step of each cell does, and what accounts for what one does more than the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.count_differences import (
    COUNT_WORDS,
    FUNCTIONS,
    CountDifference,
    CountPart,
    MetricCount,
    accounted_for,
    per_step,
)
from bench.borders import one_line
from bench.commands.counting import CountedCell, Counts
from bench.plan.cell import Group, as_text
from bench.plan.suite import Suite
from bench.report.text_layout import align_rows, titled_list, wrap_text

MOST_FUNCTIONS = 12  # functions in a table; all of them are in `--format json`
LONGEST = 70  # of a function's name
COUNTS_NOTE = (
    "Counted, not timed: no figure here has an interval, and none was the same by chance. Each cell was counted in two "
    "interpreters with other hash seeds; what was not the same in both is marked ~ and compared with nothing."
)


def render(counts: Counts) -> str:
    """All groups, then what must be said below them."""
    parts = [_group(counts.suites[group.suite], group, cells, counts.steps) for group, cells in counts.groups]
    return "\n\n".join([*parts, "\n".join(wrap_text(COUNTS_NOTE))]) + "\n"


def _group(suite: Suite, group: Group, cells: Sequence[CountedCell], steps: int) -> str:
    label = {one.cell.id: one_line(as_text(one.cell.point[suite.compare])) for one in cells}
    lines = wrap_text(f"{group.id}: a step, over {steps} steps; baseline {as_text(suite.baseline)}")
    seen = [one for one in cells if one.metrics]
    if seen:
        names = list(seen[0].metrics)
        table = [["", *(COUNT_WORDS[name][1].removeprefix("objects of ") for name in names)]]
        table += [[label[one.cell.id], *(_figure(one.metrics[name]) for name in names)] for one in seen]
        lines += align_rows(table)
    for one in cells:
        lines += wrap_text(f"{one.cell.id}: {one.outcome}: {one.reason}", "  ") if one.reason else []
    lines += ["", *titled_list("Not compared:", [text for one in seen for text in _not_exact(label[one.cell.id], one)])]
    base = label.get(group.cells[0].id, as_text(suite.baseline))
    if not any(one.cell.id == group.cells[0].id for one in seen):
        lines.append("  No comparison: the baseline has no counts.")
    for one in seen:
        for difference in one.differences.values():
            lines += _told(label[one.cell.id], base, difference)
    return "\n".join(lines).rstrip()


def _figure(one: MetricCount) -> str:
    if one.refused:
        return "–"
    return per_step(one.per_step) if one.exact else f"~{per_step(one.per_step)}"


def _not_exact(label: str, one: CountedCell) -> list[str]:
    """What is compared with nothing, and why."""
    found = []
    for metric in one.metrics.values():
        what = f"{label}: {metric.metric}"
        if metric.refused:
            found.append(f"{what}: {metric.refused}")
        elif not metric.exact:
            told = "; ".join(f"{name} {low} to {high}" for name, low, high in metric.unsteady[:3])
            more = f", and {len(metric.unsteady) - 3} more" if len(metric.unsteady) > 3 else ""
            totals = " and ".join(str(total) for total in metric.totals)
            found.append(f"{what}: {totals} in all, so more than the code decides{f': {told}{more}' if told else ''}")
    if one.other_ranks:
        found.append(f"{label}: other ranks count otherwise than rank 0, which is shown: {', '.join(one.other_ranks)}")
    return found


def _told(label: str, base: str, difference: CountDifference) -> list[str]:
    """One metric of one cell: a sentence, and of functions a table."""
    lines = wrap_text(difference_sentence(label, base, difference))
    if difference.metric == FUNCTIONS and difference.parts:
        table = [["", base, label, "difference"], *(_row(part) for part in difference.parts[:MOST_FUNCTIONS])]
        lines += align_rows(table)
        if len(difference.parts) > MOST_FUNCTIONS:
            lines.append(f"  and {len(difference.parts) - MOST_FUNCTIONS} functions more, in --format json")
    return [*lines, ""]


def difference_sentence(label: str, base: str, difference: CountDifference) -> str:
    """By how much, and what accounts for it: `trainer makes 412 Python calls a step more than plain: 96 in ...`."""
    one, several = COUNT_WORDS[difference.metric]
    size, which = abs(difference.more), "more" if difference.more > 0 else "fewer"
    much = f"{per_step(size)} {one if size == 1 else several} a step {which} than {base}"
    told = accounted_for(difference)
    return f"{label} makes {much if size else f'as many {several} a step as {base}, but others'}{told and f': {told}'}"


def _row(part: CountPart) -> list[str]:
    name = part.name if len(part.name) <= LONGEST else f"...{part.name[3 - LONGEST :]}"
    return [name, per_step(part.base), per_step(part.own), per_step(part.more, signed=True)]
