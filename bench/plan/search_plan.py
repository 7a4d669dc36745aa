"""A suite as a search sees it: which axes it searches, and races of chosen configurations in one group. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.axes.engine_axes import AxisValue
from bench.errors import SpecError, quote
from bench.plan.cell import Cell, Group, Plan
from bench.plan.goal import Goal
from bench.plan.plan import asked_settings, refusal_reason
from bench.plan.search_space import Configuration, SearchSpace, search_space
from bench.plan.settings import _apply
from bench.plan.suite import Suite, all_axes, loader_workers, suite_loop
from bench.plan.trainer_files import trainer_set, with_trainer_files

CONFIGURATION = "configuration"  # the compared axis of a search's races: a candidate's label
USUAL_EPOCHS = 8  # that a search's candidates train at most, where the suite has no goal that says
EXAMPLE = "--set batch_size=32,64,128"


@dataclass(frozen=True)
class SuiteSearch:
    """A suite, the space that is searched over it, and the values of all other axes.

    Attributes:
        suite: as it was found, with the sets of Trainer's arguments that were named.
        file: its file, "" of one that came by an entry point.
        fixed: the value of each axis that is not searched.
        epochs: that a candidate trains at most.
        threads: of every arm whose configuration does not say.
    """

    suite: Suite
    file: str
    space: SearchSpace
    fixed: Configuration
    epochs: int
    threads: int = 1

    def point(self, configuration: Configuration, epochs: int) -> dict[str, AxisValue]:
        """The values of all axes, in the suite's order."""
        given = {**self.fixed, **configuration}
        if "epochs" in given:
            given["epochs"] = epochs
        return {axis: given[axis] for axis in all_axes(self.suite, self.threads)}

    def plan(self, configurations: Sequence[Configuration], epochs: int) -> Plan:
        """One group: the default, its twin, and these configurations, each trained so many epochs."""
        label = self.space.label
        labels = [label(one) for one in (self.space.default, *configurations)]
        goal = Goal(target=0.0 if self.suite.goal is None else self.suite.goal.target, epochs=epochs)
        suite = replace(
            self.suite,
            axes={**self.suite.axes, CONFIGURATION: tuple(labels)},
            compare=CONFIGURATION,
            baseline=labels[0],
            length_axis=None,
            epochs="real",
            equal="none",
            tolerance=None,
            ladder={},
            goal=goal,
        )
        points = {label(one): self.point(one, epochs) for one in (self.space.default, *configurations)}
        workers = max(loader_workers(self.suite, point) for point in points.values())
        baseline = self._cell(suite, points, labels[0], workers, twin=False)
        cells = [baseline, self._cell(suite, points, labels[0], workers, twin=True)]
        cells += [self._cell(suite, points, one, workers, twin=False) for one in labels[1:]]
        return Plan({suite.name: suite}, (Group(suite.name, suite.name, tuple(cells)),))

    def _cell(
        self, suite: Suite, points: dict[str, dict[str, AxisValue]], label: str, workers: int, *, twin: bool
    ) -> Cell:
        point = points[label]
        return Cell(
            f"{suite.name}[{label}]" + "#twin" * twin,
            suite.name,
            suite.name,
            {**point, CONFIGURATION: label},
            twin,
            f"{suite.name}[{next(iter(points))}]",
            refusal_reason(self.suite, point, self.threads),
            workers,
            suite.epochs,
            asked_settings(self.suite, point),
            tuple(suite_loop(self.suite, str(point["loop"])).preload),
            trainer_set(self.suite, point),
            goal=suite.goal,
        )


def search_of_suite(
    suite: Suite, file: str, settings: Sequence[str], *, threads: int = 1, epochs: int | None = None
) -> SuiteSearch:
    """The search over a suite.

    Args:
        settings: `axis=v1,v2` each. Those of several values are searched, the first of each being the default; where
            none has several, the suite's own axes of several values are.
        threads: of every arm whose configuration does not say.
        epochs: that a candidate trains at most; None: as the suite's goal has it.

    Raises:
        SpecError: all that is wrong with settings, or nothing is left to search.
    """
    found, settings, mistakes = with_trainer_files({suite.name: suite}, settings)
    suite = found.get(suite.name, suite)
    axes = {suite.name: all_axes(suite, threads)}
    named = [setting.partition("=")[0] for setting in settings]
    twice = [axis for axis in dict.fromkeys(named) if named.count(axis) > 1]
    mistakes += [f"--set {axis}: is there twice; allowed: once, with all values: {axis}=A,B" for axis in twice]
    if CONFIGURATION in axes[suite.name]:
        mistakes.append(
            f"suite {suite.name!r} has an axis {CONFIGURATION!r} of its own, which a search adds; rename it"
        )
    for setting in settings:
        mistakes += _apply(setting, {suite.name: suite}, axes)
    if mistakes:
        raise SpecError(mistakes)
    values = {axis: tuple(own) for axis, own in axes[suite.name].items()}
    if suite.compare not in named:  # its baseline is what other loops, say, are compared with
        others = (one for one in values[suite.compare] if one != suite.baseline)
        values[suite.compare] = (suite.baseline, *others)
    chosen = [axis for axis in named if len(values[axis]) > 1] or [axis for axis in values if len(values[axis]) > 1]
    if wrong := [axis for axis in ("epochs", "target", "samples") if axis in chosen]:
        raise SpecError(
            f"--set {quote(wrong[0])} has several values, and candidates that train for another length or on other "
            "data are no choice; allowed: one value"
        )
    fixed = {axis: own[0] for axis, own in values.items() if axis not in chosen}
    most = epochs or int(fixed.get("epochs", 0)) or (suite.goal.epochs if suite.goal else USUAL_EPOCHS)
    order = list(values)

    def refuses(configuration: Configuration) -> str:
        given = {**fixed, **configuration}
        return refusal_reason(suite, {axis: given[axis] for axis in order}, threads)

    space = search_space({axis: values[axis] for axis in chosen}, refuses, EXAMPLE)
    return SuiteSearch(suite, file, space, fixed, most, threads)
