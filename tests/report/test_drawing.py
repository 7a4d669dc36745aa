"""Drawings read well wherever they stand: on a telephone, on white and dark pages, of any text and of any size."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from synthetic import Arm, Truth, make, race
from tiers import examples

from bench.analysis.summary import summarize
from bench.report.drawing import (
    COLOURS,
    FAINT,
    STYLE,
    Drawing,
    decade_ticks,
    figure_text,
    tick_texts,
)
from bench.report.figures import draw_run
from bench.report.row_figure import ROW_LETTERS, ArmStyles, row_figure
from bench.results.store import StoredRun

TELEPHONE = 358  # pixels that a page of 390 has for a figure
LEAST_TEXT = 9.0  # pixels
SVG = "{http://www.w3.org/2000/svg}"
NASTY = (
    "x" * 300,
    "</text><script>alert(1)</script>",
    r"C:\Users\me\new\table.py",
    "$x$ and $\\frac{1}{2}",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd",
    "\U0001f600\U0001f468\u200d\U0001f469",
    "_hidden",
    "%s {0} \\$",
    "",
)


def luminance(colour: str) -> float:
    """Relative, by WCAG 2.1."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#fcfcfb", "#14171a", "#1b1f23"])
def test_every_colour_is_told_from_a_white_page_and_from_a_dark_one(page: str) -> None:
    assert {colour: contrast(colour, page) for colour in (*COLOURS, FAINT) if contrast(colour, page) < 3} == {}


def faults(drawing: Drawing) -> list[str]:
    """What nobody could read, or what is no figure."""
    root = ElementTree.fromstring(drawing.svg)
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    scale = TELEPHONE / width
    found = [] if root.attrib.get("aria-label") and root.attrib.get("role") == "img" else ["nobody hears it"]
    found += [] if width <= 361 and height <= 2000 else [f"{width} by {height} units"]
    for element in root.iter():
        tag = element.tag.removeprefix(SVG)
        if tag in ("script", "foreignObject", "image", "a", "iframe"):
            found.append(f"an element {tag}")
        if tag == "path" and re.search(r"nan|inf", element.attrib.get("d", "")):
            found.append("a path to nowhere")
        if tag == "text":
            size = re.search(r"font(?:-size)?: [^;]*?([\d.]+)px", element.attrib.get("style", ""))
            if size is None or float(size[1]) * scale < LEAST_TEXT:
                found.append(f"text {element.text!r} of {size and size[1]} units")
    if re.search(r"#010203", drawing.svg):
        found.append("ink that is not the page's")
    return found


def drawings_of(run: StoredRun) -> list[Drawing]:
    drawings = draw_run(run, summarize(run))
    assert len({drawing.title for drawing in drawings}) == len(drawings)
    ids = [name for drawing in drawings for name in re.findall(r' id="([^"]*)"', drawing.svg)]
    assert len(set(ids)) == len(ids)
    return drawings


def check(run: StoredRun, sections: Sequence[str] = ()) -> None:
    drawings = drawings_of(run)
    assert {f"{one.title}: {fault}" for one in drawings for fault in faults(one)} == set()
    assert set(sections) <= {drawing.section for drawing in drawings}


def named(run: StoredRun, axis: str, text: str) -> StoredRun:
    """The run with the last value of its compared axis, and another axis, called so."""
    values = list(dict.fromkeys(cell["point"][axis] for cell in run.info["plan"]["cells"]))

    def point(old: Any) -> dict[str, Any]:
        value = f"{values[-1]}{text}" if old[axis] == values[-1] else old[axis]
        return {**old, axis: value, "place": text}

    cells = [{**cell, "point": point(cell["point"])} for cell in run.info["plan"]["cells"]]
    records = tuple(replace(record, point=point(record.point)) for record in run.records)
    seen = tuple(replace(record, point=point(record.point)) for record in run.instrumented)
    return replace(run, info={**run.info, "plan": {**run.info["plan"], "cells": cells}}, records=records,
                   instrumented=seen)  # fmt: skip


STARTS = {"time_to_first_step_cold": 5.0, "time_to_first_step_warm": 1.0}
RUNS = {
    "loops": (lambda: make(launches=3, instrument=2), ("cost", "distributions", "phases", "memory", "cell")),
    "devices": (lambda: race("devices", {1: Arm(1e-3), 2: Arm(1.2e-3, 64), 4: Arm(3e-3, 128)}), ("scaling",)),
    "precision": (lambda: race("precision", {"32-true": Arm(1e-3), "16-mixed": Arm(2e-3)}), ("precision",)),
    "compile": (
        lambda: race(
            "compile",
            {"off": Arm(1e-3, starts={"time_to_first_step": 0.1}), "default": Arm(0.8e-3, starts=STARTS)},
        ),
        ("compile",),
    ),
}


SMALL = make(launches=2, rounds=8, instrument=2, lengths={32: 1e-3})


@pytest.mark.parametrize("name", RUNS)
def test_text_is_nine_pixels_high_on_a_telephone_and_figures_have_names(name: str) -> None:
    run, sections = RUNS[name]
    check(run(), sections)


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:12])
def test_names_that_others_wrote_are_drawn_as_they_are_or_short(text: str) -> None:
    for name, axis in (("loops", "loop"), ("precision", "precision"), ("compile", "compile")):
        if name == "loops" or text in NASTY[:3]:
            run = SMALL if name == "loops" else RUNS[name][0]()
            check(named(run, axis, text), RUNS[name][1])


@settings(max_examples=examples(6), deadline=None)
@given(st.text(max_size=40))
@example("\x00\x1b[31m\ud800")
def test_any_name_is_drawn(text: str) -> None:
    check(named(SMALL, "loop", text))


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1.0, 1e4, 1e9])
def test_steps_of_any_length_are_drawn(size: float) -> None:
    truth = Truth(costs={"plain": 0.0, "fabric": 0.1 * size, "trainer": 3 * size}, lengths={32: size, 64: 2.5 * size})
    check(make(truth, launches=2, rounds=8), ("cost", "distributions"))


@settings(max_examples=examples(8), deadline=None)
@given(
    st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.sampled_from(["devices", "precision", "compile"]), st.integers(1, 4)
)
@example(1e-9, 1e9, "compile", 2)
@example(1e9, 1e-9, "devices", 1)
def test_whatever_a_race_gives_is_drawn(first: float, second: float, axis: str, launches: int) -> None:
    values: dict[str, tuple[Any, Any]] = {
        "devices": (1, 2),
        "precision": ("32-true", "16-true"),
        "compile": ("off", "on"),
    }
    starts = {"time_to_first_step_cold": second * 3, "time_to_first_step": first * 2}
    one, other = values[axis]
    check(race(axis, {one: Arm(first, starts=starts), other: Arm(second, starts=starts)}, launches=launches))


def test_runs_of_little_are_drawn_or_not_at_all() -> None:
    assert drawings_of(make(launches=0)) == []
    check(make(launches=1), ("distributions", "cell"))
    lonely = make(launches=3, lengths={32: 1e-3})
    plan = lonely.info["plan"]
    kept = [cell for cell in plan["cells"] if cell["point"]["loop"] == "plain" and not cell["twin"]]
    lonely = replace(
        lonely,
        info={**lonely.info, "plan": {**plan, "cells": kept}},
        records=tuple(record for record in lonely.records if record.cell == kept[0]["id"]),
    )
    check(lonely, ("distributions", "cell"))


def test_the_same_run_has_the_same_drawings() -> None:
    assert drawings_of(SMALL) == drawings_of(SMALL)


def test_fonts_that_are_not_there_are_no_obstacle() -> None:
    """The browser draws the text; what matplotlib lays it out with need not be what the reader has."""
    with matplotlib.rc_context({"font.sans-serif": ["No Such Font"], "font.serif": ["None Either"]}):
        check(SMALL, ("cost",))


def test_long_names_leave_room_for_the_figure_beside_them() -> None:
    with matplotlib.rc_context(STYLE):
        _, panel = row_figure([figure_text("n" * 200)], ["12.3 ms [11.9, 12.8]"], "ms")
    name, figure = (one.get_text() for one in panel.texts)
    assert name.endswith("…")
    assert len(name) + len(figure) <= ROW_LETTERS
    assert figure == "12.3 ms [11.9, 12.8]"


def test_arms_are_told_apart_without_colours() -> None:
    summary = summarize(race("loader", {number: Arm(1e-3) for number in range(12)}, launches=2))
    style = ArmStyles.of(summary)
    arms = [name for name in style.colours if "twin" not in name]
    assert len({(style.colours[name], style.marks[name]) for name in arms}) == len(arms) == 12
    assert all(style.marks[one] != style.marks[other] for one, other in itertools.pairwise(arms))


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0, 4000.0, 8000.0, 12000.0], ["0", "4,000", "8,000", "12,000"]),
        ([1.05, 1.2, 1.35], ["1.05", "1.20", "1.35"]),
        ([-0.5, 0.0, 0.5], ["-0.5", "0.0", "0.5"]),
        ([0.9975, 1.0], ["0.9975", "1.0000"]),
        ([2e9, 4e9], ["2e+09", "4e+09"]),
        ([1e-9, 2e-9], ["1e-09", "2e-09"]),
        ([5.0], ["5"]),
        ([], []),
    ],
)
def test_ticks_are_plain_numbers(values: list[float], texts: list[str]) -> None:
    assert tick_texts(values) == texts


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9), st.integers(2, 6))
def test_texts_of_ticks_tell_them_apart(start: float, apart: float, count: int) -> None:
    values = [start + number * apart for number in range(count)]
    texts = tick_texts(values)
    if all(later - earlier > 1e-12 * abs(start) for earlier, later in itertools.pairwise(values)):
        assert len(set(texts)) == count
    for value, text in zip(values, texts, strict=True):
        assert float(text.replace(",", "")) == pytest.approx(value, abs=max(0.01 * apart, 0.01 * abs(value)))


@given(st.floats(1e-9, 1e9), st.floats(1.001, 1e6))
def test_a_logarithmic_scale_has_a_few_ticks_within_it(low: float, span: float) -> None:
    ticks = decade_ticks(low, low * span)
    assert 2 <= len(ticks) <= 6
    assert all(low * 0.97 <= tick <= low * span * 1.03 for tick in ticks)
    assert ticks == sorted(set(ticks))
    assert all(math.isfinite(tick) for tick in ticks)
