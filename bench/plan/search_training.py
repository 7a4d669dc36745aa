"""A search over somebody's own training: a script by its arguments and variables, a module by its Trainer and loader.

Each configuration is a script of a race (`bench.plan.scripts`). No torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.axes.engine_axes import AxisValue
from bench.errors import SpecError, quote
from bench.plan.cell import Plan
from bench.plan.script import Script
from bench.plan.scripts import race_plan, read_variables
from bench.plan.search_space import Configuration, SearchSpace, search_space
from bench.plan.side import SIDE, Side

LOADER_AXES = ("batch_size", "num_workers", "persistent_workers", "pin_memory", "prefetch_factor")
THREADS = "threads"


@dataclass(frozen=True)
class TrainingSearch:
    """A training, the space that is searched, and what each axis is to it.

    Attributes:
        script: as it is run without a choice.
        space: what is searched.
        kinds: by axis, what its value is: an `argument` of the command line, a `variable`, an argument of its `loader`
            or of its `trainer`, or `threads`.
        sides: the interpreters that its configurations need, by name.
        threads: of each process that does not say.
    """

    script: Script
    space: SearchSpace
    kinds: Mapping[str, str]
    sides: Mapping[str, Side]
    threads: int = 1

    def plan(self, configurations: Sequence[Configuration], effort: int) -> Plan:
        """One group: the default, its twin, and these; turns are steps, of whatever batch size."""
        scripts = [self.script_of(one) for one in (self.space.default, *configurations)]
        plan, own = race_plan(scripts, equal="none", threads=self.threads)
        names = {(side.imports, tuple(sorted(side.environ.items()))): name for name, side in self.sides.items()}
        renamed = {
            SIDE + name: SIDE + names[side.imports, tuple(sorted(side.environ.items()))] for name, side in own.items()
        }
        groups = tuple(
            replace(
                group,
                cells=tuple(
                    replace(cell, imports=tuple(renamed.get(one, one) for one in cell.imports)) for cell in group.cells
                ),
            )
            for group in plan.groups
        )
        return replace(plan, groups=groups)

    def script_of(self, configuration: Configuration) -> Script:
        """The training of a configuration, under its label."""
        return _script_of(self.script, self.kinds, configuration, self.space.label(configuration))

    def command(self, configuration: Configuration) -> str:
        """How a configuration is written on a command line, its variables first."""
        found = self.script_of(configuration)
        words = [f"{name}={value}" for name, value in found.environ.items()]
        changes = [f"{name}={configuration[name]}" for name, kind in self.kinds.items() if kind == "loader"]
        arguments = found.argv[len(self.script.argv) :]
        return " ".join((*words, *arguments, *changes))


def _script_of(script: Script, kinds: Mapping[str, str], configuration: Configuration, label: str) -> Script:
    argv, environ, loader = list(script.argv), dict(script.environ), {}
    for axis, value in configuration.items():
        kind = kinds[axis]
        if kind == "argument":
            argv += [f"--{axis}", str(value)]
        elif kind == "trainer":
            argv.append(f"{axis}={json.dumps(value) if not isinstance(value, str) else value}")
        elif kind == "variable":
            environ[axis] = str(value)
        elif kind == THREADS:
            environ["OMP_NUM_THREADS"] = str(value)
        else:
            loader[axis] = value
    changes: dict[str, Any] = {**script.changes, **({"at": "", "loader": loader} if loader else {})}
    return replace(script, label=label, argv=tuple(argv), environ=environ, changes=changes)


def search_of_training(
    script: Script,
    *,
    module: bool,
    arguments: Sequence[str] = (),
    environs: Sequence[str] = (),
    settings: Sequence[str] = (),
    threads: int = 1,
) -> TrainingSearch:
    """The search over a training.

    Args:
        script: as `parse_target` gives it.
        module: whether it is a LightningModule without a script, so that its Trainer's arguments are axes.
        arguments: `NAME=V1,V2`, of the script's own: `--NAME V1`. The first value of each is the default's.
        environs: `NAME=V1,V2`, variables.
        settings: `AXIS=V1,V2`: threads, and those of LOADER_AXES; of a module its Trainer's arguments, too.

    Raises:
        SpecError: all that is wrong with any of them, or nothing is left to search.
    """
    mistakes: list[str] = []
    axes: dict[str, tuple[AxisValue, ...]] = {}
    kinds: dict[str, str] = {}
    given = [("--arg", "argument", text) for text in arguments] + [("--env", "variable", text) for text in environs]
    for option, kind, text in [*given, *(("--set", "", text) for text in settings)]:
        name, equals, values = text.partition("=")
        name = name.removeprefix("--") if kind == "argument" else name
        parts = list(dict.fromkeys(values.split(",")))
        if not name or not equals or not all(part.strip() for part in parts):
            mistakes.append(f"{option} {quote(text)} is not of the form NAME=V1,V2")
            continue
        if name in axes:
            mistakes.append(f"{option} {quote(text)}: {name} is there twice; allowed: once, with all values")
            continue
        try:
            own = kind or _kind_of_setting(name, module)
            axes[name] = tuple(_typed_value(name, own, part) for part in parts)
        except SpecError as error:
            mistakes += error.mistakes
            continue
        kinds[name] = own
        if len(parts) < 2:
            mistakes.append(f"{option} {quote(text)}: it has one value, which is no choice; allowed: two or more")
    if module and arguments:
        mistakes.append("--arg: a module has no command line; allowed: --set with its Trainer's and loader's arguments")
    if mistakes:
        raise SpecError(mistakes)
    example = "--set batch_size=32,64" if module else "--arg batch-size=32,64 or --env OMP_NUM_THREADS=1,2"
    space = search_space(axes, _refusal, example)
    return TrainingSearch(script, space, kinds, _sides(script, space, kinds, threads), threads)


def _kind_of_setting(name: str, module: bool) -> str:
    """Raises:
    SpecError: a script has no such axis.
    """
    if name == THREADS:
        return THREADS
    if name in LOADER_AXES:
        return "loader"
    if module and name.isidentifier():
        return "trainer"
    allowed = ", ".join((THREADS, *LOADER_AXES))
    raise SpecError(
        f"--set {name}: a script has no such axis; allowed: {allowed}; its own arguments by --arg {name}=A,B"
    )


def _typed_value(name: str, kind: str, text: str) -> AxisValue:
    """Raises:
    SpecError: the value is none that the axis can have.
    """
    if kind in ("argument", "variable"):
        if kind == "variable":
            read_variables(f"{name}={text}")
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if kind == "trainer":
        return value if isinstance(value, str | int | float) else text
    if name in ("persistent_workers", "pin_memory"):
        if not isinstance(value, bool):
            raise SpecError(f"--set {name}: {quote(text)} is not a bool; allowed: true, false")
        return value
    least = 0 if name == "num_workers" else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SpecError(f"--set {name}: {quote(text)}; allowed: a whole number from {least} on")
    return value


def _refusal(configuration: Configuration) -> str:
    if configuration.get("persistent_workers") is True and configuration.get("num_workers", 1) == 0:
        return "persistent_workers=true needs num_workers above 0"
    if "prefetch_factor" in configuration and configuration.get("num_workers", 1) == 0:
        return "prefetch_factor needs num_workers above 0"
    return ""


def _sides(script: Script, space: SearchSpace, kinds: Mapping[str, str], threads: int) -> dict[str, Side]:
    """The interpreters of all configurations: one kind for each choice of variables, as all import the same."""
    variables = [axis for axis, kind in kinds.items() if kind in ("variable", THREADS)]
    choices = {tuple(one[axis] for axis in variables): one for one in space.configurations()}
    scripts = [_script_of(script, kinds, one, space.label(one)) for one in choices.values()]
    return race_plan(scripts, equal="none", threads=threads)[1]
