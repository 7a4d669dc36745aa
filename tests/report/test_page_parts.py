"""Parts of a run's page that are made by hand: words, one's own step, what is not shown, sections and rows of cells."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from synthetic import FABRIC, PLAIN, TRAINER, cell_id, make

from bench.analysis.costs import models
from bench.analysis.frames import frames_of
from bench.analysis.summary import Summary, summarize
from bench.report import html
from bench.report.cell_markup import cell_anchor
from bench.report.not_shown import noise_floor, not_shown
from bench.report.page_words import PAGE_WORDS, word_anchor
from bench.report.pages import parse_page
from bench.report.row_figure import ArmStyles
from bench.report.sentences import headlines
from bench.report.step_choices import StepChoices, step_choices, steps_between
from bench.report.tables import arm_name, label, short_label
from bench.results.store import StoredRun

RUN = make(launches=4)


def glossary() -> dict[str, str]:
    """The words of docs/glossary.md and their meanings, without markup."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    found = {}
    for line in text.splitlines():
        if line.startswith("| **"):
            _, words, meaning, _ = line.replace("\\|", "¦").split("|")
            plain = re.sub(r"\*\*|`|\[([^\]]*)\]\([^)]*\)", lambda one: one[1] or "", meaning).strip()
            for word in re.findall(r"\*\*([^*]+)\*\*", words):
                found[word] = plain
    return found


def test_words_mean_on_the_page_what_the_glossary_says() -> None:
    known = glossary()
    assert {word: known.get(word) for word in PAGE_WORDS} == dict(PAGE_WORDS)


def test_every_word_is_explained_once_and_every_link_to_one_ends_there() -> None:
    page = html.render(RUN, summarize(RUN), drawings=())
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {word_anchor(word) for word in PAGE_WORDS} <= set(ids)
    links = set(re.findall(r'href="#([^"]*)"', page))
    assert len(links) > 12
    assert links <= set(ids)


def choices(run: StoredRun, summary: Summary) -> StepChoices | None:
    return step_choices(summary, models(run.info["plan"], frames_of(run).pairs))


@pytest.mark.parametrize("asked", [0.8e-3, 2.5e-3, 5e-3])
def test_a_chosen_step_says_what_a_page_for_that_step_says(asked: float) -> None:
    summary = summarize(RUN, asked)
    found = choices(RUN, summary)
    assert found is not None
    for index in (0, found.first, len(found.document["choices"]) // 2, len(found.document["choices"]) - 1):
        chosen = found.document["choices"][index]
        number, unit = chosen["label"].split()
        step = float(f"{number}e{ {'µs': -6, 'ms': -3}[unit] }")
        expected = headlines(summarize(RUN, step))
        assert [text.replace("\u00a0", " ") for text in chosen["sentences"]] == expected
    assert abs(found.document["choices"][found.first]["value"] - asked * 1e3) <= 0.05 * asked * 1e3


def test_nothing_is_offered_beyond_what_was_measured() -> None:
    summary = summarize(RUN)  # of a step of 12 ms, where the longest was 9 ms
    found = choices(RUN, summary)
    assert found is not None
    shortest, longest = summary.costs[0].shortest, summary.costs[0].longest
    assert shortest is not None
    assert longest is not None
    values = [chosen["value"] / 1e3 for chosen in found.document["choices"]]
    assert shortest <= values[0] <= 1.05 * shortest
    assert longest / 1.05 <= values[-1] <= longest
    assert "12 ms; measured were steps of 0.8 to 9 ms" in found.document["start"]
    assert not any("extrapolated" in text for chosen in found.document["choices"] for text in chosen["sentences"])


def test_of_one_step_length_there_is_nothing_to_choose() -> None:
    run = make(launches=4, lengths={32: 1e-3})
    assert choices(run, summarize(run)) is None
    run = make(launches=4, lengths={32: 1e-3, 64: 1.5e-3})
    assert choices(run, summarize(run)) is None
    assert 'id="your-step"' not in html.render(run, summarize(run), drawings=())


@given(st.floats(-9, 8.9), st.floats(0.31, 3))
def test_steps_to_choose_are_close_and_within(exponent: float, decades: float) -> None:
    low, high = 10**exponent, 10 ** (exponent + decades)
    steps = steps_between(low, high)
    assert steps == sorted(set(steps))
    assert low <= steps[0] <= low * 1.06
    assert high / 1.06 <= steps[-1] <= high
    assert all(1 < after / before < 1.06 for before, after in itertools.pairwise(steps))


def test_the_noise_floor_is_what_the_twin_reads() -> None:
    summary = summarize(make(launches=8, noise="none"))
    assert noise_floor(summary).startswith("Noise floor: the twin, the baseline's own code, reads 0 % [0, 0].")
    assert "has one launch" in noise_floor(summarize(make(launches=1)))
    assert "not known. No twin" in noise_floor(summarize(make(launches=0)))


def test_cells_that_could_not_run_are_told_together_with_why() -> None:
    failures: Any = {(FABRIC, batch, -1): ("unsupported", "no <device>") for batch in (32, 256, 2048)}
    run = make(launches=2, failures={**failures, (TRAINER, 32, 1): ("oom", "x" * 400)})
    told = not_shown(run.info, summarize(run))
    assert (
        "3 cells are unsupported, and without a ratio: Fabric (32, synthetic), Fabric (256, synthetic), Fabric (2048, "
        "synthetic). Reason: no <device>." in told
    )
    (one,) = [text for text in told if text.startswith("1 cell is oom")]
    assert "x…" in one
    assert len(one) < 400


def test_what_the_machine_brings_is_told_in_plain_words() -> None:
    busy = {"cpu": "one", "virtual_machine": True, "governor": "powersave", "load_average": 3.4, "cores_usable": 2}
    info = {**RUN.info, "environment": {**busy, "cpu_quota": "150000 100000"}}
    told = " ".join(not_shown(info, summarize(RUN)))
    for words in ("a virtual one", "governor powersave", "load 3.4 on 2 cores", "quota 150000 100000", "machine (one)"):
        assert words in told
    quiet = {"virtual_machine": False, "governor": "performance", "load_average": 0.1, "cores_usable": 2}
    info = {**RUN.info, "environment": {**quiet, "cpu_quota": "unknown"}}
    assert not_shown(info, summarize(RUN)) == [noise_floor(summarize(RUN))]


def test_one_arm_has_one_name() -> None:
    """In the sentences, the tables, the sections; with its axis before it where that does not stand beside it."""
    assert label("precision", "16-mixed") == f"precision {short_label('precision', '16-mixed')}"
    assert label("loop", "plain") == short_label("loop", "plain")
    summary = summarize(RUN)
    page = parse_page(html.render(RUN, summary, drawings=()))
    for cell in summary.cells:
        name = arm_name("loop", cell)
        assert name in page.texts["Cells / arm"]
        assert name in page.texts[f"Each cell / {cell_anchor(cell.id)}"]
    seen = " ".join(text for texts in page.texts.values() for text in texts)
    assert not re.search(r"\btrainer\b", seen.replace("loop=trainer", "").split("asked for")[0][:2000])


@given(st.text(), st.text())
def test_anchors_are_stable_short_and_one_a_cell(one: str, other: str) -> None:
    assert re.fullmatch(r"cell-[A-Za-z0-9.-]{8,29}", cell_anchor(one))
    assert cell_anchor(one) == cell_anchor(one)
    assert (cell_anchor(one) == cell_anchor(other)) == (one == other)
    assert cell_anchor(cell_id(PLAIN, 32)) == "cell-plain-batch-size-32-8019ea76"


def test_a_section_says_what_was_asked_for_and_what_was_in_effect() -> None:
    first = RUN.records[0]
    records = tuple(
        replace(one, effective={**one.effective, "threads": 7}) if one.cell == first.cell else one
        for one in RUN.records
    )
    run = replace(RUN, records=records)
    page = parse_page(html.render(run, summarize(run), drawings=()))
    own = cell_anchor(first.cell)
    assert page.texts[f"Each cell / threads / {own}"] == ["asked for 1,", "in effect 7"]
    other = cell_anchor(cell_id(TRAINER, 32))
    assert page.texts[f"Each cell / loop / {other}"] == ["trainer, as asked for"]


def test_the_picture_of_steps_has_the_colours_of_the_figures() -> None:
    summary = summarize(RUN)
    found = choices(RUN, summary)
    assert found is not None
    style = ArmStyles.of(summary)
    for index, colour in zip(found.costs, found.colours, strict=True):
        cost = summary.costs[index]
        assert colour == style.colours[short_label(cost.axis, cost.value) + " (twin)" * cost.twin]


@pytest.mark.parametrize("times", [1.0, 30.0, 1000.0])
def test_no_number_of_the_picture_of_steps_is_cut(times: float) -> None:
    """A `+` of which the left is cut off reads as a `-`."""
    run = make(costs={PLAIN: 0.0, FABRIC: 60e-6 * times, TRAINER: 430e-6 * times})
    found = choices(run, summarize(run))
    assert found is not None
    ends = re.findall(r'<text x="([\d.]+)"[^>]* text-anchor="end">([^<]*)</text>', str(found.picture))
    shares = [(float(x), text) for x, text in ends if "%" in text]
    assert len(shares) >= 3
    for x, text in shares:
        assert x >= 7.4 * len(text), text  # letters of 11 pixels, digits the narrowest but for the space
