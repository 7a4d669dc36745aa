"""What a suite is: a workload, its axes, and which axis is compared. No torch, no pandas.

A suite is one file in `suites/` with a top-level `suite = Suite(...)`. The file's top level stays free of torch, so
that the parent can list and plan without it; `build(point)` imports what it needs, inside the arm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.axes import loops
from bench.axes.engine_axes import OPEN, AxisValue, Point, engine_axes
from bench.axes.loops import Loop
from bench.axes.loops.job import Job
from bench.axes.loops.workload import Workload
from bench.axes.trainer_sets import BUILT_IN, TrainerArguments, set_mistakes
from bench.errors import SpecError, one_of, quote
from bench.plan import guard
from bench.plan.goal import Goal, goal_mistakes
from bench.plan.quantities import largest
from bench.results.work_ledger import EQUALITIES

NAME_FORM = re.compile(r"^[a-z][a-z0-9_-]*$")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


EPOCHS = (False, True, "real")

# Settings that are read back in every arm, and that the engine does not set: a suite's build does.
READ_BACK = (
    *("persistent_workers", "pin_memory", "prefetch_factor"),
    *("cudnn_benchmark", "cudnn_deterministic", "deterministic", "gc_enabled", "anomaly_detection"),
)


def num_workers(point: Point) -> int:
    """Loader workers of a point of a suite that does not say otherwise."""
    return int(point.get("num_workers", 0))


@dataclass(frozen=True)
class Suite:
    """A workload, its axes, and which axis is compared.

    Attributes:
        name: the name on the command line and in every cell's id.
        title: one line for `bench list`.
        axes: the values that are run by default, by axis name, in the order in which ids show them.
        compare: the axis along which the cells of a group differ.
        baseline: the value of that axis that all others are compared with; its twin is the A/A control.
        build: makes the workload of one point; runs in the arm.
        choices: all values that `--set` takes for an axis, where these are a closed list.
        length_axis: the axis that varies the length of a step, for the fit of cost against step length, or None.
        epochs: False: turns are steps of an epoch that does not end. True: a turn is a whole epoch of the loader, so
            that the gap between epochs is a part of it. "real": a turn is an epoch of the loop, and holds what the loop
            does at its end: validation, checkpoint, metrics.
        refuses: says why a point makes no sense, or None where it does; asked by the parent, so without torch.
        workers: loader workers of a point, by default its `num_workers`; a group that has any runs on all cores.
        settings: effective settings by name that a point asks for besides those of `suite_settings`; they are read back
            in the arm, and along the compared axis they may differ as asked. Without torch: the parent calls it.
        equal: what must be equal for a ratio: `weights`, `loss`, `samples` or `counts`; see
            `bench.results.work_ledger`. "": as much as can be, `weights` where they can be compared bit for bit, else
            `loss`.
        tolerance: relative, of the loss of each audited step, where losses are compared; None: that of the precision.
        trainers: sets of Trainer's arguments by name, for the axis `trainer`, besides those that are built in: as
            LightningCLI has them, or with functions that make callbacks and loggers; see `bench.axes.trainer_sets`.
        loops: training loops of its own by name: functions of a job, or a `Loop` where one needs more than torch; with
            those that its file registers. They are values of the axis `loop` in this suite alone.
        ladder: by value of the compared axis, the value that it adds something to, where each is to be priced over the
            one below it and not only over the baseline: what it costs a step and an epoch. It needs `epochs="real"`.
        goal: what its arms train for: launches are then whole trainings, each of a seed of its own, and the question is
            who gets there sooner. It needs `epochs="real"`, and a workload with `loss` and `validation`.
    """

    name: str
    title: str
    axes: Mapping[str, Sequence[AxisValue]]
    compare: str
    baseline: AxisValue
    build: Callable[[Point], Workload]
    choices: Mapping[str, Sequence[AxisValue]] = field(default_factory=dict)
    length_axis: str | None = None
    epochs: bool | str = False
    workers: Callable[[Point], int] = num_workers
    refuses: Callable[[Point], str | None] = lambda point: None
    settings: Callable[[Point], Mapping[str, AxisValue]] = lambda point: {}
    equal: str = ""
    tolerance: float | None = None
    trainers: Mapping[str, TrainerArguments] = field(default_factory=dict)
    loops: Mapping[str, Loop | Callable[[Job], None]] = field(default_factory=dict)
    ladder: Mapping[str, str] = field(default_factory=dict)
    goal: Goal | None = None

    def __post_init__(self) -> None:
        mistakes = loop_mistakes(self.loops)
        if not mistakes:
            named = {name: _named_loop(name, own) for name, own in {**loops.own_loops(), **self.loops}.items()}
            mistakes += loop_mistakes(named)
            object.__setattr__(self, "loops", named)
        mistakes += suite_mistakes(self)
        if mistakes:
            raise SpecError([f"suite {self.name!r}: {mistake}" for mistake in mistakes])

    @property
    def own_loops(self) -> tuple[Loop, ...]:
        """The loops that no other suite has."""
        return tuple(loop for loop in self.loops.values() if isinstance(loop, Loop))


def _named_loop(name: str, own: Loop | Callable[[Job], None]) -> Loop:
    loop = own if isinstance(own, Loop) else Loop(own)
    preload = tuple(loop.preload) if isinstance(loop.preload, list) else loop.preload
    return replace(loop, name=name, preload=preload, title=loop.title or loops.first_line(loop.run) or name)


def loop_mistakes(own: object) -> list[str]:
    """What is wrong with a suite's own loops, as sentences."""
    if not isinstance(own, Mapping):
        return [f"loops: {quote(own)} is no mapping; allowed: functions of a job, or bench.Loop, by name"]
    mistakes = []
    for name, loop in own.items():
        if not isinstance(name, str) or not NAME_FORM.fullmatch(name):
            mistakes.append(f"loops: name {quote(name)} is not of the form {NAME_FORM.pattern}")
        run, preload = (loop.run, loop.preload) if isinstance(loop, Loop) else (loop, ("torch",))
        if isinstance(run, type) or not callable(run):
            mistakes.append(f"loops: {name!r}: {quote(run)} is no function; allowed: a function of a job, bench.Loop")
        mistakes += [f"loops: {name!r}: {mistake}" for mistake in preload_mistakes(preload)]
    return mistakes


def preload_mistakes(preload: object) -> list[str]:
    """What is wrong with the modules that a loop's interpreter imports."""
    if isinstance(preload, list | tuple) and all(isinstance(one, str) and MODULE.fullmatch(one) for one in preload):
        return [] if preload[:1] in (("torch",), ["torch"]) else [f"preload {quote(preload)} does not begin with torch"]
    return [f"preload {quote(preload)} is not possible; allowed: names of modules, torch first"]


def suite_mistakes(suite: Suite) -> list[str]:
    """Everything that is wrong with a suite's declaration, as sentences; empty when it is sound."""
    mistakes: list[str] = []
    if not NAME_FORM.fullmatch(suite.name):
        mistakes.append(f"name {suite.name!r} is not of the form {NAME_FORM.pattern}")
    if not suite.axes:
        mistakes.append("has no axes; at least the compared one is needed")
    for axis, values in suite.axes.items():
        if not NAME_FORM.fullmatch(axis):
            mistakes.append(f"axis name {axis!r} is not of the form {NAME_FORM.pattern}")
        if isinstance(values, str) or not isinstance(values, Sequence):
            mistakes.append(f"axis {axis!r}: {values!r} is not a list of values")
            continue
        if not values:
            mistakes.append(f"axis {axis!r} has no values")
        kinds = {type(value) for value in values}
        if not kinds <= {str, int, float, bool} or len(kinds) > 1:
            mistakes.append(f"axis {axis!r}: values {list(values)!r} must all be str, all int, all float or all bool")
        if any(isinstance(value, int | float) and not abs(value) <= largest(value) for value in values):
            mistakes.append(
                f"axis {axis!r}: values {quote(list(values))} must all be finite; allowed: up to {largest(0)}"
            )
        if axis in OPEN and not all(type(value) is int and value > 0 for value in values):
            mistakes.append(f"axis {axis!r}: values {list(values)!r} must all be whole numbers above 0")
        if len(set(values)) < len(values):
            mistakes.append(f"axis {axis!r}: values {list(values)!r} repeat")
        mistakes += [
            one_of(f"value of axis {axis!r}", value, allowed)
            for allowed in [allowed_values(suite, axis)]
            if allowed is not None
            for value in values
            if value not in allowed
        ]
    if suite.compare not in suite.axes:
        mistakes.append(f"compare: {one_of('axis', suite.compare, suite.axes)}")
    elif suite.baseline not in suite.axes[suite.compare]:
        mistakes.append(f"baseline: {one_of(f'value of {suite.compare!r}', suite.baseline, suite.axes[suite.compare])}")
    for axis in suite.choices:
        if axis not in suite.axes:
            mistakes.append(f"choices: {one_of('axis', axis, suite.axes)}")
    if suite.length_axis is not None and suite.length_axis not in suite.axes:
        mistakes.append(f"length_axis: {one_of('axis', suite.length_axis, suite.axes)}")
    if not isinstance(suite.trainers, Mapping):
        mistakes.append(f"trainers: {quote(suite.trainers)} is not possible; allowed: arguments of Trainer by set")
    else:
        mistakes += set_name_mistakes(suite.trainers)
        mistakes += [
            f"trainers: set {name!r}: {mistake}"
            for name, own in suite.trainers.items()
            for mistake in set_mistakes(own)
        ]
    if not any(suite.epochs is allowed or suite.epochs == allowed == "real" for allowed in EPOCHS):
        mistakes.append(one_of("epochs", suite.epochs, EPOCHS))
    if suite.epochs == "real" and suite.length_axis is not None:
        mistakes.append(
            f"length_axis: {suite.length_axis!r} with epochs='real'; the cost of a step is not fitted to turns that "
            "hold an epoch's end; allowed: None"
        )
    mistakes += _ladder_mistakes(suite)
    mistakes += goal_mistakes(suite.goal, suite.epochs, suite.axes)
    if suite.equal not in ("", *EQUALITIES):
        mistakes.append(f"equal: {one_of('kind of equality', suite.equal, EQUALITIES)}; or leave it out")
    if suite.tolerance is not None and not _is_share(suite.tolerance):
        mistakes.append(f"tolerance: {quote(suite.tolerance)}; allowed: a number above 0 and below 1, or None")
    if suite.tolerance is not None and suite.equal in ("samples", "counts", "none"):
        mistakes.append(f"tolerance: of losses, which equal={suite.equal!r} does not compare; leave it out")
    if not callable(suite.build):
        mistakes.append(f"build: {suite.build!r} is not callable")
    if isinstance(suite.loops, Mapping):
        mistakes += [
            f"loop {name!r} is one that every suite has; one of its own needs another name"
            for name in suite.loops
            if name in loops.registry()
        ]
    return mistakes


def _ladder_mistakes(suite: Suite) -> Iterator[str]:
    if not isinstance(suite.ladder, Mapping):
        yield f"ladder: {quote(suite.ladder)} is not possible; allowed: the value below, by value"
        return
    if suite.ladder and suite.epochs != "real":
        yield f"ladder: with epochs={suite.epochs!r}; prices an epoch are of real ones; allowed: epochs='real'"
    values = suite.axes.get(suite.compare, ())
    for value, below in suite.ladder.items():
        yield from (
            f"ladder: {one_of(f'value of {suite.compare!r}', one, values)}"
            for one in (value, below)
            if one not in values
        )
        seen = [value]
        while (below := suite.ladder.get(seen[-1], "")) and below not in seen:
            seen.append(below)
        if below == value:
            yield f"ladder: {' over '.join([*seen, value])}: a value is below itself"


def set_name_mistakes(names: Mapping[str, object]) -> list[str]:
    """What is wrong with the names of sets that are not built in."""
    return [
        f"set {name!r} is built in; choose another name"
        if name in BUILT_IN
        else f"the name {quote(name)} of a set is not of the form {NAME_FORM.pattern}"
        for name in names
        if name in BUILT_IN or not isinstance(name, str) or not NAME_FORM.fullmatch(name)
    ]


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def loader_workers(suite: Suite, point: Point) -> int:
    """How many loader workers a point has.

    Raises:
        SpecError: the suite's own function does not say.
    """
    with guard.foreign(f"suite {suite.name!r}: its `workers`"):
        count = suite.workers(point)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise TypeError(f"gave {count!r}; allowed: a whole number from 0 on")
    return count


def suite_settings(suite: Suite, point: Point) -> dict[str, AxisValue]:
    """What a point asks for besides the engine's axes: effective settings, by the names under which they are read back.

    An axis that has the name of one asks for it, and so do the loader workers that the suite declares.

    Raises:
        SpecError: the suite's own functions do not say.
    """
    declared = "num_workers" in point or suite.workers is not num_workers
    with guard.foreign(f"suite {suite.name!r}: its `settings`"):
        own = suite.settings(point)
        if not isinstance(own, Mapping) or not all(
            isinstance(name, str) and isinstance(value, AxisValue) for name, value in own.items()
        ):
            raise TypeError(f"gave {own!r}; allowed: a mapping of names to {AxisValue}")
    return {
        **({"loader_workers": loader_workers(suite, point)} if declared else {}),
        **{name: point[name] for name in READ_BACK if name in point},
        **own,
    }


def allowed_values(suite: Suite, axis: str) -> Sequence[AxisValue] | None:
    """The closed list of values of an axis, or None where any value of its type may be asked for."""
    if axis in suite.choices:
        return suite.choices[axis]
    if axis == "trainer":
        return (*BUILT_IN, *(suite.trainers if isinstance(suite.trainers, Mapping) else ()))
    own = tuple(suite.loops) if axis == "loop" and isinstance(suite.loops, Mapping) else ()
    return None if axis in OPEN else (*engine_axes()[axis], *own) if axis in engine_axes() else None


def suite_loop(suite: Suite, name: str) -> Loop:
    """The loop of that name, of the suite's own or of those that all have.

    Raises:
        SpecError: there is none.
    """
    every = {**loops.registry(), **{loop.name: loop for loop in suite.own_loops}}
    if name not in every:
        raise SpecError(f"suite {suite.name!r}: {one_of('loop', name, every)}")
    return every[name]


def all_axes(suite: Suite, threads: int = 1) -> dict[str, Sequence[AxisValue]]:
    """The suite's axes, then the engine's that it leaves at their first value.

    Args:
        threads: the first value of the axis of that name: what `--threads` says.
    """
    engine: dict[str, Sequence[AxisValue]] = {**engine_axes(), "threads": (threads,)}
    return {**suite.axes, **{axis: values[:1] for axis, values in engine.items() if axis not in suite.axes}}
