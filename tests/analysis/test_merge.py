"""Runs of several machines with a known truth: what is one machine, what is compared, what is pooled, what is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merged_runs import CPU_BOX, DEVICE_MEMORY, GPU, GPU_BOX, JOULES, LENGTHS, SHARE, MachineTruth, run_on, shifted
from synthetic import cell_id
from tiers import examples

from bench.analysis.merge import merge_runs
from bench.analysis.merge_values import Merge, MergedRow
from bench.errors import RunError, SpecError
from bench.results.record import Record
from bench.results.store import StoredRun

CPU_NAME, GPU_NAME = "example-cpu-2-00ghz-2c", "example-gpu-80gb"


def changed(run: StoredRun, change: Callable[[Record], Record]) -> StoredRun:
    return replace(run, records=tuple(map(change, run.records)))


def with_info(run: StoredRun, **info: Any) -> StoredRun:
    return replace(run, info={**run.info, **info})


def with_files(run: StoredRun, digest: str) -> StoredRun:
    return with_info(run, digests={"options": "", "files": {"overhead": {"overhead.py": digest}}})


def rows_of(found: Merge, loop: str = "plain", batch: int = 32) -> dict[str, MergedRow]:
    (work,) = (work for work in found.works if work.rows[0].cell == cell_id(loop, batch))
    return {row.machine: row for row in work.rows}


# What is one machine.


def test_runs_with_equal_checked_keys_are_one_machine() -> None:
    found = merge_runs([run_on(CPU_BOX, 1), run_on(CPU_BOX, 2), run_on(GPU_BOX, 3)])
    assert [(one.name, len(one.runs)) for one in found.machines] == [(CPU_NAME, 2), (GPU_NAME, 1)]
    assert found.machines[1].devices == (GPU,)
    assert rows_of(found)[CPU_NAME].figures["throughput"].runs == 2


@pytest.mark.parametrize("key", ["torch", "python", "lightning", "threads", "cpu", "cores"])
def test_runs_are_never_pooled_where_a_checked_key_differs(key: str) -> None:
    other = MachineTruth(environment={key: 77 if key in ("threads", "cores") else "0.77"})
    found = merge_runs([run_on(CPU_BOX, 1), run_on(other, 2)])
    assert [len(one.runs) for one in found.machines] == [1, 1]
    assert found.nodes == ()
    told = {one.key: one for one in found.differences}[key]
    assert told.kind == ("compared" if key in ("cpu", "cores") else "accident")
    assert set(told.values.values()) == {"0.77", str(run_on(CPU_BOX, 1).info["environment"][key])} or key in (
        "threads",
        "cores",
    )
    if key not in ("cpu", "cores"):  # of these the names are others anyway
        assert any(f"not pooled, as checked keys differ ({key}: " in note for note in found.notes)


def test_labels_name_machines_and_keep_them_apart() -> None:
    runs = [run_on(CPU_BOX, number) for number in (1, 2, 3)]
    found = merge_runs(runs, labels={runs[0].id: "left", runs[1].id: "right"})
    assert [one.name for one in found.machines] == ["left", "right", CPU_NAME]
    joined = merge_runs(runs, labels={runs[0].id: "left"})
    assert [(one.name, len(one.runs)) for one in joined.machines] == [("left", 3)]
    # One label for two kinds of machine makes them no one machine.
    other = run_on(MachineTruth(environment={"torch": "2.14.0"}), 9)
    both = merge_runs([runs[0], other], labels={runs[0].id: "box", other.id: "box"})
    assert [one.name for one in both.machines] == ["box-torch-2.13.0", "box-torch-2.14.0"]


def test_runs_without_an_environment_are_machines_of_their_own() -> None:
    runs = [with_info(run_on(CPU_BOX, number), environment={}) for number in (1, 2)]
    found = merge_runs(runs)
    assert len({one.name for one in found.machines}) == 2
    assert any("no environment of theirs is recorded" in note for note in found.notes)


# What differs comes first, and what is compared is told from what is an accident.


def test_differences_are_those_of_the_machines_then_accidents() -> None:
    gpu = replace(GPU_BOX, environment={**GPU_BOX.environment, "torch": "2.14.0", "kernel": "6.9"})
    one = changed(
        run_on(CPU_BOX, 1),
        lambda record: replace(record, effective={**record.effective, "matmul_precision": "highest"}),
    )
    two = changed(
        run_on(gpu, 2), lambda record: replace(record, effective={**record.effective, "matmul_precision": "high"})
    )
    found = merge_runs([with_files(one, "aa"), with_files(two, "bb")])
    kinds = {one.key: one.kind for one in found.differences}
    assert kinds == {
        **dict.fromkeys(("cpu", "cores", "kernel", "device"), "compared"),
        **dict.fromkeys(("torch", "matmul_precision", "files of suite overhead"), "accident"),
    }
    assert [one.kind for one in found.differences] == ["compared"] * 4 + ["accident"] * 3
    assert {one.key: one.values for one in found.differences}["matmul_precision"] == {
        CPU_NAME: "highest",
        GPU_NAME: "high",
    }


# Figures and ratios.


def test_every_figure_has_its_truth() -> None:
    runs = [run_on(CPU_BOX, 1), run_on(GPU_BOX, 2)]
    found = merge_runs(runs, prices={CPU_NAME: 0.36, GPU_NAME: 3.6})
    cpu, gpu = rows_of(found).values()
    step = LENGTHS[32]
    assert cpu.figures["throughput"].estimate == pytest.approx(32 / step, rel=0.02)
    assert gpu.figures["throughput"].estimate == pytest.approx(12 * 32 / step, rel=0.02)
    assert gpu.figures["samples_per_joule_seen"].estimate == pytest.approx(32 / JOULES)
    assert gpu.figures["peak_memory_device"].estimate == pytest.approx(DEVICE_MEMORY)
    assert gpu.figures["ceiling_share"].estimate == pytest.approx(SHARE)
    assert cpu.figures["peak_memory_host"].estimate == pytest.approx(300 * 2**20)
    assert cpu.figures["price_per_million"].estimate == pytest.approx(0.36 / 3600 * 1e6 * step / 32, rel=0.02)
    assert gpu.ratios["throughput"].ratio.estimate == pytest.approx(12, rel=0.02)
    assert gpu.ratios["price_per_million"].ratio.estimate == pytest.approx(10 / 12, rel=0.02)
    assert "ceiling_share" not in gpu.ratios
    assert (cpu.over, cpu.ratios) == ("", {})
    assert gpu.over == cpu.name == f"{CPU_NAME} (cpu)"
    assert rows_of(found, batch=256)[GPU_NAME].figures["samples_per_joule_seen"].estimate == pytest.approx(32 / JOULES)


def test_a_single_run_says_that_its_interval_is_of_launches_only() -> None:
    found = merge_runs([run_on(CPU_BOX, 1), run_on(GPU_BOX, 2)])
    for row in rows_of(found).values():
        assert row.figures["throughput"].spread == "launches"
    ratio = rows_of(found)[GPU_NAME].ratios["throughput"]
    assert ratio.spread == "floor"
    assert ratio.claim == "told"  # twelve times as fast is more than runs were ever seen to differ by
    low, high, within = ratio.ratio.low, ratio.ratio.high, ratio.within
    assert low is not None
    assert high is not None
    assert within.low is not None
    assert (low < 9, high > 16, within.low > 11) == (True, True, True)
    memory = rows_of(found)[GPU_NAME].ratios["peak_memory_host"]
    assert (memory.spread, memory.ratio.low, memory.claim) == ("none", None, "one-launch")


def test_a_factor_that_runs_may_differ_by_is_not_told_of_single_runs() -> None:
    faster = MachineTruth(1.3, environment={"cpu": "Faster CPU"})
    alone = merge_runs([run_on(CPU_BOX, 1), run_on(faster, 2)])
    (ratio,) = (row.ratios["throughput"] for row in rows_of(alone).values() if row.ratios)
    assert ratio.within.low is not None
    assert (ratio.claim, ratio.within.low > 1.2) == ("zero", True)
    history = [
        *(run_on(CPU_BOX, number) for number in range(10, 15)),
        *(run_on(faster, number) for number in range(20, 25)),
    ]
    known = merge_runs([run_on(CPU_BOX, 1), run_on(faster, 2)], history)
    (ratio,) = (row.ratios["throughput"] for row in rows_of(known).values() if row.ratios)
    assert (ratio.spread, ratio.claim) == ("runs", "told")


def test_the_history_tells_the_spread_and_is_in_no_estimate() -> None:
    runs = [run_on(CPU_BOX, 1), run_on(GPU_BOX, 2)]
    wild = [run_on(replace(CPU_BOX, run_sd=0.05), number) for number in range(10, 16)]
    alone, known = merge_runs(runs), merge_runs(runs, wild)
    before, after = (rows_of(found)[CPU_NAME].figures["throughput"] for found in (alone, known))
    assert before.estimate == after.estimate
    assert (before.known, after.known, before.runs, after.runs) == (1, 7, 1, 1)
    assert (before.spread, after.spread) == ("launches", "runs")
    assert after.low is not None
    assert after.high is not None
    assert after.high / after.low > 1.1


def test_only_runs_of_the_same_machine_and_work_are_history() -> None:
    runs = [run_on(CPU_BOX, 1), run_on(GPU_BOX, 2)]
    others = [
        *(run_on(MachineTruth(environment={"torch": "1.0"}), number) for number in range(10, 13)),
        *(run_on(CPU_BOX, number, lengths={64: 0.01}) for number in range(20, 23)),
        *(run_on(CPU_BOX, number, failures={("plain", 32, 0): ("crashed", "no")}) for number in range(30, 33)),
        runs[0],
    ]
    assert rows_of(merge_runs(runs, others))[CPU_NAME].figures["throughput"].known == 1
    assert rows_of(merge_runs(runs, others), "fabric", 256)[CPU_NAME].figures["throughput"].known == 4


# Equal work.


def fabric(record: Record, **changes: Any) -> Record:
    if record.point["loop"] != "fabric" or not record.ledger:
        return record
    return replace(record, ledger={**record.ledger, **changes})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: fabric(record, initial_weights="cc" * 8), "launch 0: initial_weights: other digests"),
        (lambda record: fabric(record, losses=[0.5, 0.9]), "launch 0: loss of audited step 0: 0.5 against"),
        (lambda record: fabric(record, samples_digest="0000"), "launch 0: samples_digest: 0000 against"),
        (lambda record: fabric(record, backward=2 * record.ledger["audited"]), "2 backward passes a step against 1"),
        (lambda record: fabric(record, optimizer_updates=record.ledger["steps"] // 2), "0.5 optimizer updates a step"),
        (
            lambda record: replace(record, samples_per_step=64) if record.point["loop"] == "fabric" else record,
            "64 samples a step and rank against 32",
        ),
    ],
)
def test_other_work_is_named_and_gets_no_ratio(change: Callable[[Record], Record], words: str) -> None:
    found = merge_runs(
        [run_on(CPU_BOX, 1, lengths={32: 0.01}), changed(run_on(GPU_BOX, 2, lengths={32: 0.001}), change)]
    )
    plain, other = (rows_of(found, loop)[GPU_NAME] for loop in ("plain", "fabric"))
    assert plain.ratios["throughput"].ratio.estimate == pytest.approx(10, rel=0.02)
    assert "same first weights and losses" in plain.equal
    assert (other.ratios, other.figures["throughput"].runs) == ({}, 1)
    assert words in other.no_ratio


def test_what_the_suite_does_not_ask_for_is_not_compared() -> None:
    def asking(run: StoredRun, equal: str) -> StoredRun:
        plan = run.info["plan"]
        return with_info(run, plan={**plan, "suites": {"overhead": {**plan["suites"]["overhead"], "equal": equal}}})

    weights = changed(run_on(GPU_BOX, 2), lambda record: fabric(record, initial_weights="cc" * 8))
    for equal, counted in (("samples", True), ("counts", True), ("none", True), ("loss", False), ("weights", False)):
        found = merge_runs([asking(run_on(CPU_BOX, 1), equal), asking(weights, equal)])
        assert bool(rows_of(found, "fabric")[GPU_NAME].ratios) is counted, equal


def test_other_seeds_are_compared_by_what_does_not_hang_on_them() -> None:
    other = changed(run_on(GPU_BOX, 2), lambda record: fabric(record, initial_weights="cc" * 8, losses=[1.0, 2.0]))
    seeded = with_info(other, options={"seed": 7, "threads": 1})
    found = merge_runs([run_on(CPU_BOX, 1), seeded])
    assert rows_of(found, "fabric")[GPU_NAME].ratios
    assert {one.key: one.values for one in found.differences}["seed"] == {CPU_NAME: "0", GPU_NAME: "7"}
    # Where the files are others, too, nothing tells that it is the same suite.
    apart = merge_runs([with_files(run_on(CPU_BOX, 1), "aa"), with_files(seeded, "bb")])
    assert "other seeds and other files of suite overhead" in rows_of(apart)[GPU_NAME].no_ratio
    assert apart.exit_code == 3


def test_an_outcome_stands_in_its_row_with_its_reason() -> None:
    found = merge_runs(
        [run_on(CPU_BOX, 1), run_on(GPU_BOX, 2, failures={("fabric", 32, -1): ("unsupported", "no such kernel")})]
    )
    row = rows_of(found, "fabric")[GPU_NAME]
    assert (row.outcome, row.reason, row.figures, row.no_ratio) == ("unsupported", "no such kernel", {}, "")
    # The baseline cannot be it: then the other machine is.
    swapped = merge_runs([run_on(CPU_BOX, 1, failures={("fabric", 32, -1): ("oom", "too small")}), run_on(GPU_BOX, 2)])
    assert rows_of(swapped, "fabric")[CPU_NAME].outcome == "oom"
    assert (rows_of(swapped, "fabric")[GPU_NAME].over, rows_of(swapped, "fabric")[GPU_NAME].no_ratio) == ("", "")


def test_devices_and_nodes_of_a_machine_are_rows_of_their_own() -> None:
    def spread(run: StoredRun, devices: int, nodes: int) -> StoredRun:
        point = {"devices": devices, "num_nodes": nodes}
        cells = [{**cell, "point": {**cell["point"], **point}} for cell in run.info["plan"]["cells"]]
        moved = with_info(run, plan={**run.info["plan"], "cells": cells})
        return replace(
            changed(
                moved,
                lambda record: replace(
                    record, point={**record.point, **point}, samples_per_step=record.samples_per_step * devices * nodes
                ),
            ),
            instrumented=(),
        )

    found = merge_runs(
        [run_on(CPU_BOX, 1), spread(run_on(GPU_BOX, 2), 8, 4), run_on(GPU_BOX, 3)],
        prices={GPU_NAME: 3.6},
    )
    (work,) = (work for work in found.works if work.name == "overhead[batch_size=32,loop=plain]")
    names = [row.name for row in work.rows]
    assert names == [f"{CPU_NAME} (cpu)", f"{GPU_NAME} (8 cuda on each of 4 nodes)", f"{GPU_NAME} (cuda)"]
    many, one = work.rows[1:]
    assert many.ratios["throughput"].ratio.estimate == pytest.approx(12 * 32, rel=0.02)
    assert "samples a rank and step" in many.equal
    # An hour of 4 nodes is paid for, for 32 times the samples.
    assert many.figures["price_per_million"].estimate == pytest.approx(
        one.figures["price_per_million"].estimate / 8, rel=0.02
    )


def test_the_baseline_is_the_cpu_or_who_was_named() -> None:
    runs = [run_on(GPU_BOX, 2), run_on(CPU_BOX, 1)]
    assert rows_of(merge_runs(runs))[GPU_NAME].over == f"{CPU_NAME} (cpu)"
    named = rows_of(merge_runs(runs, baseline=GPU_NAME))
    assert named[CPU_NAME].over == f"{GPU_NAME} (cuda)"
    assert named[CPU_NAME].ratios["throughput"].ratio.estimate == pytest.approx(1 / 12, rel=0.02)


# Pooled over nodes.


def test_paired_ratios_are_pooled_over_nodes() -> None:
    effects = [-0.03, -0.01, 0.01, 0.03]
    runs = [shifted(run_on(CPU_BOX, number, f"node{number}"), "fabric", log) for number, log in enumerate(effects, 1)]
    found = merge_runs(runs)
    assert found.machines[0].nodes == ("node1", "node2", "node3", "node4")
    by_cell = {one.cell: one for one in found.nodes}
    own = by_cell[cell_id("fabric", 32)]
    truth = 1 + 2e-4 / LENGTHS[32]
    assert (own.clusters, own.launches, list(own.on)) == ("nodes", 16, ["node1", "node2", "node3", "node4"])
    assert own.ratio.estimate == pytest.approx(truth, rel=0.01)
    assert own.ratio.low is not None
    assert own.ratio.high is not None
    assert own.ratio.low < truth < own.ratio.high
    assert own.ratio.high / own.ratio.low > 1.05  # 16 launches of 0.4 % would say 1.005
    twin = by_cell[cell_id("plain", 32, twin=True)]
    assert twin.ratio.low is not None
    assert twin.ratio.contains(1.0)
    assert own.claim == "told"


def test_a_share_of_the_groups_on_each_node_is_pooled_where_it_is_common() -> None:
    shares = [{32: 2e-3}, {32: 2e-3, 256: 8e-3}, {256: 8e-3, 2048: 0.05}]
    runs = [run_on(CPU_BOX, number, f"node{number}", lengths=own) for number, own in enumerate(shares, 1)]
    by_cell = {one.cell: one for one in merge_runs(runs).nodes}
    assert [len(by_cell[cell_id("fabric", batch)].on) for batch in (32, 256, 2048)] == [2, 2, 1]
    reach = {
        batch: math.log(found.high / found.estimate)
        for batch in (32, 256, 2048)
        if (found := by_cell[cell_id("fabric", batch)].ratio).high is not None
    }
    assert len(reach) == 3, "the group on one node has what the others tell"
    assert reach[2048] > reach[32]


def test_runs_of_one_node_are_random_as_runs() -> None:
    found = merge_runs([run_on(CPU_BOX, number, "same") for number in (1, 2, 3)])
    assert {one.clusters for one in found.nodes} == {"runs"}
    untold = merge_runs([run_on(CPU_BOX, 1, "node1"), run_on(CPU_BOX, 2)])
    assert {one.clusters for one in untold.nodes} == {"runs"}


def test_runs_of_other_files_or_other_work_are_not_pooled() -> None:
    runs = [with_files(run_on(CPU_BOX, number, f"node{number}"), digest) for number, digest in ((1, "aa"), (2, "bb"))]
    found = merge_runs([*runs, run_on(GPU_BOX, 3)])
    assert found.nodes == ()
    assert any("not pooled" in note and "files of suite overhead differ" in note for note in found.notes)
    row = rows_of(found)[CPU_NAME]
    assert (row.figures, "are not pooled: files of suite overhead differ" in row.no_ratio) == ({}, True)
    other = changed(run_on(CPU_BOX, 2, "node2"), lambda record: fabric(record, initial_weights="cc" * 8))
    found = merge_runs([run_on(CPU_BOX, 1, "node1"), other, run_on(GPU_BOX, 3)])
    assert "initial_weights" in rows_of(found, "fabric")[CPU_NAME].no_ratio
    assert rows_of(found)[CPU_NAME].figures["throughput"].runs == 2


def test_a_run_whose_cell_failed_is_left_out_and_told() -> None:
    failed = run_on(CPU_BOX, 2, "node2", failures={("fabric", 32, 1): ("crashed", "the node died")})
    found = merge_runs([run_on(CPU_BOX, 1, "node1"), failed, run_on(GPU_BOX, 3)])
    row = rows_of(found, "fabric")[CPU_NAME]
    assert (row.outcome, row.figures["throughput"].runs) == ("ok", 1)
    assert any("the node died" in note and failed.id in note for note in found.notes)


# What cannot be merged.


def test_what_has_nothing_to_compare_is_refused() -> None:
    one = run_on(CPU_BOX, 1)
    with pytest.raises(RunError, match="is named twice"):
        merge_runs([one, run_on(GPU_BOX, 2), one])
    with pytest.raises(RunError, match=r"no cell is common to two machines.* has overhead\["):
        merge_runs([one])
    with pytest.raises(RunError, match="no cell is common"):
        merge_runs([one, run_on(GPU_BOX, 2, lengths={64: 0.1})])
    with pytest.raises(SpecError, match="unknown machine of a price 'gpu'; allowed: example-cpu"):
        merge_runs([one, run_on(GPU_BOX, 2)], prices={"gpu": 1.0})
    with pytest.raises(SpecError, match="unknown machine 'gpu'; allowed: example-cpu"):
        merge_runs([one, run_on(GPU_BOX, 2)], baseline="gpu")


def test_works_of_one_machine_are_named() -> None:
    found = merge_runs([run_on(CPU_BOX, 1), run_on(GPU_BOX, 2, lengths={32: 1e-4})])
    assert found.alone == {f"overhead[batch_size=256,loop={loop}]": f"{CPU_NAME} (cpu)" for loop in ("fabric", "plain")}


def test_old_and_unfinished_runs_are_told() -> None:
    found = merge_runs([with_info(run_on(CPU_BOX, 1), schema=2), with_info(run_on(GPU_BOX, 2), finished=None)])
    assert any("is of schema 2: it has no digests" in note for note in found.notes)
    assert any("is not finished" in note for note in found.notes)


# The order of the runs.


ONE = {32: 2e-3}
SEVERAL = [
    *(run_on(CPU_BOX, number, f"node{number}", lengths=ONE, launches=2) for number in (1, 2)),
    run_on(GPU_BOX, 3, lengths=ONE, launches=2),
    run_on(
        MachineTruth(1.5, environment={"torch": "2.14.0"}),
        4,
        lengths=ONE,
        launches=2,
        failures={("fabric", 32, -1): ("oom", "small")},
    ),
    run_on(MachineTruth(20.0, "Other GPU"), 5, lengths=ONE, launches=2),
]


def unordered(found: Merge) -> Any:
    """All that a merge says, without the order of machines and rows."""
    value = found.to_json()
    for work in value["works"]:
        work["rows"] = sorted(work["rows"], key=lambda row: row["name"])
    value["machines"] = sorted(value["machines"], key=lambda one: one["name"])
    value["nodes"] = sorted(value["nodes"], key=lambda one: (one["machine"], one["cell"]))
    return value


@given(order=st.permutations(range(len(SEVERAL))))
@settings(max_examples=examples(8), deadline=None)
def test_the_order_of_runs_is_that_of_the_rows_and_nothing_else(order: list[int]) -> None:
    runs = [SEVERAL[place] for place in order]
    found, usual = merge_runs(runs), merge_runs(SEVERAL)
    assert unordered(found) == unordered(usual)
    named = [run for one in found.machines for run in one.runs]
    assert sorted(named) == sorted(run.id for run in runs)
    first = {
        one.name: min(order.index(place) for place, run in enumerate(SEVERAL) if run.id in one.runs)
        for one in found.machines
    }
    assert [one.name for one in found.machines] == sorted(first, key=lambda name: first[name])
    for work in found.works:
        machines = [row.machine for row in work.rows]
        assert machines == sorted(machines, key=lambda name: first[name])
