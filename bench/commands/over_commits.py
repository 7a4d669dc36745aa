"""What runs of several commits say, for Python code: `bench history`, `bench confirm`. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.confirm import ChangeRace, confirm_change
from bench.commands.python_arguments import (
    change_sizes,
    listener,
    options_of,
    path_of,
    paths_of,
    text_of,
    texts_of,
    warn,
)
from bench.commands.read_history import read_history
from bench.engine.options import Progress

if TYPE_CHECKING:
    from bench.analysis.history import History


def history(
    *, metric: str | None = None, suites: Sequence[str] = (), out: str | Path = "results", repository: str | Path = "."
) -> History:
    """Series over commits: change points, boundaries, alarms: `bench history`. What cannot be read is warned of.

    Args:
        metric: whose series; none: `ratio`, the step time over the baseline's, or `step_time` where no cell has one.
        suites: only these; none: all.
        repository: the git repository of their commits.

    Raises:
        RunError: no run under `out` belongs to a commit.
    """
    where = path_of("out", out), path_of("repository", repository)
    return read_history(*where, metric, texts_of("suites", suites), tell=warn)


def confirm(
    before: str,
    after: str,
    *,
    budget: float | str | None = None,
    precision_goal: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    folders: Sequence[str | Path] = (),
    out: str | Path = "results",
    repository: str | Path = ".",
    progress: bool | Progress = False,
    margin: float | str | None = None,
    size: float | str | None = None,
) -> ChangeRace:
    """Race the two commits of a suspected change on this machine, now: `bench confirm`.

    Args, besides those of `run`:
        before, after: the commits before and after the change.
        repository: the git repository that has them.
        margin: the largest change that is harmless: 0.02 or `"2%"`, which is the default.
        size: how large the suspected change is; none: as the history tells, cell by cell.

    Raises:
        RunError: nothing is suspected between the two, or no more than is harmless, or a cell was not measured.
    """
    commits = text_of("before", before), text_of("after", after), path_of("repository", repository)
    given = options_of(budget, precision_goal, timeout, seed, threads, memory_limit, instrument=0)
    where, sizes = (paths_of("folders", folders), path_of("out", out)), change_sizes(margin, size)
    with listener(progress) as told:
        return confirm_change(*commits, given, *where, told, command=["bench.confirm"], tell=warn, **sizes)
