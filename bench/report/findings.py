"""The answers to a suite's own question as sentences: efficiency, break-even, starving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis import claims
from bench.analysis.estimates import CellSummary
from bench.analysis.findings import STARVING_SHARE, Finding
from bench.report.compared_values import beside, open_amount, twins
from bench.report.units import percent, quantity
from bench.stats.intervals import Interval
from bench.stats.rounding import percent_of


def scaling_answers(answers: Sequence[Finding], cells: Mapping[str, CellSummary], axis: str = "devices") -> list[str]:
    """How much of so many devices' work, or nodes', is done, and what the rest is lost to."""
    sentences = []
    for answer in answers:
        if answer.kind != "efficiency" or answer.estimate is None:
            continue
        cell = cells[answer.cell]
        devices = int(cell.point[axis])
        before = int(cells[cell.versus.baseline].point[axis]) if cell.versus is not None else 1
        name = f"{devices} {'nodes' if axis == 'num_nodes' else axis}"
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
        starts = " and ".join(f"{firsts[kind]} from {CACHES[kind]}" for kind in kinds)
        saves, why = _saves(cells[cell], cells)
        if saves is None:
            text = f"{name} starts in {starts}; whether that is ever saved cannot be told: {why}"
            sentences.append(f"{text}{_earliest(kinds)}.")
        elif saves:
            parts = [_when(answer, firsts[kind]) for kind, answer in kinds.items()]
            sentences.append(f"{name} has paid for its start {' and '.join(parts)}.")
        else:
            sentences.append(f"{name} takes more time a step, and so never pays for its start: {starts}.")
    return sentences


CACHES = {"cold": "an empty cache", "warm": "a warm one"}


def _saves(cell: CellSummary, cells: Mapping[str, CellSummary]) -> tuple[bool | None, str]:
    """Whether a cell's steps save time, as far as that may be claimed; None where it may not, with the reason."""
    if cell.versus is None:
        return None, "it has no ratio"
    ratio, saved = cell.versus.ratio, cell.versus.difference
    word = claims.of_ratio(ratio, twins(cells.values()))
    if word == "one-launch":
        return None, "one launch gives no interval"
    if word in ("as-twin", "no-twin"):
        return None, f"{open_amount(ratio)} time a step, and {beside(cells.values())}"
    # Seconds have an interval of their own, from which the steps come; it may hold zero where that of ratios does not.
    if word == "told" and saved.high is not None and saved.high < 0:
        return True, ""
    if word == "told" and saved.low is not None and saved.low > 0:
        return False, ""
    return None, f"{open_amount(ratio)} time a step, which may save or cost time"


def _earliest(kinds: Mapping[str, Finding]) -> str:
    """The end of each interval at which steps save the most, of a start that may never be saved."""
    ends = [
        f"{_count(answer.low)} steps from {CACHES[kind]}" for kind, answer in kinds.items() if answer.low is not None
    ]
    return f"; if it is, after {' and '.join(ends)} at the earliest" if ends else ""


def _when(answer: Finding, start: str) -> str:
    """`after 12,000 steps [6,000, 24,000] from a warm cache (start 3.10 s)`."""
    name = CACHES[answer.kind.removeprefix("break-even-")]
    if answer.estimate is None:
        return f"after more steps than can be told from {name} (start {start})"
    after = f"after {_count(answer.estimate)} steps"
    if answer.low is not None:
        after += f" [{_count(answer.low)}, {'no end' if answer.high is None else _count(answer.high)}]"
    once = ", seen once, so it has no interval" if answer.launches == 1 else ""
    return f"{after} from {name} (start {start}{once})"


def _count(steps: float) -> str:
    """Steps with two significant digits: no more is known."""
    return f"{float(f'{steps:.2g}'):,.0f}"


def loader_answers(answers: Sequence[Finding], cells: Mapping[str, CellSummary], axis: str) -> list[str]:
    """How long the baseline waits for its batches, and the first setting that stops it."""
    waits = {
        str(cells[answer.cell].point[axis]): Interval(answer.estimate, answer.low, answer.high, answer.launches)
        for answer in answers
        if answer.kind == "waiting" and answer.estimate is not None
    }
    against = next((cell.versus.baseline for cell in cells.values() if cell.versus is not None), "")
    base = str(cells[against].point[axis]) if against in cells else ""
    if base not in waits:
        return []
    own = waits.pop(base)
    if own.low is None or own.high is None:
        return [f"How long {axis} {base} waits for its batches cannot be told: one launch gives no interval."]
    text = f"{axis} {base} waits for batches during {_share(own)} of an epoch"
    if own.high < STARVING_SHARE:
        return [f"{text}: it does not starve."]
    if not waits:
        return [f"{text}."]
    if own.low <= STARVING_SHARE:
        return [f"{text}: whether it starves cannot be told, the limit is {percent_of(STARVING_SHARE, 0)}."]
    fed = [name for name, share in waits.items() if share.high is not None and share.high < STARVING_SHARE]
    open_ = [name for name, share in waits.items() if share.contains(STARVING_SHARE)]
    # What waits less for sure, from the least on.
    less = [name for name, share in waits.items() if share.high is not None and share.high < own.low]
    if fed:
        return [f"{text}; {axis} {fed[0]} stops that, with {_share(waits[fed[0]])}."]
    if open_:
        told = ", ".join(f"{name} {_share(waits[name])}" for name in open_)
        return [f"{text}; whether another setting stops that cannot be told: {told}."]
    if not less:
        return [f"{text}, and no other setting is told to wait less."]
    least = min(less, key=lambda name: waits[name].estimate)
    return [f"{text}; no setting that was measured stops that, the least seen is {least} with {_share(waits[least])}."]


def _share(wait: Interval) -> str:
    return percent(wait.estimate, wait.low, wait.high, signed=False, digits=3)
