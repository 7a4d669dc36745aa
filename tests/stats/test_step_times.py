"""The mean and the typical step: known truths come back from turns, and the estimator before this one misses them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from step_races import COLD, STEP, Machine, TrueArm, launches, median_of_paired_ratios, race
from tiers import Choice

from bench.results.turns import Turns
from bench.stats.intervals import Interval, interval_of_differences
from bench.stats.periods import Period, periods_of
from bench.stats.step_times import (
    WINSOR,
    LaunchRatios,
    contended_rounds,
    launch_ratios,
    longest_counted,
    pair_ratios,
    step_times,
)

NOISE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "noise"
FEW, MANY = 12, 100  # runs of 12 launches
PLAIN = TrueArm()


def at_least(rate: float, runs: int) -> float:
    """The rate itself in full; of few runs, what 1 in 1,000 of them miss where 94.5 % is true."""
    return rate if runs >= MANY else float(stats.binom.ppf(0.001, runs, 0.945)) / runs


def ratios_of(made: Sequence[Sequence[Turns]], arm: int = 0, base: int = 1) -> list[LaunchRatios]:
    """As frames and gates make them: what is told of single steps from all launches, then a ratio a launch."""
    return list(pair_ratios([(own[arm], own[base]) for own in made]).launches)


def means(made: Sequence[Sequence[Turns]]) -> list[float]:
    return [one.mean for one in ratios_of(made)]


def by_old_rule(made: Sequence[Sequence[Turns]]) -> list[float]:
    return [median_of_paired_ratios(own[0], own[1]) for own in made]


def coverage(
    arms: Sequence[TrueArm], machine: Machine, runs: int, estimate: Callable[..., list[float]] = means, seed: int = 1
) -> float:
    """How often the 95 % interval over 12 launches holds the true ratio of mean steps."""
    rng = np.random.default_rng(seed)
    truth = math.log(arms[0].mean(machine) / arms[1].mean(machine))
    found = [interval_of_differences(estimate(launches(rng, arms, machine))) for _ in range(runs)]
    return float(np.mean([interval.contains(truth) for interval in found]))


# Known truths, through single launches.


def turns(seconds: Sequence[Sequence[float]], *, cold: int = 1, **columns: tuple[float, ...]) -> Turns:
    """Turns whose steps took these times, one behind the other."""
    count = len(seconds)
    began = np.cumsum([0, *(len(turn) for turn in seconds)])[:-1]
    taken = {"cpu": tuple(math.fsum(turn) for turn in seconds), "stolen": (0.0,) * count, **columns}
    taken = {"involuntary": (0,) * count, **taken}
    return Turns(
        round=tuple(range(count)),
        position=(0,) * count,
        faults=(0,) * count,
        began=tuple(int(number) for number in began),
        seconds=tuple(tuple(float(step) for step in turn) for turn in seconds),
        cold=cold,
        **taken,
    )


def test_mean_and_typical_of_a_loop_whose_every_20th_step_takes_ten_times_as_long() -> None:
    steps = np.where(np.arange(600) % 20 == 7, 10.0, 1.0)
    lengths = [5 + number % 7 for number in range(100)]
    ends = np.cumsum(lengths)
    made = turns([steps[end - length : end] for end, length in zip(ends, lengths, strict=True) if end <= 600])
    (period,) = periods_of([made])
    assert period == Period(20, (7,), 9.0)
    assert period.share == pytest.approx(0.45)
    found = step_times(made, [period])
    assert (found.typical, found.mean) == pytest.approx((1.0, 1.45))
    # The median alone, and a mean of steps of which none counts for more than two, do not see what users pay.
    assert step_times(made).mean == pytest.approx(1.0 + (WINSOR - 1) / 20, abs=0.01)


def test_steps_that_find_cold_caches_tell_of_events_and_nothing_of_the_level() -> None:
    usual = [3.0, 1.5, *[1.0] * 8]
    made = [list(usual) for _ in range(30)]
    for number in range(0, 300, 50):
        made[number // 10][0] += 1.0  # every 50th step, which is the first of a turn
    own = turns(made, cold=2)
    (period,) = periods_of([own])
    assert (period.every, period.phases) == (50, (0,))
    assert period.extra == pytest.approx(1.0)
    found = step_times(own, [period])
    assert (found.typical, found.mean) == pytest.approx((1.0, 1.02))


def test_what_the_machine_does_to_a_round_cancels_and_an_event_of_a_turn_of_two_steps_does_not() -> None:
    rng = np.random.default_rng(2)
    drift = np.exp(rng.normal(0.0, 0.03, 200))
    number = np.arange(200)
    base = turns([[level, level] for level in drift], cold=0)
    slow = turns([[level * (1 + (n % 10 == 3)), level] for n, level in zip(number, drift, strict=True)], cold=0)
    periods = periods_of([slow])
    assert [(one.every, one.phases) for one in periods] == [(20, (6,))]
    found = launch_ratios(slow, base, (periods, ()))
    assert found.typical == pytest.approx(0.0)
    assert found.mean == pytest.approx(math.log(1.05), abs=0.002)


def test_stalls_that_one_arm_alone_has_are_its_own_and_those_of_both_are_the_machines() -> None:
    """Drawn, so of no period: one step in 50 takes ten more."""
    rng = np.random.default_rng(14)
    stalling, spikes = TrueArm(stalls=0.02, extra=10.0), Machine(spikes=0.03)
    for arm, machine, most in ((stalling, Machine(), math.inf), (PLAIN, Machine(), WINSOR), (PLAIN, spikes, WINSOR)):
        made = launches(rng, [arm, PLAIN], machine)
        arms, bases = ([own[number] for own in made] for number in (0, 1))
        assert longest_counted(arms, bases) == longest_counted(bases, arms) == most
        found = np.mean(means(made))
        assert found == pytest.approx(math.log(arm.mean(machine) / PLAIN.mean(machine)), abs=0.02)
    bounded = [launch_ratios(*own).mean for own in launches(rng, [stalling, PLAIN], Machine())]
    assert np.mean(bounded) < 0.05, "of two typical steps at most, the cost of 20 % would be 2 %"


def test_a_ratio_turned_round_is_its_inverse_and_units_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    one, other = race(rng, [TrueArm(1.3, every=20, extra=1.0), PLAIN], Machine())
    periods = periods_of([one]), periods_of([other])
    there, back = launch_ratios(one, other, periods), launch_ratios(other, one, periods[::-1])
    assert (there.mean, there.typical) == pytest.approx((-back.mean, -back.typical))
    assert there.difference == pytest.approx(-back.difference)

    def scaled(made: Turns) -> Turns:
        return replace(made, seconds=tuple(tuple(1e3 * step for step in turn) for turn in made.seconds))

    thousand = launch_ratios(scaled(one), scaled(other), periods)
    assert (thousand.mean, thousand.step) == pytest.approx((there.mean, 1e3 * there.step))


@settings(max_examples=15, deadline=None)
@given(
    ratio=st.floats(0.5, 3.0),
    every=st.integers(4, 60),
    extra=st.floats(1.0, 20.0),
    lengths=st.lists(st.integers(9, 30), min_size=30, max_size=40),
)
def test_without_noise_the_truth_comes_back_whatever_the_turns(
    ratio: float, every: int, extra: float, lengths: list[int]
) -> None:
    ends = np.cumsum(lengths)
    number = np.arange(ends[-1])
    steps = ratio * (1.0 + extra * (number % every == every - 1))
    made = turns([steps[end - length : end] for end, length in zip(ends, lengths, strict=True)], cold=2)
    base = turns([[1.0] * length for length in lengths], cold=2)
    periods = periods_of([made])
    assert [(one.every, one.phases) for one in periods] == [(every, (every - 1,))]
    found = launch_ratios(made, base, (periods, ()))
    assert found.typical == pytest.approx(math.log(ratio))
    assert found.mean == pytest.approx(math.log(ratio * (1 + extra / every)))


def test_two_periods_are_told_apart() -> None:
    number = np.arange(2000)
    rng = np.random.default_rng(4)
    steps = np.exp(rng.normal(0.0, 0.05, 2000)) + 2.0 * (number % 50 == 49) + 0.6 * (number % 20 == 3)
    made = turns(np.split(steps, 100), cold=1)
    found = {one.every: one for one in periods_of([made])}
    assert set(found) == {20, 50}
    assert found[50].extra == pytest.approx(2.0, abs=0.1)
    assert found[20].phases == (3,)
    assert step_times(made, tuple(found.values())).mean == pytest.approx(1.07, abs=0.01)


def test_a_launch_shorter_than_a_period_takes_the_event_of_the_others() -> None:
    short = turns([[1.0] * 5] * 4, cold=1)
    assert step_times(short, [Period(50, (49,), 3.0)]).mean == pytest.approx(1.06)


def test_sums_of_steps_and_whole_epochs_have_no_periods() -> None:
    nothing = (0.0,) * 8
    rest = ((0,) * 8, nothing, (2.0, 4.0) * 4, nothing, (0,) * 8, (0,) * 8, nothing)
    summed = Turns(2, tuple(range(8)), *rest)
    assert periods_of([summed]) == ()
    assert step_times(summed).typical == 1.5
    whole = replace(turns([[1.0, 2.0, 3.0]] * 8, cold=0), whole=True)
    assert periods_of([whole]) == ()
    assert (step_times(whole).typical, step_times(whole).mean) == (2.0, 2.0)
    behind = replace(turns([[9.0, 0.1, 0.1, 3.8]] * 8, cold=1), behind=True)
    assert step_times(behind).typical == pytest.approx(4.0 / 3)


@pytest.mark.parametrize("level", [0.0, 0.05])
def test_a_round_in_which_an_arm_was_pushed_off_its_processor_is_left_out(level: float) -> None:
    seconds = [[1.0 + level * (n % 3)] * 10 for n in range(20)]
    seconds[4] = [3.0] * 10
    cpu = tuple(10.0 + 10 * level * (n % 3) for n in range(20))
    pushed = tuple(5 * (n == 4) for n in range(20))
    hit = turns(seconds, cold=1, cpu=cpu, involuntary=pushed)
    base = turns([[1.0 + level * (n % 3)] * 10 for n in range(20)], cold=1)
    assert contended_rounds(hit) == {4}
    found = launch_ratios(hit, base)
    assert (found.mean, found.contended, found.rounds) == pytest.approx((0.0, 0.05, 20), abs=1e-9)
    assert step_times(hit).contended == 0.05
    # What an arm waits for by itself is its own cost: no switch was forced on it.
    own = turns(seconds, cold=1, cpu=cpu)
    assert contended_rounds(own) == frozenset()
    assert launch_ratios(own, base).mean > 0.04


def test_where_others_are_always_there_all_rounds_count() -> None:
    seconds = [[1.0 + (n % 2)] * 10 for n in range(20)]
    hit = turns(seconds, cold=1, cpu=(10.0,) * 20, involuntary=tuple(n % 2 for n in range(20)))
    assert len(contended_rounds(hit)) == 10
    found = launch_ratios(hit, turns([[1.0] * 10] * 20, cold=1))
    assert (found.contended, found.rounds) == (0.5, 20)
    assert found.mean > 0.3


def test_no_turn_and_no_round_in_common_is_told() -> None:
    with pytest.raises(ValueError, match="none"):
        step_times(Turns())
    one = turns([[1.0] * 3] * 8)
    with pytest.raises(ValueError, match="none"):
        launch_ratios(one, replace(one, round=tuple(range(8, 16))))


def test_chance_makes_no_period(repeats: Choice) -> None:
    """CHANCE is how often one is found where there is none; noise comes in bursts here, which no phase gathers."""
    rng, runs = np.random.default_rng(5), repeats(40, 600)
    found = 0
    for _ in range(runs):
        steps = np.exp(rng.normal(0.0, 0.1, 1200) + 0.3 * (rng.random(1200) < 0.02).cumsum() % 2 * 0.1)
        found += bool(periods_of([turns(np.split(steps, 60), cold=1)]))
    assert found / runs <= 0.01 + 3 * math.sqrt(0.01 / runs)


def test_what_is_not_settled_is_told() -> None:
    """A pause that costs one arm for half of a turn: its ratio is known to be too high, and by how much."""
    rng = np.random.default_rng(6)
    long = Machine(process=0.0, shapes={"quick": 10.0, "slow": 10.0, "tail": 0.5})
    told = [one.unsettled for one in ratios_of(launches(rng, [TrueArm(pause=1.2), TrueArm(pause=1.0)], long))]
    sound = [one.unsettled for one in ratios_of(launches(rng, [PLAIN, PLAIN], Machine(process=0.0)))]
    assert np.mean(told) > 0.02
    assert abs(np.mean(sound)) < 0.01


# Coverage: the interval over 12 launches holds the truth in 93 % of runs, and that of the old estimator does not.

EVERY = [(20, 0.5), (20, 9.0), (50, 1.0), (7, 0.5), (90, 2.0)]


@pytest.mark.parametrize(("every", "extra"), EVERY)
def test_the_mean_covers_what_hits_certain_steps(every: int, extra: float, repeats: Choice) -> None:
    runs = repeats(FEW, MANY)
    arms = [TrueArm(every=every, extra=extra), PLAIN]
    assert coverage(arms, Machine(), runs) >= at_least(0.93, runs)
    if extra / every > 0.1:
        assert coverage(arms, Machine(), runs, by_old_rule) < 0.5


def test_spikes_of_both_sides_do_not_move_the_mean_of_an_arm_with_events(repeats: Choice) -> None:
    """Spikes on 5 % of the steps of both sides; the event of the arm is told all the same."""
    runs = repeats(FEW, MANY)
    rng = np.random.default_rng(7)
    made = [means(launches(rng, [TrueArm(every=20, extra=0.5), PLAIN], Machine(spikes=0.05))) for _ in range(runs)]
    middle = np.mean([np.mean(values) for values in made])
    assert 0.019 < middle < 0.026  # of the raw mean, spikes and all, it would be 0.0219
    same = [means(launches(rng, [PLAIN, PLAIN], Machine(spikes=0.05))) for _ in range(runs)]
    covered = np.mean([interval_of_differences(values).contains(0.0) for values in same])
    assert covered >= at_least(0.93, runs)


PAUSES = [(1.0, 1.3), (1.05, 1.25), (1.3, 1.0), (1.12, 1.06), (1.3, 1.3)]


@pytest.mark.parametrize(("base", "arm"), PAUSES)
def test_arms_that_suffer_unlike_from_pauses_are_compared_as_settled(base: float, arm: float, repeats: Choice) -> None:
    runs = repeats(FEW, MANY)
    arms = [TrueArm(1.2, pause=arm), TrueArm(pause=base)]
    assert coverage(arms, Machine(drift=0.1), runs) >= at_least(0.93, runs)
    if abs(arm - base) > 0.1:
        assert coverage(arms, Machine(drift=0.1), runs, by_old_rule) < 0.1


def test_settled_steps_know_the_ratio_no_worse_than_all_steps_do(repeats: Choice) -> None:
    """Under 10 % drift, against the same launches in which pauses cost nothing and every step counts."""
    runs = repeats(60, 1000)
    arms, machine = [PLAIN, PLAIN], Machine(drift=0.1, process=0.0)
    free = replace(machine, cold=1, lengths=(7, 32))  # as many counted steps, and no pause
    found = {}
    for name, one, own in (("settled", machine, arms), ("free", free, [TrueArm(pause=1.0)] * 2)):
        rng = np.random.default_rng(8)
        found[name] = np.std([launch_ratios(*race(rng, own, one)).mean for _ in range(runs)])
    assert found["settled"] <= found["free"] * (1.05 + 3 / math.sqrt(runs))


def test_who_ran_before_does_not_matter(repeats: Choice) -> None:
    """Three arms, of which two share an interpreter and warm each other: 40 % of what a pause costs is spared."""
    runs = repeats(40, 600)
    arms = [TrueArm(pause=1.15, kin=1), TrueArm(pause=1.15, kin=0), TrueArm(pause=1.15)]
    machine = Machine(warmth=0.6, process=0.0, drift=0.1)
    rng = np.random.default_rng(9)
    made = [race(rng, arms, machine) for _ in range(runs)]
    now = np.array([launch_ratios(own[0], own[2]).mean for own in made])
    before = np.array([median_of_paired_ratios(own[0], own[2]) for own in made])
    spare = 3 * now.std() / math.sqrt(runs)
    assert abs(now.mean()) < 0.001 + spare
    assert abs(before.mean()) > 0.01


@pytest.mark.parametrize("layout", [0.003, 0.005, 0.01])
@pytest.mark.parametrize("count", [2, 4, 12])
def test_launches_of_few_sets_are_covered(layout: float, count: int, repeats: Choice) -> None:
    runs = repeats(FEW, MANY)
    rng = np.random.default_rng(10)
    sets = [number % count for number in range(12)]
    arms, machine = [PLAIN, PLAIN], Machine(layout=layout / math.sqrt(2), sets=sets, rounds=8)
    made = [means(launches(rng, arms, machine)) for _ in range(runs)]
    covered = np.mean([interval_of_differences(values, sets=sets).contains(0.0) for values in made])
    assert covered >= at_least(0.93, runs)


# Real noise, which nobody here made up.


def real_steps(name: str) -> np.ndarray:
    path = NOISE / name
    if not path.exists():
        pytest.skip(f"{path} is not there: the team's reference of real noise lies beside the project")
    with np.load(path) as data:
        return np.asarray(data["seconds"], dtype=float)


def of_real_steps(steps: np.ndarray, rng: np.random.Generator, event: float = 0.0, rounds: int = 17) -> list[Turns]:
    """Two arms that take turns along one recording: what the machine did at its moment is what it did to them."""
    at = int(rng.integers(0, len(steps) - rounds * 2 * 46))
    columns: list[list[tuple[float, ...]]] = [[], []]
    numbers = [0, 0]
    for _ in range(rounds):
        length = int(rng.integers(15, 46))
        for arm in rng.permutation(2):
            own = steps[at : at + length].copy()
            if event and not arm:
                own *= 1 + event * ((numbers[arm] + np.arange(length)) % 20 == 5)
            columns[arm].append(tuple(own.tolist()))
            numbers[arm] += length
            at += length
    return [turns(own, cold=COLD) for own in columns]


@pytest.mark.parametrize(
    "name", ["steps_plain_quiet_1", "steps_plain_quiet_2", "steps_trainer_quiet_1", "steps_trainer_quiet_2"]
)
@pytest.mark.parametrize("event", [0.0, 1.0])
def test_real_noise_is_covered(name: str, event: float, repeats: Choice) -> None:
    steps = real_steps(f"{name}.npz")
    rng, runs = np.random.default_rng(11), repeats(FEW, MANY)
    truth = math.log1p(event / 20)
    covered, old = 0, 0
    for _ in range(runs):
        made = [of_real_steps(steps, rng, event) for _ in range(12)]
        covered += interval_of_differences(means(made)).contains(truth)
        old += interval_of_differences(by_old_rule(made)).contains(truth)
    assert covered / runs >= at_least(0.93, runs)
    if event:
        assert old / runs < 0.5


def test_intervals_of_runs_of_identical_code_hold_no_difference(repeats: Choice) -> None:
    """Comparisons of functions with themselves, an experiment's own 12 at a time (bazhenov/tango)."""
    path = NOISE / "tango_same_code.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there: the team's reference of real noise lies beside the project")
    with path.open() as file:
        lines = [row for row in csv.DictReader(file) if row["tool"] == "tango"]
    rng, runs = np.random.default_rng(12), repeats(200, 4000)
    by_experiment: dict[str, list[float]] = {}
    for row in lines:
        by_experiment.setdefault(row["experiment"], []).append(math.log1p(float(row["change_percent"]) / 100))
    held = []
    for _ in range(runs):
        values = by_experiment[str(rng.choice(list(by_experiment)))]
        found: Interval = interval_of_differences(rng.choice(values, 12, replace=False).tolist())
        held.append(found.contains(float(np.median(values))))
    assert np.mean(held) >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / runs)


def test_step_times_are_of_the_arm_alone() -> None:
    rng = np.random.default_rng(13)
    one, _ = race(rng, [TrueArm(1.4), PLAIN], Machine(process=0.0, rounds=200))
    found = step_times(one)
    assert found.typical == pytest.approx(1.4 * STEP, rel=0.02)
    assert found.typical < found.mean < found.p95 < found.p99
