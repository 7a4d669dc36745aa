"""The answers to a suite's own question as sentences: efficiency, break-even, starving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.analysis import claims
from bench.analysis.estimates import CellSummary
from bench.analysis.findings import STARVING_SHARE, Finding
from bench.report.units import percent, quantity, ratio
from bench.stats.intervals import Interval


def twins(cells: Iterable[CellSummary]) -> list[Interval | None]:
    """What the twins among the cells of a group read, as ratios; None for one that has no ratio."""
    return [None if cell.versus is None else cell.versus.ratio for cell in cells if cell.twin]


def beside(cells: Iterable[CellSummary]) -> str:
    """What a reader must know of the twins where a difference is not told because of them."""
    read = [
        f"{ratio(twin.estimate, twin.low, twin.high)}"
        for twin in twins(cells)
        if twin is not None and twin.low is not None
    ]
    return f"the twin, the same code, {' and '.join(read)}" if read else "the twin, the same code, has no interval"


def scaling_answers(answers: Sequence[Finding], cells: Mapping[str, CellSummary]) -> list[str]:
    """How much of so many devices' work is done, and what the rest is lost to."""
    sentences = []
    for answer in answers:
        if answer.kind != "efficiency" or answer.estimate is None:
            continue
        cell = cells[answer.cell]
        devices = int(cell.point["devices"])
        before = int(cells[cell.versus.baseline].point["devices"]) if cell.versus is not None else 1
        name = f"{devices} devices"
        if answer.low is None or answer.high is None:
            sentences.append(f"No efficiency of {name} can be told: one launch gives no interval.")
            continue
        more = devices / before
        share = percent(answer.estimate, answer.low, answer.high, signed=False)
        speed = quantity(answer.estimate * more, "×", *_scaled(answer, more))
        # What is lost has a cause only if something is lost, and more than the twin's noise.
        known = (
            claims.of_ratio(Interval(answer.estimate, answer.low, answer.high, answer.launches), twins(cells.values()))
            == "told"
        )
        lost = f"; most of the rest is lost to this: {answer.why}" if answer.why and known else ""
        head = f"{name} do {speed} the work of {'one' if before == 1 else before} in the same time"
        sentences.append(f"{head}: {share} efficiency{lost}.")
    return sentences


def _scaled(answer: Finding, more: float) -> tuple[float | None, float | None]:
    return (
        None if answer.low is None else answer.low * more,
        None if answer.high is None else answer.high * more,
    )


def compile_answers(answers: Sequence[Finding], cells: Mapping[str, CellSummary]) -> list[str]:
    """After how many steps a compile mode has paid for itself, from a cold and from a warm cache."""
    by_cell: dict[str, dict[str, Finding]] = {}
    for answer in answers:
        if answer.kind.startswith("break-even"):
            by_cell.setdefault(answer.cell, {})[answer.kind.removeprefix("break-even-")] = answer
    sentences = []
    for cell, kinds in by_cell.items():
        metrics = cells[cell].metrics
        name = f"compile {cells[cell].point['compile']}"
        firsts = {kind: quantity(metrics[f"time_to_first_step_{kind}"].estimate, "s") for kind in kinds}
        caches = {"cold": "an empty cache", "warm": "a warm one"}
        if why := _unknown(cells[cell], cells):
            starts = " and ".join(f"{firsts[kind]} from {caches[kind]}" for kind in kinds)
            sentences.append(f"{name} starts in {starts}; whether that is ever saved cannot be told: {why}.")
            continue
        if all(answer.estimate is None for answer in kinds.values()):
            starts = " and ".join(f"{firsts[kind]} from {caches[kind]}" for kind in kinds)
            sentences.append(f"{name} saves no time a step that was seen, and so never pays for its start: {starts}.")
            continue
        parts = [f"{_when(answer)} from {caches[kind]} (start {firsts[kind]})" for kind, answer in kinds.items()]
        sentences.append(f"{name} has paid for its start {' and '.join(parts)}.")
    return sentences


def _unknown(cell: CellSummary, cells: Mapping[str, CellSummary]) -> str:
    """Why nothing may be said of what a cell saves; "" where something may."""
    if cell.versus is None:
        return ""
    word = claims.of_ratio(cell.versus.ratio, twins(cells.values()))
    if word == "one-launch":
        return "one launch gives no interval"
    r = cell.versus.ratio
    own = f"it takes {ratio(r.estimate, r.low, r.high)} of the baseline's step, and {beside(cells.values())}"
    return own if word in ("as-twin", "no-twin") else ""


def _when(answer: Finding) -> str:
    assert answer.estimate is not None
    after = f"after {_count(answer.estimate)} steps"
    if answer.low is None:
        return after
    end = "never" if answer.high is None else _count(answer.high)
    return f"{after} [{_count(answer.low)}, {end}]"


def _count(steps: float) -> str:
    """Steps with two significant digits: no more is known."""
    return f"{float(f'{steps:.2g}'):,.0f}"


def sides(cells: Sequence[CellSummary], axis: str) -> list[str]:
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
        word = claims.of_ratio(r, twins(cells))
        if word == "one-launch":
            sentences.append(f"{name} is not told apart from {base}: one launch gives no interval.")
        elif word in ("as-twin", "no-twin"):
            sentences.append(f"{name} is not told apart from {base}: it takes {text}, and {beside(cells)}.")
        elif word != "told":
            sentences.append(f"{name} is not told apart from {base}: it takes {text}.")
        else:
            sentences.append(f"{name} is {'slower' if r.estimate > 1 else 'faster'} than {base}: it takes {text}.")
    return sentences


def loader_answers(answers: Sequence[Finding], cells: Mapping[str, CellSummary], axis: str) -> list[str]:
    """How long the baseline waits for its batches, and the first setting that stops it."""
    found = [answer for answer in answers if answer.kind == "waiting" and answer.estimate is not None]
    if not found:
        return []
    waiting = {str(cells[answer.cell].point[axis]): answer.estimate or 0.0 for answer in found}
    base = str(cells[found[0].cell].point[axis])
    if any(answer.launches < 2 for answer in found):
        return [f"How long {axis} {base} waits for its batches cannot be told: one launch gives no interval."]
    text = f"{axis} {base} waits for batches during {percent(waiting[base], signed=False)} of an epoch"
    fed = [name for name, share in waiting.items() if share < STARVING_SHARE]
    least = min(waiting, key=lambda name: waiting[name])
    if base in fed:
        return [f"{text}: it does not starve."]
    if fed:
        return [f"{text}; {axis} {fed[0]} stops that, with {percent(waiting[fed[0]], signed=False)}."]
    if least == base:
        return [f"{text}, and no other setting waits less."]
    return [f"{text}; no setting stops that, the least is {least} with {percent(waiting[least], signed=False)}."]
