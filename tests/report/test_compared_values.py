"""How much slower or faster each value of any compared axis is: told everywhere, and never from what holds none."""

from __future__ import annotations

import csv
import io
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import Arm, make, race
from tiers import examples

from bench.analysis import claims
from bench.analysis.by_launch import LaunchValues
from bench.analysis.estimates import CellSummary, MetricEstimate, StepDifference, Versus
from bench.analysis.fastest import fastest_of
from bench.analysis.findings import STARVING_SHARE, Finding, findings_of
from bench.analysis.run import Run
from bench.analysis.summary import Summary, summarize
from bench.borders import markdown_text
from bench.plan import discovery
from bench.report import compared_values, console, findings, html, markdown, tables
from bench.report import csv as csv_report
from bench.report.sentences import headlines
from bench.report.verify import page_differences
from bench.results.store import StoredRun
from bench.stats.intervals import Interval

SUITES = {name: suite for name, (suite, _) in discovery.all_suites([ROOT / "suites"]).items()}


def everywhere(run: StoredRun) -> dict[str, str]:
    """What each format says, with spaces as they are typed."""
    summary = summarize(run)
    page = re.sub(r"<script.*?</script>|<[^>]+>", " ", html.render(run, summary, drawings=()), flags=re.DOTALL)
    texts = {"console": console.render(summary), "markdown": markdown.render(summary), "html": unescape(page)}
    return {name: " ".join(text.replace("\u00a0", " ").split()) for name, text in texts.items()}


# --- every axis has its answer


@pytest.mark.parametrize("name", [*SUITES, "made-up"])
def test_every_compared_axis_is_answered_with_how_much_in_every_format(name: str) -> None:
    suite = SUITES.get(name)
    axis = suite.compare if suite else "optimizer"
    values = [suite.baseline, *(one for one in suite.axes[axis] if one != suite.baseline)] if suite else ["sgd", "adam"]
    if suite and suite.length_axis is not None:
        for text in everywhere(make(launches=4, launch_sd=0.001)).values():
            assert re.search(r"Trainer costs \+4\d\d µs a step \[\d+, \d+\] over plain", text.replace("\\", ""))
        return
    # By turns a quarter slower, a fifth faster, three times as slow, three times as fast.
    planted = [1.25, 0.8, 3.0, 1 / 3]
    factors = {value: planted[place % 4] for place, value in enumerate(values[1:])}
    run = race(axis, {values[0]: Arm(1e-3), **{value: Arm(1e-3 * factors[value]) for value in factors}}, suite=name)
    told = headlines(summarize(run))
    for value, factor in factors.items():
        if suite and suite.ladder:  # so many that they stand in lists, each with its change in per cent
            found = re.search(rf" {value} (?P<estimate>\S+) % \[(?P<low>\S+), (?P<high>\S+)\]", " ".join(told))
            assert found, value
            assert float(found["estimate"]) == pytest.approx(100 * (factor - 1), rel=0.05)
            continue
        base = tables.label(axis, values[0]) if axis == "loop" else values[0]
        called = re.escape(tables.label(axis, value))
        start = rf"{called} is {'slower' if factor > 1 else 'faster'} than {re.escape(str(base))}: it "
        (sentence,) = [text for text in told if re.match(start, text)]
        times = r"(?:takes|does) (?P<estimate>\S+) times \[(?P<low>\S+), (?P<high>\S+)\]"
        share = r"takes (?P<estimate>\S+) % \[(?P<low>\S+), (?P<high>\S+)\] (?:more|less) time a step"
        found = re.match(rf"{start}(?:{times if factor >= 2 or factor <= 0.5 else share})", sentence)
        assert found, sentence
        truth = max(factor, 1 / factor) if factor >= 2 or factor <= 0.5 else 100 * abs(factor - 1)
        assert float(found["low"]) <= float(found["high"])
        assert float(found["estimate"]) == pytest.approx(truth, rel=0.03)
    for format_, text in everywhere(run).items():
        for sentence in told:
            said = markdown_text(sentence) if format_ == "markdown" else sentence
            assert " ".join(said.split()) in text, format_
    assert page_differences(run, html.render(run, summarize(run), drawings=()), drawings=()) == []


def test_what_a_suite_was_asked_besides_stands_behind_how_much() -> None:
    starts = {"time_to_first_step_cold": 12.0, "time_to_first_step_warm": 2.0}
    compiled = race("compile", {"off": Arm(1e-3, starts={"time_to_first_step": 0.1}), "on": Arm(0.8e-3, starts=starts)})
    first, second = headlines(summarize(compiled))
    assert first.startswith("compile on is faster than off: it takes 2")
    assert re.match(r"compile on has paid for its start after (59|60|61),000 steps \[", second)
    fed = race("loader", {"none": Arm(1e-3, waiting=0.5), "one": Arm(0.6e-3, waiting=0.01)})
    first, second = headlines(summarize(fed))
    assert first.startswith("loader one is faster than none: it takes 4")
    assert re.match(
        r"loader none waits for batches during (49|50)\S* % .*of an epoch; loader one stops that, with (0.99|1)\S* %",
        second,
    )
    scaled = race("devices", {1: Arm(1e-3), 2: Arm(1.25e-3, samples=64)})
    first, second = headlines(summarize(scaled))
    assert re.match(r"devices 2 is faster than 1: it takes 37\.\d % \[.*\] less time a sample", first)
    assert second.startswith("2 devices do 1.60 × [1.5")
    sides = race("environment", {"torch==2.8": Arm(1e-3), "torch==2.9": Arm(1.1e-3)})
    (only,) = headlines(summarize(sides))
    assert re.match(r"torch==2\.9 is slower than torch==2\.8: it takes \S+ % \[.*\] more time a step\.", only)


def test_groups_and_suites_are_named_where_there_are_several() -> None:
    arms = {"sgd": Arm(1e-3), "adam": Arm(1.2e-3)}
    (sentence,) = headlines(summarize(race("optimizer", arms)))
    assert sentence.startswith("optimizer adam is slower")
    several = headlines(summarize(race("optimizer", arms, where=[{"loop": "plain"}, {"loop": "fabric"}])))
    assert [text.partition(": ")[0] for text in several] == ["plain PyTorch", "Fabric"]
    one, other = race("optimizer", arms, suite="one"), race("optimizer", arms, suite="other")
    plans = [run.info["plan"] for run in (one, other)]
    plan = {
        "suites": {**plans[0]["suites"], **plans[1]["suites"]},
        "cells": [*plans[0]["cells"], *plans[1]["cells"]],
    }
    both = replace(one, records=one.records + other.records, info={**one.info, "plan": plan})
    assert [text.partition(": ")[0] for text in headlines(summarize(both))] == ["one", "other"]


def test_many_values_are_told_in_lists_that_can_be_read() -> None:
    few = {f"o{number}": Arm(1e-3 * (1 + 0.1 * number)) for number in range(9)}
    assert len(headlines(summarize(race("optimizer", few)))) == 8 + 1
    many = {"sgd": Arm(1e-3), **{f"o{number}": Arm(1e-3 * (0.5 + 0.1 * number)) for number in range(40)}}
    found = headlines(summarize(race("optimizer", many, sd=0.0005)))
    faster, slower, apart, fastest = found
    assert faster.startswith("optimizer, faster than sgd, by time a step: o0 -50.0 % [-50.")
    assert all(f"o{number} -" in faster for number in range(5))
    assert slower.startswith("optimizer, slower than sgd, by time a step: o6 +10.")
    assert "and 10 more, which the table has." in slower
    assert apart.startswith("optimizer, not told apart from sgd, by time a step: o5 ")
    assert re.fullmatch(
        r"optimizer o0 is the fastest that does equal work: 16\.\d % \[.*\] less time than o1, the next "
        r"\(at 99\.9 %, as one of 41 is chosen\)\.",
        fastest,
    )


# --- the fastest, and why there is no answer


def choice_cell(
    value: str,
    low: float | None,
    high: float | None,
    *,
    outcome: str = "ok",
    twin: bool = False,
    samples: tuple[float, float] | None = None,
    reason: str = "x",
) -> CellSummary:
    def interval(ends: tuple[float | None, float | None]) -> Interval:
        one, other = ends
        return Interval(1.0 if one is None or other is None else (one + other) / 2, one, other, 6)

    a_sample = None if samples is None else interval(samples)
    difference = StepDifference("s", 0.0, 0.0, 0.0, 6)
    versus = Versus("base", interval((low, high)), difference, a_sample) if value != "32-true" or twin else None
    why = reason if outcome != "ok" else ""
    point = {"precision": value, "loop": "plain"}
    return CellSummary(value, "p", "g", twin, point, outcome, why, {}, {}, {}, versus)


def launches_of(cell: CellSummary) -> LaunchValues:
    """Launches that read as this cell's ratio does, each with noise of its own."""
    ratio = None if cell.versus is None else cell.versus.ratio
    if ratio is None or ratio.low is None or ratio.high is None:
        return LaunchValues()
    # Of six launches, mean and 2.571 standard errors.
    sd = math.log(ratio.high / ratio.low) / 2 * math.sqrt(6) / 2.571
    pattern = random.Random(cell.id).sample([-1.3, -0.8, -0.2, 0.3, 0.9, 1.1], 6)
    return LaunchValues({launch: math.log(ratio.estimate) + sd * one for launch, one in enumerate(pattern)})


def told_of(*cells: CellSummary, twin: tuple[float | None, float | None] = (0.99, 1.01)) -> list[str]:
    group = [choice_cell("32-true", None, None), choice_cell("32-true", *twin, twin=True), *cells]
    fastest = fastest_of(group, {cell.id: launches_of(cell) for cell in cells})
    return headlines(Summary("run", "p", {"p": "precision"}, group, None, {}, 0.012, [], fastest=fastest))


@pytest.mark.parametrize(
    ("cells", "last"),
    [
        (
            [("bf16", 0.50, 0.52), ("16", 0.7, 0.8)],
            "precision bf16 is the fastest that does equal work: 32.0 % [27.5, 36.2] less time than 16, the next (at "
            "98.3 %, as one of 3 is chosen).",
        ),
        (
            [("bf16", 0.50, 0.60), ("16", 0.50, 0.62)],
            "which precision is the fastest that does equal work cannot be told: bf16, 16 are not told apart.",
        ),
        (
            [("bf16", 1.2, 1.3), ("16", 1.4, 1.5)],
            "32-true is the fastest that does equal work: 20.0 % [15.7, 24.1] less time than bf16, the next (at "
            "98.3 %, as one of 3 is chosen).",
        ),
        ([("bf16", 0.95, 1.01), ("16", 1.4, 1.5)], "no precision is told to be faster than 32-true."),
        (
            [("bf16", None, None), ("16", None, None)],
            "one launch gives no interval: no precision is told to be faster or slower than 32-true.",
        ),
        ([("bf16", None, None)], "precision bf16 is not told apart from 32-true: one launch gives no interval."),
        (
            [("bf16", 0.50, 0.52)],
            "precision bf16 is faster than 32-true: it takes 49.0 % [48.0, 50.0] less time a step.",
        ),
    ],
)
def test_the_fastest_is_told_only_as_far_as_it_is_known(
    cells: list[tuple[str, float | None, float | None]], last: str
) -> None:
    # The fastest of all did other work; it is no winner.
    told = told_of(*(choice_cell(*cell) for cell in cells), choice_cell("64", 0.1, 0.11, outcome="unequal-work"))
    without = "precision, without a ratio to 32-true: 64 (unequal-work)."
    assert told.count(without) == 1
    told.remove(without)
    assert told[-1] == last
    assert "64" not in " ".join(told)


def test_what_is_not_told_says_why_and_how_much_it_may_be() -> None:
    apart = "precision bf16 is not told apart from 32-true: "
    assert told_of(choice_cell("bf16", 0.95, 1.02)) == [f"{apart}-1.5 % [-5.0, 2.0] time a step."]
    (text,) = told_of(choice_cell("bf16", 1.02, 1.04), twin=(0.95, 1.05))
    assert text == f"{apart}+3.0 % [2.0, 4.0] time a step, and the twin, the same code, reads 0.0 % [-5.0, 5.0]."
    (text,) = told_of(choice_cell("bf16", 1.2, 1.4), twin=(None, None))
    assert text == f"{apart}+30 % [20, 40] time a step, and the twin, the same code, has no interval."
    (text,) = told_of(choice_cell("bf16", 0.001, 1e30))
    assert text == f"{apart}anything up to a hundred times more or less time a step."
    (text,) = told_of(choice_cell("bf16", 1.2, 1.8, outcome="noisy"))
    assert text.endswith("it takes 50 % [20, 80] more time a step (noisy: known to ±20 %).")


def test_where_nothing_has_a_ratio_the_reasons_are_told() -> None:
    assert told_of() == ["there is no precision but 32-true to compare."]
    (text,) = told_of(choice_cell("64", 0.1, 0.11, outcome="unequal-work", reason="other batches"))
    assert text == "precision 64 has no ratio to 32-true: it is unequal-work (other batches)."
    told = told_of(*(choice_cell(f"x{n}", None, None, outcome="oom") for n in range(11)))
    assert len(told) == 9
    assert told[-1] == "3 more have no ratio to 32-true; the table says why."
    cells = [choice_cell("32-true", None, None, outcome="crashed"), choice_cell("32-true", None, None, twin=True)]
    cells.append(replace(choice_cell("64", None, None), versus=None))
    found = headlines(Summary("run", "p", {"p": "precision"}, cells, None, {}, 0.012, []))
    assert found == ["nothing is compared: the baseline, 32-true, is crashed (x)."]


# --- no claim from an interval that holds none

VALUES = ("v1", "v2", "v3")
ends = st.floats(0.05, 20).map(lambda value: round(value, 3))


@st.composite
def ratios(draw: st.DrawFn) -> Interval:
    low, estimate, high = sorted(draw(st.tuples(ends, ends, ends)))
    return Interval(estimate, None, None, 1) if draw(st.integers(0, 5)) == 0 else Interval(estimate, low, high, 5)


@st.composite
def near_one(draw: st.DrawFn) -> Interval:
    reach = draw(st.floats(0, 0.3))
    return Interval(1.0, 1 / (1 + reach), 1 + reach, 5) if draw(st.integers(0, 9)) else Interval(1.0, None, None, 1)


def arms(given_: Sequence[tuple[Interval, Interval | None, str]], twin: Interval, axis: str) -> list[CellSummary]:
    found = [
        CellSummary("base", "s", "g", False, {axis: "base"}, "ok", "", {}, {}, {}, None),
        CellSummary("base#twin", "s", "g", True, {axis: "base"}, "ok", "", {}, {}, {}, of(twin)),
    ]
    for value, (ratio, a_sample, outcome) in zip(VALUES, given_, strict=False):
        why = "" if outcome == "ok" else "x"
        found.append(CellSummary(value, "s", "g", False, {axis: value}, outcome, why, {}, {}, {}, of(ratio, a_sample)))
    return found


def of(ratio: Interval, a_sample: Interval | None = None) -> Versus:
    return Versus("base", ratio, StepDifference("s", 0.0, None, None, 5), a_sample)


def holds(interval: Interval, value: float = 1.0) -> bool:
    return interval.low is None or interval.high is None or interval.low <= value <= interval.high


@settings(max_examples=examples(400), deadline=None)
@given(
    st.lists(st.tuples(ratios(), st.none() | ratios(), st.sampled_from(["ok", "noisy"])), min_size=1, max_size=3),
    near_one(),
    st.sampled_from([8, 0]),
)
def test_no_definite_word_comes_from_an_interval_that_holds_one(
    given_: list[tuple[Interval, Interval | None, str]], twin: Interval, sentences: int
) -> None:
    cells = arms(given_, twin, "axis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compared_values, "SENTENCES", sentences)
        told = compared_values.compared_values("axis", cells)
    works = {cell.id: cell.versus.of_work for cell in cells if cell.versus}
    definite = {"faster": set[str](), "slower": set[str]()}
    for sentence in told:
        if found := re.match(r"axis (v\d) is (faster|slower) than base: it \w+ (?:(.*?)\])", sentence):
            definite[found[2]].add(found[1])
            low = float(found[3].partition("[")[2].partition(",")[0])
            assert low > (1 if "times" in found[3] else 0), sentence
        elif found := re.match(r"axis, (faster|slower) than base", sentence):
            definite[found[1]] |= set(re.findall(r"v\d", sentence))
        else:
            assert re.search(r"not told apart|no axis is told|no interval", sentence), sentence
    for side, names in definite.items():
        for name in names:
            assert not holds(works[name]), told
            assert (works[name].estimate > 1) == (side == "slower")
            assert claims.of_ratio(works[name], [twin]) == "told"
    wanted = {name for name in VALUES if name in works and claims.of_ratio(works[name], [twin]) == "told"}
    assert definite["faster"] | definite["slower"] == wanted


@settings(max_examples=examples(300), deadline=None)
@given(ratios(), st.tuples(*[st.floats(-1e-2, 1e-2)] * 3), near_one())
def test_no_start_is_paid_for_or_never_where_that_cannot_be_told(
    ratio: Interval, seconds: tuple[float, float, float], twin: Interval
) -> None:
    low, estimate, high = sorted(seconds)
    difference = StepDifference("s", estimate, *((None, None) if ratio.low is None else (low, high)), ratio.launches)
    off, control, on = arms([(ratio, None, "ok")], twin, "compile")

    def starts(**metrics: float) -> dict[str, MetricEstimate]:
        return {name: MetricEstimate("s", "lower", value, None, None, 1, 1) for name, value in metrics.items()}

    on = replace(
        on,
        metrics=starts(time_to_first_step_cold=9.0, time_to_first_step_warm=2.0),
        versus=Versus("base", ratio, difference),
    )
    cells = [replace(off, metrics=starts(time_to_first_step=0.1)), control, on]
    launches = {
        "base": LaunchValues(starts={"time_to_first_step": dict.fromkeys(range(4), 0.1)}),
        "v1": LaunchValues(
            difference=dict(enumerate((estimate, low, high, estimate))),
            starts={"time_to_first_step_cold": {0: 9.0}, "time_to_first_step_warm": dict.fromkeys((1, 2, 3), 2.0)},
        ),
    }
    answers = findings_of(cells, {"s": "compile"}, None, launches)
    (sentence,) = findings.compile_answers(answers, {cell.id: cell for cell in cells})
    sure = claims.of_ratio(ratio, [twin]) == "told"
    assert ("never" in sentence) == (sure and low > 0)
    assert ("has paid" in sentence) == (sure and high < 0)
    assert ("cannot be told" in sentence) == (not sure or low <= 0 <= high)


shares = st.floats(0, 1).map(lambda value: round(value, 4))


@st.composite
def waits(draw: st.DrawFn) -> Interval:
    narrow = draw(st.booleans())
    low, estimate, high = sorted(draw(st.tuples(*[st.floats(0, 0.1) if narrow else shares] * 3)))
    return Interval(estimate, None, None, 1) if draw(st.integers(0, 9)) == 0 else Interval(estimate, low, high, 5)


@settings(max_examples=examples(400), deadline=None)
@given(waits(), st.lists(waits(), max_size=3))
def test_no_loader_starves_or_is_fed_where_that_cannot_be_told(own: Interval, others: list[Interval]) -> None:
    cells = arms([(Interval(0.9, 0.8, 0.95, 5), None, "ok")] * len(others), Interval(1.0, 0.99, 1.01, 5), "loader")
    known: dict[str, Interval] = {"base": own, **dict(zip(VALUES, others, strict=False))}
    answers: list[Finding] = findings_of(cells, {"s": "loader"}, known)
    (sentence,) = findings.loader_answers(answers, {cell.id: cell for cell in cells}, "loader")

    def below(one: Interval) -> bool:
        return one.high is not None and one.high < STARVING_SHARE

    def above(one: Interval) -> bool:
        return one.low is not None and one.low > STARVING_SHARE

    if "does not starve" in sentence:
        assert below(own)
    if found := re.search(r"loader (v\d) stops that", sentence):
        assert above(own)
        assert below(known[found[1]])
    if "no setting that was measured stops" in sentence:
        assert above(own)
        assert all(map(above, others))
        least = known[re.findall(r"least seen is (\w+)", sentence)[0]]
        assert least.high is not None
        assert own.low is not None
        assert least.high < own.low
    assert " never " not in sentence


# --- time a sample


def test_steps_of_more_samples_are_judged_by_their_samples() -> None:
    arms_ = {"32": Arm(1e-3, samples=32), "128": Arm(1.8e-3, samples=128), "again": Arm(1.1e-3, samples=32)}
    run = race("batch", arms_, sd=0.001)
    summary = summarize(run)
    cells = {str(cell.point["batch"]): cell for cell in summary.cells if not cell.twin}
    large = cells["128"].versus
    assert large is not None
    assert large.ratio.estimate == pytest.approx(1.8, rel=0.01)
    assert large.per_sample is not None
    assert large.per_sample.estimate == pytest.approx(0.45, rel=0.01)
    assert cells["again"].versus is not None
    assert cells["again"].versus.per_sample is None
    told = headlines(summary)
    assert re.match(
        r"batch 128 is faster than 32: it does 2\.2\d times \[2\.\d+, 2\.\d+\] the samples in the same time "
        r"\(its step, of 4 times the samples, takes \+(79|80)\S* % \[\S+ \S+\] time\)\.",
        told[0],
    )
    assert re.match(r"batch again is slower than 32: it takes \S+ % \[.*\] more time a step\.", told[1])
    assert told[2].startswith("batch 128 is the fastest a sample: ")
    for text in everywhere(run).values():
        assert tables.RATIO_A_SAMPLE in text
        assert re.search(r"0\.4[45]\d (\\)?\[0\.4", text)
    row = next(row for row in csv.DictReader(io.StringIO(csv_report.render(summary))) if row["batch"] == "128")
    assert float(row["sample_ratio_estimate"]) == large.per_sample.estimate
    frame = Run(run).cells.set_index("batch")
    assert frame.loc["128", "sample_ratio"] == large.per_sample.estimate
    assert frame["sample_ratio"].isna().sum() == 3


def test_times_a_sample_are_computed_again_by_the_verification() -> None:
    run = race("batch", {"32": Arm(1e-3), "64": Arm(1.5e-3, samples=64)})
    page = html.render(run, summarize(run), drawings=())
    assert page_differences(run, page, drawings=()) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.analysis.summary._samples", lambda run: {("nobody", 0): 1.0})
        without = html.render(run, summarize(run), drawings=())
    assert any("per_sample" in text for text in page_differences(run, without, drawings=()))
    records = tuple(replace(one, samples_per_step=2 * one.samples_per_step) if one.twin else one for one in run.records)
    assert any("per_sample" in text for text in page_differences(replace(run, records=records), page, drawings=()))


def test_where_steps_have_as_many_samples_or_nobody_counted_there_is_no_column() -> None:
    for samples in (32, 0):
        run = race("batch", {"a": Arm(1e-3), "b": Arm(1.2e-3, samples=samples)})
        summary = summarize(run)
        assert all(cell.versus is None or cell.versus.per_sample is None for cell in summary.cells)
        assert tables.RATIO_A_SAMPLE not in tables.columns(summary)


def test_samples_that_differ_by_launch_are_paired_with_their_own_steps() -> None:
    # Packing: as many samples as fit, another number in every launch; the time a sample is the same in all of them.
    run = race("pack", {"no": Arm(1e-3, samples=10), "yes": Arm(1e-3, samples=10)}, sd=0.0)
    records = []
    for record in run.records:
        if record.point["pack"] == "yes" and record.turns is not None:
            more = 3 + record.launch
            turns = replace(record.turns, counted=tuple(more * one / 2 for one in record.turns.counted))
            record = replace(record, samples_per_step=10 * more, turns=turns)
        records.append(record)
    versus = next(cell.versus for cell in summarize(replace(run, records=tuple(records))).cells if cell.versus)
    assert versus.per_sample is not None
    assert versus.per_sample.estimate == pytest.approx(0.5)
    assert versus.per_sample.high == pytest.approx(0.5)
    assert versus.ratio.high is not None
    assert versus.ratio.high > 2 * versus.ratio.estimate / 1.5


# --- what was equal

BITS = "the same batches, updates and final weights, bit for bit"
LOSS = "the same batches, losses within 3 %"


def equal_arms(texts: Mapping[str, str]) -> StoredRun:
    return race("kernel", {"base": Arm(1e-3), **{name: Arm(1.1e-3, equal=text) for name, text in texts.items()}})


def test_what_was_equal_is_said_once_where_all_share_it() -> None:
    run = equal_arms({"one": BITS, "two": BITS})
    assert tables.equal_work(summarize(run)) == [f"Equal work: {BITS}."]
    for text in everywhere(run).values():
        assert text.count(f"Equal work: {markdown_text(BITS)}.") == 1
    assert tables.EQUAL_WORK not in tables.columns(summarize(run))


def test_what_was_equal_is_said_by_cell_where_it_differs() -> None:
    run = equal_arms({"one": BITS, "two": LOSS, "three": LOSS})
    assert tables.equal_work(summarize(run)) == [f"Equal work, one: {BITS}.", f"Equal work, two, three: {LOSS}."]
    assert tables.columns(summarize(run))[-1] == tables.EQUAL_WORK
    texts = everywhere(run)
    assert [text.count(LOSS) for text in texts.values()] == [
        1,
        3,
        6,
    ]  # the page has the ledgers, too, and how many cells each is of
    assert f"{LOSS}: in 5 of 5 launches" in texts["html"]
    assert set(Run(run).cells["equal"]) == {"", BITS, LOSS}


def test_older_records_say_nothing_of_it() -> None:
    run = equal_arms({"one": ""})
    assert tables.equal_work(summarize(run)) == []
    assert "equal in 0 of 5 launches" not in everywhere(run)["html"]


def test_the_json_has_both() -> None:
    data = summarize(race("batch", {"a": Arm(1e-3), "b": Arm(1e-3, samples=64, equal=LOSS)})).to_json()
    cell = next(cell for cell in data["cells"] if cell["point"] == {"batch": "b"})
    assert set(cell["versus"]["per_sample"]) == {"estimate", "low", "high", "launches"}
    assert cell["equal"] == LOSS
