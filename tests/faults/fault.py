"""What a fault is: plain data. How it is done to the program is shell text, run by the harness in a sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MARKS = {
    "L": "nothing lost or wrong",
    "T": "typed outcome or one message, and an exit code that is earned",
    "B": "no traceback",
    "P": "no process left",
    "A": "usable afterwards",
}

# Shell text finds these words and variables; `sandbox.PRELUDE` has the words that wait, find processes and edit files.
GOOD, BAD = '"$GOOD"', '"$BAD"'


@dataclass(frozen=True)
class Fault:
    """One fault, what is done meanwhile and afterwards, and what must come of it.

    Attributes:
        id: `area.words`, unique and stable.
        what: the fault in words.
        commands: lines of shell that are judged; `bench` in them is the program of this checkout. The first is the main
            one. A single simple command is the shell's own process, so that signals reach it.
        codes: exit codes that the main command may end with; each must also be earned, see `judge.earned`.
        before: shell text that prepares the sandbox; it must succeed.
        during: shell text that runs beside the main command, with its process id in `$BENCH_PID`.
        says: a regular expression that is found in what the commands print.
        never: one that is not.
        outcomes: outcome words that a cell may have, by its value on the axis `fault`; all others must be `ok`.
        reason: a regular expression that the reasons of these cells match.
        keeps: paths relative to the sandbox whose bytes are the same afterwards.
        check: shell text that succeeds where nothing is lost or wrong.
        after: commands that must work afterwards, and not show a traceback; their exit codes are 0.
        reads: like `after`, but they may refuse (2) and find (3) too.
        listed: the row of the list of faults that were tried by hand, or "" for one of our own invention.
        quick: whether it starts no arm, and so takes seconds.
        limit: seconds of wall time for the main command; one that takes longer is ended, and holds nothing.
        needs: what the machine must have: `mount`, `unprivileged`.
    """

    id: str
    what: str
    commands: tuple[str, ...]
    codes: frozenset[int] = frozenset({2})
    before: str = ""
    during: str = ""
    says: str = ""
    never: str = ""
    outcomes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reason: str = ""
    keeps: tuple[str, ...] = ()
    check: str = ""
    after: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    listed: str = ""
    quick: bool = False
    limit: float = 120.0
    needs: tuple[str, ...] = ()

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]

    @property
    def deed(self) -> tuple[object, ...]:
        """Faults of the same deed are done once, and judged each by its own cell."""
        return self.before, self.during, self.commands, self.check, self.after, self.reads, self.keeps


def codes(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


def unique(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """The faults, whose ids must differ."""
    found: dict[str, Fault] = {}
    for fault in faults:
        if fault.id in found:
            raise ValueError(f"two faults are called {fault.id}")
        found[fault.id] = fault
    return tuple(found.values())
