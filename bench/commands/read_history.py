"""All runs of a folder as a history over commits. Reading them needs pandas, which is imported inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis import confirmation
from bench.commands.history_cache import cached_points
from bench.commands.history_readers import read_ahead
from bench.errors import RunError
from bench.machine import git
from bench.results import store

if TYPE_CHECKING:
    from bench.analysis.history import History


def read_history(
    out: Path, repository: Path, metric: str | None, suites: Sequence[str] = (), *, tell: Callable[[str], None]
) -> History:
    """The history of all runs under a folder.

    Args:
        metric: whose series; None: the ratio to the baseline, or, where no cell has one, the step time.
        suites: only these.
        tell: is told of runs that are left out since they cannot be read.

    Raises:
        RunError: there are no runs, or none that belongs to a commit; says why not.
    """
    from bench.analysis import history
    from bench.analysis.history_points import RATIO, table_of

    runs, unread = [], []
    folders = store.every(out)
    digests = read_ahead(folders)
    for folder in folders:
        try:
            runs.append(cached_points(folder, digests.get(folder)))
        except RunError as error:
            unread.append(str(error))
    table, left_out = table_of(runs, RATIO if metric is None else metric, suites)
    if table.empty and metric is None:
        table, left_out = table_of(runs, "step_time", suites)
        if not table.empty:
            left_out.append("ratios: no cell of these runs has a baseline beside it, so these are step times")
    left_out = unread + left_out
    for reason in unread:
        tell(f"left out: {reason}")
    if table.empty:
        raise RunError("\n".join([f"no run under {out} is a point of a history:", *left_out]))
    order = git.ancestry(table["commit"], repository)
    known = [confirmation.decode_confirmation(line, where) for where, line in store.read_confirmations(out)]
    return history.analyse(table, left_out, order, known)
