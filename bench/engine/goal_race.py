"""Arms of one launch that train for a goal: every epoch is a turn, from the first one on. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.engine.launch import AUDITED_STEPS, Race
from bench.engine.merge_ranks import Turn
from bench.engine.processes import ArmLost


class GoalRace(Race):
    """A race whose rounds are epochs of each arm's own loader, which may be of other lengths. It warms nothing up.

    After each epoch the arm's referee judges it, before it is held; that takes no time of its own.
    """

    least_rounds = 1
    _steps: dict[str, int]

    def warm_up(self, baseline: str, measuring_time: float = 0.0) -> None:
        """Nothing: what an arm needs to get going is a part of its way to the goal. Finds how long epochs are."""
        self._cold = 0
        self._steps = {name: self.arms[name].ranks[0].epoch for name in self.alive}
        for name, steps in self._steps.items():
            if not steps:
                self.arms[name].lost = ArmLost("unsupported", "it trains whole epochs, and its loader has no length")

    def enough(self, measuring_time: float) -> bool:
        return self.rounds >= max(self.goal.values(), default=0)

    def take_round(self, order: Sequence[str]) -> None:
        """One epoch of every arm that lives, in this order. Of the first one the first steps are watched."""
        before, metered = self._fleet.stolen(self._cores, self.arms.values()), self._metered()
        for position, name in enumerate(order):
            if self.arms[name].lost is not None or self.rounds >= self.goal[name]:
                continue
            began = self._taken[name]
            parts = self._epoch(name)
            if not parts:
                continue
            after = self._fleet.stolen(self._cores, self.arms.values())
            seconds = tuple(second for part in parts for second in part.seconds)
            last = parts[-1]
            row: dict[str, Any] = {"round": self.rounds, "position": position, "seconds": seconds}
            row |= {"cpu": sum(part.cpu for part in parts), "involuntary": sum(part.involuntary for part in parts)}
            row |= {"faults": sum(part.faults for part in parts), "stolen": round(after - before, 3)}
            row |= {"fetching": sum(map(sum, (part.fetching for part in parts))), "began": began}
            row |= {
                "resident": last.resident,
                **{key: value[0] for key, value in self._edges(*seconds).items() if value},
            }
            if last.spread is not None:
                row["spread"] = sum(part.spread or 0.0 for part in parts)
            if last.allocated is not None:
                row["allocated"] = last.allocated
            now = self._metered()
            row |= {} if self._meters is None else self._meters.row(self.arms[name], metered, now)
            self._rows[name].append(row)
            self.turn_seconds += sum(seconds)
            before, metered = after, now
        self.rounds += 1

    def _epoch(self, name: str) -> list[Turn]:
        """The turns of an arm's next epoch; none where it is lost on the way."""
        steps = self._steps[name]
        watched = 0 if self.rounds else min(AUDITED_STEPS, steps)
        rest = steps - watched
        parts: list[Turn | None] = []
        if watched:
            parts.append(self._take(name, watched, audit=True, timed=not rest, judge=not rest))
        if rest and None not in parts:
            parts.append(self._take(name, rest, timed=True, judge=True))
        taken = [part for part in parts if part is not None]
        if not self.rounds:
            self.warmups[name] = [second for part in taken for second in part.seconds]
        return taken if len(taken) == len(parts) else []
