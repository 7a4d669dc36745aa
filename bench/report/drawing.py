"""What all figures share: their look, their texts, their SVG."""

from __future__ import annotations

import html
import io
import itertools
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import bench.borders as borders

# Text, axes and grid are drawn in a colour that no palette has, which then becomes the page's text colour, so that one
# figure serves light and dark pages.
INK = "#010203"


STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "loopmark",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": INK,
    "grid.alpha": 0.12,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
}


# Figures of pages that are read on a wide screen, inches of 72 units.
FIGURE_WIDTH = 10.5
# Figures that a telephone shows too: 360 units on the 358 pixels that a page 390 pixels wide has room for, so that text
# of 10 units is as many pixels high. Wide pages set several side by side.
NARROW = 5.0
TEXT = 10

# Told from a white page and from a dark one alike: contrast 3 or more with both (WCAG 2.1, 1.4.11; a test holds it).
COLOURS = ("#2f7fc9", "#c76a15", "#1f8f66", "#b65fb0", "#d6455d", "#9a7440", "#2b8f9e", "#8069d0")
FAINT = "#7d8590"
# Nobody needs to tell colours apart: arms have marks of their own.
ARM_MARKS = ("o", "s", "^", "D", "v", "P", "X")


# Letters of a name in a figure; a longer one would leave no place for what is drawn.
_LETTERS = 48


TITLE_LETTERS = 110


# Under which heading of a run's page a figure stands; "" on a page without such headings.
Section = Literal[
    "",
    "cost",
    "distributions",
    "goal",
    "ladder",
    "precision",
    "scaling",
    "compile",
    "phases",
    "memory",
    "ceilings",
    "cell",
    "flame",
]


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        title: its heading, which no other figure of the page has.
        caption: what to see in it.
        svg: the SVG element.
        section: the heading of the page under which it stands.
        cell: the id of the cell that it is of, where it is of one; else "".
    """

    title: str
    caption: str
    svg: str
    section: Section = ""
    cell: str = ""


def figure_text(text: str, letters: int = _LETTERS) -> str:
    """A text of foreign origin as figures show it: no formula, on one line, not longer than there is place for."""
    text = borders.one_line(text)
    return borders.plot(text if len(text) <= letters else text[: letters - 1] + "…")


def svg(figure: Figure, name: str, says: str = "", data: Mapping[str, str] | None = None) -> str:
    """The figure as an SVG element without anything that changes from run to run or clashes with other figures.

    Args:
        name: of the figure; ids within it begin so.
        says: what it shows, for those who do not see it; its name if "".
        data: attributes of the element, without `data-`.
    """
    out = io.StringIO()
    with warnings.catch_warnings():
        # Texts stay texts in the SVG, so the reader's fonts draw them, and have letters that matplotlib's lacks.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    label = html.escape(borders.one_line(says or name.replace("-", " ")), quote=True)
    given = "".join(f' data-{key}="{html.escape(value, quote=True)}"' for key, value in (data or {}).items())
    narrow = ' class="narrow"' if figure.get_figwidth() <= NARROW else ""
    own = f'{narrow} id="{name}" role="img" aria-label="{label}"{given}'
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', lambda found: found[1] + own, text, count=1)
    # A hundredth of a unit is more than a screen shows; what stands between tags is nobody's coordinate.
    text = re.sub(r' (?:d|x|y|points|transform)="[^"]*"', lambda found: re.sub(r"\.(\d\d)\d+", r".\1", found[0]), text)
    text = re.sub(r"\n\s*", "\n", text)
    # The page's own font, and no turn by nothing: both are said with every text.
    text = re.sub(r' font-family: [^;"]*;|(?<=") transform="rotate\(-?0 [^"]*"', "", text)
    # Each mark of a series says its style again, which is most of the bytes of a figure of many.
    text = re.sub(r'(?:<use [^>]*? style="([^"]*)"/>\n)(?:<use [^>]*? style="\1"/>\n)+', _style_once, text)
    return text.replace(INK, "currentColor").strip()


def _style_once(marks: re.Match[str]) -> str:
    style = f' style="{marks[1]}"'
    return f"<g{style}>\n{marks[0].replace(style, '')}</g>\n"


@dataclass(frozen=True)
class KeptFigure:
    """A figure as matplotlib has it, with the name that its SVG would have, and its texts."""

    name: str
    figure: Figure
    drawing: Drawing


_kept: ContextVar[list[KeptFigure] | None] = ContextVar("kept figures", default=None)


@contextmanager
def kept_figures() -> Iterator[list[KeptFigure]]:
    """While this is open, figures are kept in the list that it gives, and no SVG is made of them."""
    found: list[KeptFigure] = []
    before = _kept.set(found)
    try:
        yield found
    finally:
        _kept.reset(before)


def drawing(
    figure: Figure,
    name: str,
    title: str,
    caption: str,
    section: Section,
    cell: str = "",
    data: Mapping[str, str] | None = None,
) -> Drawing:
    """A figure with its texts; who does not see it hears its title."""
    kept = _kept.get()
    made = Drawing(title, caption, svg(figure, name, title, data) if kept is None else "", section, cell)
    if kept is not None:
        kept.append(KeptFigure(name, figure, made))
    return made


def even_ticks(panel: Axes, axis: Literal["x", "y"] = "x", *, count: int = 5) -> None:
    """A few ticks with plain numbers, whose texts have no factor beside them."""
    low, high = panel.get_xlim() if axis == "x" else panel.get_ylim()
    low, high = min(low, high), max(low, high)
    values = [float(value) for value in MaxNLocator(nbins=count).tick_values(low, high)]
    values = [value for value in values if low <= value <= high]
    texts = tick_texts(values)
    if axis == "x" and sum(map(len, texts)) > 44:  # they would run into each other
        values, texts = [values[0], values[-1]], [texts[0], texts[-1]]
    (panel.set_xticks if axis == "x" else panel.set_yticks)(values, texts)


def tick_texts(values: Sequence[float]) -> list[str]:
    """Numbers, in ascending order, with as many digits as tell them apart; only what is huge or tiny has a power."""
    apart = min((later - earlier for earlier, later in itertools.pairwise(values)), default=0.0)
    largest = max(map(abs, values), default=0.0)
    if largest < 1e7 and (apart >= 1e-6 or not apart):
        for decimals in range(10):
            if all(abs(round(value, decimals) - value) <= 1e-3 * apart for value in values):
                return [f"{round(value, decimals) + 0.0:,.{decimals}f}" for value in values]
    for digits in range(3, 17):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [f"{value:.3g}" for value in values]


def decade_ticks(low: float, high: float) -> list[float]:
    """For a logarithmic scale: 1, 2 and 5 of each power of ten, few of a long span; even ones of a short span."""
    if high < 4 * low:
        even = MaxNLocator(nbins=5).tick_values(low, high)
        ticks = [float(f"{tick:.12g}") for tick in even if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        return ticks if len(ticks) > 1 else [low, high]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        ticks = [float(f"{tick:.3g}") for tick in ticks if low * 0.98 <= tick <= high * 1.02]
        if len(ticks) >= 3:
            return ticks[:: max(1, -(-len(ticks) // 6))]
    return [low, high]
