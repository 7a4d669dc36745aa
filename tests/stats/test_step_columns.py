"""The single steps of turns as columns: which are settled, and what number each has in the loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.results.turns import Turns
from bench.stats.step_columns import StepColumns, grouped_medians

MADE = Turns(
    round=(0, 1, 2),
    position=(0,) * 3,
    cpu=(1.0,) * 3,
    involuntary=(0,) * 3,
    faults=(0,) * 3,
    stolen=(0.0,) * 3,
    began=(20, 24, 27),
    seconds=((3.0, 1.5, 1.0, 1.0), (3.0, 1.5, 2.0), (3.0, 1.5, 1.0, 4.0, 1.0)),
    cold=2,
)


def test_levels_are_those_of_settled_steps_and_numbers_those_of_the_loop() -> None:
    steps = StepColumns(MADE)
    assert steps.number.tolist() == list(range(20, 32))
    assert steps.seconds[steps.settled].tolist() == [1.0, 1.0, 2.0, 1.0, 4.0, 1.0]
    assert steps.levels(np.arange(3)).tolist() == [1.0, 2.0, 1.0]
    typical, relative = steps.relative(np.ones(3))
    assert typical == 1.0
    assert relative[steps.place == 0].tolist() == [1.0] * 3


def test_only_rounds_that_are_asked_for_are_there_in_their_order() -> None:
    turned = replace(MADE, round=(2, 1, 0))
    steps = StepColumns(turned, [0, 2])
    assert (steps.turns, steps.number.tolist()) == (2, [*range(27, 32), *range(20, 24)])


@pytest.mark.parametrize("whole", [True, False])
def test_where_only_sums_tell_all_steps_of_a_turn_are_alike(whole: bool) -> None:
    steps = StepColumns(replace(MADE, cold=0, whole=whole, behind=not whole))
    each = [6.5 / 4, 6.5 / 3, 10.5 / 5]
    taken = [1, 1, 1] if whole else [4, 3, 5]
    assert steps.seconds.tolist() == pytest.approx(
        [value for value, n in zip(each, taken, strict=True) for _ in range(n)]
    )
    assert steps.settled.all()


def test_medians_of_groups_by_hand() -> None:
    values, groups = np.array([5.0, 1.0, 3.0, 2.0, 8.0]), np.array([0, 0, 0, 1, 1])
    assert grouped_medians(values, groups, 2).tolist() == [3.0, 5.0]
