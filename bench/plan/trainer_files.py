"""Sets of Trainer's arguments: those of a suite and of the YAML files that `--set trainer=` names. No torch.

A file has sets by name, each with what LightningCLI has under `trainer:`. `--set trainer=sets.yaml` takes all of them,
`sets.yaml:mine` one. PyYAML comes with lightning, and is imported only when a file is named.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.axes import loops
from bench.axes.engine_axes import Point
from bench.axes.loops import Loop
from bench.axes.trainer_sets import (
    BUILT_IN,
    DEFAULT_SET,
    TrainerArguments,
    barebones_refusal,
    plain_arguments,
    set_mistakes,
)
from bench.errors import SpecError, one_of
from bench.plan.suite import Suite, set_name_mistakes

_AXIS = "trainer="
_ENDINGS = (".yaml", ".yml")


def trainer_set(suite: Suite, point: Point) -> dict[str, Any]:
    """The arguments of the set that a point names, as JSON has them; {} of the default."""
    name = str(point.get("trainer", DEFAULT_SET))
    return plain_arguments({**BUILT_IN, **suite.trainers}.get(name, {}))


def trainer_refusal(suite: Suite, point: Point, loop: Loop) -> str | None:
    """Why a point's loop does not take its set, or None."""
    arguments = trainer_set(suite, point)
    if not arguments:
        return None
    if not loop.trainer:
        takers = ", ".join(name for name, one in loops.registry().items() if one.trainer)
        return (
            f"{loop.name} has no Trainer, and trainer={point['trainer']} is for one; allowed: default, or loop {takers}"
        )
    return barebones_refusal(arguments) if loop.trainer == "barebones" or arguments.get("barebones") else None


def with_trainer_files(
    suites: Mapping[str, Suite], settings: Sequence[str]
) -> tuple[dict[str, Suite], list[str], list[str]]:
    """Suites with the sets of the files that the settings name, settings with the sets' names instead, and mistakes."""
    read: dict[str, TrainerArguments] = {}
    named: list[str] = []
    mistakes: list[str] = []
    for setting in settings:
        if not setting.startswith(_AXIS):
            named.append(setting)
            continue
        names: list[str] = []
        for part in setting.removeprefix(_AXIS).split(","):
            try:
                found = _sets_of(part)
            except SpecError as error:
                mistakes += [f"--set {_AXIS}{part}: {mistake}" for mistake in error.mistakes]
                continue
            names += [part] if found is None else list(found)
            for name, arguments in (found or {}).items():
                if name in read and read[name] != arguments:
                    mistakes.append(f"--set {_AXIS}{part}: set {name!r} is in another file too; rename one of them")
                read[name] = arguments
        if names:
            named.append(_AXIS + ",".join(dict.fromkeys(names)))
    changed: dict[str, Suite] = {}
    for suite in suites.values():
        if taken := [name for name in read if name in suite.trainers]:
            mistakes.append(f"{_AXIS}{taken[0]}: suite {suite.name!r} has a set of that name; rename one of them")
        changed[suite.name] = replace(suite, trainers={**read, **suite.trainers}) if read else suite
    return changed, named, list(dict.fromkeys(mistakes))


def _sets_of(text: str) -> dict[str, TrainerArguments] | None:
    """The sets of `file.yaml` or `file.yaml:name`, or None where the text is no file but the name of a set.

    Raises:
        SpecError: all that is wrong with it.
    """
    path, name = text, ""
    if not path.endswith(_ENDINGS):
        path, _, name = text.rpartition(":")
        if not path.endswith(_ENDINGS):
            return None
    found = _read(Path(path))
    if name and name not in found:
        raise SpecError(one_of("set", name, found))
    wanted = {name: found[name]} if name else found
    mistakes = [f"set {own!r}: {mistake}" for own, one in wanted.items() for mistake in set_mistakes(one)]
    mistakes += set_name_mistakes(wanted)
    if mistakes:
        raise SpecError(mistakes)
    return {own: plain_arguments(one) for own, one in wanted.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise SpecError("a YAML file needs PyYAML: pip install pyyaml; allowed without it: names of sets") from None
    try:
        found = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that there is not, and the like
        raise SpecError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict) or not found:
        raise SpecError(f"{path} has no sets; allowed: arguments of Trainer by name, under the name of each set")
    return found
