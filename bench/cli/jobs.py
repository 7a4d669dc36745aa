"""`bench submit`, `status`, `cancel`: runs on a cluster, as jobs of Slurm's."""

from __future__ import annotations

import argparse
import sys

from bench.borders import json_text
from bench.cli.arguments import (
    Adder,
    as_duration,
    formats,
    given_options,
    positive,
    results_folder,
    running_options,
    selection_of_arguments,
)
from bench.cli.command_parser import Parser
from bench.cli.output import say
from bench.commands.endings import DONE, Ending
from bench.plan.shares import GROUP_COPIES


def add(command: Adder) -> None:
    """The commands of this file."""
    submitting = command("submit", submit_run, "hand a run in to Slurm, as one job or as an array of them")
    running_options(submitting, old_names=False)
    submitting.add_argument("--partition", metavar="NAME", help="where the job runs; default: Slurm's")
    submitting.add_argument("--account", metavar="NAME", help="to which the job is charged; default: Slurm's")
    submitting.add_argument("--qos", metavar="NAME", help="quality of service; default: Slurm's")
    submitting.add_argument("--constraint", metavar="TEXT", help="what nodes must have, as Slurm spells it")
    submitting.add_argument("--reservation", metavar="NAME", help="in which the job runs")
    submitting.add_argument(
        "--time", type=as_duration, metavar="TIME", help="wall time of the job; default: what the budget needs"
    )
    submitting.add_argument(
        "--nodes", type=positive, default=1, metavar="N", help="machines of the launcher; default: 1"
    )
    submitting.add_argument(
        "--devices", type=positive, metavar="N", help="of each node, with a rank each; default: the suite's"
    )
    submitting.add_argument("--cpus", type=positive, metavar="N", help="of each node; default: all")
    submitting.add_argument("--gpus", type=positive, metavar="N", help="of each node; default: none")
    submitting.add_argument(
        "--shared", action="store_true", help="let other jobs run on its nodes, which disturbs what is measured"
    )
    submitting.add_argument(
        "--array", type=positive, metavar="N", help="tasks, each a run of its own, which share the groups"
    )
    asking = command("status", show_status, "what became of jobs that were submitted")
    job_name(asking, optional=True)
    formats(asking, ("table", "json"))
    cancelling = command("cancel", cancel_job, "end a job, or take it out of the queue; what it measured is kept")
    job_name(cancelling, optional=False)


def job_name(added: Parser, *, optional: bool) -> None:
    """Which job, and where they lie."""
    told = "a job's name, folder or number" + ("; default: all" if optional else "")
    added.add_argument("job", nargs="?" if optional else None, metavar="JOB", help=told)
    results_folder(added)


def submit_run(arguments: argparse.Namespace) -> Ending:
    """`bench submit`"""
    from bench.commands.job_request import JobRequest
    from bench.commands.submit import hand_in
    from bench.engine.progress import progress

    asked = JobRequest(
        partition=arguments.partition,
        account=arguments.account,
        qos=arguments.qos,
        constraint=arguments.constraint,
        reservation=arguments.reservation,
        time=arguments.time,
        nodes=arguments.nodes,
        devices=arguments.devices,
        cpus=arguments.cpus,
        gpus=arguments.gpus,
        shared=arguments.shared,
        array=arguments.array,
        copies=arguments.copies or GROUP_COPIES,
    )
    with progress(sys.stderr) as told:
        job = hand_in(selection_of_arguments(arguments), given_options(arguments), asked, arguments.out, told)
    say(f"job {job.file.name} is Slurm's {job.file.slurm}")
    for task in range(1, 1 + len(job.file.runs)):
        say(f"run {job.file.run_folder(task)}")
    say(f"bench status {job.file.name} says how it goes; bench cancel {job.file.name} ends it")
    return DONE


def show_status(arguments: argparse.Namespace) -> Ending:
    """`bench status`"""
    from bench.commands.submit import task_statuses
    from bench.report.jobs import jobs_document, jobs_table

    found = task_statuses(arguments.job, arguments.out)
    if arguments.format == "json":
        say(json_text(jobs_document(found), indent=1))
    else:
        say(jobs_table(found), coloured=True)
    return DONE


def cancel_job(arguments: argparse.Namespace) -> Ending:
    """`bench cancel`"""
    from bench.commands.submit import withdraw

    job = withdraw(arguments.job, arguments.out)
    say(f"job {job.file.name} ({job.file.slurm}) is cancelled; what it measured is kept")
    return DONE
