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
from bench.plan.discovery import Found, Refusal
from bench.plan.plan import make_plan
from bench.plan.quantities import duration
from bench.plan.shares import Share, plan_share
from bench.plan.suite import Suite

DEFAULT_SUITE = "overhead"


@dataclass(frozen=True)
class Selection:
    """Which cells.

    Attributes:
        suites: their names, or the paths of their files; none: the default one.
        settings: `axis=v1,v2` each, replacing the values of an axis.
        select: an expression over cell ids; see `bench.plan.select`.
        folders: folders with more suite files.
        threads: of each process, which with the devices says how many cores a cell needs.
        compare: the axis along which cells are compared, where that is not the suite's own.
        nodes: that a launcher has.
        share: the groups of one task of several; None: all groups.
    """

    suites: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    select: str | None = None
    folders: tuple[Path, ...] = ()
    threads: int = 1
    compare: str | None = None
    nodes: int = 1
    share: Share | None = None


def hear_nothing(text: str) -> None:
    """For those whom nobody listens to."""


def look_up(selection: Selection, tell: Callable[[str], None] = hear_nothing) -> tuple[Found, tuple[str, ...]]:
    """The suites that a selection may be of, and the names of those that it names.

    Args:
        tell: is told of each file that was refused.

    Raises:
        SpecError: all that is wrong with names and files that it names; what was refused, where a name is not found.
    """
    paths = [name for name in selection.suites if discovery.is_path(name)]
    others = len(paths) < len(selection.suites) or not selection.suites or selection.folders
    found = discovery.look_for_suites(selection.folders) if others else Found({})
    suites = dict(found.suites)
    named: dict[str, str] = {}  # the suite's name by its file's, as the user has it
    mistakes: list[str] = []
    for path in dict.fromkeys(paths):
        try:
            suite, file = discovery.suite_of_file(path)
        except SpecError as error:
            mistakes += error.mistakes
            continue
        twice = [other for other, name in named.items() if name == suite.name and suites[name][1] != file]
        mistakes += [f"{path}: suite {suite.name!r} is in {other}, too; rename one of them" for other in twice]
        suites[suite.name], named[path] = (suite, file), suite.name
    for name in selection.suites:
        if name in named.values() and suites[name][1] != found.suites.get(name, (None, None))[1]:
            mistakes.append(f"suite {name!r}: a file that is named has one of that name, too; name one of them")
    if mistakes:
        raise SpecError(mistakes)
    refused = tuple(one for one in found.refused if one.suite not in named.values())
    for one in refused:
        tell(str(one))
    return Found(suites, refused), tuple(dict.fromkeys(named.get(name, name) for name in selection.suites))


def plan_selection(
    selection: Selection,
    change: Callable[[Suite], Suite] = lambda suite: suite,
    tell: Callable[[str], None] = hear_nothing,
) -> tuple[Plan, dict[str, str]]:
    """The plan of a selection, and the file of each of its suites.

    Args:
        change: what is done to each suite first, as for another compared axis.
        tell: is told of each suite file that was refused, which stops nobody who did not ask for it.

    Raises:
        SpecError: all that is wrong with names, settings and expression, or with a suite file that is named.
    """
    told: list[str] = []
    found, names = look_up(selection, told.append)
    suites: dict[str, Suite] = {name: change(suite) for name, (suite, _) in found.suites.items()}
    try:
        plan = make_plan(
            suites,
            names or [DEFAULT_SUITE],
            settings=selection.settings,
            select=selection.select,
            compare=selection.compare,
            threads=selection.threads,
            nodes=selection.nodes,
        )
    except SpecError as error:
        unknown = [name for name in names or [DEFAULT_SUITE] if name not in suites]
        raise SpecError([*error.mistakes, *(found.near(unknown) if unknown else ())]) from None
    for line in told:
        tell(line)
    plan = plan_share(plan, selection.share)
    return plan, {name: found.suites[name][1] for name in plan.suites}


def plan_everything(selection: Selection, tell: Callable[[str], None]) -> Plan:
    """The plan of a selection, of every suite that there is where it names none.

    Args:
        tell: is told of each suite that was refused, as of what its own functions do when it is planned.

    Raises:
        SpecError: as `plan_selection`.
    """
    if selection.suites:
        return plan_selection(selection, tell=tell)[0]
    suites: dict[str, Suite] = {}
    for name, (suite, file) in look_up(selection, tell)[0].suites.items():
        try:
            make_plan({name: suite}, [name], threads=selection.threads)
        except SpecError as error:
            tell(str(Refusal(file, error.mistakes)))
        else:
            suites[name] = suite
    return make_plan(
        suites, list(suites), settings=selection.settings, select=selection.select, threads=selection.threads
    )


def planned_sides(
    selection: Selection, sides: Sequence[str], tell: Callable[[str], None] = hear_nothing
) -> tuple[Plan, dict[str, str], str]:
    """The plan with these environments as the compared axis; where no suite is named, the default at one step length.

    Args:
        tell: as of `plan_selection`.

    Returns:
        Plan, files, and a sentence on the length where it was chosen here, or "".
    """
    length: list[str] = []
    if not selection.suites:
        suite, _ = look_up(selection)[0].get(DEFAULT_SUITE)
        length = environments.one_length(suite, selection.settings, selection.select)
    wanted = replace(selection, settings=(*selection.settings, *length))
    plan, files = plan_selection(wanted, lambda suite: environments.over_sides(suite, sides), tell)
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
