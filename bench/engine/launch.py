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
from bench.engine.turn_meters import Readings, TurnMeters
from bench.protocol import Go
from bench.results.turns import Turns
from bench.stats.rounding import percent_of
from bench.stats.step_times import LEAST_ROUNDS, launch_ratios

AUDITED_STEPS = 4  # watched before the warm-up, and again after the last turn
# Steps of each arm after the audited ones, in turns as they are taken later. Steps of 1.6 ms came within 2 % of their
# final pace after 40 of them, on the machine tried; longer ones after 10 or so.
WARMUP_SECONDS = 0.06
WARMUP_STEPS = 8
# After a pause caches are cold. Steps of 1.4 ms took 1.5 to 1.8 times as long at first, 1.15 to 1.24 times as a turn's
# second, 1.02 as its seventh, and no longer from the ninth on; those of 12 ms are settled from the second on. So long
# after a turn has begun its steps are counted: those before tell only what hits certain steps. After 12 ms an arm that
# pauses cost 30 % more on its second and third step would still read 0.2 % too much.
COLD_SECONDS = 0.015
MOST_COLD = 24  # steps; of those that take microseconds, what the loop itself does is warm by then
# Turns are of several lengths, drawn for each round from half to one and a half times the middle one: of one length
# they would see what comes every 20th or 50th step always at the same place of a turn. Where steps are long, 2 or 3.
LEAST_MIDDLE = 2.5
MOST_STEPS = 6000  # of an arm in a launch; of steps of 10 µs the records would be too many
# On a device that runs behind the loop a turn ends when the device has drained, and its edges weigh on it. Turns begin
# at this many seconds and are doubled until a step keeps its time within EDGE, at most to the last.
ASYNCHRONOUS_TURN = 0.05
LONGEST_TURN = 1.6
EDGE = 0.01
# Such a device warms up, in turns of so many seconds at most, until its clock and the baseline's step keep their value
# over some rounds, or a limit is reached, of seconds and of the time that the launch has for turns; so many rounds it
# gets in any case, if they are no longer than that time. An H100 from idle to its full clock takes less than a second,
# to its full heat minutes.
STEADY_WITHIN, STEADY_ROUNDS = 0.01, 4
WARMUP_TURN = 0.25
LONGEST_WARMUP = 10.0
WARMUP_SHARE = 0.25
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
        turn: seconds that a turn should take, in the middle.
        asynchronous: whether the device runs behind the loop; its turns are as long as their edges ask for.
        generator: draws the lengths of turns and the orders of the warm-up.
        epochs: whether a turn is a whole epoch of the arms' loaders, the gap before it included; "real": and the loop's
            own, what it does at its end included.
        wider: cores that arms turned out to need, instead of those that they were asked for; none: those.
        goal: by cell id, the epochs that it trains for its goal (`bench.engine.goal_race`).
        meters: of the arms' devices, read at the ends of turns; None: nothing is.
    """

    least_rounds = LEAST_ROUNDS  # of a launch that is cut short

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
        generator: random.Random | None = None,
        wider: Sequence[int] = (),
        goal: Mapping[str, int] | None = None,
        meters: TurnMeters | None = None,
    ) -> None:
        self._fleet = fleet
        self.arms = arms
        self._cores = tuple(cores)
        self._timeout = timeout
        self._turn = turn
        self._asynchronous = asynchronous
        self._generator = generator or random.Random(0)
        self._cold = 1  # first steps of a turn that are not counted
        self._lengths = range(2, 3)  # steps that a turn may have
        self._epochs = bool(epochs)
        self._real = epochs == "real"
        self._wider = tuple(wider)
        self.goal = dict(goal or {})
        self._meters = meters
        if meters is not None:
            meters.heed(arms.values())
        self.rounds = 0
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
        self._taken = dict.fromkeys(arms, 0)  # steps of each arm so far, those of no turn included
        self.warmups: dict[str, list[float]] = {}
        self.results: dict[str, ArmResult] = {}
        self.turn_seconds = 0.0
        self.unsteady = ""  # what was not steady yet when an asynchronous device's warm-up had reached its limit

    @property
    def alive(self) -> list[str]:
        return [name for name, arm in self.arms.items() if arm.lost is None]

    @property
    def void(self) -> str:
        """What disturbed the launch from outside, so that nothing of it counts; "" where nothing did."""
        return next((arm.lost.reason for arm in self.arms.values() if arm.lost and arm.lost.outcome == "void"), "")

    @property
    def swept(self) -> bool:
        """Whether an arm was ended by what ends whole jobs: SIGTERM to each process, its interpreter among them."""
        lost = [arm.lost for arm in self.arms.values() if arm.lost]
        return any(one.outcome == "void" or one.reason.startswith("killed by SIGTERM") for one in lost)

    def _take(
        self, name: str, steps: int, *, audit: bool = False, timed: bool = False, judge: bool = False
    ) -> Turn | None:
        arm = self.arms[name]
        if self._meters is not None and (gone := self._meters.without_device(arm)) is not None:
            arm.lost = gone
            return None
        try:
            wider = () if self._taken[name] else self._wider
            go = Go(steps, audit=audit, timed=timed, judge=judge, cores=wider)
            reply = self._fleet.turn(arm, go, self._timeout, uncounted=self._cold)
        except ArmLost:
            if self._meters is not None:
                self._meters.explain(arm)
            return None
        self._taken[name] += steps
        return reply

    def warm_up(self, baseline: str, measuring_time: float = 0.0) -> None:
        """Audited steps, then untimed ones, the same number for each arm; finds the length of a turn.

        Args:
            measuring_time: seconds of turns that the launch is to have; of an asynchronous device a share of it may be
                spent until the clock is steady.
        """
        names = self.alive
        for name in names:
            if (reply := self._take(name, AUDITED_STEPS, audit=True)) is not None:
                self.warmups[name] = list(reply.seconds)
        if self._epochs:
            return self._whole_epochs(baseline)
        pace: dict[str, float] = {}
        for name in self.alive:
            if (reply := self._take(name, WARMUP_STEPS)) is not None:
                self.warmups[name] += reply.seconds
                pace[name] = statistics.median(reply.seconds)
        if not pace:
            return
        self._settle_lengths(pace.get(baseline, min(pace.values())))
        left = math.ceil(WARMUP_SECONDS / pace.get(baseline, min(pace.values())))
        while left > 0 and self.alive:  # in turns: what one arm does while it settles, it does to all
            steps = self._lengths[len(self._lengths) // 2]
            for name in self._generator.sample(self.alive, len(self.alive)):
                if (reply := self._take(name, steps)) is not None:
                    self.warmups[name] += reply.seconds
            left -= steps
        paces = {name: self.pace(name) for name in self.alive}
        pacemaker = paces.get(baseline, min(paces.values(), default=1.0))
        self._settle_lengths(pacemaker)
        if self._asynchronous:
            self._cold = 1
            steps = self._long_enough(baseline, math.ceil(max(ASYNCHRONOUS_TURN, self._turn) / pacemaker))
            self._lengths = range(steps + 1, steps + 2 + steps // 4)
            self._until_steady(baseline, min(steps, math.ceil(WARMUP_TURN / pacemaker)), measuring_time)

    def _settle_lengths(self, pace: float) -> None:
        """How many steps turns have, and how many of them find cold caches, where a settled step takes `pace`."""
        self._cold = min(MOST_COLD, max(1, math.ceil(COLD_SECONDS / pace)))
        middle = max(LEAST_MIDDLE, min(self._turn / pace, 4 * MOST_COLD))
        shortest = max(self._cold + 1, math.ceil(middle / 2))
        self._lengths = range(shortest, max(shortest + 1, math.floor(1.5 * middle)) + 1)

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
        self._cold, self._lengths = 0, range(epoch, epoch + 1)
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

    def _until_steady(self, baseline: str, steps: int, measuring_time: float) -> None:
        """Rounds of turns until the device's clock and the baseline's step are steady; `unsteady` says if they are not.

        Args:
            steps: of a turn.
            measuring_time: seconds of turns that the launch is to have.
        """
        spent, seen = 0.0, list[dict[str, float]]()
        limit = min(LONGEST_WARMUP, WARMUP_SHARE * measuring_time)
        while self.alive and spent < (limit if len(seen) >= STEADY_ROUNDS else measuring_time):
            now: dict[str, float] = {}
            for name in self._generator.sample(self.alive, len(self.alive)):
                if (reply := self._take(name, steps)) is None:
                    continue
                self.warmups[name] += reply.seconds
                spent += sum(reply.seconds)
                if name == baseline:
                    now["step"] = sum(reply.seconds)
                    now |= {address: one.clock for address, one in self._metered().items() if one.clock}
            seen.append(now)
            last = seen[-STEADY_ROUNDS:]
            swings = {name: swing([one[name] for one in last if name in one]) for name in now}
            self.unsteady = "" if len(last) == STEADY_ROUNDS else "it had too few rounds to tell"
            if over := {name: one for name, one in swings.items() if one > STEADY_WITHIN}:
                what = "; ".join(f"{name} changed by {percent_of(one, 1)}" for name, one in over.items())
                self.unsteady = f"{what} over the last {len(last)} rounds"
            if not self.unsteady:
                return

    def enough(self, measuring_time: float) -> bool:
        """Whether the turns so far fill the measuring time, as nearly as balanced blocks of rounds can."""
        block = turn_order.rounds_to_end(len(self.arms))
        if self.rounds < LEAST_ROUNDS or self.rounds % block:
            return False
        taken = max((sum(len(row["seconds"]) for row in rows) for rows in self._rows.values()), default=0)
        half = self.turn_seconds / self.rounds * block / 2
        return self.turn_seconds + half >= measuring_time or taken >= MOST_STEPS

    def take_round(self, order: Sequence[str]) -> None:
        """One turn of every arm that lives, in this order, all of as many steps."""
        before, metered = self._fleet.stolen(self._cores, self.arms.values()), self._metered()
        steps = self._generator.choice(self._lengths)
        for position, name in enumerate(order):
            if self.arms[name].lost is not None:
                continue
            began = self._taken[name]
            if (reply := self._take(name, steps, timed=True)) is None:
                metered = self._metered()  # what it took until it failed is nobody's
                continue
            self.turn_seconds += sum(reply.seconds)
            after = self._fleet.stolen(self._cores, self.arms.values())
            spread = () if reply.spread is None else (reply.spread,)
            counts = (reply.cpu, reply.involuntary, reply.faults, round(after - before, 3))
            allocated = () if reply.allocated is None else (reply.allocated,)
            waited = (sum(reply.fetching[self._cold :]),)
            more = {"spread": spread, "fetching": waited, **self._edges(*reply.seconds)}
            more |= {"began": (began,), "resident": (reply.resident,), "allocated": allocated}
            row = {"round": self.rounds, "position": position, "seconds": reply.seconds}
            row |= zip(("cpu", "involuntary", "faults", "stolen"), counts, strict=True)
            now = self._metered()
            own = {} if self._meters is None else self._meters.row(self.arms[name], metered, now)
            self._rows[name].append({**row, **{key: value[0] for key, value in more.items() if value}, **own})
            before, metered = after, now
        self.rounds += 1

    def _metered(self) -> Readings:
        """What the meters of all these arms' devices say now, while every arm is held."""
        return {} if self._meters is None else self._meters.read(self.arms.values())

    def _edges(self, first: float, *others: float) -> dict[str, tuple[float, ...]]:
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
        known = [key for key in rows[0] if all(key in row for row in rows)]  # a meter may fail on the way
        columns: dict[str, Any] = {key: tuple(row[key] for row in rows) for key in known}
        columns |= {} if self._meters is None else self._meters.facts(self.arms[name])
        return Turns(**columns, cold=self._cold, behind=self._asynchronous, whole=self._epochs, real=self._real)

    def log_ratios(self, baseline: str) -> dict[str, float]:
        """Each arm's log ratio to the baseline's mean step."""
        base = self.turns(baseline)
        ratios = {name: (self.turns(name), base) for name in self.arms}
        return {
            name: launch_ratios(turns, base).mean
            for name, (turns, base) in ratios.items()
            if turns is not None and base is not None
        }

    def pace(self, name: str) -> float:
        """Seconds of one step of this arm at the end of its warm-up."""
        return statistics.median(self.warmups[name][-WARMUP_STEPS:])

    def uninterrupted(self, name: str, steps: int) -> list[float]:
        """Seconds of `steps` steps of one arm in one long turn, without those before that find cold caches."""
        reply = self._take(name, self._cold + steps)
        if reply is None:
            lost = self.arms[name].lost
            assert lost is not None
            raise lost
        return list(reply.seconds[self._cold :])

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


def swing(values: Sequence[float]) -> float:
    """By how much the largest of some values lies over the smallest; 0.0 of none."""
    return max(values) / min(values) - 1 if values else 0.0


def heap_padding(generator: random.Random) -> int:
    """Bytes by which an arm pushes its heap up before it builds anything."""
    return PADDING_UNIT * generator.randrange(PADDING_UNITS)


def start_up(race: Race, cell: str, effective: Mapping[str, Any]) -> dict[str, float]:
    """The time to the first step of an arm that was set up while no other was, under its metric's name."""
    if not race.warmups.get(cell):
        return {}
    kind = effective.get("compile_cache")
    name = f"time_to_first_step_{kind}" if kind else "time_to_first_step"
    setup = race.arms[cell].setup
    return {name: setup + race.warmups[cell][0], **({"setup_time": setup} if race.goal else {})}
