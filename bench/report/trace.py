"""Traces as plain text: what a step of each cell holds, and what one does that the baseline does not."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.count_differences import per_step
from bench.analysis.trace_profile import (
    NOTE,
    OperatorDifference,
    Profile,
    TracedCell,
    baseline_of,
    operator_differences,
)
from bench.borders import one_line
from bench.plan.cell import Group, as_text
from bench.plan.suite import Suite
from bench.report.text_layout import align_rows, wrap_text
from bench.report.units import quantity

LONGEST_OPERATOR = 60  # of an operator's name; names of kernels go on and on
ROWS = 40  # of differences in one table; all of them are in summary.json


def render(suite: Suite, group: Group, cells: Sequence[TracedCell], steps: int) -> str:
    """One group: its totals, the cells without a trace and why, then each cell against the baseline."""
    label = {traced.cell.id: one_line(as_text(traced.cell.point[suite.compare])) for traced in cells}
    seen = [(label[traced.cell.id], traced.profile) for traced in cells if traced.profile is not None]
    lines = wrap_text(f"{group.id}: per step, over {steps} steps; baseline {as_text(suite.baseline)}")
    if seen:
        lines += align_rows(_totals(seen), elsewhere="summary.json")
    for one in cells:
        lines += wrap_text(f"{one.cell.id}: {one.outcome}: {one.reason}", "  ") if one.reason else []
    lines += [part for traced in cells for part in _ranks(traced)]
    baseline = baseline_of(group, cells)
    if baseline is None or baseline.profile is None:
        return "\n".join([*lines, "  No comparison: the baseline has no trace."])
    for traced in cells:
        if traced is baseline or traced.profile is None:
            continue
        name, mine = label[traced.cell.id], label[baseline.cell.id]
        found = operator_differences(baseline.profile, traced.profile)
        told = "calls, and self time *" if found else "nowhere"
        lines += ["", *wrap_text(f"{name} per step, where its calls are not those of {mine}: {told}")]
        if found:
            header = ["", "kind", mine, name, "difference", f"{mine} *", f"{name} *"]
            lines += align_rows([header, *map(_row, found[:ROWS])], left=(0, 1), keep=(0, 4), elsewhere="summary.json")
        if len(found) > ROWS:
            lines.append(f"  and {len(found) - ROWS} names more, in summary.json")
    return "\n".join(lines)


def footnote() -> str:
    """What must be said below any of these tables."""
    return "\n".join(wrap_text(NOTE, "* "))


def _totals(seen: Sequence[tuple[str, Profile]]) -> list[list[str]]:
    """The table of totals; columns of the device only where something ran on one."""
    device = any(profile.device for _, profile in seen)
    header = ["", "operators", "copies", "item()", *(["kernels", "memcpys", "waits"] if device else [])]
    table = [[*header, "in operators *", "outside any *", "step *"]]
    for name, profile in seen:
        on_device = [profile.total("kernel"), _memcpys(profile), _waits(profile)] if device else []
        counts = [
            profile.total("wait", "copy", "operator", "backward") - _memcpys(profile) - _waits(profile),
            profile.count("aten::copy_"),
            profile.count("aten::_local_scalar_dense"),
            *on_device,
        ]
        times = [profile.step_seconds - profile.outside_seconds, profile.outside_seconds, profile.step_seconds]
        table.append([name, *map(per_step, counts), *(quantity(seconds, "s") for seconds in times)])
    return table


def _ranks(traced: TracedCell) -> list[str]:
    """A line for each rank that does not call what rank 0 calls; the tables are rank 0's."""
    lines = []
    for number, rank in enumerate(traced.ranks, start=1):
        names = [item.name for item in operator_differences(traced.profile, rank)] if traced.profile is not None else []
        if names:
            told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            lines += wrap_text(f"{traced.cell.id}: rank {number} differs from rank 0 in {told}", "  ")
    return lines


def _memcpys(profile: Profile) -> float:
    return sum(item.count for item in profile.operators.values() if item.name.startswith("Memcpy")) / profile.steps


def _waits(profile: Profile) -> float:
    kinds = [item for item in profile.operators.values() if item.kind == "wait" and not item.name.startswith("aten::")]
    return sum(item.count for item in kinds) / profile.steps


def _row(item: OperatorDifference) -> list[str]:
    name = one_line(item.name)
    name = name if len(name) <= LONGEST_OPERATOR else f"{name[: LONGEST_OPERATOR - 3]}..."
    more = item.count[1] - item.count[0]
    times = [quantity(seconds, "s") if calls else "" for seconds, calls in zip(item.seconds, item.count, strict=True)]
    return [name, item.kind, *map(per_step, item.count), per_step(more, signed=True), *times]
