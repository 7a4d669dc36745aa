"""What there is, for Python code: the suites, the machine and its software. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.commands.python_arguments import paths_of, warn
from bench.commands.selection import Selection, look_up
from bench.machine import environment as machine
from bench.plan.quantities import ABOVE_ZERO
from bench.plan.suite import Suite


def suites(folders: Sequence[str | Path] = ()) -> Mapping[str, Suite]:
    """Every suite that there is, by name, those of more `folders` too: `bench list`. What is refused is warned of.

    Raises:
        SpecError: a folder is not there.
    """
    found, _ = look_up(Selection(folders=tuple(paths_of("folders", folders))), warn)
    return {name: suite for name, (suite, _) in found.suites.items()}


def environment(threads: int = 1) -> Mapping[str, str | int | float | bool]:
    """The machine and the software, as runs with so many `threads` an arm record them: `bench env`.

    Raises:
        SpecError: it is no whole number above 0.
    """
    return machine.environment(ABOVE_ZERO.given("threads", threads) or 1)
