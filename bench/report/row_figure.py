"""The form of most figures: a row for each arm, its name and its figure as text above what is drawn of it.

Names above their rows, and not beside them, leave the whole width of a telephone for what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.summary import Summary
from bench.report import tables
from bench.report.drawing import ARM_MARKS, COLOURS, FAINT, INK, NARROW, TEXT, figure_text

# Letters of name and figure that a row has place for, as wide as a page's letters are at most in the mean.
ROW_LETTERS = 54
_LEAST_NAME = 10
ROW = 0.46  # inches
_EDGE = 0.24
PLACE, HALF = 0.19, 0.22  # of what is drawn within a row that is 1 high: its middle, and half its height


@dataclass(frozen=True)
class ArmStyles:
    """How cells are called and marked in all figures of a page.

    Attributes:
        names: of each cell, by its id; different values have different names, though they may be shown alike.
        colours, marks: by name.
        titles: of each group.
    """

    names: Mapping[str, str]
    colours: Mapping[str, str]
    marks: Mapping[str, str]
    titles: Mapping[str, str]

    @staticmethod
    def of(summary: Summary) -> ArmStyles:
        taken: dict[str, str] = {}
        names: dict[str, str] = {}
        used: set[str] = set()
        twins: set[str] = set()
        for cell in summary.cells:
            raw = tables.arm_name(summary.compare[cell.suite], cell)
            if raw not in taken:
                name = figure_text(raw)
                taken[raw] = name if name not in used else f"{name} ({len(used) + 1})"
                used.add(taken[raw])
            names[cell.id] = taken[raw]
            if cell.twin:
                twins.add(taken[raw])
        arms = [name for name in taken.values() if name not in twins]
        colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(arms)}
        marks = {name: ARM_MARKS[number % len(ARM_MARKS)] for number, name in enumerate(arms)}
        return ArmStyles(
            names, {**colours, **dict.fromkeys(twins, FAINT)}, {**marks, **dict.fromkeys(twins, "d")}, _titles(summary)
        )

    def titled(self, words: str, group: str) -> str:
        """The title of a figure of one group; where there is but one, nobody has to say which."""
        return f"{words} ({self.titles[group]})" if len(self.titles) > 1 else words


def _titles(summary: Summary) -> dict[str, str]:
    """What each group is called; two that are shown alike are told apart, since a page's figures have one name each."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for number, (group, title) in enumerate(tables.titles(summary).items(), 1):
        text = borders.one_line(title)
        found[group] = text if text not in used else f"{text}, group {number}"
        used.add(found[group])
    return found


def row_figure(names: Sequence[str], figures: Sequence[str], label: str) -> tuple[Figure, Axes]:
    """A figure with a row for each name, the first above.

    Args:
        names: of the rows, as `figure_text` gives them.
        figures: what stands at their right end.
        label: of the axis.
    """
    count = max(1, len(names))
    height = 0.06 + ROW * count + 0.48
    figure = Figure(figsize=(NARROW, height))
    panel = figure.add_axes((_EDGE / NARROW, 0.48 / height, 1 - 2 * _EDGE / NARROW, ROW * count / height))
    panel.set(ylim=(count - 0.5, -0.5), yticks=[])
    panel.spines["left"].set_visible(False)
    for place, (name, text) in enumerate(zip(names, figures, strict=True)):
        room = max(_LEAST_NAME, ROW_LETTERS - len(text))
        short = name if len(name) <= room else f"{name[: room - 1]}…"
        anchored: Any = {"transform": panel.get_yaxis_transform(), "va": "center", "fontsize": TEXT}
        # A cut may leave a `\` before what it escaped, or half of it.
        panel.text(0, place - 0.25, borders.plot(short.replace(r"\$", "$").rstrip("\\")), **anchored)
        panel.text(1, place - 0.25, figure_text(text, ROW_LETTERS), ha="right", **anchored)
    panel.set_xlabel(label)
    return figure, panel


def draw_upright(panel: Axes, x: float, rows: int) -> None:
    """A line at `x` through what is drawn of so many rows, and through none of their texts."""
    ends = [end for row in range(rows) for end in (row + PLACE - HALF - 0.06, row + PLACE + HALF + 0.06, math.nan)]
    panel.plot([x] * len(ends), ends, color=INK, linewidth=0.8, zorder=1.5)
