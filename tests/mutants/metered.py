"""Mutations of what is read of devices between turns, and of what is made of it."""

from __future__ import annotations

from .harness import Mutant

METERS = "tests/cuda/test_turn_meters.py"
REPLAYS = "tests/cuda/test_replay.py"
FAULTS = "tests/cuda/test_device_faults.py"

METERED: tuple[Mutant, ...] = (
    Mutant(22, "meters are read twice a turn", "bench/engine/launch.py",
           "            now = self._metered()\n            own", "            self._metered()\n"
           "            now = self._metered()\n            own",
           (f"{METERS}::test_once_a_turn_and_never_within_one",)),
    Mutant(35, "a counter that is absent has risen by nothing", "bench/engine/turn_meters.py",
           "[now.energy - then.energy for then, now in both if now.energy is not None and then.energy is not None]",
           "[(now.energy or 0.0) - (then.energy or 0.0) for then, now in both]",
           (f"{METERS}::test_without_a_counter_joules_are_those_of_power_and_that_is_told",)),
    Mutant(35, "two meters agree however far they are apart", "bench/analysis/energy.py",
           "METERS_AGREE = 0.05", "METERS_AGREE = 0.8",
           (f"{METERS}::test_two_meters_that_are_8_percent_apart_are_told_and_give_no_ratio",)),
    Mutant(35, "a counter moves as turns do", "bench/analysis/energy.py",
           "SMEARED = 0.05", "SMEARED = 0.5",
           (f"{METERS}::test_turns_of_a_few_steps_of_the_meter_tell_no_energy",)),
    Mutant(35, "what an arm took until it was lost is the next one's", "bench/engine/launch.py",
           "metered = self._metered()  # what it took", "pass  # what it took",
           (f"{METERS}::test_what_a_lost_arm_took_is_nobodys",)),
    Mutant(35, "the devices of a rank count once for each rank on them", "bench/engine/turn_meters.py",
           "for address in dict.fromkeys(addresses)]", "for address in addresses]",
           (f"{METERS}::test_ranks_that_share_a_meter_count_it_once",)),
    Mutant(35, "a processor's counter never wraps around", "bench/machine/meters.py",
           "risen if risen >= 0 else risen + self._ranges[path]", "risen",
           (f"{REPLAYS}::test_processor_packages_add_up_and_their_counters_wrap_around",)),
    Mutant(35, "clocks that are held down are nobody's business", "bench/machine/nvml.py",
           "THROTTLED = 0x004 | 0x008", "THROTTLED = 0x008",
           (f"{METERS}::test_at_the_power_cap_the_wandering_clock_is_told",)),
    Mutant(35, "what was not measured is exported as nothing", "bench/report/exported_table.py",
           "return [None if value is None or value != value else float(value) for value in values]",
           "return [0.0 if value is None or value != value else float(value) for value in values]",
           ("tests/report/test_export_tables.py::test_csv_reads_back_equal_to_the_last_bit",)),
    Mutant(14, "a mode has CUDA graphs since it has the name", "bench/arm/cuda_graphs.py",
           'return "yes" if recorded else "no: inductor recorded none"', 'return "yes"',
           (f"{FAULTS}::test_graphs_that_were_left_out_are_not_called_graphs",)),
)  # fmt: skip
