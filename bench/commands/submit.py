"""Jobs of Slurm's: hand a run in, ask what became of it, cancel it. By submitit, which is an extra.

Whatever can be refused is refused before anything is submitted. From then on a job is what its folder says
(`bench.results.jobs`) and what Slurm still knows; who submitted it may be gone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.commands import job_request, slurm_queue
from bench.commands.job_request import JobRequest
from bench.commands.job_task import run_task
from bench.commands.placing import placed_selection
from bench.commands.run import FOR_A_GOAL, chosen_options
from bench.commands.selection import Selection, plan_selection
from bench.commands.slurm_queue import QueuedTask
from bench.engine import budget, group_state
from bench.engine.group_state import GroupState
from bench.engine.instrumented_launches import reserve
from bench.engine.options import Options, Progress
from bench.errors import BenchError, RunError, SpecError
from bench.plan.cell import Plan
from bench.plan.plan import plan_document
from bench.plan.shares import Share, plan_share
from bench.results import jobs, store
from bench.results.jobs import JobFile, StoredJob, TaskFile
from bench.results.run_info import timestamp
from bench.stats.conditions import questions_of

INSTALL = "submitit is not installed; run: pip install 'loopmark[slurm]'"


@dataclass(frozen=True)
class TaskStatus:
    """What is known of a task of a job.

    Attributes:
        job: the job's name.
        task: from 1 on, and `tasks`, of how many.
        slurm: its number there.
        state: pending, running, completed, cancelled, timeout, node-fail, requeued, failed, or unknown.
        reason: why it waits, or why it did not complete; "" where there is nothing to say.
        nodes: that it has or had.
        run: the folder with what it measures.
        records: in it so far.
        outcomes: how many of them have which outcome.
        log: what the job prints.
    """

    job: str
    task: int
    tasks: int
    slurm: str
    state: str
    reason: str
    nodes: str
    run: Path
    records: int
    outcomes: Mapping[str, int]
    log: Path


def hand_in(
    selection: Selection, given: Mapping[str, Any], request: JobRequest, out: Path, progress: Progress
) -> StoredJob:
    """Hand in a job that measures these cells.

    Args:
        given: options by the names of `Options`.
        out: the folder with the runs, which the job's nodes see as well.

    Raises:
        SpecError: all that is wrong with the selection, the options, and what Slurm is asked for.
        BenchError: there is no Slurm here or no submitit, or Slurm refuses the job.
    """
    if importlib.util.find_spec("submitit") is None:
        raise BenchError(INSTALL)
    placed = placed_selection(selection, request.placing, request.nodes)
    plan, _ = plan_selection(placed, tell=progress.note)
    questions_of(given.get("until"), plan_document(plan))
    trained = any(suite.goal is not None for suite in plan.suites.values())
    options = chosen_options(given, defaults=FOR_A_GOAL if trained else None)
    needed = needed_time(plan, options, request)
    mistakes = job_request.refusals(request, needed, len(plan.groups), slurm_queue.partitions())
    if mistakes:
        raise SpecError(mistakes)
    folder = jobs.new_job_folder(out)
    tasks = range(1, 1 + request.tasks)
    job = JobFile(
        schema=jobs.JOB_SCHEMA,
        name=folder.name,
        submitted=timestamp(),
        asked=request.asked(),
        command=tuple(job_request.run_words(selection, given, request.devices)),
        launcher=request.launcher,
        where=os.getcwd(),
        out=str(out.resolve()),
        runs=tuple(f"{folder.name}-{task}" if request.array else folder.name for task in tasks),
        copies=request.copies,
        slurm="",
        cancelled=None,
    )
    jobs.write_job(folder, job)
    try:
        number = _hand_in(folder.resolve(), job, request, job_request.minutes_of(request.time or needed))
    except BenchError:
        shutil.rmtree(folder, ignore_errors=True)  # nobody has it, and nobody will
        raise
    jobs.write_job(folder, replace(job, slurm=number))
    return jobs.read_job(folder)


def needed_time(plan: Plan, options: Options, request: JobRequest) -> float:
    """Seconds that a job needs for its budget, or for the least that its largest share does."""
    least = 0.0
    for number in range(1, 1 + request.tasks):
        try:
            own = plan_share(plan, Share(number, request.tasks, request.copies) if request.array else None)
        except SpecError:  # a task without a group; said with the rest of what is wrong
            continue
        # What cannot run on the machine that submits may run on the nodes.
        states = [GroupState(group, list(group.runnable or group.cells)) for group in own.groups]
        told = budget.forecast(group_state.work(states), options.budget, reserve(own, options), 1, 1)
        least = max(least, told.starting + told.launching)
    return job_request.needed_seconds(options.budget, least)


def _hand_in(folder: Path, job: JobFile, request: JobRequest, minutes: int) -> str:
    """The number that Slurm gives the job.

    Raises:
        BenchError: it refuses it; in one line.
    """
    import submitit

    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):  # sbatch's words are in the error, too
            # `exec`: the process that Slurm signals is then submitit's, not a shell that would not pass it on.
            python = f"exec {shlex.quote(sys.executable)}"
            executor = submitit.SlurmExecutor(folder / jobs.SCHEDULER, python=python)
            executor.update_parameters(**_parameters(job, request, minutes))
            tasks = range(1, 1 + len(job.runs))
            handed_in = executor.map_array(run_task, [str(folder)] * len(tasks), tasks)
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        said = slurm_queue.complaint("sbatch", str(error))
        raise BenchError(job_request.refused_by_slurm(said, request)) from None
    except (OSError, RuntimeError) as error:
        raise BenchError(f"{folder}: the job cannot be handed in: {error}") from None
    return str(handed_in[0].job_id).partition("_")[0]


def _parameters(job: JobFile, request: JobRequest, minutes: int) -> dict[str, Any]:
    """submitit's words for what is asked of Slurm (submitit 1.5, slurm/slurm.py)."""
    more: dict[str, Any] = {
        "signal": f"B:USR2@{job_request.ENDING_S}",  # to the script, which is submitit's process; not to agents
        "requeue": True,
        "no-kill": True,  # one node's death is not the job's
    }
    if request.reservation is not None:
        more["reservation"] = request.reservation
    return {
        "job_name": f"bench-{job.name}",
        "time": minutes,
        "partition": request.partition,
        "account": request.account,
        "qos": request.qos,
        "constraint": request.constraint,
        "nodes": request.nodes,
        "ntasks_per_node": 1,
        "cpus_per_task": request.cpus,
        "gpus_per_node": request.gpus,
        "exclusive": None if request.shared else True,
        "wckey": None,  # submitit's own default is one that a site may not know
        "stderr_to_stdout": True,
        "use_srun": False,  # `bench run` starts the step on the nodes itself
        "additional_parameters": more,
    }


def task_statuses(which: str | None, out: Path) -> list[TaskStatus]:
    """What became of a job, or of all jobs under `out`, by task.

    Raises:
        RunError: there is no such job, or no job at all.
    """
    found = [jobs.find_job(which, out)] if which is not None else jobs.every_job(out)
    if not found:
        raise RunError(f"no jobs under {out}; `bench submit` hands one in")
    try:
        queue = slurm_queue.queued_tasks(job.file.slurm for job in found if job.file.slurm)
        silent = ""
    except BenchError as error:  # what the jobs themselves wrote is there all the same
        queue, silent = {}, str(error)
    return [status for job in found for status in _of_job(job, queue, silent)]


def _of_job(job: StoredJob, queue: Mapping[str, QueuedTask], silent: str) -> list[TaskStatus]:
    of, found, last = len(job.file.runs), [], {}
    for number in range(1, 1 + of):
        slurm = job.file.task_id(number)
        queued, task = queue.get(slurm), job.tasks.get(number)
        state, reason = state_of(queued, task, job.seen.get(slurm, ""), cancelled=job.file.cancelled is not None)
        if queued is not None and state in slurm_queue.ENDED_STATES:
            last[slurm] = queued.state
        run = job.file.run_folder(number)
        records, outcomes = recorded(run)
        log = job.folder / jobs.SCHEDULER / f"{slurm or '?'}_0_log.out"
        nodes = (queued.nodes if queued else "") or (task.node if task else "")
        told = reason or (silent if state == "unknown" else "")
        found.append(TaskStatus(job.file.name, number, of, slurm, state, told, nodes, run, records, outcomes, log))
    jobs.keep_seen(job, last)
    return found


def state_of(queued: QueuedTask | None, task: TaskFile | None, seen: str, *, cancelled: bool) -> tuple[str, str]:
    """The state of a task and why: by what Slurm says, what the task itself wrote, and what Slurm said last. Pure.

    Args:
        seen: the last state that Slurm told, where somebody asked; "" where nobody did.
        cancelled: whether `bench cancel` was called.
    """
    theirs = queued.state if queued else seen
    ours = slurm_queue.STATE_WORDS.get(theirs, "unknown")
    why = queued.reason if queued and queued.reason not in ("None", "") else ""
    if queued and ours == "pending":
        return ("requeued" if task is not None else "pending"), why
    if queued and ours in ("running", "requeued"):
        return (task.state, task.reason) if task and task.state != "running" and theirs == "COMPLETING" else (ours, "")
    if task is not None and task.state in ("timeout", "completed"):
        return task.state, task.reason
    if ours == "node-fail":
        return ours, why or "a node of it failed"
    if ours == "timeout" or (task is not None and ours == "cancelled"):
        return ours, task.reason if task and task.reason else "ended by Slurm"
    if task is not None and task.state in ("cancelled", "failed"):
        return task.state, task.reason
    if ours in ("cancelled", "failed"):
        return ours, why
    if cancelled:
        return "cancelled", ""
    if task is not None:
        return "unknown", f"Slurm knows it no longer; it ran when it last said so, from {task.started} on"
    return "unknown", "Slurm does not know it, and it never began"


def recorded(run: Path) -> tuple[int, dict[str, int]]:
    """How many records a run has so far, and how many of each outcome; none where it has not begun."""
    if not (run / store.RUN).is_file():
        return 0, {}
    try:
        read = store.read_run(run)
    except RunError:  # a line is just being written; asked again, it is there
        return 0, {}
    records = (*read.records, *read.instrumented)
    return len(records), dict(Counter(record.outcome for record in records))


def withdraw(which: str, out: Path) -> StoredJob:
    """End a job, or take it out of the queue. What it measured is kept.

    Raises:
        RunError: there is no such job, or it has no number yet.
        BenchError: Slurm does not do it.
    """
    job = jobs.find_job(which, out)
    if not job.file.slurm:
        raise RunError(f"job {job.file.name}: Slurm never gave it a number, so there is nothing to cancel")
    jobs.mark_cancelled(job, timestamp())
    slurm_queue.ask_slurm("scancel", job.file.slurm)
    return jobs.read_job(job.folder)
