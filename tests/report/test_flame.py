"""The flame graph and its sentence: what stands in them, at every width, whatever the names are."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from stacks import HOOKS, MORE, PLAIN, PLAIN_TOP, STEP, TRAINER, TRAINER_TOP, pair

from bench.analysis.estimates import StepDifference
from bench.analysis.explain import Explanation, explain
from bench.analysis.summary import summarize
from bench.report import html
from bench.report.explain import explained_sentence, render_explanation
from bench.report.figures import draw_run
from bench.report.flame_figure import draw_flames, flame_svg
from bench.report.verify import page_differences
from bench.results.stacks import add_stacks
from bench.results.store import StoredRun

NAMES = ("plain", "trainer")
SVG = "{http://www.w3.org/2000/svg}"


def found(more: float = MORE, low: float | None = 0.98, high: float | None = 1.02, **changes: object) -> Explanation:
    interval = (None if low is None else low * more, None if high is None else high * more)
    return explain(STEP, StepDifference("s", more, *interval, 8), pair(**changes))  # type: ignore[arg-type]  # of a test


def run(tmp_path: Path) -> StoredRun:
    base, own = synthetic.cell_id("plain", 32), synthetic.cell_id("trainer", 32)
    add_stacks(tmp_path, pair(names=(base, own)))
    return replace(synthetic.make(), folder=tmp_path)


def test_the_sentence_says_how_much_and_where() -> None:
    assert explained_sentence(found(), NAMES) == (
        "100 % of +1.45 ms [1.42, 1.48] a step that trainer takes more than plain: 69 % callbacks, 21 % progress bar, "
        "14 % calling hooks, -3.4 % loop's own lines"
    )


def test_a_difference_that_is_not_told_from_zero_is_not_explained() -> None:
    said = explained_sentence(found(low=-0.1), NAMES)
    assert said.endswith("which is not told from zero: there is nothing to explain")
    assert "%" not in said


def test_one_launch_is_told_to_be_one() -> None:
    assert ", of one launch, so without an interval: 69 % callbacks" in explained_sentence(
        found(low=None, high=None), NAMES
    )


def test_the_same_work_stands_last() -> None:
    slower = {
        stack: 1.3 * seconds if "mine" in "".join(stack[-2:]) or "torch" in stack[-1] else seconds
        for stack, seconds in TRAINER.items()
    }
    said = explained_sentence(found(sum(slower.values()) - STEP, own=slower), NAMES)
    assert re.search(r", \d+ % the same work, slower$", said)


def test_the_text_has_entries_functions_and_what_sampling_cost() -> None:
    text = render_explanation(found(costs=(0.15, 0.18)), NAMES)
    assert re.search(r"callbacks +1\.00 ms +0 s +\+1\.00 ms +69 %", text)
    assert "planted:burn" in text
    assert "made its steps 15 % and 18 % longer, which is taken off" in " ".join(text.split())


def test_every_frame_lies_within_its_caller_and_is_as_wide_as_its_time() -> None:
    explanation = found()
    root = ElementTree.fromstring(flame_svg(explanation, NAMES))
    frames = [
        (float(one.get("x", "").rstrip("%")), float(one.get("width", "").rstrip("%")), float(one.get("y", "")))
        for one in root.iter(f"{SVG}svg")
        if one is not root
    ]
    rows = sorted({y for _, _, y in frames})
    assert frames[0][:2] == (0.0, 100.0)
    for left, width, y in frames:
        assert left >= 0
        assert left + width <= 100.02
        if y > rows[0]:
            above = [one for one in frames if one[2] == rows[rows.index(y) - 1]]
            assert any(one[0] - 0.02 <= left and left + width <= one[0] + one[1] + 0.02 for one in above)
    for row in rows:
        own = sorted(one for one in frames if one[2] == row)
        assert all(one[0] + one[1] <= other[0] + 0.02 for one, other in pairwise(own))
    (burnt,) = [
        one for one in root.iter(f"{SVG}svg") if (one.findtext(f"{SVG}title") or "").startswith("mine.planted:burn:")
    ]
    assert float(burnt.get("width", "").rstrip("%")) == pytest.approx(100 * 1.0e-3 / (STEP + MORE), abs=0.02)


def test_red_is_more_and_blue_is_less() -> None:
    faster = {stack: seconds * (0.5 if stack[-1].startswith("torch") else 1) for stack, seconds in TRAINER.items()}
    root = ElementTree.fromstring(flame_svg(found(sum(faster.values()) - STEP, own=faster), NAMES))
    fills = {
        (one.findtext(f"{SVG}title") or "").partition(": ")[0]: (one.find(f"{SVG}rect") or one[1]).get("fill", "")
        for one in root.iter(f"{SVG}svg")
        if one is not root
    }
    colours = {name: [int(part) for part in re.findall(r"\d+", fill)] for name, fill in fills.items()}
    for name in ("mine.planted:burn", "callbacks", "progress bar"):
        assert colours[name][0] > colours[name][2] + 60
    assert colours["backward pass"][2] > colours["backward pass"][0] + 60
    assert abs(colours["data loading"][0] - colours["data loading"][2]) < 20


def test_text_keeps_its_size_on_a_telephone() -> None:
    """Nothing is scaled with the picture: no viewBox, heights in pixels, letters of 11 px."""
    svg = flame_svg(found(), NAMES)
    assert "viewBox" not in svg
    assert {int(size) for size in re.findall(r'font-size="(\d+)"', svg)} <= {11, 12}


# As an HTML page has it: XML, which is parsed here, lacks some characters besides.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]), min_size=1, max_size=300)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_whatever_functions_and_cells_are_called_the_picture_is_well_formed(name: str, function: str) -> None:
    own = {**TRAINER, (*HOOKS, f"mine.odd:{function}"): 0.5e-3}
    explanation = found(sum(own.values()) - STEP, own=own)
    svg = flame_svg(explanation, (html.borders.one_line(name), "trainer"))
    if "\x00" not in svg:
        ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert render_explanation(explanation, (name, "trainer"))


def test_figures_of_any_size_are_drawn() -> None:
    for factor in (1e-6, 1.0, 1e9):
        base, own = ({stack: seconds * factor for stack, seconds in side.items()} for side in (PLAIN, TRAINER))
        explanation = explain(STEP * factor, StepDifference("s", MORE * factor, None, None, 1), pair(base, own))
        few = factor < 1  # samples: of 1,000 steps of a nanosecond there are some only
        assert few or "69 % callbacks" in explained_sentence(explanation, NAMES)
        ElementTree.fromstring(flame_svg(explanation, NAMES))


def test_deep_and_wide_stacks_stay_small() -> None:
    deep = {(*TRAINER_TOP, *(f"mine.deep:f{number}.{level}" for level in range(40))): 1e-6 for number in range(500)}
    svg = flame_svg(found(sum(deep.values()), base={PLAIN_TOP: STEP}, own={**deep, PLAIN_TOP: STEP}), NAMES)
    assert len(svg) < 200_000


def test_the_page_has_it_and_verify_draws_it_again(tmp_path: Path) -> None:
    stored = run(tmp_path)
    (drawing,) = draw_flames(stored)
    assert (drawing.title, drawing.section) == ("Where trainer spends more than plain", "flame")
    summary = summarize(stored)
    drawn = draw_run(stored, summary)
    assert [one.title for one in drawn if one.section == "flame"] == [drawing.title]
    page = html.render(stored, summary, drawings=drawn)
    assert not page_differences(stored, page)
    wrong = page.replace("mine.planted:burn: 1.00 ms", "mine.planted:burn: 2.00 ms")
    if wrong == page:
        wrong = page.replace("mine.planted:burn: ", "mine.planted:burn: 9")
    assert any("Where trainer spends more than plain" in line for line in page_differences(stored, wrong))


def test_a_run_without_stacks_has_no_flame_graph(tmp_path: Path) -> None:
    assert draw_flames(replace(synthetic.make(), folder=tmp_path)) == []


def test_stacks_of_cells_that_are_not_in_the_plan_are_left_out(tmp_path: Path) -> None:
    add_stacks(tmp_path, pair(names=("gone[a=1]", "gone[a=2]")))
    assert draw_flames(replace(synthetic.make(), folder=tmp_path)) == []
