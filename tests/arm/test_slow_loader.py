"""The burn: how much it burns follows from the clock it is given; what is handed out is untouched."""

from __future__ import annotations

import pytest
from scipy import stats

from bench.arm import slow_loader
from bench.arm.slow_loader import Burn
from bench.commands import false_alarms, gate_power
from bench.commands.gate_power import _key, _points, keeps_its_promise
from bench.errors import RunError
from bench.plan import discovery
from bench.report.gate_power import power_table
from bench.stats import binomial
from bench.stats.gate_rule import Rule


class Clock:
    """The main thread's clock and the spin, without time: the loop takes 4 ms a step, the fetch 1 ms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.burnt: list[float] = []
        monkeypatch.setattr(slow_loader, "thread_time_ns", lambda: self.now)
        monkeypatch.setattr(slow_loader, "spin", self.spin)

    def spin(self, seconds: float) -> None:
        self.burnt.append(seconds)
        self.now += round(1e9 * seconds)

    def loader(self, steps: int) -> object:
        for number in range(steps):
            self.now += 1_000_000
            yield number


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.1, 1.0])
def test_a_fraction_of_the_loops_own_step_is_burnt(monkeypatch: pytest.MonkeyPatch, fraction: float) -> None:
    clock = Clock(monkeypatch)
    handed = []
    for batch in Burn(clock.loader(50), fraction):
        clock.now += 4_000_000
        handed.append(batch)
    assert handed == list(range(50))
    # 5 ms a step, and never a share of what was burnt before.
    assert clock.burnt == pytest.approx([fraction * 0.005] * 49)


def test_each_20th_step_is_doubled_over_all_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    burnt: list[int] = []
    loader = Burn([0] * 30, 1.0, every=20)
    asked: list[float] = []

    def spin(seconds: float) -> None:
        asked.append(seconds)
        burnt.extend([round(1e3 * seconds)] if seconds else [])

    monkeypatch.setattr(slow_loader, "spin", spin)
    at = []
    for number in range(60):
        if number % 30 == 0:
            batches = iter(loader)
        next(batches)
        clock.now += 5_000_000
        at += [number] * (len(burnt) - len(at))
    assert at == [19, 39, 59]
    assert burnt == [5, 5, 5]
    assert len(asked) == 59, "both sides ask at each pull but the first"


def test_a_single_slow_step_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for batch in Burn(clock.loader(50), 0.1):
        clock.now += 400_000_000 if batch == 30 else 4_000_000
    assert clock.burnt[31:] == pytest.approx([0.0005] * len(clock.burnt[31:]))


def test_a_fraction_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Burn([1, 2], -0.1)
    with pytest.raises(ValueError, match="every 0; allowed: 1 or more"):
        Burn([1, 2], 0.1, every=0)


def test_spinning_takes_as_long_as_asked_for() -> None:
    began = slow_loader.perf_counter_ns()
    slow_loader.spin(0.002)
    assert slow_loader.perf_counter_ns() - began >= 2_000_000


# The tally.


@pytest.mark.parametrize(("x", "n", "bound"), [(0, 59, 0.0495), (0, 299, 0.00997), (1, 20, 0.2161)])
def test_bounds_are_those_of_clopper_and_pearson(x: int, n: int, bound: float) -> None:
    assert binomial.upper(x, n) == pytest.approx(bound, abs=2e-4)
    assert binomial.upper(x, n) == pytest.approx(stats.beta.ppf(0.95, x + 1, n - x))


def test_the_tally_is_kept_across_runs_and_for_its_environment(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "none counted yet" in false_alarms.read_tally(1).sentence
    for verdict in ("pass", "pass", "regression"):
        false_alarms.count_gate(1, false_alarms.SAME, verdict)
    false_alarms.count_gate(1, "0.05", "regression")
    assert (
        false_alarms.read_tally(1).count(false_alarms.SAME, "inconclusive").sentence
        == false_alarms.read_tally(1).sentence
    ), "it could not alarm"
    found = false_alarms.read_tally(1)
    assert (found.caught(false_alarms.SAME), found.gates_at(false_alarms.SAME), found.caught("0.05")) == (1, 3, 1)
    assert "1 of 3, 95 % upper bound" in found.sentence
    assert false_alarms.read_tally(2) == false_alarms.Tally(), "another number of threads is another environment"


def test_a_tally_that_cannot_be_read_is_told_and_not_written_over(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    false_alarms.count_gate(1, false_alarms.SAME, "pass")
    (path,) = (false_alarms.calibration.calibrations_folder().parent / "tallies").glob("*.json")
    path.write_text("{")
    assert f"not known: {path}: not readable" in false_alarms.read_tally(1).sentence
    with pytest.raises(RunError, match="nothing was counted"):
        false_alarms.count_gate(1, false_alarms.SAME, "pass")
    assert path.read_text() == "{"


def test_the_operating_curve_is_sound_unless_its_lower_bound_says_otherwise() -> None:
    counted = false_alarms.Tally({"0": {"pass": 18, "regression": 2}, "0.05": {"regression": 20}})
    points = _points(counted, {"0": [60.0] * 20, "0.05": [90.0] * 20})
    assert [point.share for point in points] == [0.1, 1.0]
    assert not keeps_its_promise(points, Rule()), "2 of 20 false alarms are no 1 %"
    assert keeps_its_promise(_points(false_alarms.Tally({"0": {"pass": 19, "regression": 1}}), {"0": [60.0]}), Rule())
    assert [_key(asked) for asked in ("again", "1", "10", "every-20th")] == ["0", "0.01", "0.1", "0.05/20"]


def test_an_intermittent_slowdown_is_a_line_of_its_own() -> None:
    """Of the same mean as one of each step; the suite has a value for all that is asked of it."""
    counted = false_alarms.Tally({"0.05/20": {"regression": 9, "pass": 1}, "0.05": {"regression": 10}})
    points = _points(counted, {"0.05": [20.0], "0.05/20": [30.0]})
    assert [(point.slowdown, point.every, point.share) for point in points] == [(0.05, 1, 1.0), (0.05, 20, 0.9)]
    lines = power_table(points, "").splitlines()
    assert lines[1].startswith("+5 %  ")
    assert lines[2].startswith("+5 %, each 20th doubled")
    assert lines[1][26:31] == lines[2][26:31] == "   10", "one below the other"
    suite, _ = discovery.look_for_suites().get("power")
    assert {*gate_power.PERCENT, gate_power.AGAIN, gate_power.INTERMITTENT} <= set(suite.axes["slowdown"])
