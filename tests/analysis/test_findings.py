"""What a suite was asked, from cells of known figures: efficiency and its cause, break-even, waiting; as sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bench.analysis.by_launch import LaunchValues
from bench.analysis.estimates import CellSummary, MetricEstimate, StepDifference, Versus
from bench.analysis.findings import Finding, findings_of
from bench.report import findings
from bench.stats.intervals import Interval, interval_of_logs


def metric(value: float, unit: str = "s") -> MetricEstimate:
    return MetricEstimate(unit, "lower", value, None, None, 6, 60)


def cell(
    value: Any,
    *,
    axis: str,
    ratio: tuple[float, float | None, float | None] | None = None,
    difference: tuple[float, float | None, float | None] = (0.0, None, None),
    metrics: Mapping[str, float] | None = None,
    instrumented: Mapping[str, float] | None = None,
    samples: int = 64,
    outcome: str = "ok",
    twin: bool = False,
) -> CellSummary:
    """A cell of the suite `s`; with a ratio to the baseline where one is given."""
    versus = None
    if ratio is not None:
        launches = 1 if ratio[1] is None else 6
        versus = Versus("base", Interval(*ratio, launches), StepDifference("s", *difference, launches))
    return CellSummary(
        id="base" if ratio is None and not twin else f"{axis}={value}{'#twin' * twin}",
        suite="s",
        group="g",
        twin=twin,
        point={axis: value},
        outcome=outcome,
        reason="",
        requested={},
        effective={},
        metrics={name: metric(figure) for name, figure in (metrics or {}).items()},
        versus=versus,
        instrumented={name: metric(figure) for name, figure in (instrumented or {}).items()},
        samples_per_step=samples,
    )


def asked(
    axis: str,
    *cells: CellSummary,
    waits: Mapping[str, Interval] | None = None,
    launches: Mapping[str, LaunchValues] | None = None,
) -> list[Finding]:
    return findings_of(cells, {"s": axis}, waits, launches)


PHASES = {"data": 1.0, "transfer": 0.0, "forward": 2.0, "backward": 4.0, "optimizer": 1.0, "rest": 0.5}


def phases(**changes: float) -> dict[str, float]:
    """A step of 8.5 ms by its phases, as instrumented launches tell them; changes in ms."""
    return {f"phase_{name}": changes.get(name, value) * 1e-3 for name, value in PHASES.items()}


# --- efficiency


def test_weak_scaling_does_twice_the_work_in_the_ratio_of_the_times() -> None:
    one, two = cell(1, axis="devices"), cell(2, axis="devices", ratio=(1.25, 1.2, 1.3), samples=128)
    (answer,) = asked("devices", one, two)
    assert (answer.kind, answer.cell, answer.unit, answer.launches) == ("efficiency", two.id, "1", 6)
    # the interval turns round: the longest time is the least efficiency
    assert (answer.estimate, answer.low, answer.high) == pytest.approx((0.8, 1 / 1.3, 1 / 1.2))


def test_strong_scaling_does_the_same_work_and_so_half_of_it_is_each_devices() -> None:
    one, two = cell(1, axis="devices"), cell(2, axis="devices", ratio=(0.625, 0.6, 0.65), samples=64)
    (answer,) = asked("devices", one, two)
    assert (answer.estimate, answer.low, answer.high) == pytest.approx((0.8, 0.5 / 0.65, 0.5 / 0.6))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"backward": 9.0}, "communication-bound"),
        ({"data": 6.0}, "loader-bound"),
        ({"transfer": 6.0}, "loader-bound"),
        ({"rest": 6.0}, "bound by the loop itself"),
        # all arithmetic slows by one half: then so does that of the backward pass, and no exchange is to blame
        ({"forward": 3.0, "backward": 6.0, "optimizer": 1.5}, "sharing: "),
        ({}, ""),  # nothing has grown
    ],
)
def test_the_cause_in_weak_scaling_is_the_phase_that_has_grown(changes: dict[str, float], why: str) -> None:
    one = cell(1, axis="devices", instrumented=phases())
    two = cell(2, axis="devices", ratio=(1.5, 1.4, 1.6), samples=128, instrumented=phases(**changes))
    (answer,) = asked("devices", one, two)
    assert answer.why.startswith(why)
    assert bool(answer.why) == bool(why)


def test_the_cause_in_strong_scaling_is_what_has_not_halved() -> None:
    one = cell(1, axis="devices", instrumented=phases())
    halved = {name: value / 2 for name, value in PHASES.items()}
    two = cell(
        2, axis="devices", ratio=(0.8, 0.7, 0.9), instrumented=phases(**{**halved, "forward": 2.0, "backward": 4.0})
    )
    (answer,) = asked("devices", one, two)
    assert answer.why == "launch-bound"
    exchanged = phases(**{**halved, "backward": 4.0})
    (answer,) = asked("devices", one, cell(2, axis="devices", ratio=(0.8, 0.7, 0.9), instrumented=exchanged))
    assert answer.why == "communication-bound"


def test_a_wait_that_only_timed_launches_saw_is_the_loaders() -> None:
    one = cell(1, axis="devices", instrumented=phases(), metrics={"data_time": 1e-3})
    two = cell(
        2, axis="devices", ratio=(1.5, 1.4, 1.6), samples=128, instrumented=phases(), metrics={"data_time": 4e-3}
    )
    assert [answer.why for answer in asked("devices", one, two)] == ["loader-bound"]


def test_no_cause_without_instrumented_launches_or_nothing_is_lost() -> None:
    grown = phases(backward=9.0)
    unseen = asked(
        "devices", cell(1, axis="devices"), cell(2, axis="devices", ratio=(1.5, 1.4, 1.6), instrumented=grown)
    )
    one = cell(1, axis="devices", instrumented=phases())
    better = asked("devices", one, cell(2, axis="devices", ratio=(0.98, 0.97, 0.99), samples=128, instrumented=grown))
    assert [answer.why for answer in unseen + better] == ["", ""]
    assert better[0].estimate == pytest.approx(1 / 0.98)


def test_who_is_asked() -> None:
    one = cell(1, axis="devices")
    twin = cell(1, axis="devices", ratio=(1.0, 0.99, 1.01), twin=True)
    lost = cell(2, axis="devices", ratio=(1.5, 1.4, 1.6), outcome="crashed")
    noisy = cell(4, axis="devices", ratio=(1.5, 1.0, 2.0), outcome="noisy", samples=256)
    assert [answer.cell for answer in asked("devices", one, twin, lost, noisy)] == ["devices=4"]
    assert asked("precision", one, noisy) == []
    assert asked("devices", one, cell(2, axis="devices", ratio=(1.5, 1.4, 1.6), samples=0)) == []


# --- break-even


def compiled(
    difference: tuple[float, float | None, float | None], cold: float = 12.1, warm: float = 3.1
) -> list[CellSummary]:
    """Eager starts in 0.1 s; compiled in 12.1 s from an empty cache, 3.1 s from a warm one."""
    starts = {"time_to_first_step_cold": cold, "time_to_first_step_warm": warm}
    ratio = tuple(None if one is None else 1 + 100 * one for one in difference)
    return [
        cell("off", axis="compile", metrics={"time_to_first_step": 0.1}),
        cell("default", axis="compile", ratio=ratio, difference=difference, metrics=starts),  # a step of 10 ms
    ]


def seen(saved: Sequence[float], cold: Sequence[float] = (12.1,), warm: float = 3.1) -> dict[str, LaunchValues]:
    """As many launches as savings, of which the first ones start from an empty cache."""
    eager = {launch: 0.1 for launch in range(len(saved))}
    starts = {
        "time_to_first_step_cold": dict(enumerate(cold)),
        "time_to_first_step_warm": {launch: warm for launch in range(len(cold), len(saved))},
    }
    differences = {launch: -one for launch, one in enumerate(saved)}
    return {
        "base": LaunchValues(starts={"time_to_first_step": eager}),
        "compile=default": LaunchValues(
            difference=differences, starts={kind: own for kind, own in starts.items() if own}
        ),
    }


STEADY_SAVINGS = (1.0e-3, 1.05e-3, 0.95e-3, 1.1e-3, 0.9e-3, 1.0e-3)


def test_break_even_is_what_the_start_costs_over_what_a_step_saves_launch_by_launch() -> None:
    cold, warm = asked("compile", *compiled((-1e-3, -2e-3, -0.5e-3)), launches=seen(STEADY_SAVINGS))
    assert (cold.kind, warm.kind) == ("break-even-cold", "break-even-warm")
    # One start from an empty cache, and all launches tell what a step saves.
    assert (cold.estimate, cold.low, cold.high, cold.launches) == (pytest.approx(12_000), None, None, 1)
    logs = interval_of_logs([math.log(3 / one) for one in STEADY_SAVINGS[1:]])
    assert (warm.estimate, warm.low, warm.high, warm.launches) == (logs.estimate, logs.low, logs.high, 5)
    # Where it was seen twice there are two launches of it, with their own savings.
    twice, _ = asked("compile", *compiled((-1e-3, -2e-3, -0.5e-3)), launches=seen(STEADY_SAVINGS, cold=(12.1, 11.1)))
    pair = interval_of_logs([math.log(12 / 1.0e-3), math.log(11 / 1.05e-3)])
    assert (twice.estimate, twice.low, twice.high, twice.launches) == (pair.estimate, pair.low, pair.high, 2)


def test_break_even_that_may_never_come_has_no_upper_end() -> None:
    _, warm = asked("compile", *compiled((-1e-3, -2e-3, 0.5e-3)), launches=seen((0, 3e-3, -1e-3, 2e-3, 0.5e-3, 0.5e-3)))
    assert warm.estimate == pytest.approx(3_000)
    assert warm.low is not None
    assert 1_000 < warm.low < 1_800
    assert warm.high is None


def test_break_even_that_is_never_seen() -> None:
    savings = [-one for one in STEADY_SAVINGS]
    cold, warm = asked("compile", *compiled((1e-3, 0.5e-3, 2e-3)), launches=seen(savings))
    assert (warm.estimate, warm.low, warm.high, warm.launches) == (None, None, None, 5)
    assert (cold.estimate, cold.low, cold.high, cold.launches) == (None, None, None, 1)


def test_break_even_of_a_start_that_costs_nothing_more() -> None:
    _, at_once = asked("compile", *compiled((-1e-3, -2e-3, -0.5e-3)), launches=seen(STEADY_SAVINGS, warm=0.05))
    assert (at_once.estimate, at_once.low) == (0, 0)


def test_break_even_of_one_launch_has_no_interval_and_of_no_start_no_answer() -> None:
    cells = compiled((-1e-3, None, None))
    (cold,) = asked("compile", *cells, launches=seen((1e-3,)))
    assert (cold.kind, cold.estimate, cold.low, cold.high) == ("break-even-cold", pytest.approx(12_000), None, None)
    assert asked("compile", *cells) == []
    assert asked("compile", *cells, launches={"base": LaunchValues(), "compile=default": LaunchValues()}) == []


# --- waiting

Share = float | tuple[float, float, float]


def loaders(**shares: Share) -> tuple[list[CellSummary], dict[str, Interval]]:
    """Cells by the share of an epoch that they wait, known to a hundredth of itself or as given."""
    cells = [
        cell(name, axis="loader", ratio=(0.9, 0.8, 0.95) if number else None) for number, name in enumerate(shares)
    ]
    waits = {}
    for one, share in zip(cells, shares.values(), strict=True):
        ends = (share, 0.99 * share, 1.01 * share) if isinstance(share, float) else share
        waits[one.id] = Interval(*ends, 6)
    return cells, waits


def test_waiting_is_a_share_of_the_epoch_with_its_interval() -> None:
    cells, waits = loaders(none=0.5, one=(0.02, 0.01, 0.03))
    found = asked("loader", *cells, waits=waits)
    assert [(answer.kind, answer.estimate, answer.low, answer.high) for answer in found] == [
        ("waiting", 0.5, pytest.approx(0.495), pytest.approx(0.505)),
        ("waiting", 0.02, 0.01, 0.03),
    ]
    assert asked("loader", *cells) == []  # an older record


# --- sentences


def by_id(cells: list[CellSummary]) -> dict[str, CellSummary]:
    return {one.id: one for one in cells}


def test_the_sentence_of_scaling() -> None:
    cells = [
        cell(1, axis="devices", instrumented=phases()),
        cell(2, axis="devices", ratio=(1.25, 1.2, 1.3), samples=128, instrumented=phases(backward=9.0)),
    ]
    (text,) = findings.scaling_answers(asked("devices", *cells), by_id(cells))
    assert text == (
        "2 devices do 1.60 × [1.54, 1.67] the work of one in the same time: 80 % [77, 83] efficiency; "
        "most of the rest is lost to this: communication-bound."
    )
    single = [cells[0], cell(2, axis="devices", ratio=(1.0, None, None), samples=128)]
    (text,) = findings.scaling_answers(asked("devices", *single), by_id(single))
    assert text == "No efficiency of 2 devices can be told: one launch gives no interval."


def test_the_sentence_of_scaling_names_what_it_is_compared_with() -> None:
    cells = [cell(2, axis="devices", samples=128), cell(4, axis="devices", ratio=(1.25, 1.2, 1.3), samples=256)]
    (text,) = findings.scaling_answers(asked("devices", *cells), by_id(cells))
    assert text.startswith("4 devices do 1.60 × [1.54, 1.67] the work of 2 in the same time: 80 % [77, 83] efficiency")


@pytest.mark.parametrize(
    ("difference", "warm", "text"),
    [
        (
            (-1e-3, -2e-3, -0.5e-3),
            (3000.0, 1500.0, 6000.0),
            "compile default has paid for its start after 12,000 steps from an empty cache (start 12.1 s, seen once, "
            "so it has no interval) and after 3,000 steps [1,500, 6,000] from a warm one (start 3.10 s).",
        ),
        (
            (-1e-3, -2e-3, -0.5e-3),
            (3000.0, 1500.0, None),
            "compile default has paid for its start after 12,000 steps from an empty cache (start 12.1 s, seen once, "
            "so it has no interval) and after 3,000 steps [1,500, no end] from a warm one (start 3.10 s).",
        ),
        (
            (-1e-3, -2e-3, 0.5e-3),
            (3000.0, 1500.0, None),
            "compile default starts in 12.1 s from an empty cache and 3.10 s from a warm one; whether that is ever "
            "saved cannot be told: -10 % [-20, 5] time a step, which may save or cost time; if it is, after 1,500 "
            "steps from a warm one at the earliest.",
        ),
        (
            (1e-3, 0.5e-3, 2e-3),
            (None, None, None),
            "compile default takes more time a step, and so never pays for its start: 12.1 s from an empty cache and "
            "3.10 s from a warm one.",
        ),
        (
            (-1e-3, None, None),
            (3000.0, None, None),
            "compile default starts in 12.1 s from an empty cache and 3.10 s from a warm one; whether that is ever "
            "saved cannot be told: one launch gives no interval.",
        ),
    ],
)
def test_the_sentence_of_compiling(
    difference: tuple[float, float | None, float | None],
    warm: tuple[float | None, float | None, float | None],
    text: str,
) -> None:
    cells = compiled(difference)
    answers = [
        Finding("break-even-cold", "s", "g", "compile=default", "steps", 12_000.0, None, None, 1),
        Finding("break-even-warm", "s", "g", "compile=default", "steps", *warm, 5),
    ]
    assert findings.compile_answers(answers, by_id(cells)) == [text]


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ({"none": 0.03, "one": 0.01}, "3.00 % [2.97, 3.03] of an epoch: it does not starve."),
        (
            {"none": (0.06, 0.04, 0.08), "one": 0.01},
            "6.0 % [4.0, 8.0] of an epoch: whether it starves cannot be told, the limit is 5 %.",
        ),
        (
            {"none": 0.5, "one": 0.2, "two": 0.02, "four": 0.01},
            "50.0 % [49.5, 50.5] of an epoch; loader two stops that, with 2.00 % [1.98, 2.02].",
        ),
        (
            {"none": 0.5, "one": (0.04, 0.02, 0.06), "two": 0.3},
            "50.0 % [49.5, 50.5] of an epoch; whether another setting stops that cannot be told: one 4.0 % [2.0, 6.0].",
        ),
        (
            {"none": 0.5, "one": 0.2, "two": 0.3},
            "50.0 % [49.5, 50.5] of an epoch; no setting that was measured stops that, the least seen is one with "
            "20.0 % [19.8, 20.2].",
        ),
        (
            {"none": 0.5, "one": (0.49, 0.47, 0.51), "two": 0.6},
            "50.0 % [49.5, 50.5] of an epoch, and no other setting is told to wait less.",
        ),
    ],
)
def test_the_sentence_of_loading(shares: dict[str, Share], text: str) -> None:
    cells, waits = loaders(**shares)
    (told,) = findings.loader_answers(asked("loader", *cells, waits=waits), by_id(cells), "loader")
    assert told == f"loader none waits for batches during {text}"


def test_no_sentence_without_an_answer() -> None:
    assert (
        findings.scaling_answers([], {})
        == findings.compile_answers([], {})
        == findings.loader_answers([], {}, "loader")
        == []
    )
