"""The check `fit` of `bench selftest`: what `bench env --fit` foresees, and what gates of that budget then reach.

What a gate reaches is made of its own files: the variance of its launches' log ratios, how long they took, and so the
last interim look that its budget had room for. The slowdown that is told from the margin by then is what its
`detectable` is made of (`gate_rule.hidden_by_noise`), without the rule's target below it: that is the same on every
quiet machine, so that whatever is foreseen there would be right.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from bench.commands.fit import ONE_CELL, measure_fit
from bench.commands.gate import run_gate
from bench.commands.gate_forecast import screened_after
from bench.commands.gate_judgement import is_counted, launch_log_ratios
from bench.commands.gate_setup import Setup
from bench.commands.selection import Selection, plan_selection
from bench.commands.selftest_runs import SelftestFigure
from bench.engine.options import Options, Progress
from bench.errors import RunError
from bench.plan.cell import Plan
from bench.results import store
from bench.stats.gate_rule import STEPS_JUDGED, Rule, hidden_by_noise

FORESEEN_WITHIN = 1.3
GATED_SECONDS = 60.0


@dataclass(frozen=True)
class Reach:
    """What a gate between equal sides reached.

    Attributes:
        variance: of its launches' log ratios of the mean step, over launches, of cell and twin.
        launch: seconds of one, the middle one.
        starting: seconds of the gate in which no launch went on.
        budget: its seconds.
    """

    variance: float
    launch: float
    starting: float
    budget: float

    def look(self, rule: Rule) -> int:
        """Launches of the last look that there was room for, behind a screen that flags what is seen; 0: none."""
        room, sd = (self.budget - self.starting) / self.launch, math.sqrt(self.variance)
        return max(
            (look for look in rule.looks if look + screened_after(self._told(look, rule), sd, rule) <= room), default=0
        )

    def slowdown(self, rule: Rule) -> float | None:
        """What is told from the margin by then; None: nothing."""
        look = self.look(rule)
        return self._told(look, rule) if look else None

    def _told(self, look: int, rule: Rule) -> float:
        alpha = rule.alphas[rule.looks.index(look)] / STEPS_JUDGED
        return hidden_by_noise(math.sqrt(self.variance), look, alpha, rule)


def foreseen_and_reached(folder: Path, repeats: int, progress: Progress) -> SelftestFigure:
    """Foresee a gate, then make it, again and again; how far what is foreseen lies from what all gates reached.

    Raises:
        RunError: a gate was interrupted, or was too short for anything.
    """
    rule = Rule()
    name, setting = ONE_CELL
    made, files = plan_selection(Selection((name,), (setting,)))
    foreseen: list[float] = []
    reached: list[Reach] = []
    for repeat in range(repeats):
        progress.phase(f"fit {repeat + 1} of {repeats}, and its gate")
        forecast = measure_fit(1, GATED_SECONDS, progress).gates[0]
        own = folder / f"fit-{repeat}"
        own.mkdir()
        options = Options(budget=forecast.budget, seed=repeat)
        gate = run_gate(Setup(made, files), rule, options, own, progress)
        if gate.interrupted:
            raise RunError(f"interrupted in gate {repeat + 1} of {repeats}")
        reached.append(reach_of(made, own, gate.seconds, gate.budget))
        foreseen.append(math.inf if forecast.noise is None else forecast.noise)
    together = Reach(*(statistics.fmean(getattr(one, key) for one in reached) for key in Reach.__match_args__))
    least = together.slowdown(rule)
    if least is None or math.inf in foreseen:
        raise RunError(f"a gate of {together.budget:.0f} s is too short here: {together.launch:.1f} s a launch")
    ratio = math.exp(statistics.fmean(map(math.log, foreseen))) / least
    pairs = [
        f"{expected:.2%} foreseen and {one.slowdown(rule) or math.nan:.2%} reached, after {one.look(rule)} launches"
        for expected, one in zip(foreseen, reached, strict=True)
    ]
    near = sum(1 / FORESEEN_WITHIN <= expected / least <= FORESEEN_WITHIN for expected in foreseen)
    return SelftestFigure(
        max(ratio, 1 / ratio),
        f"foreseen over reached {ratio:.2f}; {least:.2%} reached by all {repeats} gates together, sd "
        f"{math.sqrt(together.variance):.2%}, {together.launch:.2f} s a launch; {near} of {repeats} foreseen within "
        f"{FORESEEN_WITHIN - 1:.0%} of it; {'; '.join(pairs)}",
    )


def reach_of(made: Plan, folder: Path, seconds: float, budget: float) -> Reach:
    """What the gate in this folder reached, which took so many seconds of its budget.

    Raises:
        RunError: it has fewer than two launches.
    """
    stages = [store.read_run(folder / name) for name in ("screen", "confirm") if (folder / name).is_dir()]
    group = made.groups[0]
    squares, degrees, costs = 0.0, 0, []
    for run in stages:
        costs += list({one.launch: one.launch_seconds for one in run.records if is_counted(one)}.values())
        for cell in group.runnable[1:]:
            values = launch_log_ratios(run.records, cell.id, group.cells[0].id).means
            if len(values) > 1:
                squares += statistics.variance(values) * (len(values) - 1)
                degrees += len(values) - 1
    if not degrees:
        raise RunError(f"{folder}: too few launches to tell what they scatter by")
    return Reach(squares / degrees, statistics.median(costs), seconds - math.fsum(costs), budget)
