"""suite -> cells -> groups: selects, orders, skips with a reason. Pure values; no torch, no pandas."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from bench.axes import loops, strategy
from bench.axes.accelerators import accelerator, real_name
from bench.axes.engine_axes import AxisValue, Point, engine_axes
from bench.axes.loops import Loop
from bench.axes.trainer_sets import BUILT_IN, DEFAULT_SET, asked_by_set
from bench.errors import SpecError, one_of, quote
from bench.plan import guard
from bench.plan.cell import Cell, Group, Plan, Selector, as_text
from bench.plan.select import selector
from bench.plan.settings import _apply
from bench.plan.suite import Suite, all_axes, loader_workers, suite_loop, suite_settings
from bench.plan.trainer_files import trainer_refusal, trainer_set, with_trainer_files


def make_plan(
    suites: Mapping[str, Suite],
    names: Sequence[str],
    *,
    settings: Sequence[str] = (),
    select: str | None = None,
    compare: str | None = None,
    threads: int = 1,
    nodes: int = 1,
) -> Plan:
    """The plan for these suites.

    Args:
        suites: every suite there is, by name.
        names: those to run.
        settings: `axis=v1,v2` each, replacing the values of an axis.
        select: an expression over cell ids, as `selector` reads it; a group's baseline and its twin always come along.
        compare: the axis along which cells are compared, instead of each suite's own; its first value is the baseline.
        threads: of each process, where the axis of that name has no other value.
        nodes: that a launcher has for the run.

    Raises:
        SpecError: all that is wrong with names, settings and selection, or no cell is left; says what there is.
    """
    mistakes = [one_of("suite", name, suites) for name in names if name not in suites]
    chosen, settings, more = with_trainer_files({name: suites[name] for name in names if name in suites}, settings)
    mistakes += more
    axes = {name: all_axes(suite, threads) for name, suite in chosen.items()}
    for setting in settings:
        mistakes += _apply(setting, chosen, axes)
    try:
        selected = selector(select) if select is not None else None
    except SpecError as error:
        mistakes += error.mistakes
        selected = None
    if compare is not None and not mistakes:
        mistakes += [mistake for name in chosen for mistake in compare_mistakes(chosen[name], axes[name], compare)]
    if mistakes:
        raise SpecError(mistakes)
    if compare is not None:
        chosen = {name: compared_along(suite, compare, axes[name][compare]) for name, suite in chosen.items()}
    for own in axes.values():
        own["accelerator"] = list(dict.fromkeys(map(_value, own["accelerator"])))
    groups = [group for name, suite in chosen.items() for group in _groups(suite, axes[name], threads, nodes)]
    if selected is not None:
        everything = [cell.id for group in groups for cell in group.cells if not cell.twin]
        groups = [kept for group in groups if (kept := _keep(group, selected)) is not None]
        if not groups:
            raise SpecError(f"-k {quote(select)} selects no cell; there are: {', '.join(everything)}")
    return Plan(chosen, tuple(groups))


def compare_mistakes(suite: Suite, axes: Mapping[str, Sequence[AxisValue]], compare: str) -> list[str]:
    """Why a suite's cells cannot be compared along an axis, as sentences."""
    if compare not in axes:
        return [f"--compare: {one_of('axis', compare, axes)}"]
    if len(axes[compare]) < 2:
        return [
            f"--compare {compare}: it has one value, {axes[compare][0]}; allowed: two or more, by --set {compare}=A,B"
        ]
    if suite.ladder and compare != suite.compare:
        return [f"--compare {compare}: {suite.name} is a ladder of {suite.compare}; allowed: {suite.compare}"]
    return []


def compared_along(suite: Suite, compare: str, values: Sequence[AxisValue]) -> Suite:
    """The suite as one that compares another axis, of these values, the first one as its baseline."""
    if compare == suite.compare and values[0] == suite.baseline:
        return suite
    length = None if suite.length_axis == compare else suite.length_axis
    return replace(
        suite, axes={**suite.axes, compare: tuple(values)}, compare=compare, baseline=values[0], length_axis=length
    )


def _groups(suite: Suite, axes: Mapping[str, Sequence[AxisValue]], threads: int, nodes: int = 1) -> list[Group]:
    compared = list(axes[suite.compare])
    baseline_value = _baseline(suite)
    # The baseline is raced whatever was asked for: there is no ratio without it.
    others = [value for value in compared if value != baseline_value]
    rest = {axis: values for axis, values in axes.items() if axis != suite.compare}
    groups = []
    for values in itertools.product(*rest.values()):
        fixed = dict(zip(rest, values, strict=True))
        name = _id(suite, fixed, threads)
        cells = []
        points = [{**fixed, suite.compare: value} for value in (baseline_value, *others)]
        workers = max(loader_workers(suite, point) for point in points)
        for value, twin in [(baseline_value, False), (baseline_value, True), *((other, False) for other in others)]:
            point = {axis: value if axis == suite.compare else fixed[axis] for axis in axes}
            cells.append((_id(suite, point, threads), point, twin))
        baseline = cells[0][0]
        groups.append(
            Group(
                name,
                suite.name,
                tuple(
                    Cell(
                        cell + "#twin" * twin,
                        suite.name,
                        name,
                        point,
                        twin,
                        baseline,
                        refusal_reason(suite, point, threads, nodes),
                        workers,
                        suite.epochs,
                        asked_settings(suite, point),
                        tuple(suite_loop(suite, str(point["loop"])).preload),
                        trainer_set(suite, point),
                        goal=suite.goal and suite.goal.at(point),
                    )
                    for cell, point, twin in cells
                ),
            )
        )
    return groups


def _value(accelerator: AxisValue) -> AxisValue:
    return real_name(str(accelerator))


def _baseline(suite: Suite) -> AxisValue:
    return _value(suite.baseline) if suite.compare == "accelerator" else suite.baseline


def _id(suite: Suite, point: Point, threads: int) -> str:
    """A readable id that depends on the point alone, not on what else was asked for.

    It names the axes that the suite varies by default, and others where they leave the suite's only value.
    """
    default = all_axes(suite, threads)
    inner = ",".join(
        f"{axis}={as_text(value)}"
        for axis, value in point.items()
        if len(default[axis]) > 1 or value != default[axis][0]
    )
    return f"{suite.name}[{inner}]" if inner else suite.name


def _keep(group: Group, selected: Selector) -> Group | None:
    if not any(selected(cell) for cell in group.cells if not cell.twin):
        return None
    kept = tuple(cell for cell in group.cells if cell.twin or cell.id == cell.baseline or selected(cell))
    return Group(group.id, group.suite, kept)


def refusal_reason(suite: Suite, point: Point, threads: int, nodes: int = 1) -> str:
    """Why a cell is not tried: its suite says that the point makes no sense, or it cannot run here; "" if it is."""
    with guard.foreign(f"suite {suite.name!r}: its `refuses`"):
        reason = suite.refuses(point)
        if not isinstance(reason, str | None):
            raise TypeError(f"gave {type(reason).__name__}; allowed: a sentence, or None")
    loop = suite_loop(suite, str(point["loop"]))
    return reason or unsupported_reason(point, threads, loop, nodes) or trainer_refusal(suite, point, loop) or ""


def asked_settings(suite: Suite, point: Point) -> dict[str, AxisValue]:
    """The effective settings that a point asks for besides those of the engine's other axes."""
    return {**asked_by_set(trainer_set(suite, point)), **suite_settings(suite, point)}


def named_sets(suite: Suite, cells: Iterable[Cell]) -> dict[str, dict[str, Any]]:
    """The sets of Trainer's arguments that cells of a suite name, without the default, as JSON has them."""
    named = {str(cell.point.get("trainer", DEFAULT_SET)): cell.trainer for cell in cells if cell.suite == suite.name}
    return {name: dict(arguments) for name, arguments in named.items() if arguments}


def unsupported_reason(point: Point, threads: int = 1, loop: Loop | None = None, nodes: int = 1) -> str | None:
    """Why a cell of this point cannot run on this machine, as far as can be told without torch; None if it can.

    Args:
        loop: that of the point, where it is a suite's own.
        nodes: that a launcher has for the run.
    """
    loop = loop or loops.registry()[str(point["loop"])]
    devices, mode, lightning = int(point["devices"]), str(point["compile"]), "lightning" in loop.preload
    driver = accelerator(str(point["accelerator"]), lightning=lightning)
    wanted = int(point["num_nodes"])
    wrapping = strategy.resolve_strategy(str(point["strategy"]), devices * wanted)
    own = int(point.get("threads", threads))
    reasons = (
        driver.unavailable,
        lambda: None if driver.lightning or not lightning else f"Lightning does not drive {driver.name}",
        lambda: driver.unsupported_precision(str(point["precision"]), lightning=lightning),
        lambda: None if wrapping == "single_device" else driver.unsupported_strategy(wrapping, lightning=lightning),
        lambda: None if mode == "off" else driver.unsupported_compile(mode),
        lambda: _too_many_threads(own, threads),
        lambda: driver.too_many(devices, own),
        lambda: _too_many_nodes(wanted, nodes),
    )
    for ask in reasons:
        reason = ask()
        if reason is not None:
            return reason
    for module in (*driver.packages, *loop.preload):
        if not _is_there(module):
            return f"the package {module!r} is not installed"
    return None


def _too_many_threads(wanted: int, usual: int) -> str | None:
    """Why so many threads of one process cannot be compared here. What `--threads` says may share the cores."""
    usable = accelerator("cpu").count()
    if wanted <= max(usual, usable):
        return None
    return f"threads={wanted} need {wanted} cores, and {usable} are usable; allowed: 1 to {usable}"


def _too_many_nodes(wanted: int, nodes: int) -> str | None:
    """Why an arm cannot be on so many machines, or None."""
    if wanted <= nodes:
        return None
    if nodes == 1:
        return f"num_nodes={wanted} needs a launcher that has as many; allowed: 1, or bench run --launcher"
    return f"num_nodes={wanted}: the launcher has {nodes} nodes; allowed: 1 to {nodes}"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # of a module within a package that is not there
        return False


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as it stands in run.json."""
    return {
        "suites": {
            name: {
                "title": suite.title,
                "compare": suite.compare,
                "baseline": _baseline(suite),
                "length_axis": suite.length_axis,
                "axes": {axis: list(values) for axis, values in suite.axes.items()},
                "trainers": named_sets(suite, plan.cells),
                "equal": suite.equal,
                "tolerance": suite.tolerance,
                "ladder": dict(suite.ladder),
                "goal": None if suite.goal is None else asdict(suite.goal),
            }
            for name, suite in plan.suites.items()
        },
        "groups": [group.id for group in plan.groups],
        "cells": [
            {
                "id": cell.id,
                "suite": cell.suite,
                "group": cell.group,
                "point": dict(cell.point),
                "twin": cell.twin,
                "baseline": cell.baseline,
                "outcome": "unsupported" if cell.unsupported else "ok",
                "reason": cell.unsupported,
            }
            for cell in plan.cells
        ],
    }


def _unnamed(threads: int) -> dict[str, AxisValue]:
    """The engine's axes at their first values, for points that were written before there were as many."""
    return {**{axis: values[0] for axis, values in engine_axes().items()}, "threads": threads}


def _with_sets(suite: Suite, sets: Mapping[str, Mapping[str, Any]]) -> Suite:
    """The suite with the sets of a run that came from files, which may be gone."""
    others = {name: own for name, own in sets.items() if name not in BUILT_IN and name not in suite.trainers}
    return replace(suite, trainers={**suite.trainers, **others}) if others else suite


def _as_it_was(suite: Suite, own: Mapping[str, Any]) -> Suite:
    """The suite as a run had it: with the sets that came from files, compared along the axis that was asked for."""
    suite = _with_sets(suite, own.get("trainers", {}))
    if (compare := own["compare"]) == suite.compare:
        return suite
    return compared_along(suite, compare, own["axes"][compare])


def plan_of_document(data: Mapping[str, Any], suites: Mapping[str, Suite], threads: int = 1, nodes: int = 1) -> Plan:
    """The plan of a run that is resumed.

    Raises:
        SpecError: one of its suites is gone.
    """
    missing = [one_of("suite", name, suites) for name in data["suites"] if name not in suites]
    if missing:
        raise SpecError(missing)

    suites = {name: _as_it_was(suites[name], own) for name, own in data["suites"].items()}
    unnamed = _unnamed(threads)
    points = {cell["id"]: {**unnamed, **cell["point"]} for cell in data["cells"]}
    workers: dict[str, int] = {}
    for cell in data["cells"]:
        own = loader_workers(suites[cell["suite"]], points[cell["id"]])
        workers[cell["group"]] = max(own, workers.get(cell["group"], own))
    members: dict[str, list[Cell]] = {name: [] for name in data["groups"]}
    for cell in data["cells"]:
        suite, point = suites[cell["suite"]], points[cell["id"]]
        members[cell["group"]].append(
            Cell(
                cell["id"],
                cell["suite"],
                cell["group"],
                point,
                cell["twin"],
                cell["baseline"],
                refusal_reason(suite, point, threads, nodes),
                workers[cell["group"]],
                suite.epochs,
                asked_settings(suite, point),
                tuple(suite_loop(suite, str(point["loop"])).preload),
                trainer_set(suite, point),
                goal=suite.goal and suite.goal.at(point),
            )
        )
    groups = [Group(name, own[0].suite, tuple(own)) for name, own in members.items()]
    return Plan({name: suites[name] for name in data["suites"]}, tuple(groups))
