"""How long the next launch of a group should be, from what its launches said: Kalibera and Jones. No processes."""

from __future__ import annotations

import math
from typing import cast

import pytest

from bench.engine.group_state import KNOWN_FROM, LEAST_BETWEEN, GroupState
from bench.plan.cell import Group


def state(logs: list[float], error: float, turns: float = 2.0, start_up: float = 0.5) -> GroupState:
    """A group whose launches read these, each with this standard error of its own."""
    found = GroupState(cast(Group, None), [])
    found.ratios, found.errors = {"cell": logs}, [error] * len(logs)
    found.turns, found.overheads = [turns] * len(logs), [start_up] * len(logs)
    return found


def test_a_launch_is_as_long_as_its_variances_and_costs_ask_for() -> None:
    """A second of turns leaves 2 x 0.01^2, launches differ by 2 x 0.02^2 less that of the turns themselves."""
    logs = [0.02, -0.02] * 4
    between = 8 * 0.02**2 / 7 - 0.01**2
    assert state(logs, 0.01).best_turns == pytest.approx(math.sqrt(0.5 * 0.01**2 * 2.0 / between))


def test_what_start_up_costs_more_or_turns_leave_more_makes_launches_longer() -> None:
    logs = [0.02, -0.02] * 4
    known = [state(logs, 0.01, start_up=0.5), state(logs, 0.01, start_up=2.0), state(logs, 0.02, start_up=0.5)]
    lengths = [one.best_turns or 0.0 for one in known]
    assert lengths[1] == pytest.approx(2 * lengths[0])
    assert lengths[2] > 2 * lengths[0]


def test_launches_that_agree_by_luck_ask_for_none_of_a_minute() -> None:
    found = state([0.001, -0.001] * 4, 0.02).best_turns
    assert found == pytest.approx(math.sqrt(0.5 * 0.02**2 * 2.0) / LEAST_BETWEEN)


def test_a_few_launches_do_not_tell() -> None:
    assert state([0.01] * (KNOWN_FROM - 1), 0.01).best_turns is None
    assert state([0.01] * KNOWN_FROM, 0.01).best_turns is not None
