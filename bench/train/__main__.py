"""The program behind `bench train`; what goes wrong is one line, and ends with the exit codes of all commands."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.borders import terminal
from bench.commands.endings import CODES, REFUSED, UNFORESEEN
from bench.commands.unforeseen import unforeseen_line
from bench.plan.guard import answer_signals
from bench.results.files import discard

if TYPE_CHECKING:
    from bench.train.command_line import Training

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Train, say how it ended, and leave with the exit code that was earned."""
    sys.exit(exit_code_of_training(sys.argv[1:]))


def tell(text: str) -> None:
    """A line to standard error, by the first process of a training only."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    try:
        print(terminal(f"bench: {text}"), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        discard(sys.stderr)


def exit_code_of_training(words: Sequence[str]) -> int:
    """Train; the exit code."""

    def before_it_began(signum: int, frame: object) -> None:
        tell("interrupted")
        os._exit(CODES["interrupted"])  # in the middle of an import, an exception would be anybody's to catch

    with answer_signals(before_it_began, SIGNALS):
        from bench.train.command_line import Training  # imports lightning, which takes seconds
        from bench.train.interruption import StopRequests

        requests = StopRequests(tell)
        training = Training(words, requests, tell)
        try:
            with answer_signals(requests.note, SIGNALS):
                training.run()
        except BaseException as error:
            return _code_of(error, training)
    return CODES["done"]


def _code_of(error: BaseException, training: Training) -> int:
    """Say of an exception what a user can do about it; the exit code."""
    from bench.train.interruption import StoppedTraining

    training.leave_no_empty_folder()
    if isinstance(error, SystemExit) and error.code in (None, 0):  # after --help and --print_config
        return CODES["done"]
    if isinstance(error, StoppedTraining):
        tell(f"interrupted{training.how_to_go_on(error.saved)}")
        return CODES["interrupted"]
    if refused := training.refusal(error):
        tell(refused)
        return REFUSED
    tell(unforeseen_line(error))
    return UNFORESEEN


if __name__ == "__main__":
    main()
