"""The answers to a suite's own question as sentences: efficiency, break-even, starving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.answers import STARVED, Answer
from bench.report.units import percent, quantity, ratio
from bench.stats import Cell


def scaling(answers: Sequence[Answer], cells: Mapping[str, Cell]) -> list[str]:
    """How much of so many devices' work is done, and what the rest is lost to."""
    sentences = []
    for answer in answers:
        if answer.kind != "efficiency" or answer.estimate is None:
            continue
        cell = cells[answer.cell]
        devices = int(cell.point["devices"])
        before = int(cells[cell.versus.baseline].point["devices"]) if cell.versus is not None else 1
        more = devices / before
        share = percent(answer.estimate, answer.low, answer.high, signed=False)
        speed = quantity(answer.estimate * more, "×", *_scaled(answer, more))
        lost = f"; most of the rest is lost to this: {answer.why}" if answer.why else ""
        single = ", one launch and no interval" if answer.low is None else ""
        head = f"{devices} devices do {speed} the work of {'one' if before == 1 else before} in the same time"
        sentences.append(f"{head}: {share} efficiency{single}{lost}.")
    return sentences


def _scaled(answer: Answer, more: float) -> tuple[float | None, float | None]:
    return (
        None if answer.low is None else answer.low * more,
        None if answer.high is None else answer.high * more,
    )


def compiling(answers: Sequence[Answer], cells: Mapping[str, Cell]) -> list[str]:
    """After how many steps a compile mode has paid for itself, from a cold and from a warm cache."""
    by_cell: dict[str, dict[str, Answer]] = {}
    for answer in answers:
        if answer.kind.startswith("break-even"):
            by_cell.setdefault(answer.cell, {})[answer.kind.removeprefix("break-even-")] = answer
    sentences = []
    for cell, kinds in by_cell.items():
        metrics = cells[cell].metrics
        name = f"compile {cells[cell].point['compile']}"
        firsts = {kind: quantity(metrics[f"time_to_first_step_{kind}"].estimate, "s") for kind in kinds}
        caches = {"cold": "an empty cache", "warm": "a warm one"}
        if all(answer.estimate is None for answer in kinds.values()):
            starts = " and ".join(f"{firsts[kind]} from {caches[kind]}" for kind in kinds)
            sentences.append(f"{name} saves no time a step that was seen, and so never pays for its start: {starts}.")
            continue
        parts = [f"{_when(answer)} from {caches[kind]} (start {firsts[kind]})" for kind, answer in kinds.items()]
        sentences.append(f"{name} has paid for its start {' and '.join(parts)}.")
    return sentences


def _when(answer: Answer) -> str:
    assert answer.estimate is not None
    after = f"after {_count(answer.estimate)} steps"
    if answer.low is None:
        return after
    end = "never" if answer.high is None else _count(answer.high)
    return f"{after} [{_count(answer.low)}, {end}]"


def _count(steps: float) -> str:
    """Steps with two significant digits: no more is known."""
    return f"{float(f'{steps:.2g}'):,.0f}"


def sides(cells: Sequence[Cell], axis: str) -> list[str]:
    """Whether each environment is slower or faster than the first."""
    base = next((cell.point[axis] for cell in cells if cell.twin), "the baseline")
    sentences = []
    for cell in cells:
        if cell.twin or cell.point[axis] == base:
            continue
        name = cell.point[axis]
        if cell.versus is None or cell.outcome not in ("ok", "noisy"):
            sentences.append(f"{name} has no ratio to {base}: it is {cell.outcome} ({cell.reason}).")
            continue
        r = cell.versus.ratio
        text = f"{ratio(r.estimate, r.low, r.high)} of {base}'s step"
        if r.low is None or r.high is None:
            sentences.append(f"{name} takes {text}: one launch, no interval.")
        elif r.contains(1.0):
            sentences.append(f"{name} is not told apart from {base}: it takes {text}.")
        else:
            sentences.append(f"{name} is {'slower' if r.estimate > 1 else 'faster'} than {base}: it takes {text}.")
    return sentences


def loading(answers: Sequence[Answer], cells: Mapping[str, Cell], axis: str) -> list[str]:
    """How long the baseline waits for its batches, and the first setting that stops it."""
    found = [answer for answer in answers if answer.kind == "waiting" and answer.estimate is not None]
    if not found:
        return []
    waiting = {str(cells[answer.cell].point[axis]): answer.estimate or 0.0 for answer in found}
    base = str(cells[found[0].cell].point[axis])
    text = f"{axis} {base} waits for batches during {percent(waiting[base], signed=False)} of an epoch"
    fed = [name for name, share in waiting.items() if share < STARVED]
    least = min(waiting, key=lambda name: waiting[name])
    if base in fed:
        return [f"{text}: it does not starve."]
    if fed:
        return [f"{text}; {axis} {fed[0]} stops that, with {percent(waiting[fed[0]], signed=False)}."]
    if least == base:
        return [f"{text}, and no other setting waits less."]
    return [f"{text}; no setting stops that, the least is {least} with {percent(waiting[least], signed=False)}."]
