"""`bench merge`: reads the runs, and others that tell how runs of their machines differ. No torch.

Reading frames needs pandas, which is imported inside.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import RunError, SpecError, one_of, quote
from bench.results import baselines, store

if TYPE_CHECKING:
    from bench.analysis.merge_values import Merge
    from bench.analysis.run import Run

AN_HOUR_IN_WORDS = ("/h", "/hour")


def merge(
    *runs: Run | str | Path,
    labels: Mapping[str, str] | None = None,
    prices: Mapping[str, float | str] | None = None,
    baseline: str | None = None,
    history: Sequence[str | Path] = (),
    out: str | Path = "results",
) -> Merge:
    """Runs of several machines as one comparison of accelerators: `bench merge`.

    Args:
        runs: ids, folders, baselines' names, or `Run`s.
        labels: what a run's machine is called, by the run's id or as `runs` has it.
        prices: of a machine, for an hour of one of its nodes, by its name: 2.5 or `"2.50/h"`.
        baseline: the machine that ratios are over; None: CPUs before devices, then the fewest devices.
        history: folders with other runs of these machines, which tell how runs differ; none: where the runs lie.
        out: where runs lie.

    Raises:
        RunError: a run cannot be read or is there twice, or there is nothing to compare.
        SpecError: a label is of no run, a price or the baseline of no machine.
    """
    from bench.commands.python_arguments import path_of, paths_of, text_of, which_run

    named = {text_of("labels", run): text_of("labels", name) for run, name in _by_name("labels", labels).items()}
    return merge_of_runs(
        [which_run(run) for run in runs],
        path_of("out", out),
        labels=named,
        prices={name: price_of_an_hour(name, price) for name, price in _by_name("prices", prices).items()},
        baseline=None if baseline is None else text_of("baseline", baseline),
        history=paths_of("history", history),
    )


def merge_of_runs(
    which: Sequence[str],
    out: Path,
    *,
    labels: Mapping[str, str] | None = None,
    prices: Mapping[str, float] | None = None,
    baseline: str | None = None,
    history: Sequence[Path] = (),
) -> Merge:
    """The comparison of the machines that made these runs.

    Args:
        which: ids under `out`, folders, names of baselines.
        labels: names of machines, by a run as `which` has it, or its id.
        prices: for an hour of one node, by a machine's name.
        baseline: the machine that ratios are over.
        history: folders with other runs of the same machines; none: those that the runs lie in.

    Raises:
        RunError: runs that cannot be read, one message each; a run twice; nothing to compare.
        SpecError: a label of no run, a price or baseline of no machine.
    """
    if not which:
        raise SpecError("runs: none is named; allowed: one or more")
    from bench.analysis.merge import merge_runs
    from bench.commands.compare import other_runs

    runs = _read(which, out)
    by_text = {text: run.id for text, run in zip(which, runs, strict=True)}
    ids = {**{run.id: run.id for run in runs}, **by_text}
    unknown = [one_of("run of a label", text, which) for text in labels or {} if text not in ids]
    if unknown:
        raise SpecError(unknown)
    folders = list(history) or list(dict.fromkeys(_folder_of_runs(run) for run in runs))
    for folder in history:
        if not folder.is_dir():
            raise SpecError(f"history: {folder} is no folder; allowed: a folder with runs")

    def others() -> Iterator[store.StoredRun]:
        for folder in folders:
            yield from other_runs(folder)

    named = {ids[text]: name for text, name in (labels or {}).items()}
    return merge_runs(runs, others(), labels=named, prices=prices, baseline=baseline)


def _read(which: Sequence[str], out: Path) -> list[store.StoredRun]:
    """Raises:
    RunError: some of them cannot be read, or are not as they were written; says of each why.
    """
    found, unread = [], []
    for text in which:
        try:
            found.append(store.intact(baselines.find_run(_no_gate(text, out), out)))
        except RunError as error:
            unread.append(str(error))
    if unread:
        raise RunError("\n".join(dict.fromkeys(unread)))
    return found


def _no_gate(text: str, out: Path) -> str:
    """Raises:
    RunError: it is the folder of a gate, whose stages are runs; names them.
    """
    for folder in (Path(text), out / text):
        try:
            gate = os.path.lexists(folder / store.GATE) and not os.path.lexists(folder / store.RUN)
        except ValueError:  # a name with a NUL, which is answered where it is looked for
            continue
        if gate:
            stages = sorted(str(path.parent) for path in folder.glob(f"*/{store.RUN}"))
            raise RunError(f"{folder}: a gate's folder, and no run; its runs are {', '.join(stages) or 'not there'}")
    return text


def _folder_of_runs(run: store.StoredRun) -> Path:
    """The folder that a run lies in beside others; that of a baseline is two floors up."""
    parent = run.folder.resolve().parent
    return parent.parent if parent.name == baselines.FOLDER else parent


def _by_name(name: str, values: Mapping[str, float | str] | Mapping[str, str] | None) -> Mapping[str, Any]:
    """Raises:
    SpecError: it is no mapping; names the argument.
    """
    if values is not None and not isinstance(values, Mapping):
        raise SpecError(f"{name}: {quote(values)} is not possible; allowed: a mapping")
    return values or {}


def named_texts(option: str, texts: Sequence[str], form: str) -> dict[str, str]:
    """`RUN=NAME` and the like as a mapping; what stands behind the last `=` is the value.

    Raises:
        SpecError: all that are not of the form, and names that are there twice.
    """
    found: dict[str, str] = {}
    mistakes = []
    for text in texts:
        name, is_, value = text.rpartition("=")
        if not (name.strip() and is_ and value.strip()):
            mistakes.append(f"{option}: {quote(text)} is not of the form {form}")
        elif name.strip() in found:
            mistakes.append(f"{option}: {quote(name.strip())} is there twice")
        else:
            found[name.strip()] = value.strip()
    if mistakes:
        raise SpecError(mistakes)
    return found


def price_of_an_hour(name: str, given: str | float) -> float:
    """A price, as a number or as `2.50/h`; whose currency it is in is the user's own affair.

    Raises:
        SpecError: it is none; names the machine.
    """
    text = str(given).strip()
    for ending in AN_HOUR_IN_WORDS:
        text = text.removesuffix(ending)
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if isinstance(given, bool) or not (math.isfinite(price) and price > 0):
        raise SpecError(f"price of {name}: {quote(given)} is no price for an hour; allowed: above 0, as 2.50 or 2.50/h")
    return price
