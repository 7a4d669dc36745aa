"""Runs as jobs of Slurm's, for Python code: `bench submit`, `bench status`, `bench cancel`. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.axes.engine_axes import AxisValue
from bench.commands.job_request import JobRequest
from bench.commands.python_arguments import listener, options_of, path_of, selection_of, text_of
from bench.commands.submit import TaskStatus, hand_in, task_statuses, withdraw
from bench.engine.options import Progress
from bench.plan.quantities import ABOVE_ZERO, seconds
from bench.plan.shares import GROUP_COPIES
from bench.results.jobs import JobFile


def submit(
    *suites: str | Path,
    set: Mapping[str, AxisValue | Sequence[AxisValue]] | None = None,
    select: str | None = None,
    budget: float | str | None = None,
    precision_goal: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    instrument: int | None = None,
    until: str | None = None,
    compare: str | None = None,
    seeds: int | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    reservation: str | None = None,
    time: float | str | None = None,
    nodes: int = 1,
    devices: int | None = None,
    cpus: int | None = None,
    gpus: int | None = None,
    shared: bool = False,
    array: int | None = None,
    copies: int | None = None,
    folders: Sequence[str | Path] = (),
    out: str | Path = "results",
    progress: bool | Progress = False,
) -> JobFile:
    """Hand a run in to Slurm: `bench submit`. What is given is what its job.json says: `name`, `slurm`, `runs`.

    Args, besides those of `run`:
        partition, account, qos, constraint, reservation: as Slurm has them; none: its defaults.
        time: wall time of the job, in seconds or as `"2h"`; none: what the budget needs.
        nodes: that the run measures on, and `devices` of each.
        cpus, gpus: of each node; none: all cores, and no GPU.
        shared: whether other jobs may run on its nodes, which disturbs what is measured.
        array: tasks, each a run of its own, which share the groups; `copies` of them measure each group.

    Raises:
        SpecError: all that is wrong with names, values and arguments, or with what Slurm is asked for.
        BenchError: there is no Slurm here or no submitit, or Slurm refuses the job.
    """
    given = options_of(budget, precision_goal, timeout, seed, threads, memory_limit, instrument, until, seeds)
    selection = selection_of(suites, set, select, folders, threads, compare)
    texts = {"partition": partition, "account": account, "qos": qos, "constraint": constraint}
    texts["reservation"] = reservation
    request = JobRequest(
        **{name: None if text is None else text_of(name, text) for name, text in texts.items()},
        time=seconds("time", time),
        nodes=ABOVE_ZERO.given("nodes", nodes) or 1,
        devices=ABOVE_ZERO.given("devices", devices),
        cpus=ABOVE_ZERO.given("cpus", cpus),
        gpus=ABOVE_ZERO.given("gpus", gpus),
        shared=bool(shared),
        array=ABOVE_ZERO.given("array", array),
        copies=ABOVE_ZERO.given("copies", copies) or GROUP_COPIES,
    )
    with listener(progress) as told:
        return hand_in(selection, given, request, path_of("out", out), told).file


def status(job: str | Path | None = None, *, out: str | Path = "results") -> list[TaskStatus]:
    """What became of a job, or of all jobs under `out`, task by task: `bench status`.

    Args:
        job: its name, its folder, or its number at Slurm; none: all.

    Raises:
        RunError: there is no such job.
    """
    return task_statuses(None if job is None else str(path_of("job", job)), path_of("out", out))


def cancel(job: str | Path, *, out: str | Path = "results") -> JobFile:
    """End a job, or take it out of the queue: `bench cancel`. What it measured is kept.

    Args:
        job: its name, its folder, or its number at Slurm.

    Raises:
        RunError: there is no such job.
        BenchError: Slurm does not do it.
    """
    return withdraw(str(path_of("job", job)), path_of("out", out)).file
