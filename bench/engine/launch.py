"""The arms of one launch, live: warm-up, rounds of turns, and the samples they give. No torch, no pandas."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.engine import turn_order
from bench.engine.fleet import Fleet
from bench.engine.merge_ranks import ArmResult, Turn
from bench.engine.processes import Arm, ArmLost
from bench.machine.cores import stolen
from bench.protocol import Go
from bench.results.record import Turns
from bench.stats.ratios import LEAST_ROUNDS, log_ratio

AUDITED_STEPS = 4  # watched before the warm-up, and again after the last turn
# Steps of each arm after the audited ones. Steps of 1.6 ms came within 2 % of their final pace after 40 of them, on the
# machine tried; longer ones after 10 or so. The second half of the warm-up also tells the undisturbed step time.
WARMUP_SECONDS = 0.12
WARMUP_STEPS = 8
# On a device that runs behind the loop a turn ends when the device has drained, and its edges weigh on it. Turns begin
# at this many seconds and are doubled until a step keeps its time within EDGE, at most to the last.
ASYNCHRONOUS_TURN = 0.05
LONGEST_TURN = 1.6
EDGE = 0.01
# Arms of one fork server inherit its heap, and its accidents of alignment, which made up to 6 % of a step at batches of
# 4.8 MB. Each arm pushes its heap up by a random number of bytes, so that launches draw layouts afresh, and so that the
# twin differs from the baseline in this as any other arm does.
PADDING_UNIT = 16  # bytes; malloc aligns to it
PADDING_UNITS = 2**16


class Race:
    """The arms of one launch, from their first pull of a batch to their results.

    Args:
        fleet: whose arms they are.
        arms: by cell id, all waiting at their first pull, or lost.
        cores: all that they run on; what the hypervisor takes from them is watched.
        timeout: seconds until an arm that does not answer is ended.
        turn: seconds that the counted steps of a turn should take.
        asynchronous: whether the device runs behind the loop; its turns are as long as their edges ask for.
        epochs: whether a turn is a whole epoch of the arms' loaders, the gap before it included; "real": and the loop's
            own, what it does at its end included.
    """

    def __init__(
        self,
        fleet: Fleet,
        arms: Mapping[str, Arm],
        cores: Sequence[int],
        timeout: float,
        turn: float,
        *,
        asynchronous: bool = False,
        epochs: bool | str = False,
    ) -> None:
        self._fleet = fleet
        self.arms = arms
        self._cores = tuple(cores)
        self._timeout = timeout
        self._turn = turn
        self._asynchronous = asynchronous
        self._steps = 1
        self._epochs = bool(epochs)
        self._real = epochs == "real"
        self.rounds = 0
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
        self._taken = dict.fromkeys(arms, 0)  # steps of each arm so far, those of no turn included
        self.warmups: dict[str, list[float]] = {}
        self.results: dict[str, ArmResult] = {}
        self.turn_seconds = 0.0

    @property
    def alive(self) -> list[str]:
        return [name for name, arm in self.arms.items() if arm.lost is None]

    @property
    def void(self) -> str:
        """What disturbed the launch from outside, so that nothing of it counts; "" where nothing did."""
        return next((arm.lost.reason for arm in self.arms.values() if arm.lost and arm.lost.outcome == "void"), "")

    def _take(self, name: str, steps: int, *, audit: bool = False, timed: bool = False) -> Turn | None:
        try:
            go = Go(steps, audit=audit, timed=timed)
            reply = self._fleet.turn(self.arms[name], go, self._timeout, uncounted=int(not self._epochs))
        except ArmLost:
            return None
        self._taken[name] += steps
        return reply

    def warm_up(self, baseline: str) -> None:
        """Audited steps, then untimed ones, the same number for each arm; finds the length of a turn."""
        names = self.alive
        for name in names:
            if (reply := self._take(name, AUDITED_STEPS, audit=True)) is not None:
                self.warmups[name] = list(reply.seconds)
        if self._epochs:
            return self._whole_epochs(baseline)
        steps = WARMUP_STEPS
        pace: dict[str, float] = {}
        for name in self.alive:
            if (reply := self._take(name, steps)) is not None:
                self.warmups[name] += reply.seconds
                pace[name] = statistics.median(reply.seconds)
        if not pace:
            return
        pacemaker = pace.get(baseline, min(pace.values()))
        more = max(WARMUP_STEPS, min(400, math.ceil(WARMUP_SECONDS / pacemaker)) - steps)
        for name in self.alive:
            if (reply := self._take(name, more)) is not None:
                self.warmups[name] += reply.seconds
                pace[name] = statistics.median(reply.seconds)
        pacemaker = pace.get(baseline, min(pace.values()))
        self._steps = max(1, min(64, round(self._turn / pacemaker)))
        if self._asynchronous:
            self._steps = self._long_enough(baseline, math.ceil(ASYNCHRONOUS_TURN / pacemaker))

    def _whole_epochs(self, baseline: str) -> None:
        """The rest of the first epoch, and one more: from here on every turn begins with the loader's first batch."""
        lengths = {name: self.arms[name].ranks[0].epoch for name in self.alive}
        epoch = lengths.get(baseline) or max(lengths.values(), default=0)
        for name, length in lengths.items():
            if not length:
                self.arms[name].lost = ArmLost("unsupported", "turns are whole epochs, and its loader has no length")
            elif length != epoch:
                reason = f"turns are whole epochs; its loader has {length} batches, the baseline's {epoch}"
                self.arms[name].lost = ArmLost("unequal-work", reason)
        self._steps = epoch
        for steps in (-AUDITED_STEPS % epoch, epoch) if epoch else ():
            for name in self.alive:
                if steps and (reply := self._take(name, steps)) is not None:
                    self.warmups[name] += reply.seconds

    def _long_enough(self, baseline: str, steps: int) -> int:
        """Steps of a turn whose edges weigh under EDGE: doubled until the baseline's step keeps its time."""
        before = math.inf
        while True:
            seconds: dict[str, float] = {}
            for name in self.alive:  # all of them: arms of a launch do the same work
                if (reply := self._take(name, steps)) is not None:
                    self.warmups[name] += reply.seconds
                    seconds[name] = sum(reply.seconds)
            if not seconds:
                return steps
            whole = seconds.get(baseline, min(seconds.values()))
            # Edges make a step of the shorter turn the longer one; where it was the shorter, the machine is restless.
            if before / (whole / steps) - 1 < EDGE or 2 * whole > LONGEST_TURN:
                return steps
            before, steps = whole / steps, 2 * steps

    def enough(self, measuring_time: float) -> bool:
        """Whether the turns so far fill the measuring time, in whole balanced blocks of rounds."""
        whole = self.rounds > 0 and self.rounds % turn_order.block_length(len(self.arms)) == 0
        return whole and self.rounds >= LEAST_ROUNDS and self.turn_seconds >= measuring_time

    def take_round(self, order: Sequence[str]) -> None:
        """One turn of every arm that lives, in this order."""
        before = stolen(self._cores)
        for position, name in enumerate(order):
            if self.arms[name].lost is not None:
                continue
            began = self._taken[name]
            if (reply := self._take(name, self._steps + (not self._epochs), timed=True)) is None:
                continue
            first, *others = reply.seconds
            self.turn_seconds += first + sum(others)
            counted, fetching = (column[not self._epochs :] for column in (reply.seconds, reply.fetching))
            after = stolen(self._cores)
            spread = () if reply.spread is None else (reply.spread,)
            counts = (reply.cpu, reply.involuntary, reply.faults, round(after - before, 3))
            allocated = () if reply.allocated is None else (reply.allocated,)
            more = {"spread": spread, "fetching": (sum(fetching),), **self._edges(first, others)}
            more |= {"began": (began,), "resident": (reply.resident,), "allocated": allocated}
            row = {"round": self.rounds, "position": position, "first": first, "counted": sum(counted)}
            row |= zip(("cpu", "involuntary", "faults", "stolen"), counts, strict=True)
            self._rows[name].append({**row, **{key: value[0] for key, value in more.items() if value}})
            before = after
        self.rounds += 1

    def _edges(self, first: float, others: Sequence[float]) -> dict[str, tuple[float, ...]]:
        """By how much an epoch's first step took longer than its middle one; of the loop's own epochs the last, too."""
        if not self._epochs:
            return {}
        middle = statistics.median((others[:-1] if self._real else others) or [first])
        return {"gap": (first - middle,), "end": (others[-1] - middle,) if self._real and len(others) > 1 else ()}

    def turns(self, name: str) -> Turns | None:
        """The samples of one arm, or None when it took no turn."""
        if not self._rows[name]:
            return None
        rows = self._rows[name]
        columns = {key: tuple(row[key] for row in rows) for key in rows[0]}
        return Turns(self._steps, **columns, whole=self._epochs, real=self._real)

    def log_ratios(self, baseline: str) -> dict[str, float]:
        """Median over rounds of each arm's log ratio to the baseline's step time, each round paired with itself."""
        base = self.turns(baseline)
        ratios = {name: (self.turns(name), base) for name in self.arms}
        return {
            name: log_ratio(turns, base)
            for name, (turns, base) in ratios.items()
            if turns is not None and base is not None
        }

    def pace(self, name: str) -> float:
        """Seconds of one step of this arm at the end of its warm-up."""
        return statistics.median(self.warmups[name][-WARMUP_STEPS:])

    def uninterrupted(self, name: str, steps: int) -> list[float]:
        """Seconds of `steps` steps of one arm in one long turn, the first one after the pause left out."""
        reply = self._take(name, 1 + steps)
        if reply is None:
            lost = self.arms[name].lost
            assert lost is not None
            raise lost
        return list(reply.seconds[1:])

    def finish(self) -> None:
        """Watched steps once more, then the result of each arm that lives; ends all. A void launch is only ended."""
        for name in self.alive:
            if self.void or self._take(name, AUDITED_STEPS, audit=True) is None:
                continue
            try:
                self.results[name] = self._fleet.result(self.arms[name], self._timeout)
            except ArmLost:
                continue  # `lost` is on the arm, and becomes the record's outcome
        self._fleet.end_arms(list(self.arms.values()))


def heap_padding(generator: random.Random) -> int:
    """Bytes by which an arm pushes its heap up before it builds anything."""
    return PADDING_UNIT * generator.randrange(PADDING_UNITS)
