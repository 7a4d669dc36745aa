"""The race without processes: how long turns get, and what the allocator, environment and judgement do. No torch."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from bench.engine.equal_work import judge_work
from bench.engine.fleet import Fleet
from bench.engine.launch import AUDITED_STEPS, COLD_SECONDS, EDGE, MOST_COLD, Race
from bench.engine.merge_ranks import Turn
from bench.engine.processes import Arm, ArmLost
from bench.machine.process_env import arm_environment
from bench.protocol import Go
from bench.results.record import Record
from bench.results.turns import Turns
from bench.stats.step_times import launch_ratios

TURN = 0.036


class Device:
    """Arms on a device whose turns cost `edge` seconds beside `step` seconds a step: replays, no clock."""

    def __init__(self, step: float, edge: float, lost: str = "") -> None:
        self.step = step
        self.edge = edge
        self.lost = lost
        self.steps: dict[str, int] = {}

    def stolen(self, cores: object, arms: object) -> float:
        return 0.0

    def turn(self, arm: Arm, go: Go, timeout: float, *, uncounted: int = 1) -> Turn:
        if arm.id == self.lost:
            arm.lost = ArmLost("crashed", "gone")
            raise arm.lost
        steps = go.steps
        self.steps[arm.id] = self.steps.get(arm.id, 0) + steps
        seconds = (self.step,) * (steps - 1) + (self.step + self.edge,)
        return Turn(seconds, (0.0,) * steps, cpu=0.0, involuntary=0, faults=0)


def race(device: Device, *, asynchronous: bool) -> Race:
    arms = {name: cast(Arm, ArmStub(name)) for name in ("a", "b", "c")}
    return Race(cast(Fleet, device), arms, (0,), 1.0, TURN, asynchronous=asynchronous)


class ArmStub:
    def __init__(self, name: str) -> None:
        self.id = name
        self.lost: ArmLost | None = None


@pytest.mark.parametrize("step", [0.00001, 0.0001, 0.001, 0.005, 0.1])
def test_a_turn_is_a_time_and_no_number_of_steps(step: float) -> None:
    one = race(Device(step, 0.0), asynchronous=False)
    one.warm_up("a")
    for _ in range(40):
        one.take_round(["a", "b", "c"])
    turns = one.turns("a")
    assert turns is not None
    assert turns.cold == min(MOST_COLD, max(1, math.ceil(COLD_SECONDS / step)))
    middle = max(2.5, turns.cold, min(TURN / step, 4 * MOST_COLD))
    assert middle / 2 <= sum(turns.taken) / 40 <= 2 * middle + 1
    assert min(turns.lengths) >= 1


def test_turns_of_a_round_are_as_long_for_all_arms_and_those_of_rounds_differ() -> None:
    one = race(Device(0.0015, 0.0), asynchronous=False)
    one.warm_up("a")
    for _ in range(12):
        one.take_round(["a", "b", "c"])
    taken = [turns.taken for name in "abc" if (turns := one.turns(name)) is not None]
    assert taken[0] == taken[1] == taken[2]
    assert len(set(taken[0])) > 4


def test_no_phase_of_a_period_is_missed_and_none_is_at_one_place_of_a_turn() -> None:
    """Turns of one length would see what comes every 20th step always at the same place, or never among the counted."""
    one = race(Device(0.0015, 0.0), asynchronous=False)
    one.warm_up("a")
    for _ in range(30):
        one.take_round(["a", "b", "c"])
    turns = one.turns("a")
    assert turns is not None
    places: dict[int, set[int]] = {}
    for began, taken in zip(turns.began, turns.taken, strict=True):
        for place in range(taken):
            places.setdefault((began + place) % 20, set()).add(place)
    assert all(len(own) > 10 for own in places.values())
    assert set(places) == set(range(20))


def test_turns_say_at_which_step_of_the_loop_they_began() -> None:
    device = Device(0.001, 0.0)
    one = race(device, asynchronous=False)
    one.warm_up("a")
    before = dict(device.steps)
    for _ in range(3):
        one.take_round(["a", "b", "c"])
    for name, steps in before.items():
        turns = one.turns(name)
        assert turns is not None
        assert turns.began == tuple(steps + sum(turns.taken[:number]) for number in range(3))
        assert (turns.resident, turns.allocated) == ((0, 0, 0), ())
    assert min(before.values()) > AUDITED_STEPS


@pytest.mark.parametrize("edge", [0.0, 0.0005, 0.002, 0.005])
def test_the_edges_of_a_turn_weigh_little_where_the_device_runs_behind(edge: float) -> None:
    step = 0.002
    device = Device(step, edge)
    one = race(device, asynchronous=True)
    one.warm_up("a")
    one.take_round(["a", "b", "c"])
    turns = one.turns("a")
    assert turns is not None
    # Doubling stops when a step keeps its time within 1 %, so what is left of the edge is under 1 % of the turn.
    assert edge / (min(turns.taken) * step) <= EDGE
    assert turns.behind
    assert len(set(device.steps.values())) == 1  # all arms did the same work


def test_a_lost_arm_does_not_stop_the_others() -> None:
    device = Device(0.001, 0.0, lost="b")
    one = race(device, asynchronous=True)
    one.warm_up("b")
    for _ in range(3):
        one.take_round(["c", "b", "a"])
    assert one.turns("b") is None
    assert one.turns("a") is not None
    assert one.alive == ["a", "c"]


def test_the_ratio_pairs_each_round_with_itself() -> None:
    base = Turns(1, (0, 1, 2), (0,) * 3, (1.0,) * 3, (1.0, 2.0, 4.0), (0.0,) * 3, (0,) * 3, (0,) * 3, (0.0,) * 3)
    arm = Turns(1, (2, 0), (0,) * 2, (1.0,) * 2, (8.0, 2.0), (0.0,) * 2, (0,) * 2, (0,) * 2, (0.0,) * 2)
    found = launch_ratios(arm, base)
    assert (found.rounds, found.typical, found.mean) == (
        2,
        pytest.approx(0.6931, abs=1e-4),
        pytest.approx(0.6931, abs=1e-4),
    )


def test_defaults_of_lightning_that_hide_in_the_environment_are_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {"PL_TRAINER_MAX_STEPS": "1", "LT_DEVICES": "2", "WORLD_SIZE": "4", "RANK": "1", "OMP_NUM_THREADS": "7"}
    for name, value in hidden.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PLANET", "kept")
    environment, scrubbed = arm_environment(3, 5)
    assert set(hidden) <= set(scrubbed)
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert environment["PYTHONHASHSEED"] == "5"
    assert environment["PLANET"] == "kept"
    assert not {"PL_TRAINER_MAX_STEPS", "LT_DEVICES", "WORLD_SIZE", "RANK"} & set(environment)


def test_the_allocator_keeps_its_memory_unless_the_user_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    assert int(arm_environment(1, 0)[0]["MALLOC_TRIM_THRESHOLD_"]) > 2**35
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert arm_environment(1, 0)[0]["MALLOC_TRIM_THRESHOLD_"] == "131072"


def record(name: str, *, twin: bool = False, **ledger: Any) -> Record:
    work = {
        "steps": 10,
        "samples": 100,
        "samples_digest": "ab",
        "audited": 1,
        "forward": 1,
        "backward": 1,
        "optimizer_updates": 10,
        "initial_weights": "x",
        "final_weights": "y" * 12,
        "losses": [1.0],
    }
    requested = {"accelerator": "cpu", "precision": "32-true"}
    return Record("s", name, "g", {}, twin, 0, "ok", requested=requested, ledger={**work, **ledger})


def test_other_work_than_the_baseline_is_judged_and_the_baseline_is_not() -> None:
    records = [record("s[a]"), record("s[a]#twin", twin=True), record("s[b]", final_weights="z" * 12)]
    assert [item.outcome for item in judge_work(records, "s[a]")] == ["ok", "ok", "unequal-work"]
    # A twin that failed in an earlier launch is not there any more; the others are judged all the same.
    assert [item.outcome for item in judge_work([records[0], records[2]], "s[a]")] == ["ok", "unequal-work"]
    # Without a baseline there is nothing to compare with, and no ratio either.
    assert [item.outcome for item in judge_work(records[1:], "s[a]")] == ["ok", "ok"]
