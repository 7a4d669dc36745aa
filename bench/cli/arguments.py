"""What several commands take: selections of cells, runs, times, sizes, shares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from bench.cli.command_parser import CELL_OPTIONS, MACHINES, MEASURING, WRITTEN, Parser, word
from bench.cli.output import complain
from bench.commands.endings import Ending
from bench.commands.selection import DEFAULT_SUITE, Selection
from bench.engine.instrumented_launches import INSTRUMENTED_LAUNCHES
from bench.errors import SpecError
from bench.plan import quantities
from bench.plan.shares import GROUP_COPIES, Share, share_of_text


class Adder(Protocol):
    """Adds a command by name, what it does and one line of help; gives its parser."""

    def __call__(self, name: str, run: Callable[[argparse.Namespace], Ending], text: str) -> Parser: ...


def old_name(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Let an option be called by the name that it had in earlier versions; the first time each process says so.

    Args:
        new: an option that the parser has.
    """
    option = parser._option_string_actions[new]
    parser.add_argument(
        old,
        action=_OldName,
        dest=option.dest,
        nargs=option.nargs,
        const=option.const,
        type=option.type or word,
        choices=option.choices,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
        option=option,
    )


class _OldName(argparse.Action):
    """Does what the option does that has another name now."""

    warned: ClassVar[set[str]] = set()

    def __init__(self, *, option: argparse.Action, **named: Any) -> None:
        super().__init__(**named)
        self._option = option

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        (old,), new = self.option_strings, self._option.option_strings[0]
        if old not in self.warned:
            self.warned.add(old)
            complain(f"{old} is now {new}")
        self._option(parser, namespace, values, option_string)


def results_folder(added: Parser) -> None:
    """Where runs lie."""
    added.section(WRITTEN).add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="where runs lie; default: results"
    )


def formats(added: Parser, names: Iterable[str]) -> None:
    """As what the answer is printed; the first one is the default."""
    first, *_ = allowed = tuple(names)
    told = f"as what the answer is printed; {', '.join(allowed)}; default: {first}"
    added.section(WRITTEN).add_argument("--format", choices=allowed, default=first, metavar="FORMAT", help=told)


def measuring_options(
    added: Parser,
    told: str = "wall time for all of it; default: 3m, or BENCH_BUDGET",
    *,
    timeout: str = "60s",
    old_names: bool = True,
) -> None:
    """How long, how exactly and on what a run measures.

    Args:
        told: what `--budget` is, for the help.
        timeout: how long an answer of an arm may take where nothing is said, for the help.
        old_names: whether options have the names of earlier versions, too; commands that these had not have none.
    """
    measuring = added.section(MEASURING)
    measuring.add_argument("--budget", type=as_duration, metavar="TIME", help=told)
    told = "stop at ratios known to +- this; default: 1%%"
    measuring.add_argument("--precision-goal", type=as_fraction, metavar="P", help=told)
    if old_names:
        old_name(added, "--target", "--precision-goal")
    measuring.add_argument(
        "--timeout", type=as_duration, metavar="TIME", help=f"for one answer of an arm; default: {timeout}"
    )
    measuring.add_argument("--seed", type=int, metavar="N", help="of orders, data and weights; default: 0")
    measuring.add_argument("--threads", type=positive, metavar="N", help="of every arm; default: 1")
    measuring.add_argument("--memory-limit", type=as_size, metavar="SIZE", help="an arm may allocate, e.g. 4GiB")
    results_folder(added)


def until(added: Parser) -> None:
    """A question that ends a run."""
    added.section(MEASURING).add_argument(
        "--until",
        metavar="CONDITION",
        help='stop when this is decided: "trainer < 5%%", "fabric/plain < 30us and trainer > 1.05x"',
    )


def selection(added: Parser, *, option: bool = False, default: str = DEFAULT_SUITE) -> None:
    """Which cells.

    Args:
        default: what is taken where no suite is named, for the help.
        option: whether suites are named by `--suite`, since the command's words are something else.
    """
    told = f"suites; default: {default}"
    cells = added.section(CELL_OPTIONS)
    if option:
        cells.add_argument("--suite", dest="suites", action="append", default=[], metavar="SUITE", help=told)
    else:
        cells.add_argument("suites", nargs="*", metavar="SUITE", help=told)
    cells.add_argument("-k", dest="select", metavar="EXPR", help="cells whose id matches: words, and, or, not")
    cells.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="AXIS=V1,V2", help="take these values of an axis"
    )
    cells.add_argument("--compare", metavar="AXIS", help="compare along this axis; its first value is the baseline")
    suite_folders(added)


def suite_folders(added: Parser) -> None:
    """Where suites are looked for besides."""
    added.section(CELL_OPTIONS).add_argument(
        "--suites",
        dest="folders",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a folder with more suite files",
    )


def copies(added: Parser) -> None:
    """On how many tasks each group is measured."""
    added.section(MACHINES).add_argument(
        "--copies", type=positive, metavar="N", help=f"tasks that measure each group; default: {GROUP_COPIES}"
    )


def running_options(added: Parser, *, old_names: bool = True) -> None:
    """Which cells a run measures, and how: what `bench run` and `bench submit` share."""
    selection(added)
    measuring_options(added, old_names=old_names)
    measuring = added.section(MEASURING)
    measuring.add_argument(
        "--instrument",
        type=count_from_zero,
        nargs="?",
        const=INSTRUMENTED_LAUNCHES,
        metavar="N",
        help=f"instrumented launches of each group, which carry callbacks; default: {INSTRUMENTED_LAUNCHES}, "
        "as far as the budget goes",
    )
    measuring.add_argument("--no-instrument", dest="instrument", action="store_const", const=0, help="time only")
    if old_names:
        old_name(added, "--look", "--instrument")
        old_name(added, "--no-look", "--no-instrument")
    measuring.add_argument(
        "--seeds",
        dest="launches",
        type=positive,
        metavar="N",
        help="of suites that train for a goal: trainings of each",
    )
    measuring.add_argument(
        "--turn",
        type=as_duration,
        metavar="TIME",
        help="a turn of an arm, in the middle; default: 45ms; meters of energy want 2s and more",
    )
    until(added)
    copies(added)


def which(added: Parser) -> None:
    added.add_argument("which", nargs="?", metavar="RUN", help="a run's id or folder; default: the newest")
    run_options(added)


def run_options(added: Parser) -> None:
    """Where runs are looked for, and the step that their costs are told for."""
    results_folder(added)
    added.add_argument("--step", type=as_step, default=0.012, metavar="TIME", help="your step; default: 12ms")


_T = TypeVar("_T")


def _typed(read: Callable[[str], _T], doc: str) -> Callable[[str], _T]:
    """A converter of argparse's from a reader of quantities; the message is the reader's."""

    def converter(text: str) -> _T:
        try:
            return read(text)
        except SpecError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    converter.__doc__ = doc
    return converter


as_duration = _typed(quantities.duration, "Seconds from `90`, `90s`, `12ms`, `3m`, `1h`.")
as_step = _typed(quantities.step, "Seconds of one step, with its unit.")
as_fraction = _typed(quantities.fraction, "A fraction from `1%` or `0.01`.")
as_size = _typed(quantities.size, "Bytes from `4GiB`, `512MiB` or a number.")
positive = _typed(quantities.ABOVE_ZERO.read, "A whole number above 0.")


def count_from_zero(text: str) -> int:
    """A whole number from 0 on."""
    try:
        return quantities.FROM_ZERO.read(text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(f"{error}; name suites before --instrument") from None


def selection_of_arguments(arguments: argparse.Namespace) -> Selection:
    """The cells that the command line names."""
    return Selection(
        suites=tuple(arguments.suites),
        settings=tuple(arguments.settings),
        select=arguments.select,
        compare=getattr(arguments, "compare", None),
        folders=tuple(arguments.folders),
        threads=getattr(arguments, "threads", None) or 1,
        share=share_of_arguments(arguments),
    )


def share_of_arguments(arguments: argparse.Namespace) -> Share | None:
    """The share of one task, where the command takes any and the command line names one."""
    text = getattr(arguments, "share", None)
    return None if text is None else share_of_text(text, arguments.copies or GROUP_COPIES)


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of a run that the command line names, by the names of `Options`."""
    names = (
        "budget",
        "precision_goal",
        "timeout",
        "seed",
        "threads",
        "memory_limit",
        "instrument",
        "until",
        "launches",
        "turn",
    )
    found = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def command_line() -> list[str]:
    """What the user wrote, for run.json."""
    return ["bench", *sys.argv[1:]]
