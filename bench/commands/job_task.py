"""What a job does on its node: begin its run or go on with it, hear Slurm's signals, write down what came of it.

submitit's pickle holds the name of this function, the job's folder and a number, and nothing else.

Slurm sends two signals. SIGUSR2, to this process alone, some time before the limit (`--signal=B:USR2@60`): the run is
told to end, as by Ctrl-C. SIGTERM, to every process of the job, when it is cancelled or requeued, and SIGKILL after
KillWait (30 s by default): `bench run` has heard that one itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from bench.commands.endings import CODES, REFUSED
from bench.errors import BenchError
from bench.machine.process_env import PACKAGE_PARENT
from bench.results import jobs, store
from bench.results.jobs import JobFile, TaskFile
from bench.results.run_info import timestamp

# A run that has heard SIGTERM ends its launch and writes; if it has not, as where Slurm sends it to the script alone,
# it is told after so long. The second signal has a run leave at once, so it is not sent sooner.
PATIENCE_S = 12.0


def task_command(job: JobFile, number: int, folder: Path) -> list[str]:
    """The command line of `bench` for one task: of a run that has begun, to go on with it.

    Args:
        number: of the task, from 1 on.
        folder: of its run.
    """
    if (folder / store.RUN).is_file():
        return ["run", "--resume", str(folder), "--out", job.out, *job.launcher]
    of = len(job.runs)
    share = ["--share", f"{number}/{of}", "--copies", str(job.copies)] if of > 1 else []
    return [*job.command, *job.launcher, *share, "--out", job.out, "--name", folder.name]


def run_task(folder: str, number: int) -> None:
    """Do a task of the job in this folder.

    Raises:
        BenchError: `bench run` ended as it should not; submitit then says so to Slurm, whose state is FAILED.
    """
    at = Path(folder)
    job = jobs.read_job(at).file
    began = _begun(os.environ)
    jobs.write_task(at, number, began)
    command = [sys.executable, "-m", "bench", *task_command(job, number, job.run_folder(number))]
    status, heard = _conducted(command)
    ended = replace(began, ended=timestamp(), status=status)
    if status in CODES.values() and status != CODES["interrupted"]:  # also a run of which cells failed is whole
        jobs.write_task(at, number, replace(ended, state="completed"))
    elif signal.SIGUSR2 in heard:
        reason = "its time was up; what was measured is there"
        jobs.write_task(at, number, replace(ended, state="timeout", reason=reason))
    elif signal.SIGTERM in heard:
        reason = "ended by Slurm; what was measured is there"
        jobs.write_task(at, number, replace(ended, state="cancelled", reason=reason))
    else:
        told = " (it was refused)" if status == REFUSED else ""
        how = (
            f"bench run was ended by signal {-status}" if status < 0 else f"bench run ended with status {status}{told}"
        )
        jobs.write_task(at, number, replace(ended, state="failed", reason=f"{how}; its log says why"))
        raise BenchError(how)


def _begun(environment: Mapping[str, str]) -> TaskFile:
    array = environment.get("SLURM_ARRAY_JOB_ID")
    number = f"{array}_{environment.get('SLURM_ARRAY_TASK_ID')}" if array else environment.get("SLURM_JOB_ID", "")
    restarts = environment.get("SLURM_RESTART_COUNT", "0")
    return TaskFile(
        schema=jobs.JOB_SCHEMA,
        state="running",
        slurm=number,
        node=os.uname().nodename,
        restarts=int(restarts) if restarts.isdecimal() else 0,
        started=timestamp(),
    )


def _conducted(command: Sequence[str]) -> tuple[int, list[int]]:
    """The exit status of a program, and the signals that were heard while it ran."""
    heard: list[int] = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE_PARENT), *_python_path()])}
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
    patient_until = float("inf")

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal patient_until
        heard.append(number)
        if number == signal.SIGUSR2:
            child.send_signal(signal.SIGTERM)
        else:
            patient_until = time.monotonic() + PATIENCE_S

    for number in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, hear)
    while True:
        try:
            return child.wait(timeout=0.5), heard
        except subprocess.TimeoutExpired:
            if time.monotonic() > patient_until:
                patient_until = float("inf")
                child.send_signal(signal.SIGTERM)


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
