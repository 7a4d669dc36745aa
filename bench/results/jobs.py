"""Jobs of a cluster's scheduler: `results/jobs/NAME/` says what was handed in, and what came of each task.

job.json is written by whoever submits, before and after the scheduler has the job; task-N.json by the job itself, on
its node, whenever it begins or ends. So a job is found again by anybody who sees the folder, and what became of it is
known when the scheduler has long forgotten it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from bench.borders import json_text
from bench.errors import RunError, one_of
from bench.results import decoding, files, store
from bench.results.decoding import Count
from bench.results.record import NonEmpty

JOB_SCHEMA: Literal[1] = 1
JOBS, JOB, SEEN = "jobs", "job.json", "seen.json"
SCHEDULER = "slurm"  # the folder with what submitit writes: the script, logs, a pickle of a folder's name
TaskEnd = Literal["running", "completed", "failed", "cancelled", "timeout"]


@dataclass(frozen=True)
class JobFile:
    """job.json.

    Attributes:
        name: of the job's folder, a time and a random suffix.
        submitted: when.
        asked: what the scheduler was asked for, by the names of the command's options.
        command: what the job does, from `run` on; of an array the same for each task, which adds its share.
        launcher: what a command that goes on with a run needs as well.
        where: the folder in which it was submitted, and in which it runs.
        out: the folder with the runs.
        runs: the name of each task's run folder, known before it is there.
        copies: how many tasks of an array measure each group.
        slurm: the job's number; "" as long as Slurm has not said it.
        cancelled: when `bench cancel` was called, or None.
    """

    schema: Literal[1]
    name: NonEmpty
    submitted: str
    asked: Mapping[str, str | int | float | bool | None]
    command: tuple[str, ...]
    launcher: tuple[str, ...]
    where: str
    out: str
    runs: Annotated[tuple[NonEmpty, ...], Meta(min_length=1)]
    copies: Count
    slurm: str
    cancelled: str | None

    def task_id(self, task: int) -> str:
        """A task's number at the scheduler, "" before there is one."""
        return f"{self.slurm}_{task - 1}" if self.slurm and len(self.runs) > 1 else self.slurm

    def run_folder(self, task: int) -> Path:
        """Where a task, from 1 on, measures."""
        return Path(self.out) / self.runs[task - 1]


@dataclass(frozen=True)
class TaskFile:
    """task-N.json.

    Attributes:
        state: as the job itself has it; of one that was killed the last one that it could write.
        slurm: the job's number, or the task's of an array.
        node: the first node, on which the run is conducted.
        restarts: how often the scheduler had started it before.
        started, ended: when, the last time.
        status: the exit code of `bench run`.
        reason: why, where it did not complete.
    """

    schema: Literal[1]
    state: TaskEnd
    slurm: str
    node: str
    restarts: Count
    started: str
    ended: str | None = None
    status: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class StoredJob:
    """A job read back: its folder, what was handed in, and what its tasks have said, from 1 on."""

    folder: Path
    file: JobFile
    tasks: Mapping[int, TaskFile]
    seen: Mapping[str, str]


def new_job_folder(out: Path) -> Path:
    """A folder for a job.

    Raises:
        RunError: nothing can be written there.
    """
    return store.fresh_folder(out / JOBS, "jobs")


def write_job(folder: Path, job: JobFile) -> None:
    """Raises:
    RunError: it cannot be written.
    """
    files.write_aside(folder / JOB, json_text(asdict(job), indent=1) + "\n")


def write_task(folder: Path, number: int, task: TaskFile) -> None:
    """Raises:
    RunError: it cannot be written.
    """
    files.write_aside(folder / f"task-{number}.json", json_text(asdict(task), indent=1) + "\n")


def keep_seen(job: StoredJob, states: Mapping[str, str]) -> None:
    """Keep the last states that the scheduler told of tasks that it will soon forget, by their numbers there.

    Raises:
        RunError: it cannot be written.
    """
    if any(job.seen.get(number) != state for number, state in states.items()):
        files.write_aside(job.folder / SEEN, json_text({**job.seen, **states}, indent=1) + "\n")


def mark_cancelled(job: StoredJob, when: str) -> None:
    """Raises:
    RunError: it cannot be written.
    """
    write_job(job.folder, replace(job.file, cancelled=when))


def read_job(folder: Path) -> StoredJob:
    """Raises:
    RunError: it is none, or cannot be read; names the file.
    """
    job = decoding.decode(JobFile, files.read_bytes(folder / JOB), folder / JOB)
    found: dict[int, TaskFile] = {}
    for number in range(1, 1 + len(job.runs)):
        path = folder / f"task-{number}.json"
        if path.exists():
            found[number] = decoding.decode(TaskFile, files.read_bytes(path), path)
    seen = folder / SEEN
    states = decoding.decode(dict[str, str], files.read_bytes(seen), seen) if seen.exists() else {}
    return StoredJob(folder, job, found, states)


def every_job(out: Path) -> list[StoredJob]:
    """All jobs under `out`, oldest first; none where none was submitted.

    Raises:
        RunError: one cannot be read.
    """
    inside = (out / JOBS).iterdir() if (out / JOBS).is_dir() else ()
    return [read_job(folder) for folder in sorted(inside) if (folder / JOB).exists()]


def find_job(which: str, out: Path) -> StoredJob:
    """A job by its name, its folder, or its number at the scheduler.

    Raises:
        RunError: there is none; says which there are.
    """
    for folder in (Path(which), out / JOBS / which):
        if (folder / JOB).exists():
            return read_job(folder)
    jobs = every_job(out)
    number = which.partition("_")[0]
    found = [job for job in jobs if job.file.slurm and job.file.slurm == number]
    if not found:
        names = [f"{job.file.name} ({job.file.slurm})" if job.file.slurm else job.file.name for job in jobs]
        raise RunError(one_of("job", which, names))
    return found[-1]
