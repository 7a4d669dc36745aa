"""What may be claimed: nothing without an interval, nothing that the twin shows too, nothing beyond the data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from synthetic import FABRIC, PLAIN, TRAINER, Truth, make
from tiers import examples

from bench.analysis import claims
from bench.analysis.costs import LEAST_SPAN, REACH, Cost, costs, models
from bench.analysis.frames import pairs
from bench.analysis.summary import Summary, summarize
from bench.cli.arguments import as_duration, as_step
from bench.report import comparison, console, html, markdown
from bench.report.sentences import headlines, places, words
from bench.report.tables import shared_axes, titles
from bench.results.store import StoredRun
from bench.stats.intervals import Interval

numbers = st.floats(-10, 10, allow_nan=False)


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    low, estimate, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    if draw(st.booleans()) and draw(st.booleans()):
        return Interval(estimate, None, None, 1)
    return Interval(estimate, low, high, 5)


# --- the rule


@given(intervals(), st.lists(st.none() | intervals(), max_size=2))
def test_what_is_told_has_intervals_excludes_zero_and_is_more_than_the_twins(
    figure: Interval, twins: list[Interval | None]
) -> None:
    if claims.claim(figure, twins) != "told":
        return
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low > 0 or figure.high < 0
    for twin in twins:
        assert twin is not None
        assert twin.low is not None
        assert twin.high is not None
        assert abs(figure.estimate) > max(abs(twin.low), abs(twin.high))


@given(intervals(), intervals(), st.floats(1, 3))
def test_a_wider_twin_never_makes_a_claim(figure: Interval, twin: Interval, wider: float) -> None:
    assume(twin.low is not None and twin.high is not None)
    assert twin.low is not None
    assert twin.high is not None
    wide = replace(twin, low=twin.low - wider, high=twin.high + wider)
    if claims.claim(figure, [wide]) == "told":
        assert claims.claim(figure, [twin]) == "told"


@given(intervals(), st.lists(intervals(), max_size=2))
def test_gains_are_claimed_as_losses_are(figure: Interval, twins: list[Interval]) -> None:
    def mirrored(one: Interval) -> Interval:
        low, high = (None if end is None else -end for end in (one.high, one.low))
        return Interval(-one.estimate, low, high, one.launches)

    assert claims.claim(mirrored(figure), list(map(mirrored, twins))) == claims.claim(figure, twins)


def test_every_word_by_hand() -> None:
    cost = Interval(5.0, 4.0, 6.0, 5)
    assert claims.claim(None) == "nothing"
    assert claims.claim(Interval(5.0, None, None, 1)) == "one-launch"
    assert claims.claim(cost) == "told"
    assert claims.claim(cost, [Interval(0.0, -1.0, 4.9, 5)]) == "told"
    assert claims.claim(cost, [Interval(0.0, -5.0, 1.0, 5)]) == "as-twin"
    assert claims.claim(cost, [None]) == claims.claim(cost, [Interval(0.0, None, None, 1)]) == "no-twin"
    assert claims.claim(Interval(5.0, -1.0, 11.0, 5)) == "zero"
    assert claims.claim(Interval(5.0, -12.0, 22.0, 2), least=-12.0) == "too-wide"
    assert claims.of_ratio(Interval(2.0, 1.9, 2.1, 5), [Interval(1.0, 0.5, 1.1, 5)]) == "as-twin"
    assert claims.of_ratio(Interval(0.9, 0.0, 1.2, 2)) == "zero"


# --- one launch, and a twin that reads more


def told(run: StoredRun, reference: float = 0.012) -> list[str]:
    return headlines(summarize(run, reference))


def everywhere(run: StoredRun, reference: float = 0.012) -> str:
    summary = summarize(run, reference)
    page = html.render(run, summary, drawings=())
    return "\n".join([console.render(summary), markdown.render(summary), page])


@pytest.mark.parametrize("rounds", [8, 30])
def test_one_launch_claims_nothing_anywhere(rounds: int) -> None:
    run = make(launches=1, rounds=rounds, launch_sd=0.2)
    summary = summarize(run)
    assert {cell.outcome for cell in summary.cells} == {"noisy"}
    text = re.sub(r'<div id="word-.*?</div>', "", everywhere(run))  # but for what words mean
    assert "noise floor" not in text
    assert not re.search(r"costs [+-]?\d", text)
    assert "expect" not in text
    assert "No cost of Trainer can be told: one launch gives no interval." in headlines(summary)


def test_one_launch_of_a_group_among_many_is_noisy_there_only() -> None:
    run = make(launches=5)
    kept = tuple(record for record in run.records if record.launch == 0 or record.point["batch_size"] != 32)
    outcomes = {cell.point["batch_size"]: cell.outcome for cell in summarize(replace(run, records=kept)).cells}
    assert outcomes == {32: "noisy", 256: "ok", 2048: "ok"}


def slower_twin(run: StoredRun, seconds: float) -> StoredRun:
    records = []
    for record in run.records:
        turns = record.turns
        if record.twin and turns is not None:
            turns = replace(turns, counted=tuple(item + seconds * turns.steps for item in turns.counted))
        records.append(replace(record, turns=turns))
    return replace(run, records=tuple(records))


def test_a_cost_smaller_than_what_the_twin_shows_is_no_headline() -> None:
    run = slower_twin(make(launches=6, launch_sd=0.001, turn_sd=0.001), 200e-6)
    fabric, trainer, twin = told(run)
    assert fabric.startswith("No cost of Fabric can be told: it reads +7")
    assert "the twin, the same code, reads +199" in fabric
    assert trainer.startswith("Trainer costs +4")
    assert "excludes zero" in twin
    text = everywhere(run)
    assert "Fabric costs" not in text
    assert "no: the twin reads as much" in text


def test_a_twin_without_figure_leaves_nothing_to_claim() -> None:
    run = make(launches=4)
    records = tuple(
        replace(record, outcome="crashed", reason="x", turns=None) if record.twin else record for record in run.records
    )
    fabric, trainer, twin = told(replace(run, records=records))
    assert "No cost of Fabric can be told: the twin, the same code, has no interval" in fabric
    assert "No cost of Trainer can be told" in trainer
    assert twin.startswith("The twin of plain PyTorch, the same code, has no figure")


def test_a_comparison_of_single_launches_tells_nothing() -> None:
    from bench.commands.compare import CellRatio, Comparison

    cell = CellRatio("c", Interval(1.5, None, None, 1), Interval(1.5, None, None, 1), 0, 1, 1, 1e-3, 1.5e-3)
    found = Comparison("a", "b", (), (), (cell,), (), (), "")
    assert "nothing is told" in " ".join(comparison.console(found).split())
    assert "nothing is told" in comparison.markdown(found)


# --- a model and its data

SWEEPS = {"launches": 6, "noise": "none"}


def cost_of(summary: Summary, value: str) -> Cost:
    return next(cost for cost in summary.costs if cost.value == value and not cost.twin)


@settings(max_examples=examples(30), deadline=None)
@given(st.floats(1.01, 6), st.floats(1e-7, 1e4))
def test_no_cost_is_stated_beyond_the_data(spread: float, reference: float) -> None:
    lengths = {32: 1e-3, 256: spread * 1e-3}
    run = make(lengths=lengths, costs={PLAIN: 0.0, TRAINER: 300e-6}, launches=2, rounds=8, noise="none")
    summary = summarize(run, reference)
    cost = cost_of(summary, TRAINER)
    inside = 1e-3 / REACH <= reference <= spread * 1e-3 * REACH
    assert (cost.cost is not None) == (cost.relative is not None) == inside
    assert cost.measured is not None
    assert cost.measured.estimate == pytest.approx(300e-6)
    assert cost.fitted == (spread >= LEAST_SPAN)
    sentence = headlines(summary)[0]
    assert ("expect" in sentence) == inside
    assert ("outside of what was measured" in sentence) == (not inside)
    if not inside:
        assert "%" not in sentence
    for amount in re.findall(r"costs \+(\d+)", sentence):
        assert amount == "300"


def test_a_step_of_minutes_has_no_cost_of_seconds() -> None:
    run = make(launches=8)
    sentence = told(run, 500.0)[1]
    assert re.match(r"Trainer costs \+4\d\d µs a step \[\d+, \d+\] over plain PyTorch, as measured at steps", sentence)
    assert re.search(r"your 500 s step is outside of what was measured, 0.\d+ to [89](\.\d)? ms", sentence)
    assert "%" not in sentence
    text = everywhere(run, 500.0)
    assert not re.search(r"\+\d+(\.\d+)? s\b", text)


def test_lengths_that_hardly_differ_give_the_measured_difference() -> None:
    # The same 1.1 ms at 1.4 and 1.6 ms with some noise: a line through these points has any slope.
    truth = Truth(costs={PLAIN: 0.0, TRAINER: 1.1e-3}, lengths={32: 1.4e-3, 64: 1.6e-3}, launches=5, launch_sd=0.03)
    for seed in range(5):
        summary = summarize(make(truth, seed=seed), 7e-3)
        cost = cost_of(summary, TRAINER)
        assert not cost.fitted
        assert cost.share is None
        assert cost.cost is not None
        assert cost.cost.estimate == pytest.approx(1.1e-3, rel=0.15)
        assert "no fit: measured at step lengths that hardly differ, 1." in headlines(summary)[0]


def bent(run: StoredRun, more: Mapping[int, float]) -> StoredRun:
    """Trainer's steps by so many seconds longer, by batch size."""
    records = []
    for record in run.records:
        turns = record.turns
        if record.point["loop"] == TRAINER and turns is not None:
            extra = more[record.point["batch_size"]] * turns.steps
            turns = replace(turns, counted=tuple(item + extra for item in turns.counted))
        records.append(replace(record, turns=turns))
    return replace(run, records=tuple(records))


def test_what_cannot_be_is_measured_instead() -> None:
    # A saving of 0.5 ms at 1 ms and of 2.4 ms at 3 ms: at 12 ms the line gives a saving of more than all of it.
    run = make(lengths={32: 1e-3, 64: 3e-3}, costs={PLAIN: 0.0, TRAINER: 0.0}, **SWEEPS)
    run = bent(run, {32: -0.3e-3, 64: -2.7e-3})
    summary = summarize(run, 0.012)
    cost = cost_of(summary, TRAINER)
    assert cost.cost is None
    assert cost.relative is None
    sentence = headlines(summary)[0]
    assert "Trainer costs -2.70 ms a step over plain PyTorch, as measured at steps of 3.00 ms" in sentence
    assert "no time that a step can take" in sentence
    assert "%" not in sentence
    assert not re.search(r"-1\d\d(\.\d)? %", everywhere(run))


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.floats(-0.95, 3), min_size=3, max_size=3), st.floats(1e-5, 1), st.sampled_from([0.0, 0.1, 0.5]))
def test_no_stated_cost_ends_a_step_before_it_begins(shares: list[float], reference: float, sd: float) -> None:
    lengths = {32: 1e-3, 64: 2.5e-3, 128: 4e-3}
    more = {batch: share * length for (batch, length), share in zip(lengths.items(), shares, strict=True)}
    run = make(lengths=lengths, costs={PLAIN: 0.0, TRAINER: 0.0}, launches=3, rounds=8, launch_sd=sd, turn_sd=0.0)
    run = bent(run, more)
    for record in run.records:
        assume(record.turns is None or min(record.turns.counted) > 0)
    for cost in costs(run.info["plan"], pairs(run), reference):
        if cost.cost is not None and cost.relative is not None:
            assert min(cost.cost.estimate, cost.cost.low or 0.0) > -reference
            assert min(cost.relative.estimate, cost.relative.low or 0.0) > -1
        if cost.share is not None:
            assert min(cost.share.estimate, cost.share.low or 0.0) > -1
    for share, low in re.findall(r"expect ([-+]?[\d.]+) %(?: \[([-\d.]+),)?", " ".join(told(run, reference))):
        assert min(float(share), float(low or 0)) > -100


def test_the_drawing_has_no_line_where_no_cost_may_be_stated() -> None:
    run = make(launches=6)
    (model, *_) = models(run.info["plan"], pairs(run))
    shortest, longest = min(model.steps.values()), max(model.steps.values())
    assert model.at(longest * REACH * 0.999).stated
    assert not model.at(longest * REACH * 1.001).stated
    assert not model.at(shortest / REACH * 0.999).stated


@pytest.mark.parametrize(
    "text", ["500", "12", "0.5", "", "ms", "-1ms", "0ms", "0s", "nan", "infs", "1e3ms", "12 ms", "9" * 400 + "s"]
)
def test_a_step_needs_a_unit(text: str) -> None:
    import argparse

    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(f"{text!r} is not a time with a unit; allowed:")):
        as_step(text)


@pytest.mark.parametrize(("text", "seconds"), [("12ms", 0.012), ("250us", 250e-6), ("1.5s", 1.5), ("2m", 120.0)])
def test_a_step_with_its_unit(text: str, seconds: float) -> None:
    assert as_step(text) == pytest.approx(seconds)
    assert as_duration("90") == 90.0


# --- sentences name what differs


def two_axes(constant: Mapping[str, Any]) -> StoredRun:
    """Two runs of the same cells on two kinds of data, with further settings that are the same everywhere."""
    one = make(launches=4)
    cells, records = [], []
    for data in ("synthetic", "mnist"):
        for cell in one.info["plan"]["cells"]:
            names = {key: cell[key].replace("synthetic", data) for key in ("id", "group", "baseline")}
            cells.append({**cell, **names, "point": {**cell["point"], "data": data, **constant}})
        for record in one.records:
            records.append(
                replace(
                    record,
                    cell=record.cell.replace("synthetic", data),
                    group=record.group.replace("synthetic", data),
                    point={**record.point, "data": data, **constant},
                )
            )
    return replace(one, records=tuple(records), info={**one.info, "plan": {**one.info["plan"], "cells": cells}})


@pytest.mark.parametrize("length_axis", ["batch_size", None])
def test_a_sentence_names_only_what_differs_and_the_rest_stands_once(length_axis: str | None) -> None:
    constant = {f"setting_{number}": f"value_{number}" for number in range(12)}
    run = two_axes(constant)
    suite = {**run.info["plan"]["suites"]["overhead"], "length_axis": length_axis}
    run = replace(run, info={**run.info, "plan": {**run.info["plan"], "suites": {"overhead": suite}}})
    summary = summarize(run)
    found = headlines(summary)
    assert all(("data synthetic: " in text) != ("data mnist: " in text) for text in found)
    assert not any("setting_" in text for text in found)
    assert shared_axes(summary) == [
        "All with " + ", ".join(f"{axis} {value}" for axis, value in constant.items()) + "."
    ]
    for text in (console.render(summary), markdown.render(summary), html.render(run, summary, drawings=())):
        words_ = " ".join(text.split())
        assert words_.count("All with setting_0 value_0") == 1
        assert len(re.findall("setting_3 value_3", words_)) == 1
    assert set(titles(summary).values()) == {
        f"batch_size {batch}, data {data}" for batch in (32, 256, 2048) for data in ("synthetic", "mnist")
    }


def test_each_place_has_its_own_twin() -> None:
    run = two_axes({})
    noisy = replace(
        run,
        records=tuple(record for record in slower_twin(run, 2e-3).records if record.point["data"] == "mnist")
        + tuple(record for record in run.records if record.point["data"] == "synthetic"),
    )
    summary = summarize(noisy)
    said = {
        (where, cost.value): word
        for where, cost, word in zip(places(summary.costs), summary.costs, words(summary.costs), strict=True)
        if not cost.twin
    }
    assert said["data synthetic", TRAINER] == "told"
    assert said["data mnist", TRAINER] == said["data mnist", FABRIC] == "as-twin"


def test_the_json_of_a_summary_has_what_is_stated() -> None:
    data = json.loads(json.dumps(summarize(make(launches=4), 500.0).to_json(), allow_nan=False))
    for cost in data["costs"]:
        assert (cost["cost"], cost["relative"]) == (None, None)
        assert math.isfinite(cost["measured"]["estimate"])


@pytest.mark.parametrize(
    ("longest", "reference", "stated", "fitted"),
    [
        (3e-3, 14.9e-3, True, True),
        (3e-3, 15.1e-3, False, True),
        (3e-3, 0.21e-3, True, True),
        (3e-3, 0.19e-3, False, True),
        (1.9e-3, 5e-3, True, False),
        (2.1e-3, 5e-3, True, True),
    ],
)
def test_the_limits_are_a_factor_of_two_and_of_five(
    longest: float, reference: float, stated: bool, fitted: bool
) -> None:
    run = make(lengths={32: 1e-3, 64: longest}, costs={PLAIN: 0.0, TRAINER: 50e-6}, **SWEEPS)
    cost = cost_of(summarize(run, reference), TRAINER)
    assert (cost.stated, cost.cost is not None, cost.fitted) == (stated, stated, fitted)
