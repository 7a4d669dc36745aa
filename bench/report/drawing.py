"""What all figures share: their look, their texts, their SVG."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure

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


FIGURE_WIDTH = 10.5


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


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element without anything that changes from run to run or clashes with other figures."""
    out = io.StringIO()
    with warnings.catch_warnings():
        # Texts stay texts in the SVG, so the reader's fonts draw them, and have letters that matplotlib's lacks.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', text, count=1)
    return text.replace(INK, "currentColor").strip()
