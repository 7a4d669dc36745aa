"""Mutations of what puts runs of several machines beside each other, and of the intervals that this deserves."""

from __future__ import annotations

from .harness import Mutant

BETWEEN = "tests/stats/test_between_runs.py"
MERGES = "tests/analysis/test_merge.py"

MERGED: tuple[Mutant, ...] = (
    Mutant(36, "launches are all that a run differs by from the next", "bench/stats/between_runs.py",
           "RUN_SD = 0.29 / math.sqrt(2)", "RUN_SD = 0.0",
           (f"{BETWEEN}::test_two_machines_cover_where_runs_differ",)),
    Mutant(36, "two runs tell how runs differ", "bench/stats/between_runs.py",
           "FEWEST_RUNS = 3", "FEWEST_RUNS = 2",
           (f"{BETWEEN}::test_runs_tell_from_the_third_on_unless_they_differ_by_more_than_the_floor",)),
    Mutant(36, "what nodes do alike in all groups is averaged away", "bench/stats/between_runs.py",
           "groups_a_node = free / int(rank)", "groups_a_node = 1e6 * free / int(rank)",
           (f"{BETWEEN}::test_nodes_and_groups_by_hand",
            f"{BETWEEN}::test_nodes_as_a_random_effect_cover_and_launches_do_not")),
    Mutant(36, "groups of noisier launches are as sure as all", "bench/stats/between_runs.py",
           "max(of_one + noise - usual, noise)", "of_one",
           (f"{BETWEEN}::test_a_group_has_the_noise_of_its_own_launches_in_place_of_the_mean",)),
    Mutant(36, "machines of one processor are one machine", "bench/analysis/merge_machines.py",
           'checked(run) if known else', '{"cpu": checked(run)["cpu"]} if known else',
           (f"{MERGES}::test_runs_are_never_pooled_where_a_checked_key_differs",)),
    Mutant(36, "runs of the history are in the estimate", "bench/analysis/merge_estimates.py",
           "by_node = _by_node(values, places)", "by_node = _by_node({**before, **values}, places)",
           (f"{MERGES}::test_the_history_tells_the_spread_and_is_in_no_estimate",)),
    Mutant(36, "one node is paid for, however many train", "bench/analysis/merge_estimates.py",
           "price * row.share.num_nodes", "price",
           (f"{MERGES}::test_devices_and_nodes_of_a_machine_are_rows_of_their_own",)),
    Mutant(36, "other work has a ratio across machines", "bench/analysis/merge.py",
           "    if differ:\n        return replace(row, over", "    if False:\n        return replace(row, over",
           (f"{MERGES}::test_other_work_is_named_and_gets_no_ratio",)),
    Mutant(36, "the first run is the baseline", "bench/analysis/merge.py",
           "rows[min(choice, key=lambda place: rows[place][0].share.order())]", "rows[choice[0]]",
           (f"{MERGES}::test_the_baseline_is_the_cpu_or_who_was_named",)),
)  # fmt: skip
