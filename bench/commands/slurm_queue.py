"""What Slurm says of partitions and jobs: its words read into values. Asks scontrol and squeue; all else is pure."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import BenchError

ANSWER_S = 60.0  # for an answer of Slurm's; its own programs give up a controller after about as long
_SINGLE = re.compile(r"(\S+?)=(\S*)")
_TIME = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")
UNLIMITED = float("inf")


@dataclass(frozen=True)
class Partition:
    """A partition, as far as a job can be refused by it.

    Attributes:
        default: whether jobs that name none go there.
        limit: seconds that a job may ask for at most, infinite where there is no limit.
        nodes: that a job can have at most.
        up: whether jobs start there.
        accounts: that may use it; none: all.
    """

    name: str
    default: bool
    limit: float
    nodes: int
    up: bool
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueuedTask:
    """What Slurm says of a job, or of a task of an array: `17`, or `17_3`."""

    number: str
    state: str
    reason: str
    nodes: str


def ask_slurm(*command: str) -> str:
    """What one of Slurm's programs prints.

    Raises:
        BenchError: it is not there, does not answer, or complains; in one line.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise BenchError(
            f"no Slurm here: {command[0]} not found in PATH; allowed: a machine that submits to one"
        ) from None
    except subprocess.TimeoutExpired:
        raise BenchError(
            f"{command[0]} does not answer within {ANSWER_S:.0f} s; is Slurm's controller there?"
        ) from None
    if done.returncode != 0:
        raise BenchError(complaint(command[0], done.stderr))
    return done.stdout


def complaint(program: str, text: str) -> str:
    """What a program of Slurm's complains of, in one line without its name in front of every line."""
    lines = [re.sub(rf"^{program}: (error: )?", "", line).strip() for line in text.splitlines()]
    return f"{program}: {'; '.join(line for line in lines if line) or 'ended without a word'}"


def partitions() -> list[Partition]:
    """Raises:
    BenchError: Slurm does not say.
    """
    return read_partitions(ask_slurm("scontrol", "--oneliner", "show", "partition"))


def read_partitions(text: str) -> list[Partition]:
    """Those of `scontrol --oneliner show partition`."""
    found = []
    for line in text.splitlines():
        words = dict(_SINGLE.findall(line))
        if "PartitionName" not in words:
            continue
        there, most = words.get("TotalNodes", "0"), words.get("MaxNodes", "UNLIMITED")
        accounts = words.get("AllowAccounts", "ALL")
        found.append(
            Partition(
                name=words["PartitionName"],
                default=words.get("Default") == "YES",
                limit=seconds_of_limit(words.get("MaxTime", "UNLIMITED")),
                nodes=min(int(number) for number in (there, most) if number.isdecimal()),
                up=words.get("State", "UP") == "UP",
                accounts=() if accounts == "ALL" else tuple(accounts.split(",")),
            )
        )
    return found


def seconds_of_limit(text: str) -> float:
    """Seconds from `1-02:03:04`, `02:03:04`, `03:04`; infinite for UNLIMITED and what else is no time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return UNLIMITED
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def queued_tasks(numbers: Iterable[str]) -> dict[str, QueuedTask]:
    """What Slurm still knows of these jobs, by the number of each task; those that it has forgotten are not there.

    Raises:
        BenchError: Slurm does not say.
    """
    asked = sorted(set(numbers))
    if not asked:
        return {}
    fields = "--format=%i|%T|%r|%N"
    try:
        text = ask_slurm("squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(asked)}", fields)
    except BenchError as error:
        if "Invalid job id" in str(error):  # of one that is asked for alone and was forgotten
            return {}
        raise
    return {task.number: task for task in read_queue(text)}


def read_queue(text: str) -> list[QueuedTask]:
    """Lines of `number|state|reason|nodes`."""
    rows = (line.split("|") for line in text.splitlines() if line.count("|") == 3)
    return [QueuedTask(*(part.strip() for part in row)) for row in rows]


# Slurm's states (squeue(1), slurm 22.05) by ours; those in neither list are `unknown`.
STATES: Mapping[str, Sequence[str]] = {
    "pending": ("PENDING", "CONFIGURING", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
    "running": ("RUNNING", "COMPLETING", "STAGE_OUT", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING"),
    "requeued": ("REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD"),
    "completed": ("COMPLETED",),
    "cancelled": ("CANCELLED", "REVOKED", "PREEMPTED"),
    "timeout": ("TIMEOUT", "DEADLINE"),
    "node-fail": ("NODE_FAIL", "BOOT_FAIL"),
    "failed": ("FAILED", "OUT_OF_MEMORY"),
}
STATE_WORDS: Mapping[str, str] = {theirs: ours for ours, names in STATES.items() for theirs in names}
ENDED_STATES = ("completed", "cancelled", "timeout", "node-fail", "failed")
