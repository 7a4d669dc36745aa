"""Slopes within launches: known answers, and what is claimed of simulated launches whose truth is known. Seeded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiers import Choice

from bench.results.turns import Turns
from bench.stats.drift import (
    BLOCKS,
    DRIFT_POINTS,
    MATERIAL_MEMORY,
    Drift,
    drift_of_launches,
    drift_reason,
    drifts_of_group,
    in_blocks,
    memory_slope,
    theil_sen,
    time_slope,
)
from bench.stats.step_times import LEAST_ROUNDS

Array = NDArray[np.float64]
STEP, STEPS, BEFORE = 1e-3, 4, 80  # seconds of a step; steps of a turn, of which one is not counted; steps before
MIB = 2**20

# Real noise, which nobody here made up: consecutive steps of one process. Looked for beside the project.
NOISE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "noise"


def turns(times: Sequence[float], *, resident: Sequence[float] = (), steps: int = STEPS) -> Turns:
    """Turns of a launch whose steps took these times."""
    count = len(times)
    zeros, counted = (0,) * count, tuple(float(time) * (steps - 1) for time in times)
    return Turns(
        steps - 1,
        *(tuple(range(count)), zeros, counted, counted, counted, zeros, zeros, (0.0,) * count),
        began=tuple(BEFORE + steps * number for number in range(count)),
        resident=tuple(round(value) for value in resident),
    )


def places(rounds: int) -> Array:
    return BEFORE + STEPS * np.arange(rounds) + (STEPS - 1) / 2


def test_the_slope_of_a_line_is_exact_and_spikes_do_not_move_it() -> None:
    line = [3.0 + 0.5 * place for place in range(40)]
    assert theil_sen(range(40), line) == pytest.approx(0.5)
    spiked = [value + 100.0 * (place % 7 == 3) for place, value in enumerate(line)]
    assert theil_sen(range(40), spiked) == pytest.approx(0.5)
    assert theil_sen([1.0], [2.0]) == 0.0
    assert in_blocks(range(3)) == [0, 1, 2]
    assert len(in_blocks(range(1000))) == BLOCKS


def test_a_handful_of_turns_tells_a_trend_from_what_settles_no_better_than_a_coin() -> None:
    times = [1e-3 * (1 + 0.02 * number) for number in range(DRIFT_POINTS)]
    assert time_slope(turns(times)) is not None
    assert time_slope(turns(times[1:])) is None


def test_slopes_are_over_the_steps_of_the_loop_and_not_over_turns() -> None:
    times = STEP + 1e-6 * places(20)
    slope = time_slope(turns(times))
    assert slope is not None
    assert slope.slope == pytest.approx(1e-6)
    assert slope.later == pytest.approx(1e-6)
    assert slope.steps == 19 * STEPS
    # A baseline that a machine slows down as well takes nothing but that out.
    disturbed = np.where(np.arange(20) % 3, 1.0, 2.0)
    paired = time_slope(turns(times * disturbed), turns(STEP * disturbed))
    assert paired is not None
    assert paired.slope == pytest.approx(1e-6)
    assert time_slope(turns(times[: LEAST_ROUNDS - 1])) is None


def test_turns_of_older_records_have_slopes_and_no_memory() -> None:
    made = turns(STEP + 1e-6 * places(20))
    old = Turns(made.steps, made.round, made.position, made.first, made.counted, made.cpu, *[(0,) * 20] * 3)
    assert time_slope(old) == pytest.approx(time_slope(made))
    assert memory_slope(old, old.resident) is None
    assert memory_slope(old, (0,) * 20) is None


def test_one_launch_has_no_interval_two_claim_nothing_and_three_that_agree_do() -> None:
    grows = turns(STEP * (1 + 1e-3 * places(40)))
    one = drifts_of_group([(grows, None)], steady=False)
    assert one is not None
    assert (one.low, one.high, one.material) == (None, None, False)
    two = drifts_of_group([(grows, None)] * 2, steady=False)
    assert two is not None
    assert not two.material, "of two the interval is narrow by luck in one of a hundred"
    three = drifts_of_group([(grows, None)] * 3, steady=False)
    assert three is not None
    assert three.material
    assert three.estimate == pytest.approx(1e-3 * STEP)
    assert drift_reason(three) == (
        "its steps get slower: +8.6 % [8.6, 8.6] every 100 steps, so a ratio would depend on how long one measures"
    )
    assert "get faster: -8.6 % [-8.6, -8.6]" in drift_reason(
        Drift("s", -two.estimate, -two.estimate, -two.estimate, 2, two.level, two.steps, material=True)
    )


@pytest.mark.parametrize(
    "shape",
    [
        lambda at: 1.0 - 0.5 * np.exp(-at / 0.15),  # levels off, as caches do
        lambda at: 1.0 + 0.3 * (at > 0.6),  # a neighbour that comes and stays
        lambda at: 1.0 + 0.3 * ((at > 0.3) & (at < 0.5)),  # and one that leaves
        lambda at: 1.0 + 0.01 * at,  # 1 % in a launch: not material
    ],
)
def test_what_is_over_or_small_is_no_drift(shape: Callable[[Array], Array]) -> None:
    times = STEP * shape(np.linspace(0, 1, 60))
    found = drifts_of_group([(turns(times), None)] * 4, steady=False)
    assert found is not None
    assert not found.material


# --- simulated launches


@dataclass(frozen=True)
class Machine:
    """A machine's noise on a launch: shares of a step, of (rounds, arms).

    Attributes:
        own: sd of each turn; `slow`: that of an AR(1) that all arms of a round share; `ramp`: sd of a change of the
            whole machine from the first turn to the last; `spikes`: part of the turns that take much longer.
    """

    own: float = 0.02
    slow: float = 0.02
    ramp: float = 0.0
    spikes: float = 0.0

    def launch(self, rng: np.random.Generator, rounds: int) -> Array:
        shared = np.empty(rounds)
        shared[0] = rng.normal(0, self.slow)
        for number in range(1, rounds):
            shared[number] = 0.9 * shared[number - 1] + rng.normal(0, self.slow * math.sqrt(1 - 0.81))
        shared += rng.normal(0, self.ramp) * np.linspace(-0.5, 0.5, rounds)
        logs = shared[:, None] + rng.normal(0, self.own, (rounds, 3))
        logs += (rng.random((rounds, 3)) < self.spikes) * rng.exponential(0.5, (rounds, 3))
        return np.exp(logs)


MACHINES = {
    "quiet": Machine(),
    "spikes": Machine(spikes=0.1),
    "changing": Machine(ramp=0.10),
    "loud": Machine(own=0.1, slow=0.1),
}


def group(rng: np.random.Generator, machine: Machine, launches: int, rounds: int, *growth: float) -> list[Drift]:
    """Baseline, twin and another arm as they are judged; a step of each grows by this share of a step, every step."""
    made: list[list[Turns]] = []
    for _ in range(launches):
        times = STEP * (1 + places(rounds)[:, None] * np.asarray(growth)) * machine.launch(rng, rounds)
        made.append([turns(times[:, arm]) for arm in range(3)])
    return judged(made)


def judged(made: Sequence[Sequence[Turns]]) -> list[Drift]:
    base = drifts_of_group([(own[0], own[0]) for own in made], steady=False)
    assert base is not None
    others = [drifts_of_group([(own[arm], own[0]) for own in made], steady=not base.material) for arm in (1, 2)]
    return [base, *(one for one in others if one is not None)]


@pytest.mark.parametrize("launches", [2, 3, 5, 8])
@pytest.mark.parametrize("machine", MACHINES)
def test_sound_cells_are_called_drifting_in_under_one_in_a_hundred(
    machine: str, launches: int, repeats: Choice
) -> None:
    """Of a baseline, which is judged alone, on a machine that changes by itself by 10 % in each launch, too."""
    runs = repeats(30, 1000)
    rng = np.random.default_rng([launches, *machine.encode()])
    wrong = np.zeros(3)
    for _ in range(runs):
        wrong += [one.material for one in group(rng, MACHINES[machine], launches, 60, 0, 0, 0)]
    # Below 1 % of all cells; a baseline alone within what so few repetitions scatter around it.
    assert wrong.sum() / (3 * runs) < 0.01 + (0.03 if runs < 100 else 0)
    assert wrong[0] / runs < 0.01 + 3 * math.sqrt(0.01 / runs)


@pytest.mark.parametrize("launches", [3, 5, 8])
@pytest.mark.parametrize("machine", ["quiet", "spikes"])
def test_a_step_that_grows_by_a_tenth_of_a_percent_every_ten_steps_is_found(
    machine: str, launches: int, repeats: Choice
) -> None:
    """In one arm, and in all of them; its true slope is within the interval in 95 % of cases, as far as these are."""
    runs = repeats(20, 400)
    rng = np.random.default_rng([launches, *machine.encode()])
    growth = 1e-4
    found = held = everywhere = 0
    for _ in range(runs):
        _, twin, arm = group(rng, MACHINES[machine], launches, 400, 0, 0, growth)
        found += arm.material and not twin.material
        held += arm.low is not None and arm.high is not None and arm.low <= growth * STEP <= arm.high
        everywhere += group(rng, MACHINES[machine], launches, 400, growth, growth, growth)[0].material
    assert found / runs > 0.97
    assert everywhere / runs > (0.9 if launches > 3 else 0.5)
    assert held / runs > 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.skipif(not NOISE.is_dir(), reason="needs the measured noise beside the project (shared/reference/noise)")
def test_on_measured_noise_sound_cells_are_sound_and_a_planted_slope_is_found(repeats: Choice) -> None:
    runs = repeats(20, 400)
    rng = np.random.default_rng(0)
    series = [np.load(path)["seconds"] for path in sorted(NOISE.glob("steps_*_quiet_*.npz"))]

    def launches(count: int, rounds: int, growth: float) -> list[Drift]:
        made = []
        for _ in range(count):
            steps = series[rng.integers(len(series))]
            start = rng.integers(len(steps) - rounds * 3 * STEPS)
            taken = steps[start : start + rounds * 3 * STEPS].reshape(rounds, 3, STEPS)[..., 1:].mean(axis=2)
            taken[:, 2] += growth * np.median(taken) * places(rounds)
            made.append([turns(taken[:, arm]) for arm in range(3)])
        return judged(made)

    wrong = sum(one.material for _ in range(runs) for one in launches(5, 100, 0.0))
    found = sum(launches(8, 500, 1e-4)[2].material for _ in range(runs // 4))
    assert wrong / (3 * runs) < 0.01 + (0.03 if runs < 100 else 0)
    assert found / (runs // 4) > 0.9


# --- memory


def leak(shape: Callable[[Array], Array], *, rounds: int = 60, launches: int = 3, seed: int = 0) -> Drift:
    """What is said of launches in which a process of 300 MiB grows by that much, by steps that it has taken."""
    rng = np.random.default_rng(seed)
    at = BEFORE + STEPS * np.arange(1.0, rounds + 1)
    made = []
    for _ in range(launches):
        # The kernel's count is off by some pages of each core.
        # Others take from the same allocator before, so that what comes in pieces comes elsewhere in each launch.
        resident = 300 * MIB + shape(at + rng.integers(20)) + rng.integers(-32, 33, rounds) * 4096
        own = turns([STEP] * rounds, resident=resident.tolist())
        made.append(memory_slope(own, own.resident))
    found = drift_of_launches(made, "bytes", MATERIAL_MEMORY)
    assert found is not None
    return found


def test_a_leak_of_a_mebibyte_every_ten_steps_is_told_in_bytes_a_step(repeats: Choice) -> None:
    runs = repeats(20, 1000)
    found = [leak(lambda at: MIB * np.floor(at / 10), seed=seed) for seed in range(runs)]
    assert all(one.material for one in found)
    assert [one.estimate for one in found] == pytest.approx([MIB / 10] * runs, rel=0.02)
    held = sum(one.low is not None and one.high is not None and one.low <= MIB / 10 <= one.high for one in found)
    assert held / runs > 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    "shape",
    [
        lambda at: 0 * at,
        lambda at: 60 * MIB * (1 - np.exp(-(at - BEFORE) / 60)),  # an allocator that fills up
        lambda at: 100 * MIB * (at > 150),  # buffers that somebody needs from there on
        lambda at: 200 * MIB * ((at > 150) & (at < 200)),  # a burst
        lambda at: 50 * MIB * ((at / 23) % 1.0),  # rubbish that is collected from time to time
        lambda at: -0.2 * MIB * (at - BEFORE),  # memory that is given back
        lambda at: 500 * at,  # 500 bytes a step
    ],
)
def test_what_comes_to_rest_or_is_given_back_is_no_leak(shape: Callable[[Array], Array]) -> None:
    assert not any(leak(shape, seed=seed).material and leak(shape, seed=seed).estimate > 0 for seed in range(20))


def test_rubbish_that_is_collected_does_not_hide_a_leak_beneath_it() -> None:
    found = leak(lambda at: 0.1 * MIB * at + 50 * MIB * ((at / 23) % 1.0))
    assert found.material
    assert found.estimate == pytest.approx(0.1 * MIB, rel=0.25)
