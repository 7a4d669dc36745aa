"""Arguments as Python code gives them, made what the commands take. No torch, no pandas."""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from bench.axes.engine_axes import AxisValue
from bench.commands.counting import Counting
from bench.commands.gate import GATE_BUDGET
from bench.commands.run import chosen_options
from bench.commands.selection import Selection, allowed_budget, settings_of
from bench.engine.options import Options, Progress, Quiet
from bench.engine.progress import progress as shown_progress
from bench.errors import SpecError, quote
from bench.plan import discovery, guard
from bench.plan.quantities import ABOVE_ZERO, ANY_WHOLE, FROM_ZERO, number_of_bytes, seconds, share
from bench.results import report_places
from bench.stats.gate_rule import Rule

if TYPE_CHECKING:
    from bench.analysis.run import Run


def warn(text: str) -> None:
    """Say something that the command line says on standard error, as a warning of the line that called `bench`."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "bench":
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


def path_of(name: str, value: str | Path) -> Path:
    """A file or folder, by its path.

    Raises:
        SpecError: it is no path, or an empty text, which would be the working folder; names the argument.
    """
    if not isinstance(value, str | os.PathLike) or not str(value).strip() or "\0" in str(value):
        raise SpecError(f"{name}: {quote(value)} is not possible; allowed: a path, as a text or a pathlib.Path")
    return Path(value)


def which_run(run: Run | str | Path) -> str:
    """A run by its id, its folder, or itself, as it lies on the disk by now.

    Raises:
        SpecError: it is none of these.
    """
    from bench.analysis.run import Run

    return str(path_of("run", run.folder if isinstance(run, Run) else run))


def paths_of(name: str, values: Iterable[str | Path]) -> list[Path]:
    """Several of them.

    Raises:
        SpecError: it is no list of paths; names the argument.
    """
    return [path_of(name, value) for value in _several(name, values)]


def texts_of(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """Texts, as suites, sides and requirements are.

    Raises:
        SpecError: it is no list of texts; names the argument.
    """
    return tuple(text_of(name, value) for value in _several(name, values))


def text_of(name: str, value: str) -> str:
    """One of them.

    Raises:
        SpecError: it is none; names the argument.
    """
    if not isinstance(value, str):
        raise SpecError(f"{name}: {quote(value)} is not possible; allowed: a text")
    return value


def _several(name: str, values: Iterable[Any]) -> list[Any]:
    if isinstance(values, str | bytes | os.PathLike) or not isinstance(values, Iterable):
        raise SpecError(f"{name}: {quote(values)} is not possible; allowed: a list, e.g. [{quote(str(values))}]")
    return list(values)


def page_to_write(run: Run, path: str | Path | None) -> Path | None:
    """Where a run's page is written: `path`; None: the run's place in reports/.

    Raises:
        SpecError: the run is none that was measured or loaded, or the path is none.
    """
    _folder_of(run)
    return None if path is None else path_of("path", path)


def page_to_read(run: Run, path: str | Path | None) -> Path:
    """Where a run's page is: `path`, or the run's place in reports/, or, of earlier versions, the run's folder.

    Raises:
        SpecError: the run is none that was measured or loaded, or the path is none.
    """
    return report_places.page_there(_folder_of(run)) if path is None else path_of("path", path)


def _folder_of(run: Run) -> Path:
    from bench.analysis.run import Run

    if not isinstance(run, Run):
        raise SpecError(f"run: {quote(run)} is not possible; allowed: what bench.run and bench.load give")
    return run.folder


def options_of(
    budget: float | str | None,
    precision_goal: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    instrument: int | None = None,
    until: str | None = None,
    seeds: int | None = None,
    turn: float | str | None = None,
) -> dict[str, Any]:
    """Options by the names of `Options`, from arguments as Python code gives them.

    Raises:
        SpecError: one is not possible; names it.
    """
    return {
        "budget": seconds("budget", budget),
        "precision_goal": share("precision_goal", precision_goal),
        "timeout": seconds("timeout", timeout),
        "seed": ANY_WHOLE.given("seed", seed),
        "threads": ABOVE_ZERO.given("threads", threads),
        "memory_limit": number_of_bytes("memory_limit", memory_limit),
        "instrument": FROM_ZERO.given("instrument", instrument),
        "until": None if until is None else text_of("until", until),
        "launches": ABOVE_ZERO.given("seeds", seeds),
        "turn": seconds("turn", turn),
    }


class ChangeSizes(TypedDict):
    """How large changes are, as fractions; None where it was not given."""

    margin: float | None
    size: float | None


def change_sizes(margin: float | str | None, size: float | str | None) -> ChangeSizes:
    """A harmless change and a suspected one.

    Raises:
        SpecError: one is no share; names it.
    """
    return {"margin": share("margin", margin), "size": share("size", size)}


def rule_of(margin: float | str | None, target: float | str | None) -> Rule:
    """The rule of a gate with these shares.

    Raises:
        SpecError: one is none, or they do not go together.
    """
    usual = Rule()
    return Rule(margin=share("margin", margin) or usual.margin, target=share("target", target) or usual.target)


def counting_of(counts: bool, no_more: Iterable[str]) -> Counting | None:
    """What a gate counts besides; None: nothing.

    Raises:
        SpecError: there is no such metric.
    """
    named = texts_of("no_more", no_more)
    return Counting(named) if counts or named else None


def gate_options(given: Mapping[str, Any], launch: float | str | None) -> Options:
    """Options of a gate, which has a budget of its own where none is given.

    Raises:
        SpecError: one is none; names it.
    """
    budget = allowed_budget(given["budget"], GATE_BUDGET)
    return chosen_options({**given, "budget": budget, "launch": seconds("launch", launch)})


def suite_name(suite: str | Path) -> str:
    """A suite as the command line names it; a path without a slash is a file of the working folder all the same."""
    if not isinstance(suite, os.PathLike):
        return suite
    text = str(suite)
    return text if discovery.is_path(text) else os.path.join(os.curdir, text)


def selection_of(
    suites: Iterable[str | Path],
    values: Mapping[str, AxisValue | Sequence[AxisValue]] | None,
    select: str | None,
    folders: Iterable[str | Path],
    threads: int | None,
    compare: str | None = None,
) -> Selection:
    """The cells that Python code names.

    Raises:
        SpecError: an argument is not what it must be, or an axis has no value, or one that no axis can have.
    """
    return Selection(
        texts_of("suites", [suite_name(suite) for suite in _several("suites", suites)]),
        settings_of({} if values is None else values),
        None if select is None else text_of("select", select),
        tuple(paths_of("folders", folders)),
        threads or 1,
        None if compare is None else text_of("compare", compare),
    )


@contextmanager
def listener(progress: bool | Progress) -> Iterator[Progress]:
    """Whom a command tells, and signals as the command heeds them.

    Raises:
        SpecError: nobody can be told by it.
    """
    with guard.signals():
        if progress is True:
            with shown_progress(sys.stderr) as told:
                yield told
        elif progress is False:
            yield Quiet()
        elif all(callable(getattr(progress, name, None)) for name in ("phase", "update", "note")):
            yield progress
        else:
            raise SpecError(
                f"progress: {quote(progress)} is not possible; allowed: True, False, or an object with phase, update "
                "and note"
            )
