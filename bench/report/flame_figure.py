"""The differential flame graph: an icicle of the costlier loop's step, redder where it takes more than the other's.

SVG by hand: widths are shares of the picture and heights are pixels, so that its text keeps its size on a telephone,
and a name that has no room is cut at its frame. Nothing in it needs a script; a pointer that rests on a frame has all.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.analysis.explain import Explanation, StackNode, explain, timed_difference
from bench.analysis.pairs import step_rules
from bench.borders import one_line
from bench.report.drawing import Drawing
from bench.report.explain import cell_names, explained_sentence, sampled_note, share_text, short_function
from bench.report.units import percent, quantity
from bench.results.stacks import read_stacks
from bench.results.store import StoredRun

_FONT = 11  # px, at every width
_ROW, _GAP = 20, 1  # px
_DEPTH = 7  # rows of frames below the whole step
_EDGE = "#ffffff"
_LEAST_WIDTH = 0.35  # percent of the picture; what is narrower is not drawn
_LISTED_ENTRIES, _LISTED_FUNCTIONS = 8, 5
_MORE, _SAME, _LESS = (239, 138, 120), (226, 226, 220), (150, 186, 236)
_INK_ON_FRAMES = "#161616"  # on each of these colours it has a contrast of 7 at least
# Rules of a page's style sheet for whole figures would reach the frames, which are SVG elements too.
_OWN = "height:{height}px;width:{width};min-width:0;background:none;border:0;padding:0;margin:0;display:inline"


def draw_flames(run: StoredRun) -> list[Drawing]:
    """A flame graph for each pair of cells that was sampled for this run; none where nothing can be explained."""
    found: list[Drawing] = []
    rules = None
    cells = {cell["id"] for cell in run.info["plan"]["cells"]}
    for pair in read_stacks(run.folder):
        base, own = (cell.cell for cell in pair.cells)
        if not {base, own} <= cells:
            continue
        rules = rules or step_rules(run)
        try:
            step, difference = timed_difference(run, base, own, rules)
        except ValueError:  # sampled, but never timed together
            continue
        drawn, taken = draw_flame(run, explain(step, difference, pair)), [one.title for one in found]
        found.append(replace(drawn, title=f"{drawn.title}: {one_line(own)}") if drawn.title in taken else drawn)
    return found


def draw_flame(run: StoredRun, explanation: Explanation) -> Drawing:
    """The picture of one explanation."""
    names = cell_names(run, explanation)
    base, own = (one_line(name) for name in names)
    title = f"Where {own} spends more than {base}"
    caption = (
        f"{explained_sentence(explanation, names)}. The widest frame is a step of {own}; below it stands what its time "
        f"goes to, and below that the functions, each under its caller. Red: more than in {base}; grey: as much; blue: "
        f"less. {sampled_note(explanation)}{''.join(f' {note}.' for note in explanation.notes)}"
    )
    return Drawing(title, caption, flame_svg(explanation, (base, own)), section="flame")


@dataclass(frozen=True)
class _Frame:
    """A frame as it is drawn: left end and width in percent, row, node."""

    left: float
    width: float
    row: int
    node: StackNode


def flame_svg(explanation: Explanation, names: tuple[str, str]) -> str:
    """The SVG element.

    Args:
        names: of the cells, the base first, each on one line.
    """
    base, own = names
    functions = [part for part in explanation.functions if part.kind == "own"]
    listed = [
        part
        for kind, most in ((explanation.entries, _LISTED_ENTRIES), (functions, _LISTED_FUNCTIONS))
        for part in [one for one in kind if one.told and one.more > 0][:most]
    ]
    parts = list(
        _listed(explanation, [(short_function(one.name), one.more, share_text(explanation, one)) for one in listed])
    )
    top = _ROW * len(parts) + (_ROW // 2 if parts else 0)
    frames = list(_frames(explanation.tree))
    for frame in frames:
        text = own if frame.row == 0 else short_function(frame.node.name, 200)
        if frame.row == 0:
            text = f"{own}: {quantity(frame.node.own, 's')} a step, {base}: {quantity(frame.node.base, 's')}"
        parts.append(_drawn(frame, text, top, explanation, names))
    height = top + (_ROW + _GAP) * (1 + max(frame.row for frame in frames))
    label = html.escape(f"Flame graph of a step of {own} over {base}", quote=True)
    style = _OWN.format(height=height, width="100%").replace("display:inline", "display:block")
    start = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" style="{style}">'
    return f"{start}{''.join(parts)}</svg>"


def _listed(explanation: Explanation, entries: Sequence[tuple[str, float, str]]) -> Iterator[str]:
    """The largest entries as bars with their names upon them, from top to bottom."""
    largest = max((more for _, more, _ in entries), default=0.0)
    for row, (name, more, told) in enumerate(entries):
        text = html.escape(one_line(f"{told} {name}, {quantity(more, 's', signed=True)}"))
        yield (
            f'<rect x="0" y="{row * _ROW}" width="{100 * more / largest:.2f}%" height="{_ROW - 2}" fill="rgb{_MORE}" '
            f'fill-opacity="0.4"/><text x="6" y="{row * _ROW + 14}" font-size="{_FONT + 1}" fill="currentColor">'
            f"{text}</text>"
        )


def _frames(root: StackNode) -> Iterator[_Frame]:
    """All frames that are wide enough, callees within their callers, what is the loop's own before shared work."""
    whole = root.own or 1.0

    def below(node: StackNode, left: float, row: int) -> Iterator[_Frame]:
        width = 100 * node.own / whole
        if width < _LEAST_WIDTH or row > _DEPTH:
            return
        yield _Frame(left, width, row, node)
        inside = node.inside
        if row == 0:
            inside = tuple(sorted(inside, key=lambda one: (one.kind != "own", -one.own, one.name)))
        for one in inside:
            yield from below(one, left, row + 1)
            left += 100 * one.own / whole

    yield from below(root, 0.0, 0)


def _drawn(frame: _Frame, text: str, top: int, explanation: Explanation, names: tuple[str, str]) -> str:
    node, (base, own) = frame.node, names
    told = (
        f"{node.name}: {quantity(node.own, 's')} a step of {own}, {quantity(node.base, 's')} of {base}; "
        f"{quantity(node.more, 's', signed=True)}, {percent(explanation.share(node.more))} of the difference"
    )
    width = f"{frame.width:.2f}%"
    style = _OWN.format(height=_ROW, width=width)
    y = top + frame.row * (_ROW + _GAP)
    shown = f'<text x="4" y="14" font-size="{_FONT}" fill="{_INK_ON_FRAMES}">{html.escape(one_line(text))}</text>'
    return (
        f'<svg x="{frame.left:.2f}%" y="{y}" width="{width}" height="{_ROW}" style="{style}">'
        f"<title>{html.escape(one_line(told))}</title>"
        f'<rect width="100%" height="{_ROW}" fill="{_colour(node)}" stroke="{_EDGE}" stroke-opacity="0.7"/>'
        f"{shown if frame.width > 1.5 else ''}</svg>"
    )


def _colour(node: StackNode) -> str:
    """From grey, as much as in the other loop, to red, all of it more, or blue, half of it less and beyond."""
    part = node.more / node.own if node.own else 0.0
    end, weight = (_MORE, min(1.0, part)) if part > 0 else (_LESS, min(1.0, -part))
    mixed = (round(a + (b - a) * weight) for a, b in zip(_SAME, end, strict=True))
    return f"rgb({','.join(map(str, mixed))})"
