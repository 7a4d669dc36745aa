"""What races tell of a search's configurations: speed over the default's, memory, loss; and what finalists may claim.

Pure: records in, figures out. Speed is samples a second, memory the peak of a process and, where a device has its own,
the device's; the loss is the referee's, after as many epochs as the default's.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.savings import WORTH, confidence_of, twin_bias
from bench.results.record import Record, counted_records
from bench.results.sample_counts import counted_samples
from bench.stats.intervals import Interval, interval_of_differences, interval_of_logs

TWIN = "(the default, again)"  # the label of the baseline's twin among the results of a race

# A candidate's loss is that of a training that is not over, and one that lags early may catch up. At the beginning this
# much above the margin is borne, half of it after half of the epochs, and after the last one nothing. The autoencoder's
# batches of 64 lagged 8 or 13 % after a quarter of the epochs, by seed, and ended within 1 % of its default.
EARLY_LAG = 0.5
# Of those that may go on, a loss that lags counts against speed: 1 % of it as 4 % of time. By speed alone large batches
# took all the places that there are, and broke the limit in a later race.
LAG_PRICE = 4.0

FinalWord = Literal["better", "slower", "within-noise", "loss-worse", "loss-undecided", "over-memory", "failed"]


@dataclass(frozen=True)
class RacedConfiguration:
    """What a race tells of one configuration.

    Attributes:
        label: as its space calls it.
        outcome, reason: of the first launch that went wrong, or `ok` and "".
        logs: of its samples a second over the default's, one a launch.
        rate: samples a second, the mean over launches; None where it was not timed.
        memory: peak bytes, the largest over launches; `device_memory` those of its device, where it has its own.
        losses: validation loss at its end, one a launch; none where nobody looks at it.
        lags: by how much this is above the default's in the same launch, relative.
    """

    label: str
    outcome: str
    reason: str = ""
    logs: tuple[float, ...] = ()
    rate: float | None = None
    memory: int | None = None
    device_memory: int | None = None
    losses: tuple[float, ...] = ()
    lags: tuple[float, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Its samples a second over the default's, where both were timed."""
        return math.exp(statistics.fmean(self.logs)) if self.logs else None

    @property
    def lag(self) -> float | None:
        """By how much its loss is above the default's, the mean over launches."""
        return statistics.fmean(self.lags) if self.lags else None

    @property
    def promise(self) -> float:
        """Its speed over the default's, less by what its loss lags: that may not be made up."""
        return (self.ratio or 0.0) * math.exp(-LAG_PRICE * max(0.0, self.lag or 0.0))

    @property
    def limited_memory(self) -> int | None:
        """What a memory limit is about: the device's memory, where it has its own, else the process's."""
        return self.memory if self.device_memory is None else self.device_memory


@dataclass(frozen=True)
class TuneLimits:
    """What a configuration must keep.

    Attributes:
        memory: bytes that it may need at its peak; None: any number.
        loss_margin: relative; its loss may be so much above the default's after as many epochs.
    """

    memory: int | None = None
    loss_margin: float = 0.02


def raced_configurations(records: Sequence[Record], axis: str, epochs: int | None = None) -> list[RacedConfiguration]:
    """What the records of a race tell, the default first, its twin second.

    Args:
        axis: the compared one, whose values are the labels.
        epochs: that each arm was to train; a launch in which the default did not is no launch. None: turns are steps.
    """
    kept = [record for record in counted_records(records) if not record.instrumented]
    by_launch: dict[int, dict[str, Record]] = {}
    cells: dict[str, list[Record]] = {}
    for record in kept:
        by_launch.setdefault(record.launch, {})[record.cell] = record
        cells.setdefault(record.cell, []).append(record)
    found = []
    for cell, own in cells.items():
        default = cell.partition("#")[0] if own[0].twin else _default_cell(kept)
        wrong = next((record for record in own if record.outcome != "ok"), None)
        pairs = [
            (record, base)
            for record in own
            if record.outcome == "ok"
            and (base := by_launch[record.launch].get(default)) is not None
            and base.outcome == "ok"
            and _is_whole(base, epochs)
        ]
        short = [record for record, _ in pairs if not _is_whole(record, epochs)]
        outcome, reason = ("ok", "") if wrong is None else (wrong.outcome, wrong.reason_and_log)
        if not wrong and (short or not pairs):
            outcome, reason = "not-run", "the budget ended before its training did"
        pairs = [(record, base) for record, base in pairs if record not in short]
        label = TWIN if own[0].twin else str(own[0].point[axis])
        logs = [log for record, base in pairs if (log := speed_log(record, base)) is not None]
        rates = [rate for record, _ in pairs if (rate := samples_a_second(record)) is not None]
        ended = [(losses[0], losses[1]) for record, base in pairs if (losses := _last_losses(record, base))]
        found.append(
            RacedConfiguration(
                label,
                outcome,
                reason,
                tuple(logs),
                statistics.fmean(rates) if rates else None,
                _largest(own, "peak_memory_host"),
                _largest(own, "peak_memory_device"),
                tuple(mine for mine, _ in ended),
                tuple(_above(mine, theirs) for mine, theirs in ended),
            )
        )
    return found


def _default_cell(records: Sequence[Record]) -> str:
    """The cell of the default: the one that has a twin."""
    twin = next((record.cell for record in records if record.twin), "")
    return twin.partition("#")[0] or (records[0].cell if records else "")


def _is_whole(record: Record, epochs: int | None) -> bool:
    return record.turns is not None and (epochs is None or len(record.turns.round) >= epochs)


def _largest(records: Sequence[Record], name: str) -> int | None:
    seen = [record.memory[name] for record in records if record.memory.get(name)]
    return max(seen, default=None)


def samples_a_second(record: Record) -> float | None:
    """Of epochs, or steps, that are settled."""
    paces = _paces(record)
    return counted_samples(record) / statistics.fmean(paces.values()) if paces else None


def speed_log(record: Record, base: Record) -> float | None:
    """The log of a record's samples a second over another's of the same launch, round by round; the middle round's.

    What drifts hits both within a round; a pause of the machine in one epoch of few moves no middle.
    """
    mine, theirs = _paces(record), _paces(base)
    rounds = [math.log(theirs[number] / mine[number]) for number in mine if number in theirs]
    samples = counted_samples(record), counted_samples(base)
    if not rounds or not all(samples):
        return None
    return statistics.median(rounds) + math.log(samples[0] / samples[1])


def _paces(record: Record) -> dict[int, float]:
    """Seconds of a step by round. Of whole epochs the first is left out, which finds everything cold or compiles."""
    turns = record.turns
    if turns is None:
        return {}
    whole = zip(turns.round, turns.entire if turns.whole else turns.settled, strict=True)
    steps = turns.taken if turns.whole else turns.lengths
    found = {
        number: seconds / count for (number, seconds), count in zip(whole, steps, strict=True) if count and seconds
    }
    return {number: pace for number, pace in found.items() if number > 0} if turns.whole else found


def _last_losses(record: Record, base: Record) -> tuple[float, float] | None:
    mine, theirs = (one.ledger.get("validation_losses") or [] for one in (record, base))
    if not mine or not theirs:
        return None
    last = min(len(mine), len(theirs)) - 1
    return float(mine[last]), float(theirs[last])


def _above(mine: float, theirs: float) -> float:
    """How much larger a loss is, relative; infinite where it is none, as of a training that diverged."""
    if not math.isfinite(mine):
        return math.inf
    return (mine - theirs) / abs(theirs) if theirs and math.isfinite(theirs) else (0.0 if mine == theirs else math.inf)


def broken_limit(raced: RacedConfiguration, limits: TuneLimits, share: float = 1.0) -> tuple[str, float]:
    """Which limit a configuration breaks, in words, and by how much, relative; ("", 0) where none.

    Args:
        share: of all epochs, that it has trained.
    """
    memory = raced.limited_memory
    if limits.memory is not None and memory is not None and memory > limits.memory:
        return f"needs {memory} bytes, over the limit of {limits.memory}", memory / limits.memory - 1
    allowed = limits.loss_margin + EARLY_LAG * (1 - share)
    if raced.lag is not None and not raced.lag <= allowed:
        above = 100 * raced.lag
        percent = (
            "not finite" if math.isinf(above) else f"{above:{'.0f' if above >= 10 else '.2g'}} % above the default's"
        )
        when = "" if share >= 1 else f" after {100 * share:.0f} % of the epochs"
        return f"its validation loss is {percent}{when}", min(raced.lag - allowed, 1e6)
    return "", 0.0


@dataclass(frozen=True)
class Finalist:
    """A configuration as the final race tells it, which alone is the claim.

    Attributes:
        label: as its space calls it.
        word: what may be said: `better` is earned by speed, loss and memory.
        reason: in words, where it is not better.
        ratio: samples a second over the default's; all finalists' intervals hold at once in 95 of 100 searches.
        lag: of the loss, relative, with its 90 % interval: its upper end is a one-sided bound of 95 %.
        memory_ratio: peak memory over the default's.
        raced: all that was seen of it.
    """

    label: str
    word: FinalWord
    reason: str
    ratio: Interval | None
    lag: Interval | None
    memory_ratio: float | None
    raced: RacedConfiguration


def judged_finalists(raced: Sequence[RacedConfiguration], limits: TuneLimits) -> list[Finalist]:
    """The finalists of the last race, the fastest that keeps all limits first.

    Args:
        raced: the default, its twin, then the finalists, as `raced_configurations` gives them.
    """
    default, others = raced[0], [one for one in raced[1:] if one.label != TWIN]
    twin = next((one for one in raced if one.label == TWIN), None)
    bias = twin_bias(twin.logs) if twin is not None else 0.0
    found = [_judged(one, default, limits, confidence_of(len(others)), bias) for one in others]
    return sorted(found, key=lambda one: (one.word != "better", -(one.ratio.estimate if one.ratio else 0.0)))


def _judged(
    one: RacedConfiguration, default: RacedConfiguration, limits: TuneLimits, confidence: float, bias: float
) -> Finalist:
    ratio = interval_of_logs(one.logs, confidence) if one.logs else None
    finite = bool(one.lags) and all(map(math.isfinite, one.lags))
    lag = interval_of_differences(one.lags, 0.9) if finite else None
    pair = one.limited_memory, default.limited_memory
    memory_ratio = pair[0] / pair[1] if pair[0] and pair[1] else None
    word, reason = _final_word(one, ratio, lag, limits, bias)
    return Finalist(one.label, word, reason, ratio, lag, memory_ratio, one)


def _final_word(
    one: RacedConfiguration, ratio: Interval | None, lag: Interval | None, limits: TuneLimits, bias: float
) -> tuple[FinalWord, str]:
    if one.outcome != "ok":
        return "failed", f"{one.outcome}: {one.reason}"
    memory = one.limited_memory
    if limits.memory is not None and memory is not None and memory > limits.memory:
        return "over-memory", broken_limit(one, limits)[0]
    if one.lags and (lag is None or (lag.low is not None and lag.low > limits.loss_margin)):
        return "loss-worse", broken_limit(one, limits)[0] or "its validation loss is worse"
    if ratio is None or ratio.low is None or ratio.high is None:
        return "within-noise", "too few launches to tell anything"
    if ratio.high < 1 - bias:
        return "slower", "it is slower than the default"
    if ratio.low <= 1 + bias or ratio.estimate < 1 + WORTH:
        return "within-noise", "it cannot be told from the default"
    if lag is not None and (lag.high is None or lag.high > limits.loss_margin):
        return "loss-undecided", "its loss is not known to be within the margin"
    return "better", ""


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Labels of (speed, memory) that no other has more of the one without more of the other, by speed downwards."""
    front: list[str] = []
    least = math.inf
    for label, (_, memory) in sorted(points.items(), key=lambda one: (-one[1][0], one[1][1])):
        if memory < least:
            front.append(label)
            least = memory
    return front
