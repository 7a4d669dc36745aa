"""How a run is made, and whom it tells. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        budget: seconds of wall time for the whole run, interpreters and instrumented launches included (`budget`).
        precision_goal: a group is done when every ratio is known to plus or minus this (0.01 is 1 %).
        timeout: seconds after which an arm that does not answer is ended.
        seed: of everything random: orders, data, weights.
        threads: intra-operator threads of every arm.
        fork_servers: sets of interpreters, at most: each has a memory layout of its own, and a new one is used as soon
            as it has its imports.
        turn: seconds a turn should take, in the middle.
        launch: seconds of turns in one launch; None: as the budget allows.
        memory_limit: bytes an arm may allocate over what its interpreter has, or None.
        instrument: instrumented launches of each group, at most (`bench.engine.instrumented_launches`).
        launches: of each group, exactly, as far as the budget goes; None: as many as precision goal and budget ask for.
        until: conditions (`bench.stats.conditions`): a run ends when each is decided, whatever the precision; or None.
        launcher: what places nodes (`bench.engine.launchers`); "": all is on this machine.
        nodes: that it has.
    """

    budget: float = 180.0
    precision_goal: float = 0.01
    timeout: float = 60.0
    seed: int = 0
    threads: int = 1
    fork_servers: int = 1000
    turn: float = 0.045
    launch: float | None = None
    memory_limit: int | None = None
    instrument: int = 0
    launches: int | None = None
    until: str | None = None
    launcher: str = ""
    nodes: int = 1


class Quiet:
    """Progress that nobody sees."""

    def phase(self, text: str) -> None:
        pass

    def update(self, spent: float, budget: float, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@dataclass(frozen=True)
class CellProgress:
    """How far a cell is.

    Attributes:
        name: its id.
        compared: whether it has a ratio, which is known to plus or minus `half_width` (0.01 is 1 %), and is to be
            known to `goal`; None: nothing is known yet, or the run ends by something else.
        done: whether nothing more is measured of it.
    """

    name: str
    compared: bool
    half_width: float | None
    goal: float | None
    done: bool


class Progress(Protocol):
    """What a run says while it goes on; the terminal is `cli`'s."""

    def phase(self, text: str) -> None: ...

    def update(self, spent: float, budget: float, text: str) -> None: ...

    def note(self, text: str) -> None: ...


@runtime_checkable
class LiveProgress(Protocol):
    """What may be told besides, to those that have a use for it."""

    def cells(self, cells: Sequence[CellProgress]) -> None: ...

    def tick(self) -> None: ...


def ticks_of(progress: Progress) -> Callable[[], None]:
    """What is to be called now and then while something takes its time."""
    return progress.tick if isinstance(progress, LiveProgress) else lambda: None
