"""What fits into a budget, in wall seconds: interpreters, launches of each kind. Pure: floats to floats and sentences.

`--budget` is wall time of everything. One launch of each group, from one set of interpreters, is the least that is
done; nothing else is begun that would end after the budget. Before anything is measured the constants below tell how
long things take; from then on it is what the same things took.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# Until a fresh interpreter has imported torch, and what lightning or another package of that size adds: 6 s each on 2
# slow cores with a warm disk.
TORCH, PACKAGE = 6.0, 6.0
# What each arm adds to a launch besides its turns: process, set-up, audited steps, warm-up, end. Launches of 5 arms
# took 1 to 1.5 s for that on 2 slow cores.
ARM_START = 0.25
COMPILING = 10.0  # what an arm adds that compiles its code into an empty cache; 5 to 20 s for the suites here
LEAST_TURNS = 0.3  # seconds of each arm in the rounds that a launch takes whatever the time says
SHORTEST_LAUNCH = 0.5  # seconds of turns
LONGEST_LAUNCH = 8.0
# Turns of a launch over its start-up, before the run's own variances tell: launches differ by about as much as a second
# of turns of two arms leaves, 1 % each, on the machine tried.
TURNS_OVER_START_UP = 1.2
# Six launches: below, the interval's factor (2.57 at 6, 4.30 at 3) costs more than start-up saves.
ENOUGH_LAUNCHES = 6
INTERVAL_LAUNCHES = 2  # fewer give no interval


@dataclass(frozen=True)
class Work:
    """What a plan asks for, as far as it takes time.

    Attributes:
        preloads: what the interpreters of one set import, one entry each.
        arms: of each group, twins included.
        compiled: how many of these compile.
        least: launches of each group that are made whatever the time says.
    """

    preloads: tuple[tuple[str, ...], ...]
    arms: tuple[int, ...]
    compiled: tuple[int, ...]
    least: tuple[int, ...]

    def start_ups(self) -> list[float]:
        """Seconds of a launch of each group besides its turns."""
        return [ARM_START * arms for arms in self.arms]

    def launches(self, number: int = 0) -> float:
        """Seconds of the least that is done, or of `number` launches of each group, as short as can be.

        The first launch of each is the one that compiles.
        """
        total = 0.0
        for arms, start_up, compiled, least in zip(self.arms, self.start_ups(), self.compiled, self.least, strict=True):
            launches = max(least, number)
            total += launches * (start_up + LEAST_TURNS * arms) + (COMPILING * compiled if launches else 0.0)
        return total


def imports(preload: Sequence[str]) -> float:
    """Seconds in which an interpreter imports these packages, `torch` among them; entries with `@` name a side."""
    return TORCH + PACKAGE * max(0, sum(not name.startswith("@") for name in preload) - 1)


def interpreters(preloads: Iterable[Sequence[str]], cores: int) -> float:
    """Seconds until these interpreters are there, which import at the same time on the cores there are."""
    each = [imports(preload) for preload in preloads]
    return max(max(each, default=0.0), sum(each) / max(1, cores))


def seconds_of_imports(preloads: Iterable[Sequence[str]], seen: Mapping[tuple[str, ...], float], cores: int) -> float:
    """The same, in the measure of interpreters that are there.

    Args:
        seen: seconds that interpreters with these preloads took; empty: none is there yet.
    """
    wanted = [tuple(preload) for preload in preloads]
    if wanted and all(preload in seen for preload in wanted):
        return max(seen[preload] for preload in wanted)
    slower = max((took / imports(preload) for preload, took in seen.items()), default=1.0)
    return slower * interpreters(wanted, cores)


def one_after_the_other(preloads: Iterable[Sequence[str]], seen: Mapping[tuple[str, ...], float]) -> float:
    """Seconds of these imports on one core, as long as each took where that was seen."""
    return math.fsum(seen.get(tuple(preload), imports(preload)) for preload in preloads)


def sets(wanted: int, further: Sequence[float], left: float, launches: float) -> int:
    """How many sets of interpreters are used: the first, and each further one while launches fit beside it.

    Args:
        wanted: at most.
        further: seconds that the second, third, ... set takes; 0 for one that is there.
        left: seconds of the budget.
        launches: seconds of the launches that the budget should have room for.
    """
    used = 1
    for price in further[: wanted - 1]:
        if price and price + launches > left:
            break
        left -= price
        used += 1
    return used


def seconds_of_turns(left: float, made: int, start_up: float, best: float | None = None) -> float:
    """Seconds of turns for the next launch of a group.

    Args:
        left: seconds of the budget that are the group's share.
        made: launches of it so far.
        start_up: seconds that a launch of it takes besides its turns.
        best: those by which its ratios are known in the least time, where its launches tell.
    """
    share = max(0.0, left) / max(1, ENOUGH_LAUNCHES - made) - start_up
    wished = TURNS_OVER_START_UP * start_up if best is None else best
    return min(LONGEST_LAUNCH, max(SHORTEST_LAUNCH, min(wished, share)))


def expected_launches(left: float, start_up: float, least: int = 1) -> int:
    """Launches of one group that fit into its share of the budget, `least` at least."""
    made = 0
    while True:
        cost = start_up + seconds_of_turns(left, made, start_up)
        if cost > left:
            return max(made, least)
        left -= cost
        made += 1


def instrumented_launch(arms: int, start_up: float, steps: float) -> float:
    """Seconds of one instrumented launch.

    Args:
        arms: that are instrumented.
        start_up: seconds that each adds besides its instrumented steps.
        steps: seconds of each arm's instrumented steps.
    """
    return arms * (start_up + steps)


@dataclass(frozen=True)
class Forecast:
    """What is to be expected of a run before it begins.

    Attributes:
        budget: seconds.
        interpreters: of the first set, and `starting`, the seconds until they are there.
        groups: how many can run.
        launching: seconds of the least launches of all groups.
        launches: of each group that are expected, the fewest.
    """

    budget: float
    interpreters: int
    starting: float
    groups: int
    launching: float
    launches: int
    least: int = 1

    @property
    def fits(self) -> bool:
        """Whether the least that is done fits into the budget."""
        return self.starting + self.launching <= self.budget

    def sentence(self) -> str:
        """What fits, or that the least does not."""
        groups = f"each of {self.groups} groups" if self.groups > 1 else "the group"
        started = f"{in_words(self.interpreters, 'interpreter')} (about {self.starting:.0f} s)"
        if not self.fits:
            return (
                f"a budget of {in_seconds(self.budget)} is less than the least there is to do, about "
                f"{self.starting + self.launching:.0f} s: {started} and {in_words(self.least, 'launch')} of {groups} "
                f"(about {self.launching:.0f} s). That much is done whatever it takes"
            )
        none = "" if self.launches >= INTERVAL_LAUNCHES else ", which gives no interval"
        launches = f"{'about ' if not none else ''}{in_words(self.launches, 'launch')} of {groups}{none}"
        return f"budget {in_seconds(self.budget)}: {started}, then {launches}"


def forecast(work: Work, budget: float, reserve: float, cores: int, wanted: int) -> Forecast:
    """What is to be expected of this work.

    Args:
        budget: seconds; `reserve` of them are kept for instrumented launches.
        wanted: sets of interpreters.
    """
    starting = interpreters(work.preloads, cores)
    left = budget - reserve - starting
    used = sets(wanted, [starting] * (wanted - 1), left, work.launches(INTERVAL_LAUNCHES))
    share = (left - (used - 1) * starting - COMPILING * sum(work.compiled)) / max(1, len(work.arms))
    fewest = min(
        (
            expected_launches(share, start_up, number)
            for start_up, number in zip(work.start_ups(), work.least, strict=True)
        ),
        default=0,
    )
    most = max(work.least, default=1)
    return Forecast(budget, len(work.preloads), starting, len(work.arms), work.launches(), fewest, most)


def late(elapsed: float, budget: float, least: float, launches: int) -> str:
    """The sentence for a run that has too little left for the least when its interpreters are there.

    Args:
        least: seconds of the least launches.
        launches: of each group that these are.
    """
    return (
        f"when the interpreters were there, {in_seconds(max(0.0, budget - elapsed))} of the budget of "
        f"{in_seconds(budget)} were left; {in_words(launches, 'launch')} of each group, about {in_seconds(least)}, "
        f"{'is' if launches == 1 else 'are'} made whatever it takes"
    )


def no_core_beside(standing: int) -> str:
    """The sentence for a machine on which no set of interpreters can import while arms take turns."""
    return (
        "no core is free beside those that are measured, so interpreters are not replaced as launches go on: "
        f"{in_words(standing, 'set')} of them {'serves' if standing == 1 else 'serve'} all launches"
    )


def no_room(stage: str, needed: float, left: float, budget: float) -> str:
    """The sentence for launches of a gate that are not begun."""
    return (
        f"not judged further: the launches that the stage {stage!r} wants take about {in_seconds(needed)}, and "
        f"{in_seconds(left)} of the budget of {in_seconds(budget)} are left"
    )


def in_seconds(value: float) -> str:
    """Seconds as a sentence tells them."""
    return f"{value:.0f} s" if value >= 10 else f"{value:.2g} s"


def in_words(number: int, thing: str) -> str:
    """So many things, in words."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}{'es' if thing.endswith('ch') else 's'}"
