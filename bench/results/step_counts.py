"""What a step does, counted and not timed: the types, and what each metric counts. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

Occurrences = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
PERIOD: Final = 50  # steps; Trainer logs every 50th, so that counted steps hold whole periods of 50
STEPS_OF_COUNTS: Final = 2 * PERIOD
WINDOWS: Final = 4  # stretches of so many steps: calls, allocations, system calls, operators; each disturbs the others

# By metric: what is counted. Fewer are better of each.
COUNT_METRICS: Final[Mapping[str, str]] = {
    "python_calls": "entries into Python functions, resumed generators among them",
    "allocations": "blocks that Python asks its allocators for",
    "cyclic_garbage": "objects that only the garbage collector can free",
    "system_calls": "calls of the kernel by the main thread",
    "operators": "torch operators dispatched",
    "copies": "operators that copy tensors",
    "host_syncs": "operators for which the host waits: values read by Python, copies between devices",
}


class Counted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One metric of one process.

    Attributes:
        total: over all counted steps.
        by: the same by what did it: functions as `module:name`, operators, system calls.
        callers: of an operator, the functions outside of torch that called it.
        refused: why it cannot be counted there; "" where it is.
    """

    metric: str
    total: Occurrences = 0
    by: dict[str, Occurrences] = {}
    callers: dict[str, dict[str, Occurrences]] = {}
    refused: str = ""


class StepCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All metrics of one process, each over so many steps of its own."""

    steps: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    counted: tuple[Counted, ...]
