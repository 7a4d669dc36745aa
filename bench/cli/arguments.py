"""What several commands take: selections of cells, runs, times, sizes, shares."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bench.commands import environments
from bench.commands.endings import Ended
from bench.errors import SpecError
from bench.plan import cell, discovery, plan
from bench.plan.suite import Suite

DEFAULT_SUITE = "overhead"


class Adder(Protocol):
    """Adds a command by name, what it does and one line of help; gives its parser."""

    def __call__(self, name: str, run: Callable[[argparse.Namespace], Ended], text: str) -> argparse.ArgumentParser: ...


class Parser(argparse.ArgumentParser):
    """A parser of which no option and no word takes an empty value, as an unset variable of a shell script gives one.

    argparse looks converters up by `type` in a registry, where `None` stands for options that name none: so one rule
    serves every option there is, and those still to come. Subcommands are parsers of this class as well.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for kind, read in ((None, word), (Path, path), (int, whole)):
            self.register("type", kind, read)

    def add_subparsers(self, **named: Any) -> argparse._SubParsersAction[Parser]:  # type: ignore[override]  # narrower
        """As in argparse. What follows a command is the command's own, which says better whose value is empty."""
        commands = super().add_subparsers(**named)
        commands.type = str
        return commands


def word(text: str) -> str:
    """A text that says something."""
    if not text.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is empty; allowed: any other text (is a variable of the shell not set?)"
        )
    return text


def path(text: str) -> Path:
    """A file or folder. An empty text would be the working folder."""
    return Path(word(text))


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(word(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{brief(text)} is not a whole number; allowed: e.g. 0 or 42") from None


def measuring_options(
    added: argparse.ArgumentParser, told: str = "wall time for all of it; default: 3m, or BENCH_BUDGET"
) -> None:
    """How long, how exactly and on what a run measures.

    Args:
        told: what `--budget` is, for the help.
    """
    added.add_argument("--budget", type=duration, metavar="TIME", help=told)
    added.add_argument("--target", type=fraction, metavar="P", help="stop at ratios known to +- this; default: 1%%")
    added.add_argument("--timeout", type=duration, metavar="TIME", help="for one answer of an arm; default: 60s")
    added.add_argument("--seed", type=int, metavar="N", help="of orders, data and weights; default: 0")
    added.add_argument("--threads", type=positive, metavar="N", help="of every arm; default: 1")
    added.add_argument("--memory-limit", type=size, metavar="SIZE", help="an arm may allocate, e.g. 4GiB")
    added.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results")


def allowed_budget(given: float | None, usual: float) -> float:
    """Seconds that a command may take: its `--budget`, at most BENCH_BUDGET; without one BENCH_BUDGET; without both,
    what is usual.

    Raises:
        SpecError: BENCH_BUDGET is no time.
    """
    text = os.environ.get("BENCH_BUDGET", "")
    if not text:
        return usual if given is None else given
    try:
        most = duration(text)
    except argparse.ArgumentTypeError as error:
        raise SpecError(f"BENCH_BUDGET: {error}") from None
    return most if given is None else min(given, most)


def selection(added: argparse.ArgumentParser, *, option: bool = False, default: str = DEFAULT_SUITE) -> None:
    """Which cells.

    Args:
        default: what is taken where no suite is named, for the help.
        option: whether suites are named by `--suite`, since the command's words are something else.
    """
    told = f"suites; default: {default}"
    if option:
        added.add_argument("--suite", dest="suites", action="append", default=[], metavar="SUITE", help=told)
    else:
        added.add_argument("suites", nargs="*", metavar="SUITE", help=told)
    added.add_argument("-k", dest="select", metavar="EXPR", help="cells whose id matches: words, and, or, not")
    added.add_argument("--set", dest="settings", action="append", default=[], metavar="AXIS=V1,V2")
    added.add_argument(
        "--suites",
        dest="folders",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a folder with more suite files",
    )


def which(added: argparse.ArgumentParser) -> None:
    added.add_argument("which", nargs="?", metavar="RUN", help="a run's id or folder; default: the newest")
    added.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="where runs lie")
    added.add_argument("--step", type=step, default=0.012, metavar="TIME", help="your step; default: 12ms")


# What the kernel's waits and limits take is far above; what is larger is a slip, and its arithmetic would overflow.
LONGEST_DURATION = 30 * 86400.0  # seconds
LARGEST_SIZE = 2**63 - 1  # bytes


def brief(text: str) -> str:
    """A value as it is quoted in a message, whatever its length."""
    return repr(text) if len(text) <= 80 else f"{text[:40]!r}... of {len(text)} characters"


def duration(text: str) -> float:
    """Seconds from `90`, `90s`, `12ms`, `3m`, `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    seconds = float(match[1]) * {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}[match[2]] if match else 0.0
    if not 0 < seconds <= LONGEST_DURATION:
        raise argparse.ArgumentTypeError(
            f"{brief(text)} is not a time; allowed: a number above 0 with ms, s, m or h, 30 days at most, e.g. 90s"
        )
    return seconds


_STEP_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def step(text: str) -> float:
    """Seconds of one step from `12ms`, `250us`, `1.5s`. A bare number is refused: `500` was meant as milliseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(us|µs|ms|s|m|h)", text)
    seconds = float(match[1]) * _STEP_UNITS[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time with a unit; allowed: a number above 0 with us, ms, s, m or h, e.g. 12ms"
        )
    return seconds


def fraction(text: str) -> float:
    """A fraction from `1%` or `0.01`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; allowed: above 0 and below 100%, e.g. 1% or 0.01")
    return value


def size(text: str) -> int:
    """Bytes from `4GiB`, `512MiB` or a number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(KiB|MiB|GiB|)", text)
    bytes_ = float(match[1]) * {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[match[2]] if match else math.inf
    if bytes_ > LARGEST_SIZE:
        raise argparse.ArgumentTypeError(
            f"{brief(text)} is not a size; allowed: a number with KiB, MiB or GiB, 8 EiB at most, e.g. 4GiB"
        )
    return int(bytes_)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{brief(text)} is not a whole number above 0; allowed: e.g. 1 or 4, of 9 digits at most"
        )
    return int(text)


def count_from_zero(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdigit():
        allowed = "allowed: e.g. 0 or 3; name suites before --look"
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on; {allowed}")
    return int(text)


def planned(
    arguments: argparse.Namespace, change: Callable[[Suite], Suite] = lambda suite: suite
) -> tuple[cell.Plan, dict[str, str]]:
    """The plan of the command line, and the file of each of its suites.

    Args:
        change: what is done to each suite first, as for another compared axis.
    """
    found = discovery.all_suites(arguments.folders)
    suites: dict[str, Suite] = {name: change(suite) for name, (suite, _) in found.items()}
    # `bench list` alone shows everything; `bench run` and `bench trace` alone take the default.
    names = arguments.suites or (list(suites) if arguments.command == "list" else [DEFAULT_SUITE])
    threads = getattr(arguments, "threads", None) or 1
    made = plan.make_plan(suites, names, settings=arguments.settings, select=arguments.select, threads=threads)
    return made, {name: found[name][1] for name in made.suites}


def planned_sides(arguments: argparse.Namespace, sides: Sequence[str]) -> tuple[cell.Plan, dict[str, str], str]:
    """The same with these environments as the compared axis; where no suite is named, the default at one step length.

    Returns:
        Plan, files, and a sentence on the length where it was chosen here, or "".
    """
    chosen: list[str] = []
    if not arguments.suites:
        suite, _ = discovery.all_suites(arguments.folders)[DEFAULT_SUITE]
        chosen = environments.one_length(suite, arguments.settings, arguments.select)
    settings = argparse.Namespace(**{**vars(arguments), "settings": [*arguments.settings, *chosen]})
    made, files = planned(settings, lambda suite: environments.over_sides(suite, sides))
    told = f"one step length, {chosen[0]}; --set takes others" if chosen else ""
    return made, files, told


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
