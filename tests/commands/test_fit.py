"""`bench env --fit`: what is foreseen is what simulated gates reach, where the noise is known; and its words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import Bench
from hypothesis import given
from hypothesis import strategies as st
from noise import ROUNDS, Races, races
from tiers import Choice

from bench.commands import fit
from bench.commands.gate_forecast import GateForecast, GateShape, LaunchNoise, forecast_gate, screened_after
from bench.commands.selection import Selection, plan_selection
from bench.commands.selftest_fit import Reach, reach_of
from bench.engine.group_state import GroupState
from bench.engine.options import Options
from bench.errors import RunError
from bench.machine.throttling import CoreClock, core_clock
from bench.report.fit import fit_table, limits, sentence
from bench.stats.gate_decisions import judge_launches
from bench.stats.gate_rule import Judgement, LaunchSeries, Rule, hidden_by_noise

RULE = Rule()
TORCH = ("torch",)
ONE_CELL = GateShape("power", (3,), (TORCH, TORCH), False, 2, 1)
LAUNCH = 1.6  # seconds of one with three arms and no turns of more than the least
USUAL = LaunchNoise(0.012, 0.01, 0.25, (LAUNCH - 0.75) / 3, {TORCH: 6.0})
FITTED = 11  # launches that a fit makes
WITHIN = 0.3
LAUNCHES = RULE.screen[-1] + RULE.looks[-1]


# --- what is foreseen


def test_more_time_less_noise_and_quicker_launches_see_no_larger_slowdowns() -> None:
    seen = [forecast_gate(ONE_CELL, USUAL, seconds, RULE) for seconds in (20.0, 40.0, 60.0, 300.0)]
    assert [one.look for one in seen] == [0, 16, 24, 24]
    assert seen[0].sees is None
    told = [one.noise for one in seen[1:] if one.noise is not None]
    assert all(later <= earlier for earlier, later in pairwise(told))
    assert told[-1] == pytest.approx(hidden_by_noise(seen[-1].sd, 24, RULE.alphas[-1] / 2, RULE))
    assert seen[-1].sees == RULE.target
    assert "the rule" in seen[-1].limits[0]


@given(st.floats(0.002, 0.1), st.floats(0.001, 0.05), st.floats(0.05, 3.0), st.floats(10.0, 400.0), st.integers(1, 4))
def test_its_figures_hang_together(
    between: float, within: float, arm_start: float, seconds: float, groups: int
) -> None:
    noise = replace(USUAL, between=between, within=within, arm_start=arm_start)
    shape = replace(ONE_CELL, arms=(3,) * groups)
    found = forecast_gate(shape, noise, seconds, RULE)
    assert found.look in (0, *RULE.looks)
    assert (found.sees is None) == (found.noise is None) == (found.look == 0)
    assert found.sees is None or found.sees == max(RULE.target, found.noise or 0.0)
    assert found.needs is None or forecast_gate(shape, noise, found.needs, RULE).sees is not None
    assert found.limits


def test_it_says_from_which_budget_on_something_is_seen() -> None:
    needs = forecast_gate(ONE_CELL, USUAL, 10.0, RULE).needs
    assert needs is not None
    assert forecast_gate(ONE_CELL, USUAL, needs, RULE).look == RULE.looks[0]
    assert forecast_gate(ONE_CELL, USUAL, needs - 2, RULE).look == 0
    assert forecast_gate(ONE_CELL, replace(USUAL, arm_start=200.0), 60.0, RULE).needs is None


def test_more_groups_and_sides_of_their_own_interpreters_see_less() -> None:
    one = forecast_gate(ONE_CELL, USUAL, 45.0, RULE)
    more = forecast_gate(replace(ONE_CELL, arms=(3, 3)), USUAL, 45.0, RULE)
    apart = forecast_gate(replace(ONE_CELL, apart=True), USUAL, 45.0, RULE)
    assert one.noise is not None
    assert apart.noise is not None
    assert more.look < one.look
    assert apart.noise > one.noise


@pytest.mark.parametrize(("slowdown", "sd", "launches"), [(0.2, 0.005, 2), (0.05, 0.015, 4), (0.05, 0.03, 5)])
def test_the_screen_flags_after_so_many_launches(slowdown: float, sd: float, launches: int) -> None:
    assert screened_after(slowdown, sd, RULE) == launches
    values = np.random.default_rng(3).normal(math.log1p(slowdown), sd, (2000, RULE.screen[-1]))
    flagged = (np.cumsum(values >= RULE.doubtful, axis=1) > RULE.screen_above[-1]).mean(axis=0)
    assert flagged[launches - 1] > 0.94
    assert launches == 2 or flagged[launches - 2] < 0.96
    assert screened_after(0.02, 0.01, RULE) == RULE.screen[-1]


def test_what_limits_it_is_what_would_help() -> None:
    def first(noise: LaunchNoise, seconds: float) -> str:
        return forecast_gate(ONE_CELL, noise, seconds, RULE).limits[0]

    assert first(replace(USUAL, between=0.05), 300.0).startswith("noise from process to process, 5.00%")
    assert first(replace(USUAL, within=0.2), 300.0).startswith("noise within a launch, 20.00%")
    assert first(replace(USUAL, between=0.02), 33.0).startswith("launches: the budget has room for 12")
    assert first(USUAL, 10.0).startswith("room: its interpreters are there after 6 s")


# --- and what gates then reach, where the truth is known


def series(name: str, typical: Sequence[float], means: Sequence[float], screen: int, confirm: int) -> LaunchSeries:
    start = RULE.screen[-1]
    stages = slice(screen), slice(start, start + confirm)
    parts = [tuple(values[part]) for values in (typical, means) for part in stages]
    return LaunchSeries(name, "g", name == "twin", *parts)


def verdict(made: Races, gate: int, shift: float, launch: float, left: float) -> str:
    """A gate's, which has so many seconds left when its interpreters are there, in the steps of `commands.gate`."""
    counts = {"screen": 0, "confirm": 0}
    values = {
        "twin": (made.twin[gate].tolist(), made.twin_mean[gate].tolist()),
        "head": ((made.head[gate] + shift).tolist(), (made.head_mean[gate] + shift).tolist()),
    }
    while True:
        own = [series(name, *both, counts["screen"], counts["confirm"]) for name, both in values.items()]
        found: Judgement = judge_launches(own, RULE)
        more = found.launches - counts[found.stage]
        if not found.wanted or more * launch > left:
            return found.decisions[1].verdict
        counts[found.stage] += more
        left -= more * launch


def seen_with_90_percent(model: str, gates: int, launch: float, left: float) -> float:
    """The slowdown of which gates of that time call 90 % a regression."""
    made = races(model, gates, LAUNCHES, 5)
    low, high = 0.02, 0.6
    while high / low > 1.03:
        middle = math.sqrt(low * high)
        found = [verdict(made, gate, math.log1p(middle), launch, left) == "regression" for gate in range(gates)]
        low, high = (low, middle) if statistics.fmean(found) >= 0.9 else (middle, high)
    return math.sqrt(low * high)


def states(model: str, fits: int) -> list[GroupState]:
    """What fits on such a machine measure, each a few launches."""
    made = races(model, fits, FITTED, 6)
    plan, _ = plan_selection(Selection(*((names,) for names in fit.ONE_CELL)))
    group = plan.groups[0]
    errors = made.rounds.std(axis=2, ddof=1) / math.sqrt(ROUNDS)
    return [
        GroupState(
            group,
            list(group.runnable),
            launches=FITTED,
            ratios={"twin": made.twin_mean[one].tolist(), "head": made.head_mean[one].tolist()},
            errors=errors[one].tolist(),
            turns=[LAUNCH - 0.75] * FITTED,
            costs=[LAUNCH] * FITTED,
            overheads=[0.75] * FITTED,
        )
        for one in range(fits)
    ]


def foreseen(state: GroupState, seconds: float) -> GateForecast:
    return forecast_gate(ONE_CELL, fit.noise_of_launches(state, 6, {TORCH: 6.0}), seconds, RULE)


def naively(state: GroupState, look: int) -> float:
    """What those foresee who look at one process: the kernel's noise over the root of n, and the normal's quantiles."""
    alpha = RULE.alphas[RULE.looks.index(look)] / 2
    normal = statistics.NormalDist()
    error = math.sqrt(statistics.fmean(one**2 for one in state.errors) / look)
    return math.expm1(RULE.harmless + (normal.inv_cdf(1 - alpha) + normal.inv_cdf(0.95)) * error)


def near(one: float, other: float) -> bool:
    return abs(math.log(one / other)) <= math.log1p(WITHIN)


SECONDS = {"first look": 30.0, "all looks": 60.0}


@pytest.mark.parametrize("seconds", SECONDS.values(), ids=SECONDS)
@pytest.mark.parametrize("model", ["gaussian", "bimodal", "correlated"])
def test_what_is_foreseen_is_what_gates_see(model: str, seconds: float, repeats: Choice) -> None:
    """Of noise without long tails; below its target the rule promises nothing, so that nothing is foreseen there."""
    fits, gates = repeats(20, 100), repeats(40, 200)
    told = [foreseen(state, seconds) for state in states(model, fits)]
    launch = statistics.median(one.launch for one in told)
    seen = max(RULE.target, seen_with_90_percent(model, gates, launch, seconds - 6.0))
    expected = [math.inf if one.sees is None else one.sees for one in told]
    assert near(statistics.median(expected), seen)
    assert statistics.fmean(near(one, seen) for one in expected) >= 0.8 - 3 * math.sqrt(0.16 / fits) * (fits < 100)


@pytest.mark.parametrize("model", ["bimodal", "correlated"])
def test_without_what_launches_differ_by_it_would_be_wrong(model: str, repeats: Choice) -> None:
    """Where processes differ, the noise of one process, over the root of n, foresees far too much."""
    seen = seen_with_90_percent(model, repeats(40, 200), LAUNCH, 30.0 - 6.0)
    naive = statistics.median(naively(state, 9) for state in states(model, repeats(20, 100)))
    assert not near(max(RULE.target, naive), seen)
    assert naive < seen


@pytest.mark.parametrize("model", ["spikes", "lognormal"])
def test_of_noise_with_long_tails_gates_see_no_less_than_is_foreseen(model: str, repeats: Choice) -> None:
    """What a gate prints rests on a variance, which single launches blow up; the signed ranks care less for them."""
    told = [foreseen(state, 60.0) for state in states(model, repeats(20, 100))]
    launch = statistics.median(one.launch for one in told)
    seen = seen_with_90_percent(model, repeats(40, 200), launch, 54.0)
    assert statistics.median(math.inf if one.noise is None else one.noise for one in told) >= 0.9 * seen


@pytest.mark.parametrize("model", ["gaussian", "ar1", "drift", "bimodal", "correlated", "lognormal"])
def test_it_is_what_gates_themselves_print(model: str) -> None:
    """By the definition of the check `fit`: from the variance of a gate's launches, and the looks there is room for."""
    made = races(model, 100, LAUNCHES, 7)
    variance = float(np.mean([made.twin_mean.var(axis=1, ddof=1), made.head_mean.var(axis=1, ddof=1)]))
    reached = Reach(variance, LAUNCH, 6.0, 60.0).slowdown(RULE)
    told = [foreseen(state, 60.0).noise or math.inf for state in states(model, 100)]
    assert reached is not None
    assert near(math.exp(statistics.fmean(map(math.log, told))), reached)


def test_what_a_gate_reaches_is_its_own_figure_without_the_target() -> None:
    made = races("correlated", 1, LAUNCHES, 8)
    start = RULE.screen[-1]
    flagged = series("head", (made.head_mean[0] + 0.06).tolist(), (), start, 24)
    (decision,) = judge_launches([flagged], RULE).decisions
    assert decision.stage == "confirm"
    assert decision.sd is not None
    own = Reach(statistics.variance(flagged.confirm[: decision.n]), LAUNCH, 6.0, 600.0).slowdown(RULE)
    assert own is not None
    assert own == pytest.approx(
        hidden_by_noise(statistics.stdev(flagged.confirm[: decision.n]), 24, 0.001, RULE), rel=1e-9
    )
    assert Reach(decision.sd**2, LAUNCH, 6.0, 15.0).slowdown(RULE) is None


# --- real launches


@pytest.mark.long
def test_real_launches_are_read_and_foretell_a_gate(bench: Bench) -> None:
    plan, _ = plan_selection(Selection(*((names,) for names in fit.ONE_CELL)))
    records = bench.run(*fit.ONE_CELL, options=Options(budget=120.0, launches=fit.FEWEST_LAUNCHES, launch=0.5))
    state = fit.known_group(plan, records)
    noise = fit.noise_of_launches(state, 6, {TORCH: 6.0})
    assert len(state.ratios) == 2
    assert {len(values) for values in state.ratios.values()} == {fit.FEWEST_LAUNCHES}
    found = forecast_gate(ONE_CELL, noise, 600.0, RULE)
    assert found.look == RULE.looks[-1]
    assert found.sees is not None
    # The check's own reading of the same launches, as if they were a gate's screen.
    (bench.out / "gate").mkdir()
    bench.folder.rename(bench.out / "gate" / "screen")
    reach = reach_of(plan, bench.out / "gate", 100.0, 600.0)
    assert math.sqrt(reach.variance) == pytest.approx(noise.sd(statistics.median(state.turns), 3), rel=0.2)
    assert reach.launch == pytest.approx(statistics.median(state.costs))
    state.turns.pop()
    with pytest.raises(RunError, match="5 launches counted, and 6 are the fewest"):
        fit.noise_of_launches(state, 6, {TORCH: 6.0})


# --- what is read of the cores, and the words


def test_clocks_and_limits_are_read_where_the_kernel_tells_them(tmp_path: Path) -> None:
    files = {
        "cpu0/cpufreq/scaling_cur_freq": "2400000\n",
        "cpu1/cpufreq/scaling_cur_freq": "1200000\n",
        "cpu1/cpufreq/cpuinfo_max_freq": "3600000\n",
        "cpu1/cpufreq/scaling_governor": "powersave\n",
        "cpu0/thermal_throttle/core_throttle_count": "3\n",
        "cpu1/thermal_throttle/core_throttle_count": "4\n",
        "cpu.stat": "usage_usec 5\nnr_throttled 2\nthrottled_usec 2500000\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert core_clock([0, 1], tmp_path, tmp_path) == CoreClock(1.2e9, 3.6e9, "powersave", 7, 2.5)
    assert core_clock([2], tmp_path, tmp_path / "none") == CoreClock(None, None, None, None, None)
    (tmp_path / "cpu0/cpufreq/scaling_cur_freq").write_text("<unknown>")
    assert core_clock([0], tmp_path, tmp_path).hertz is None


NOTHING = CoreClock(None, None, None, None, None)


def fitted(seconds: float, **values: object) -> fit.Fit:
    told = {"threads": 1, "cores": (1,), "launches": 11, "step": 1.4e-3, "sd": 0.0155, "between": 0.012}
    told |= {"within": 0.01, "start_up": 0.75, "stolen": 0.0, "before": NOTHING, "after": NOTHING, "throttled": None}
    told |= {"held_back": None, "load_average": 0.2, "seconds": 24.0, **values}
    shapes = (
        ONE_CELL,
        replace(ONE_CELL, name="overhead", arms=(5, 5, 5), preloads=(TORCH, TORCH, (*TORCH, "lightning"))),
    )
    return fit.Fit(tuple(forecast_gate(shape, USUAL, seconds, RULE) for shape in shapes), **told)  # type: ignore[arg-type]  # the rest of its fields


def test_the_sentence_says_what_is_seen_or_what_it_takes() -> None:
    made = fitted(60.0)
    assert sentence(made.gates[0]) == "a gate of 60 s here sees slowdowns of 5 % and more (one cell)"
    assert made.gates[1].needs is not None
    least = math.ceil(made.gates[1].needs)
    lacking = f"a gate of 60 s here can call nothing a regression, it takes {least} s at least"
    assert sentence(made.gates[1]).startswith(lacking)
    assert sentence(replace(made.gates[1], needs=None)).endswith(
        "none of an hour or less sees one (overhead, 3 groups)"
    )
    assert "not told by this machine" in fit_table(made)
    assert limits(made) == list(made.gates[0].limits)


def test_what_disturbs_the_machine_is_among_the_limits() -> None:
    clock = CoreClock(2.4e9, 3.6e9, "powersave", 3, 0.0)
    made = fitted(60.0, stolen=0.064, before=clock, after=replace(clock, hertz=1.2e9), throttled=5, held_back=2.5)
    steal, heat, limit = limits(made)[-3:]
    assert "6.4 % of the turns' time" in steal
    assert "slowed down 5 times" in heat
    assert "held processes back for 2.5 s" in limit
    text = fit_table(made)
    assert "2.40 GHz before and 1.20 GHz after of 3.60 GHz at most, governor powersave" in text
    assert all(f"limited by {one}" in text for one in limits(made))
    assert made.to_json()["gates"][0]["look"] == made.gates[0].look
