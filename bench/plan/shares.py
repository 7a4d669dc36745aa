"""Which groups each of several tasks measures, where nodes share out a run: every group on more than one. Pure.

A group that two nodes measured tells what the node does to a ratio; one that a single node measured cannot. Whose
group it is follows from the plan's order alone, so that tasks that never speak with each other agree.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from bench.errors import SpecError, quote
from bench.plan.cell import Plan

GROUP_COPIES = 2  # tasks that measure a group, where nothing else is said


@dataclass(frozen=True)
class Share:
    """One task of several.

    Attributes:
        number: of the task, from 1 on.
        of: how many there are.
        copies: how many of them measure each group.
    """

    number: int
    of: int
    copies: int = GROUP_COPIES

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def share_of_text(text: str, copies: int = GROUP_COPIES) -> Share:
    """A share from `2/3`.

    Raises:
        SpecError: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise SpecError(f"{quote(text)} is not a share; allowed: the number of a task and how many there are, e.g. 2/3")
    return Share(int(match[1]), int(match[2]), copies)


def tasks_of_group(group: int, tasks: int, copies: int) -> tuple[int, ...]:
    """The tasks, from 0 on, that measure the group at this place of the plan: neighbours in a ring of all tasks.

    Groups are dealt out one after the other, so that no task has two more than another. Whenever all have as many, the
    next begins one task further: else, of four tasks and two copies, 0 and 1 would never share a group with 2 and 3.
    """
    copies = min(copies, tasks)
    lap = math.lcm(copies, tasks) // copies  # groups after which all tasks have as many
    return tuple((group * copies + group // lap + copy) % tasks for copy in range(copies))


def plan_share(plan: Plan, share: Share | None) -> Plan:
    """The part of a plan that a task measures; all of it where there is no share.

    Raises:
        SpecError: it has no group.
    """
    if share is None:
        return plan
    groups = tuple(
        group
        for place, group in enumerate(plan.groups)
        if share.number - 1 in tasks_of_group(place, share.of, share.copies)
    )
    if not groups:
        most = most_tasks(len(plan.groups), share.copies)
        raise SpecError(
            f"share {share}: {_in_groups(len(plan.groups))}, each on {min(share.copies, share.of)} tasks, leave this "
            f"one without any; allowed: {most} tasks at most"
        )
    names = {group.suite for group in groups}
    suites = {name: suite for name, suite in plan.suites.items() if name in names}
    return replace(plan, suites=suites, groups=groups)


def most_tasks(groups: int, copies: int) -> int:
    """The most tasks of which each has a group."""
    return groups * copies


def _in_groups(number: int) -> str:
    return "1 group" if number == 1 else f"{number} groups"
