"""What becomes of a cell in a launch, as the record that is written down. No torch, no pandas."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bench.engine.arm_request import arm_outcome, requested_settings
from bench.engine.launch import Race, start_up
from bench.engine.processes import Arm
from bench.machine.cores import Layout
from bench.plan.cell import Cell
from bench.protocol import CallbackMetrics
from bench.results.record import Record


def job_nodes(arm: Arm, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The node of each rank of an arm that no launcher has placed: that of a job of Slurm's, or none.

    The tasks of an array are runs of their own, each on whatever node it was given.
    """
    name = environ.get("SLURMD_NODENAME", "")
    return (name,) * len(arm.ranks) if name and any(rank.pid for rank in arm.ranks) else ()


def arm_record(
    cell: Cell,
    race: Race,
    launch: int,
    fork_server: int,
    order: int,
    started: str,
    seconds: float,
    *,
    alone: bool,
    place: Layout,
    threads: int,
) -> Record:
    """The record of one cell in one launch, before its work is compared with others'.

    Args:
        fork_server: number of the set of interpreters.
        order: in which its arm was started within the launch, from 0.
        started: UTC time of the launch, ISO 8601.
        seconds: wall time of the launch.
        alone: whether it was set up while no other arm was.
        place: where things run.
        threads: of every arm, as the options say.
    """
    arm = race.arms[cell.id]
    result = race.results.get(cell.id)
    asked = requested_settings(cell, place, threads)
    effective = result.effective if result else {}
    measured = result.instrumented if result else CallbackMetrics()
    outcome, reason = arm_outcome(arm, race.void, asked, result)
    return Record(
        suite=cell.suite,
        cell=cell.id,
        group=cell.group,
        point=dict(cell.point),
        twin=cell.twin,
        launch=launch,
        outcome=outcome,
        reason=reason,
        requested=asked,
        effective=effective,
        ledger=result.ledger if result else {},
        turns=None if outcome == "void" else race.turns(cell.id),
        warmup=tuple(race.warmups.get(cell.id, ())),
        samples_per_step=result.samples_per_step if result else 0,
        memory=result.memory if result else {},
        extra=start_up(race, cell.id, effective) if alone else measured.metrics,
        declared=measured.declared,
        fork_server=fork_server,
        order=order,
        ready=arm.ready_after,
        launch_seconds=seconds,
        cores=tuple(asked["cores"]),
        started=started,
        log=f"logs/{arm.log.name}",
        nodes=arm.nodes or job_nodes(arm, os.environ),
    )
