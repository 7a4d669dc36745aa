"""The per-turn watch of devices, on replayed answers of the driver: known watts for known seconds. No torch."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import synthetic

from bench.analysis.energy import launch_energies
from bench.analysis.frames import frames_of
from bench.analysis.summary import summarize
from bench.engine.group_state import GroupState
from bench.engine.launch import LONGEST_WARMUP
from bench.engine.lost_devices import LostDevices
from bench.engine.processes import ArmLost
from bench.machine.nvml import THROTTLED
from bench.plan.cell import Cell, Group
from bench.results.record import decode_record, encode_record
from bench.results.turns import Turns

from .replay import Recording, Replay
from .virtual import (
    ADDRESS,
    VirtualClock,
    VirtualFleet,
    replayed_meters,
    virtual_arm,
    virtual_race,
    virtual_run,
)

PLAIN = synthetic.cell_id(synthetic.PLAIN, 32)
FABRIC = synthetic.cell_id(synthetic.FABRIC, 32)


def turns_of(name: str, *, turn: float = 2.0, rounds: int = 5) -> tuple[Turns, list[str]]:
    """Turns of one arm, `rounds` of `turn` seconds, and what was told."""
    clock = VirtualClock()
    meters = replayed_meters(Recording.named(name), clock)
    race = virtual_race(VirtualFleet(clock, {"a": 0.01}), meters, turn)
    race.warm_up("a")
    race._lengths = range(round(turn / 0.01), round(turn / 0.01) + 1)
    for _ in range(rounds):
        race.take_round(["a"])
    turns = race.turns("a")
    assert turns is not None
    return turns, meters.told("g", 0, race.unsteady)


def the_only(texts: list[str]) -> str:
    """The one text that is there."""
    assert len(texts) == 1, texts
    return texts[0]


def test_100_watts_for_10_seconds_are_1000_joules_by_both_meters() -> None:
    turns, told = turns_of("steady")
    assert math.fsum(turns.entire) == pytest.approx(10.0)
    assert math.fsum(turns.integrated) == pytest.approx(1000.0)
    assert math.fsum(turns.energy) == pytest.approx(1000.0, abs=10.0)  # a step of the counter is 10 J
    assert set(turns.power) == {100.0}
    assert set(turns.sm_clock) == {1.98e9}
    assert set(turns.reasons) == {0}
    assert turns.meter == "nvml"
    assert turns.idle_power == pytest.approx(100.0)
    assert turns.meter_step == pytest.approx(0.1, rel=0.05)
    assert told == []


def test_joules_go_through_the_whole_pipeline() -> None:
    """Race, record, JSON, frames, summary: of 100 W and steps of 32 samples in 10 ms, 32 samples a joule."""
    run, told = virtual_run(Recording.named("steady"))
    assert told == []
    for record in run.records:
        again = decode_record(encode_record(record))
        assert again.turns == record.turns
    frames = frames_of(run)
    own = frames.turns[frames.turns["cell"] == PLAIN]
    assert own["power"].tolist() == [100.0] * 18
    seconds = math.fsum(s for record in run.records if record.turns for s in record.turns.entire)
    joules = math.fsum(j for record in run.records if record.turns for j in record.turns.energy)
    assert joules == pytest.approx(100.0 * seconds, rel=0.001)
    summary = summarize(run)
    cells = {cell.id: cell for cell in summary.cells}
    assert cells[PLAIN].metrics["samples_per_joule"].estimate == pytest.approx(32.0, rel=0.02)
    assert cells[PLAIN].metrics["samples_per_joule"].unit == "samples/J"
    assert cells[PLAIN].metrics["idle_energy_share"].estimate == pytest.approx(1.0, rel=0.02)
    assert cells[PLAIN].metrics["sm_clock"].estimate == pytest.approx(1.98e9)
    assert not [text for text in summary.warnings if "energ" in text or "clock" in text]


def test_an_arm_of_steps_twice_as_long_takes_twice_the_joules() -> None:
    run, _ = virtual_run(Recording.named("steady"), steps={FABRIC: 0.02})
    versus = {cell.id: cell.versus for cell in summarize(run).cells}[FABRIC]
    assert versus is not None
    assert versus.joules is not None
    assert versus.joules.estimate == pytest.approx(2.0, rel=0.02)


def test_two_meters_that_are_8_percent_apart_are_told_and_give_no_ratio() -> None:
    run, _ = virtual_run(Recording.named("two_meters"))
    energies = launch_energies(run.records)
    assert all(energy.apart == pytest.approx(0.08, abs=0.005) for energy in energies.values())
    summary = summarize(run)
    assert any(re.search(r"\+8\.[01] % apart in 3 of 3 launches; more than 5 %", text) for text in summary.warnings)
    for cell in summary.cells:
        assert "samples_per_joule" not in cell.metrics
        assert "idle_energy_share" not in cell.metrics
        assert cell.versus is None or cell.versus.joules is None


def test_turns_of_a_few_steps_of_the_meter_tell_no_energy() -> None:
    run, _ = virtual_run(Recording.named("steady"), turn=0.5)
    summary = summarize(run)
    told = the_only([text for text in summary.warnings if "run into each other" in text])
    assert "a step of the meter is 9 % of a turn" in told  # 0.1 s of turns of 1.0 to 1.25 s
    assert not any("samples_per_joule" in cell.metrics for cell in summary.cells)


def test_without_a_counter_joules_are_those_of_power_and_that_is_told() -> None:
    turns, told = turns_of("no_counter")
    assert turns.energy == ()
    assert math.fsum(turns.integrated) == pytest.approx(1000.0)
    assert any("no energy: nvmlDeviceGetTotalEnergyConsumption: Not Supported (NVML error 3)" in text for text in told)
    assert set(turns.reasons) == {1}  # by their former name
    run, _ = virtual_run(Recording.named("no_counter"), turn=21.0, launches=2)
    summary = summarize(run)
    assert {cell.id: cell for cell in summary.cells}[PLAIN].metrics["samples_per_joule"].estimate == pytest.approx(32.0)
    assert any("no counter of energy; its joules are those of power" in text for text in summary.warnings)


def test_throttled_turns_and_clocks_that_wander_are_told_with_by_how_much() -> None:
    turns, _ = turns_of("throttled", turn=1.0, rounds=10)
    assert {bool(bits & THROTTLED) for bits in turns.reasons} == {True, False}
    assert max(turns.sm_clock) / min(turns.sm_clock) == pytest.approx(1980 / 1410)
    run, _ = virtual_run(Recording.named("throttled"), turn=1.0, launches=2, rounds=6)
    warnings = summarize(run).warnings
    held = the_only([text for text in warnings if "held the clock down" in text])
    assert "power cap" in held
    assert "hardware thermal slowdown" in held
    wandered = the_only([text for text in warnings if "wandered" in text])
    assert "24.5 % (1,410 MHz to 1,755 MHz)" in wandered


def test_launches_at_other_clocks_are_named() -> None:
    recording = Recording.named("steady")
    recording.devices[0]["answers"]["nvmlDeviceGetClockInfo/1"] = [[0, 1980], [30, 1410]]
    run, _ = virtual_run(recording, turn=0.6, launches=4)
    text = the_only([text for text in summarize(run).warnings if "ran at other clocks than usual" in text])
    assert "1 of 4 launches ran at other clocks than usual (1,410 MHz): launch 0 at 1,980 MHz; ratios hold" in text


def test_an_arm_at_another_clock_than_the_others_is_named() -> None:
    run, _ = virtual_run(Recording.named("steady"))
    slow = tuple(
        replace(record, turns=replace(record.turns, sm_clock=tuple(0.9 * one for one in record.turns.sm_clock)))
        if record.cell == FABRIC and record.turns is not None
        else record
        for record in run.records
    )
    warnings = summarize(replace(run, records=slow)).warnings
    assert any(f"{FABRIC}: its turns ran at a clock -10.0 % from the others'" in text for text in warnings), warnings


def test_at_the_power_cap_the_wandering_clock_is_told() -> None:
    run, told = virtual_run(Recording.named("power_capped"))
    warnings = summarize(run).warnings
    assert any("after 100 % of the turns power or heat held the clock down (power cap 100 %)" in t for t in warnings)
    assert any("(1,665 MHz to 1,755 MHz)" in text for text in warnings)
    assert told == []


def test_a_device_warms_up_until_its_clock_is_steady() -> None:
    clock = VirtualClock()
    meters = replayed_meters(Recording.named("warming"), clock)
    race = virtual_race(VirtualFleet(clock, {"a": 0.01}), meters, 0.2)
    began = clock.now
    race.warm_up("a", measuring_time=100.0)
    assert race.unsteady == ""
    # Its last change is 3 s after the meters were opened, of which 1 s was idle.
    assert clock.now - began > 1.9
    race.take_round(["a"])
    turns = race.turns("a")
    assert turns is not None
    assert turns.sm_clock == (1.98e9,)


def test_a_device_that_never_gets_steady_is_waited_for_so_long_and_no_longer_and_told_once() -> None:
    clock = VirtualClock()
    meters = replayed_meters(Recording.named("power_capped"), clock)
    race = virtual_race(VirtualFleet(clock, {"a": 0.01}), meters, 0.25)
    began = clock.now
    race.warm_up("a", measuring_time=1e6)
    assert LONGEST_WARMUP <= clock.now - began < LONGEST_WARMUP + 5.0
    (told,) = meters.told("g", 2, race.unsteady)
    assert "g: the turns of launch 2 began before the device was steady" in told
    assert "changed by 5.4 % over the last 4 rounds" in told
    assert meters.told("g", 3, race.unsteady) == []


def test_a_run_too_short_to_warm_up_does_not_wait() -> None:
    clock = VirtualClock()
    race = virtual_race(VirtualFleet(clock, {"a": 0.01}), None, 0.05)
    race.warm_up("a", measuring_time=0.15)
    assert clock.now < 100.0 + 2.0
    assert "too few rounds" in race.unsteady


def test_a_lost_device_ends_its_arms_in_a_line_each_with_the_drivers_words() -> None:
    """The device goes 6 s after its meter was opened; the arm whose turn it is fails, the other is not asked again."""
    clock = VirtualClock()
    meters = replayed_meters(Recording.named("lost"), clock)
    words = "AcceleratorError: CUDA error: unspecified launch failure"
    fails = {name: (6.0, ArmLost("crashed", words)) for name in "ab"}
    fleet = VirtualFleet(clock, {"a": 0.01, "b": 0.01}, fails)
    race = virtual_race(fleet, meters, 1.0)
    race.warm_up("a")
    while race.alive:
        race.take_round(["a", "b"])
    losses = [arm.lost for arm in race.arms.values() if arm.lost is not None]
    assert [loss.outcome for loss in losses] == ["crashed", "crashed"]
    first, second = sorted((loss.reason for loss in losses), key=lambda text: "waited" in text)
    assert first.startswith(f"{words}; the driver says: Xid 79 (")
    assert first.endswith("GPU is lost (NVML error 15)")
    assert second.startswith(f"its device {ADDRESS} was lost while it waited: ")
    assert ADDRESS in meters.gone
    assert fleet.asked[-1] == next(name for name, arm in race.arms.items() if arm.lost and arm.lost.reason == first)
    assert any("is lost" in text for text in meters.told("g", 0, ""))


def test_what_a_lost_arm_took_is_nobodys() -> None:
    """`b` fails 20 s after the meters were opened, in its turn; the turn of `c` after it is as all of its turns."""
    clock = VirtualClock()
    meters = replayed_meters(Recording.named("steady"), clock)
    fails = {"b": (20.0, ArmLost("crashed", "gone"))}
    race = virtual_race(VirtualFleet(clock, dict.fromkeys("abc", 0.01), fails), meters, 1.0)
    race.warm_up("a")
    while race.arms["b"].lost is None:
        race.take_round(["a", "b", "c"])
    turns = race.turns("c")
    assert turns is not None
    assert turns.integrated == pytest.approx([100.0 * seconds for seconds in turns.entire])


def test_ranks_that_share_a_meter_count_it_once() -> None:
    """As those that train on processors do, whose meter is that of all packages."""
    clock = VirtualClock()
    meters = replayed_meters(Recording.named("steady"), clock)
    race = virtual_race(VirtualFleet(clock, {"a": 0.01}), meters, 1.0, {"a": (ADDRESS, ADDRESS)})
    race.warm_up("a")
    race.take_round(["a"])
    turns = race.turns("a")
    assert turns is not None
    assert turns.power == (100.0,)
    assert turns.integrated == pytest.approx([100.0 * seconds for seconds in turns.entire])


def test_cells_that_need_a_lost_device_are_told_so_and_others_go_on() -> None:
    def cell(name: str, **point: str | int) -> Cell:
        return Cell(name, "s", "g", {"accelerator": "cuda", "devices": 1, **point}, twin=False, baseline=None)

    clock = VirtualClock()
    meters = replayed_meters(Recording.named("steady"), clock)
    one, two, cpu = cell("one"), cell("two", devices=2), cell("cpu", accelerator="cpu")
    lost = LostDevices()
    arm = virtual_arm("two", "nvml:other", ADDRESS)
    arm.lost = ArmLost("crashed", "gone")
    meters.gone[ADDRESS] = "GPU is lost"
    lost.take([two], {"two": arm}, meters)
    state = GroupState(Group("g", "s", (cpu, one, two)), [cpu, one, two])
    (record,) = lost.drop(state)
    assert (record.cell, record.outcome, record.launch) == ("two", "crashed", -1)
    assert record.reason == "not started: device 1 of cuda was lost while two had it: GPU is lost"
    assert [one.id for one in state.cells] == ["cpu", "one"]  # device 0 is there
    # Without a meter torch's words count, if they can mean nothing else.
    for words, gone in (
        ("RuntimeError: CUDA error: uncorrectable ECC error encountered", True),
        ("AcceleratorError: CUDA error: device-side assert triggered", False),
        ("AcceleratorError: CUDA error: an illegal memory access was encountered", False),
        ("RuntimeError: No CUDA-capable device is detected", True),
        ("RuntimeError: CUDA-capable device(s) is/are busy or unavailable", False),
    ):
        again, bare = LostDevices(), virtual_arm("one", "")
        bare.lost = ArmLost("crashed", words)
        again.take([one], {"one": bare}, meters)
        assert bool(again.reason(one)) is gone, words


def test_of_a_part_of_a_device_there_are_clocks_and_no_energy() -> None:
    clock = VirtualClock()
    part = "nvml:MIG-66666666-7777-8888-9999-000000000000"
    meters = replayed_meters(Recording.named("mig"), clock)
    race = virtual_race(VirtualFleet(clock, {"a": 0.01}), meters, 1.0, {"a": (part,)})
    race.warm_up("a")
    race.take_round(["a"])
    turns = race.turns("a")
    assert turns is not None
    assert (turns.sm_clock, turns.energy, turns.integrated, turns.power) == ((1.98e9,), (), (), ())
    told = meters.told("g", 0, "")
    assert any("this is a part of one (MIG)" in text for text in told)


def test_a_meter_that_fails_on_the_way_leaves_the_columns_that_are_whole() -> None:
    clock = VirtualClock()
    recording = Recording.named("steady")
    recording.devices[0]["answers"]["nvmlDeviceGetPowerUsage"] = [[0, 100000], [8.0, {"error": 999}]]
    meters = replayed_meters(Replay(recording, clock), clock)
    race = virtual_race(VirtualFleet(clock, {"a": 0.01}), meters, 1.0)
    race.warm_up("a")
    for _ in range(10):
        race.take_round(["a"])
    turns = race.turns("a")
    assert turns is not None
    assert (turns.power, turns.integrated) == ((), ())
    assert len(turns.energy) == len(turns.sm_clock) == 10
    assert any(
        "no power: nvmlDeviceGetPowerUsage: Unknown Error (NVML error 999)" in t for t in meters.told("g", 0, "")
    )


def test_once_a_turn_and_never_within_one() -> None:
    """A reading is four calls; a round of three arms has one before it and one after each turn."""
    clock = VirtualClock()
    replay = Replay(Recording.named("steady"), clock)
    meters = replayed_meters(replay, clock)
    race = virtual_race(VirtualFleet(clock, dict.fromkeys("abc", 0.01)), meters, 1.0)
    race.warm_up("a")
    before = len(replay.calls)
    race.take_round(["a", "b", "c"])
    assert len(replay.calls) - before == 4 * (1 + 3)


def test_ranks_on_two_devices_add_up_and_the_slower_clock_counts() -> None:
    clock = VirtualClock()
    recording = Recording.named("steady")
    second = {**recording.devices[0], "uuid": "GPU-2", "answers": {**recording.devices[0]["answers"]}}
    second["answers"]["nvmlDeviceGetClockInfo/1"] = [[0, 1410]]
    second["answers"]["nvmlDeviceGetCurrentClocksEventReasons"] = [[0, 0x20]]
    recording.devices.append(second)
    meters = replayed_meters(Replay(recording, clock), clock)
    addresses = {"both": (ADDRESS, "nvml:GPU-2"), "one": (ADDRESS,)}
    race = virtual_race(VirtualFleet(clock, {"both": 0.01, "one": 0.01}), meters, 2.0, addresses)
    race.warm_up("one")
    race.take_round(["both", "one"])
    both, one = race.turns("both"), race.turns("one")
    assert both is not None
    assert one is not None
    assert (both.power, both.sm_clock, both.reasons) == ((200.0,), (1.41e9,), (0x20,))
    assert (one.power, one.sm_clock, one.reasons) == ((100.0,), (1.98e9,), (0,))
    assert both.integrated[0] == pytest.approx(2 * one.integrated[0])


def test_where_there_is_no_meter_turns_are_as_they_were() -> None:
    clock = VirtualClock()
    meters = replayed_meters(Recording.named("steady"), clock)
    race = virtual_race(VirtualFleet(clock, {"a": 0.01}), meters, 1.0, {"a": ("nvml:GPU-nobodys",)})
    race.warm_up("a")
    race.take_round(["a"])
    turns = race.turns("a")
    assert turns is not None
    assert (turns.meter, turns.sm_clock, turns.energy, turns.metering) == ("", (), (), ())
    (told,) = meters.told("g", 0, "")
    assert told.startswith("no clocks, power or energy of nvml:GPU-nobodys: ")
