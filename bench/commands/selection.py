"""Which cells a command is about, and how long it may take: from names and texts to a plan. No torch, no pandas."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path

from bench.commands import environments
from bench.errors import SpecError, quote
from bench.plan import discovery
from bench.plan.cell import Plan
from bench.plan.plan import make_plan
from bench.plan.quantities import duration
from bench.plan.suite import Suite

DEFAULT_SUITE = "overhead"


@dataclass(frozen=True)
class Selection:
    """Which cells.

    Attributes:
        suites: their names; none: the default one.
        settings: `axis=v1,v2` each, replacing the values of an axis.
        select: an expression over cell ids; see `bench.plan.select`.
        folders: folders with more suite files.
        threads: of each process, which with the devices says how many cores a cell needs.
    """

    suites: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    select: str | None = None
    folders: tuple[Path, ...] = ()
    threads: int = 1


def plan_selection(
    selection: Selection, change: Callable[[Suite], Suite] = lambda suite: suite
) -> tuple[Plan, dict[str, str]]:
    """The plan of a selection, and the file of each of its suites.

    Args:
        change: what is done to each suite first, as for another compared axis.

    Raises:
        SpecError: all that is wrong with names, settings and expression, or with a suite file.
    """
    every = discovery.all_suites(selection.folders)
    suites: dict[str, Suite] = {name: change(suite) for name, (suite, _) in every.items()}
    plan = make_plan(
        suites,
        selection.suites or [DEFAULT_SUITE],
        settings=selection.settings,
        select=selection.select,
        threads=selection.threads,
    )
    return plan, {name: every[name][1] for name in plan.suites}


def with_all_suites(selection: Selection) -> Selection:
    """The same, with every suite that there is where none is named."""
    return replace(selection, suites=selection.suites or tuple(discovery.all_suites(selection.folders)))


def planned_sides(selection: Selection, sides: Sequence[str]) -> tuple[Plan, dict[str, str], str]:
    """The plan with these environments as the compared axis; where no suite is named, the default at one step length.

    Returns:
        Plan, files, and a sentence on the length where it was chosen here, or "".
    """
    length: list[str] = []
    if not selection.suites:
        suite, _ = discovery.all_suites(selection.folders)[DEFAULT_SUITE]
        length = environments.one_length(suite, selection.settings, selection.select)
    wanted = replace(selection, settings=(*selection.settings, *length))
    plan, files = plan_selection(wanted, lambda suite: environments.over_sides(suite, sides))
    return plan, files, f"one step length, {length[0]}; --set takes others" if length else ""


def allowed_budget(given: float | None, usual: float) -> float:
    """Seconds that a command may take: what was given, at most BENCH_BUDGET; without it BENCH_BUDGET; without both,
    what is usual.

    Raises:
        SpecError: BENCH_BUDGET is no time.
    """
    text = os.environ.get("BENCH_BUDGET", "")
    if not text:
        return usual if given is None else given
    try:
        most = duration(text)
    except SpecError as error:
        raise SpecError(f"BENCH_BUDGET: {error}") from None
    return most if given is None else min(given, most)


def settings_of(values: Mapping[str, object]) -> tuple[str, ...]:
    """Values by axis, each one or a list of them, as the texts that the command line has: `batch_size=64,128`.

    Raises:
        SpecError: it is no mapping, or an axis has no value, or one that no axis can have.
    """
    if not isinstance(values, Mapping):
        raise SpecError(
            f"set: {quote(values)} is not possible; allowed: values by axis, e.g. {{'batch_size': [64, 256]}}"
        )
    texts, mistakes = [], []
    for axis, value in values.items():
        several = list(value) if isinstance(value, list | tuple | range | set | frozenset) else [value]
        # A comma and an equals sign would make several values of one, and another axis.
        odd = [item for item in several if not isinstance(item, str | Real) or "," in str(item)]
        if odd or not several or not isinstance(axis, str) or "=" in axis:
            mistakes.append(
                f"axis {quote(axis)}: {quote(odd[0] if odd else value)} is no value; allowed: a text without a comma, "
                "a number, True or False, or a list of these"
            )
            continue
        words = [str(item).lower() if isinstance(item, bool) else str(item) for item in several]
        texts.append(f"{axis}={','.join(words)}")
    if mistakes:
        raise SpecError(mistakes)
    return tuple(texts)
