"""What a job is asked for: words of `bench run`, time, nodes; and why Slurm would refuse it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bench.commands.placing import Placing
from bench.commands.selection import Selection
from bench.commands.slurm_queue import UNLIMITED, Partition
from bench.engine.budget import in_seconds
from bench.errors import one_of, quote
from bench.plan.shares import GROUP_COPIES, most_tasks

# Seconds before the limit at which Slurm tells the job that it ends: a launch in hand takes up to 8 s of turns and a
# few of start-up, and its records are kept.
ENDING_S = 60
EARLY_S = 60  # by so much Slurm may tell it sooner (sbatch(1), --signal)
# From the job's start to the run's: submitit, two interpreters, and an agent a node, on a shared disk that is cold.
STARTING_S = 30


@dataclass(frozen=True)
class JobRequest:
    """What Slurm is asked for.

    Attributes:
        partition, account, qos, constraint, reservation: as Slurm has them; None: its defaults.
        time: seconds; None: what the budget needs.
        nodes: that the run measures on.
        devices: on each, for the launcher; None: the suite's own.
        cpus: of each node; None: all.
        gpus: of each node; None: none is asked for.
        shared: whether other jobs may run on its nodes meanwhile, which disturbs what is measured.
        array: tasks that share the groups; None: one that measures all.
        copies: how many of them measure each group.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    reservation: str | None = None
    time: float | None = None
    nodes: int = 1
    devices: int | None = None
    cpus: int | None = None
    gpus: int | None = None
    shared: bool = False
    array: int | None = None
    copies: int = GROUP_COPIES

    @property
    def tasks(self) -> int:
        return self.array or 1

    @property
    def placing(self) -> Placing:
        """Where the run's arms are: on the node of its script, or on all nodes of the job."""
        return Placing("slurm", self.nodes, self.devices) if self.nodes > 1 else Placing(devices=self.devices)

    @property
    def launcher(self) -> tuple[str, ...]:
        """What tells `bench run` so, also where it goes on with a run."""
        return ("--launcher", "slurm", "--nodes", str(self.nodes)) if self.nodes > 1 else ()

    def asked(self) -> dict[str, Any]:
        """What was asked for, by names; what was left to Slurm is not there."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


def needed_seconds(budget: float, least: float) -> float:
    """Seconds of a job whose run has this budget.

    Args:
        least: seconds of what a run does whatever its budget says.
    """
    return max(budget, least) + STARTING_S + ENDING_S + EARLY_S


def minutes_of(seconds: float) -> int:
    """Slurm's unit."""
    return math.ceil(seconds / 60)


def refusals(request: JobRequest, needed: float, groups: int, partitions: Sequence[Partition]) -> list[str]:
    """Why this job cannot be, in sentences that say what can; none where nothing is known against it.

    Args:
        needed: seconds, by `needed_seconds`.
        groups: of the whole plan.
        partitions: all there are.
    """
    # What is written behind `#SBATCH` ends with its line.
    mistakes = [
        f"--{name} {quote(value)} is not possible; allowed: a text of one line"
        for name, value in request.asked().items()
        if isinstance(value, str) and not value.isprintable()
    ]
    if mistakes:
        return mistakes
    time = request.time or 60.0 * minutes_of(needed)
    if time < needed:
        mistakes.append(
            f"--time {in_seconds(time)}: the run's budget, its start and its end need {in_seconds(needed)}; allowed: "
            f"{minutes_of(needed)}m or more, or a smaller --budget"
        )
    copies = min(request.copies, request.tasks)
    if request.array is not None and request.array > most_tasks(groups, copies):
        mistakes.append(
            f"--array {request.array}: the plan has {groups} group{'' if groups == 1 else 's'}, each for {copies} "
            f"tasks; allowed: 1 to {most_tasks(groups, copies)}"
        )
    return mistakes + _of_partition(request, time, partitions)


def _of_partition(request: JobRequest, time: float, partitions: Sequence[Partition]) -> list[str]:
    names = [one.name for one in partitions]
    if request.partition is None:
        chosen = next((one for one in partitions if one.default), None)
        if chosen is None:
            return [f"no --partition was named, and Slurm has no default; allowed: {', '.join(names) or '(none)'}"]
    else:
        chosen = next((one for one in partitions if one.name == request.partition), None)
        if chosen is None:
            return [one_of("partition", request.partition, names)]
    mistakes = []
    if not chosen.up:
        up = _listed(one.name for one in partitions if one.up)
        mistakes.append(f"partition {chosen.name} starts no jobs now; allowed: {up}")
    if time > chosen.limit:
        longer = _listed(f"{one.name} ({_limit(one.limit)})" for one in partitions if one.limit >= time)
        what = f"--time {in_seconds(time)}" if request.time else f"the run's budget needs {in_seconds(time)}"
        mistakes.append(
            f"{what}: partition {chosen.name} allows {_limit(chosen.limit)} at most; partitions that allow it: {longer}"
        )
    if request.nodes > chosen.nodes:
        mistakes.append(
            f"--nodes {request.nodes}: partition {chosen.name} has {chosen.nodes}; allowed: 1 to {chosen.nodes}"
        )
    if request.account is not None and chosen.accounts and request.account not in chosen.accounts:
        mistakes.append(one_of(f"account of partition {chosen.name}", request.account, chosen.accounts))
    return mistakes


def _limit(seconds: float) -> str:
    return "any time" if seconds == UNLIMITED else in_seconds(seconds)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "(none)"


def run_words(selection: Selection, given: Mapping[str, Any], devices: int | None = None) -> list[str]:
    """The command line of `bench run` that names these cells and options.

    Args:
        given: options by the names of `bench.engine.options.Options`.
        devices: of each node; None: as the suites say.
    """
    words = ["run", *selection.suites]
    words += [f"--set={setting}" for setting in selection.settings]
    words += [] if selection.select is None else [f"-k{selection.select}"]
    words += [] if selection.compare is None else [f"--compare={selection.compare}"]
    words += [f"--suites={folder}" for folder in selection.folders]
    for name, value in given.items():
        if value is not None:
            words.append(f"{OPTIONS[name]}={_numeral(value)}")
    return words if devices is None else [*words, f"--devices={devices}"]


# Options of `bench run` by the names of `Options`.
OPTIONS: Mapping[str, str] = {
    "budget": "--budget",
    "precision_goal": "--precision-goal",
    "timeout": "--timeout",
    "seed": "--seed",
    "threads": "--threads",
    "memory_limit": "--memory-limit",
    "instrument": "--instrument",
    "until": "--until",
    "launches": "--seeds",
}


def _numeral(value: object) -> str:
    """A value as an option takes it: quantities have no exponents."""
    return f"{value:.12f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def refused_by_slurm(told: str, request: JobRequest) -> str:
    """One line for a job that sbatch did not take."""
    asked = ", ".join(f"{name} {quote(value)}" for name, value in request.asked().items() if name != "copies")
    return f"{told}; asked for: {asked}; what there is: sinfo, and sacctmgr show associations for accounts"
