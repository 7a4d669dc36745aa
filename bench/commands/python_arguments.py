"""Arguments as Python code gives them, made what the commands take. No torch, no pandas."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.axes.engine_axes import AxisValue
from bench.commands.gate import GATE_BUDGET, LAUNCH
from bench.commands.run import chosen_options
from bench.commands.selection import Selection, allowed_budget, settings_of
from bench.engine.options import Options, Progress, Quiet
from bench.engine.progress import progress as shown
from bench.errors import SpecError
from bench.plan import guard
from bench.plan.quantities import number_of_bytes, seconds, share
from bench.stats.gate_rule import Rule


def warn(text: str) -> None:
    """Say something that the command line says on standard error, as a warning of the code that called `bench`."""
    warnings.warn(text, stacklevel=4)


def options_of(
    budget: float | str | None,
    precision_goal: float | str | None,
    timeout: float | str | None,
    seed: int | None,
    threads: int | None,
    memory_limit: int | str | None,
    instrument: int | None,
) -> dict[str, Any]:
    """Options by the names of `Options`, from arguments as Python code gives them."""
    for name, value, least in (("seed", seed, None), ("threads", threads, 1), ("instrument", instrument, 0)):
        whole = value is None or (isinstance(value, int) and not isinstance(value, bool))
        if not whole or (value is not None and least is not None and value < least):
            allowed = "a whole number" + ("" if least is None else f" from {least} on")
            raise SpecError(f"{name}: {value!r} is not possible; allowed: {allowed}")
    return {
        "budget": seconds("budget", budget),
        "precision_goal": share("precision_goal", precision_goal),
        "timeout": seconds("timeout", timeout),
        "seed": seed,
        "threads": threads,
        "memory_limit": number_of_bytes("memory_limit", memory_limit),
        "instrument": instrument,
    }


def rule_of(margin: float | str | None, target: float | str | None) -> Rule:
    """The rule of a gate with these shares.

    Raises:
        SpecError: one is none, or they do not go together.
    """
    usual = Rule()
    return Rule(margin=share("margin", margin) or usual.margin, target=share("target", target) or usual.target)


def gate_options(given: Mapping[str, Any], launch: float | str | None) -> Options:
    """Options of a gate, which has a budget of its own where none is given.

    Raises:
        SpecError: one is none; names it.
    """
    budget = allowed_budget(given["budget"], GATE_BUDGET)
    return chosen_options({**given, "budget": budget, "launch": seconds("launch", launch) or LAUNCH})


def selection_of(
    suites: Sequence[str],
    values: Mapping[str, AxisValue | Sequence[AxisValue]] | None,
    select: str | None,
    folders: Sequence[str | Path],
    threads: int | None,
) -> Selection:
    """The cells that Python code names.

    Raises:
        SpecError: an axis has no value, or one that no axis can have.
    """
    settings = settings_of({} if values is None else values)
    return Selection(tuple(suites), settings, select, tuple(Path(folder) for folder in folders), threads or 1)


@contextmanager
def listener(progress: bool | Progress) -> Iterator[Progress]:
    """Whom a command tells, and signals as the command heeds them."""
    with guard.signals():
        if progress is True:
            with shown(sys.stderr) as told:
                yield told
        else:
            yield Quiet() if progress is False else progress
