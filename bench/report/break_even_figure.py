"""When compiling has paid for its start: the time of both over the steps taken, and where they cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.estimates import CellSummary
from bench.analysis.findings import Finding
from bench.report.drawing import COLOURS, FAINT, INK, NARROW, TEXT, Drawing, drawing, even_ticks, figure_text
from bench.report.row_figure import ArmStyles
from bench.report.units import scale

_STARTS = {
    "break-even-cold": ("time_to_first_step_cold", "an empty cache"),
    "break-even-warm": ("time_to_first_step_warm", "a cache of an earlier launch"),
}
# What never pays is drawn over so many times what its start takes, in steps.
_NEVER = 4.0


@dataclass(frozen=True)
class BreakEven:
    """One start of one compiled cell beside its baseline.

    Attributes:
        start: what is in the cache, in words.
        usual, step: seconds to the baseline's first step, and of each of its steps.
        saved: seconds a step that compiling saves; less than 0 where it costs.
        extra: seconds that the compiled start takes longer: so many that the lines cross where the launches say, which
            is their mean there; where they say never, as it was seen.
        crossing, low, high: steps, as they are told; None: never, or not known.
    """

    cell: str
    name: str
    start: str
    usual: float
    step: float
    saved: float
    extra: float
    crossing: float | None
    low: float | None
    high: float | None

    def eager_at(self, steps: float) -> float:
        """Seconds that the baseline takes for so many steps, its start included."""
        return self.usual + steps * self.step

    def compiled_at(self, steps: float) -> float:
        """The same of the compiled cell."""
        return self.usual + self.extra + steps * (self.step - self.saved)

    @property
    def reach(self) -> float:
        """Steps up to which it is drawn."""
        if self.crossing:
            return max(2 * self.crossing, min(1.15 * (self.high or 0.0), 4 * self.crossing))
        return max(_NEVER * abs(self.extra) / self.step, 10.0) if self.step > 0 else 10.0


def break_evens(cells: Sequence[CellSummary], axis: str, answers: Sequence[Finding]) -> list[BreakEven]:
    """Those of one group whose starts and steps are known.

    Args:
        axis: the compared one.
        answers: the summary's.
    """
    by_id = {cell.id: cell for cell in cells}
    found = []
    for answer in answers:
        cell = by_id.get(answer.cell)
        if cell is None or cell.versus is None or answer.kind not in _STARTS:
            continue
        metric, words = _STARTS[answer.kind]
        base = by_id.get(cell.versus.baseline)
        if base is None or "time_to_first_step" not in base.metrics or metric not in cell.metrics:
            continue
        if "step_time" not in base.metrics:
            continue
        usual, step = base.metrics["time_to_first_step"].estimate, base.metrics["step_time"].estimate
        saved = -cell.versus.difference.estimate
        crosses = answer.estimate is not None and saved > 0
        extra = answer.estimate * saved if answer.estimate is not None and crosses else None
        seen = cell.metrics[metric].estimate - usual
        found.append(
            BreakEven(
                cell.id,
                str(cell.point[axis]),
                words,
                usual,
                step,
                saved,
                seen if extra is None else extra,
                answer.estimate if crosses else None,
                answer.low,
                answer.high,
            )
        )
    return found


def draw_break_evens(group: str, found: Sequence[BreakEven], style: ArmStyles) -> Drawing:
    """The figure of one group, of one start or more, one above the other."""
    each = 2.35
    height = each * len(found)
    figure = Figure(figsize=(NARROW, height))
    for number, one in enumerate(found):
        bottom = height - each * (number + 1)
        panel = figure.add_axes((0.135, (bottom + 0.48) / height, 0.825, (each - 0.8) / height))
        _draw(panel, one)
    return drawing(
        figure,
        f"break-even-{borders.file_name(group)}",
        style.titled("When compiling has paid for its start", group),
        "Lines: time from the start of the loop over the steps taken, dashed as it is, solid compiled. Mark: the steps "
        "after which compiling has paid, as the sentence has them; grey: their 95 % interval over launches, open where "
        "it has no end.",
        "compile",
    )


def _draw(panel: Axes, one: BreakEven) -> None:
    reach = one.reach
    factor, unit = scale(max(one.eager_at(reach), one.compiled_at(reach)), "s")
    ends = [0.0, reach]
    if one.low is not None:
        high = reach if one.high is None else min(one.high, reach)
        panel.axvspan(min(one.low, reach), high, color=FAINT, alpha=0.25, linewidth=0)
    panel.plot(
        ends, [one.eager_at(end) / factor for end in ends], "--", color=COLOURS[1], linewidth=1.6, label="as it is"
    )
    panel.plot(ends, [one.compiled_at(end) / factor for end in ends], color=COLOURS[0], linewidth=1.6,
               label=figure_text(f"compiled: {one.name}", 28))  # fmt: skip
    if one.crossing is not None:
        panel.plot([one.crossing], [one.eager_at(one.crossing) / factor], "D", color=INK, markersize=5)
    panel.set_title(figure_text(f"From {one.start}: {crossing_words(one)}", 58), fontsize=TEXT, pad=4)
    panel.set(xlim=(0, reach), xlabel="steps", ylabel=f"time, {unit}")
    panel.set_ylim(bottom=0)
    even_ticks(panel)
    even_ticks(panel, "y", count=4)
    panel.grid(axis="y")
    panel.legend(loc="lower right", fontsize=TEXT, borderaxespad=0.2)


def crossing_words(one: BreakEven) -> str:
    """After how many steps: `after 1,240 steps [980, 1,610]`."""
    if one.crossing is None:
        return "never, by what was seen"
    text = f"after {one.crossing:,.0f} steps"
    if one.low is None:
        return text
    return f"{text} [{one.low:,.0f}, {'no end' if one.high is None else f'{one.high:,.0f}'}]"
