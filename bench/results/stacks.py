"""Where the time of a step went, by call stack: what the sampler of an arm saw, and stacks.json, which keeps it. No
torch, no pandas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta

from bench.borders import json_text
from bench.errors import RunError
from bench.results import decoding, files
from bench.results.decoding import Count, Seconds, Took
from bench.results.record import NonEmpty

STACKS_FILE: Final = "stacks.json"
STACKS_SCHEMA: Final = 1
# Bounds of what is kept: a loop of 30 s, sampled each millisecond, has some thousand different stacks.
MOST_STACKS: Final = 20_000
MOST_PAIRS: Final = 8  # of cells, in a run's folder; the oldest goes
LONGEST_FUNCTION: Final = 300  # letters of a function's name
DEEPEST_STACK: Final = 200  # frames of a stack, the innermost

Function = Annotated[str, Meta(max_length=LONGEST_FUNCTION)]


@dataclass(frozen=True)
class SampledStacks:
    """What one process did in the steps that were sampled.

    Attributes:
        interval: seconds of wall time between two samples.
        steps: that were sampled.
        functions: `module:qualified name`, each once.
        stacks: every stack that was seen, outermost frame first, as places in `functions`.
        seconds: that its main thread spent on each stack, over all sampled steps: processor time since the sample
            before, or wall time where it went to sleep by itself. Time in which others had the core is nobody's.
        samples: of each stack.
        lost: samples of stacks beyond MOST_STACKS.
    """

    interval: Took
    steps: Count
    functions: tuple[Function, ...]
    stacks: tuple[tuple[Count, ...], ...]
    seconds: tuple[Seconds, ...]
    samples: tuple[Count, ...]
    lost: Count = 0

    def __iter__(self) -> Iterator[tuple[tuple[str, ...], float, int]]:
        """Each stack by the names of its functions, its seconds, its samples."""
        for stack, seconds, samples in zip(self.stacks, self.seconds, self.samples, strict=True):
            yield tuple(self.functions[place] for place in stack), seconds, samples

    @property
    def step(self) -> float:
        """Seconds of a step that was sampled."""
        return sum(self.seconds) / self.steps if self.steps else 0.0


@dataclass(frozen=True)
class SampledCell:
    """One of two cells in a launch that was sampled.

    Attributes:
        free_step: seconds of processor time of a step that was not sampled, in turns of the same launch.
    """

    cell: NonEmpty
    sampled: SampledStacks
    free_step: Took


@dataclass(frozen=True)
class SampledPair:
    """Two cells whose turns alternated in one launch.

    Attributes:
        started: when, UTC, ISO 8601.
    """

    started: str
    cells: tuple[SampledCell, SampledCell]

    def of(self, base: str, own: str) -> SampledPair | None:
        """The pair in this order; None where it is of other cells."""
        first, second = self.cells
        if (first.cell, second.cell) == (base, own):
            return self
        return replace(self, cells=(second, first)) if (second.cell, first.cell) == (base, own) else None


@dataclass(frozen=True)
class StacksFile:
    """stacks.json in a run's folder."""

    schema: Literal[1]
    pairs: tuple[SampledPair, ...]


def read_stacks(folder: Path) -> tuple[SampledPair, ...]:
    """The pairs that were sampled for a run, oldest first; none where it has no such file.

    Raises:
        RunError: the file is no such file; names the field.
    """
    path = folder / STACKS_FILE
    if not path.exists():
        return ()
    pairs = decoding.decode(StacksFile, files.read_bytes(path), path).pairs
    for number, pair in enumerate(pairs):
        for cell in pair.cells:
            told = f"{path}: $.pairs[{number}], {cell.cell}"
            own = cell.sampled
            if not len(own.stacks) == len(own.seconds) == len(own.samples):
                raise RunError(f"{told}: {len(own.stacks)} stacks, {len(own.seconds)} times, {len(own.samples)} counts")
            if any(place >= len(own.functions) for stack in own.stacks for place in stack):
                raise RunError(f"{told}: a stack names a function that is not in `functions`")
            if not own.steps or not sum(own.seconds):
                raise RunError(f"{told}: no step of it was sampled")
    return pairs


def add_stacks(folder: Path, pair: SampledPair) -> None:
    """Keep a pair beside those that a run has; one of the same cells is replaced.

    Raises:
        RunError: what is there is not readable, or it cannot be written.
    """
    first, second = (cell.cell for cell in pair.cells)
    others: Sequence[SampledPair] = [one for one in read_stacks(folder) if one.of(first, second) is None]
    kept = StacksFile(STACKS_SCHEMA, tuple([*others, pair][-MOST_PAIRS:]))
    files.write_aside(folder / STACKS_FILE, json_text(asdict(kept)) + "\n")
