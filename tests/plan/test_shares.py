"""Shares of a run: whose group is whose, for any number of groups, tasks and copies."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SpecError
from bench.plan.plan import make_plan
from bench.plan.shares import Share, most_tasks, plan_share, share_of_text, tasks_of_group
from suites.overhead import suite

NUMBERS = st.integers(0, 40), st.integers(1, 12), st.integers(1, 5)


@given(*NUMBERS)
def test_each_group_is_in_as_many_tasks_as_wanted_and_loads_differ_by_one_at_most(
    groups: int, tasks: int, copies: int
) -> None:
    dealt = [tasks_of_group(group, tasks, copies) for group in range(groups)]
    assert all(len({*own}) == min(copies, tasks) for own in dealt)
    assert all(0 <= task < tasks for own in dealt for task in own)
    assert all((own[0] + step) % tasks == task for own in dealt for step, task in enumerate(own))  # neighbours
    load = Counter(task for own in dealt for task in own)
    loads = [load[task] for task in range(tasks)]
    assert max(loads) - min(loads) <= 1
    assert (min(loads) > 0) == (tasks <= most_tasks(groups, min(copies, tasks)))


@given(st.integers(2, 12))
def test_in_the_end_every_task_shares_a_group_with_each_neighbour(tasks: int) -> None:
    """So no node's ratios stand apart from all others'."""
    pairs = {frozenset(tasks_of_group(group, tasks, 2)) for group in range(2 * tasks)}
    assert pairs == {frozenset({task, (task + 1) % tasks}) for task in range(tasks)}


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "a/b", "1/2/3", "-1/3", "1 / 3"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(SpecError, match=r"is not a share; allowed: .* e\.g\. 2/3"):
        share_of_text(text)


def test_a_plan_is_shared_out_by_whole_groups() -> None:
    plan = make_plan({suite.name: suite}, [suite.name])
    groups = [group.id for group in plan.groups]
    tasks = most_tasks(len(groups), 2)
    shares = [plan_share(plan, Share(number, tasks)) for number in range(1, tasks + 1)]
    assert Counter(group.id for share in shares for group in share.groups) == dict.fromkeys(groups, 2)
    assert plan_share(plan, None) is plan
    assert plan_share(plan, share_of_text("1/1")) == plan
    with pytest.raises(SpecError, match=rf"leave this one without any; allowed: {tasks} tasks at most"):
        plan_share(plan, Share(tasks + 1, tasks + 1))
