"""Differences of counts by hand: what accounts for them, by module, and what tells nothing."""

from __future__ import annotations

import pytest

from bench.analysis.count_differences import (
    CountDifference,
    accounted_for,
    count_differences,
    metric_counts,
    per_step,
    short_module,
)
from bench.report.counts import difference_sentence
from bench.results.step_counts import COUNT_METRICS, Counted, StepCounts

CONNECTOR = "lightning.pytorch.trainer.connectors.logger_connector.logger_connector"


def launch(calls: dict[str, int], metric: str = "python_calls", refused: str = "", steps: int = 100) -> StepCounts:
    return StepCounts(steps, (Counted(metric, sum(calls.values()), calls, refused=refused),))


def difference(base: dict[str, int], own: dict[str, int], metric: str = "python_calls") -> CountDifference:
    sides = [metric_counts([launch(calls, metric)] * 2) for calls in (own, base)]
    return count_differences(*sides)[metric]


def test_what_accounts_for_a_difference_adds_up_to_it() -> None:
    base = {"suite:step": 100, "plain:plain": 200, "torch.optim:step": 100}
    own = {"suite:step": 100, f"{CONNECTOR}:log": 9000, f"{CONNECTOR}:reset": 600, "torch.optim:step": 300}
    found = difference(base, own)
    assert (found.base, found.own, found.more) == (4.0, 100.0, 96.0)
    assert sum(part.more for part in found.parts) == pytest.approx(found.more)
    assert [(part.name, part.more) for part in found.parts] == [
        (f"{CONNECTOR}:log", 90.0),
        (f"{CONNECTOR}:reset", 6.0),
        ("plain:plain", -2.0),
        ("torch.optim:step", 2.0),
    ]
    assert found.modules() == [(CONNECTOR, 96.0), ("plain", -2.0), ("torch.optim", 2.0)]
    told = difference_sentence("trainer", "plain", found)
    assert told == (
        "trainer makes 96 Python calls a step more than plain: 96 in logger_connector, 2 fewer in plain, "
        "2 in torch.optim"
    )


def test_fewer_are_told_as_fewer_and_others_as_others() -> None:
    fewer = difference({"aten::add": 300}, {"aten::add": 200}, "operators")
    assert difference_sentence("b", "a", fewer) == "b makes 1 operator a step fewer than a: 1 fewer aten::add"
    others = difference({"aten::add": 100}, {"aten::mul": 100}, "operators")
    told = difference_sentence("b", "a", others)
    assert told == "b makes as many operators a step as a, but others: 1 fewer aten::add, 1 aten::mul"


def test_a_long_list_is_cut_and_says_so() -> None:
    own = {f"m{place}:f": 100 * (place + 1) for place in range(9)}
    assert accounted_for(difference({}, own)).endswith("4 in m3, and 3 more")


def test_equal_counts_differ_in_nothing() -> None:
    both = metric_counts([launch({"a:b": 3})] * 2)
    assert count_differences(both, both) == {}


@pytest.mark.parametrize("side", [0, 1])
def test_what_is_not_exact_or_refused_on_either_side_tells_nothing(side: int) -> None:
    steady = metric_counts([launch({"a:b": 3})] * 2)
    unsteady = metric_counts([launch({"a:b": 5}), launch({"a:b": 6})])
    assert unsteady["python_calls"].unsteady == (("a:b", 5, 6),)
    refused = metric_counts([launch({}, refused="no")] * 2)
    for odd in (unsteady, refused):
        assert not odd["python_calls"].exact
        sides = (odd, steady) if side else (steady, odd)
        assert count_differences(*sides) == {}
    swapped = metric_counts([launch({"a:b": 1, "a:c": 2}), launch({"a:b": 2, "a:c": 1})])
    assert not swapped["python_calls"].exact  # as many in all, but others


def test_metrics_stand_in_their_usual_order() -> None:
    counts = StepCounts(50, tuple(Counted(name) for name in reversed(COUNT_METRICS)))
    assert list(metric_counts([counts])) == list(COUNT_METRICS)


@pytest.mark.parametrize(
    ("module", "short"),
    [(CONNECTOR, "logger_connector"), ("tqdm.utils", "tqdm.utils"), ("contextlib", "contextlib"), ("a.b.c", "b.c")],
)
def test_modules_are_short(module: str, short: str) -> None:
    assert short_module(module) == short


@pytest.mark.parametrize(
    ("value", "text"), [(412.0, "412"), (0.02, "0.02"), (3.5, "3.5"), (10.06, "10.06"), (0.0, "0")]
)
def test_counts_are_written_without_digits_that_say_nothing(value: float, text: str) -> None:
    assert per_step(value) == text
