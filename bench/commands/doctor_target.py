"""What the doctor is asked about: a script with its arguments, or a LightningModule that has none. No torch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import SpecError, quote
from bench.plan.script import Script
from bench.plan.scripts import is_installed, module_file, parse_script

FIT = "bench.arm.fit_module"
BASELINE = "as it is"  # the label of the training without a change


@dataclass(frozen=True)
class Target:
    """What is to be looked at.

    Attributes:
        name: as the user wrote it.
        script: how it is run.
    """

    name: str
    script: Script


def parse_target(target: str, arguments: Sequence[str], data: str | None, folder: str | None = None) -> Target:
    """The training that a command line names.

    Args:
        target: `train.py`, `package.module:LitModule` or `train.py:LitModule`.
        arguments: of a script its own; of a module those of Trainer, as `NAME=VALUE`.
        data: of a module, where its batches come from.

    Raises:
        SpecError: there is no such file or module, or what is given does not fit it.
    """
    here = folder or os.getcwd()
    if ":" not in target:
        if data is not None:
            raise SpecError(
                f"--data {quote(data)} with the script {quote(target)}, which has its own; allowed: with "
                "package.module:LitModule or file.py:LitModule"
            )
        script = parse_script(shlex.quote(target), here)
        argv = (*script.argv, *arguments)
        return Target(" ".join((target, *arguments)), replace(script, label=BASELINE, argv=argv))
    target, data = _below(target, here), None if data is None else _below(data, here)
    named = [_file_of(one, here) for one in (target, data) if one is not None]
    wanted = [word for word in arguments if "=" not in word]
    if wanted:
        raise SpecError(f"argument of Trainer {quote(wanted[0])} is not possible; allowed: NAME=VALUE")
    argv = (FIT, target, *(() if data is None else ("--data", data)), *arguments)
    script = Script(BASELINE, argv, module=True, folder=here, files=tuple(str(file) for file in named if file))
    return Target(" ".join((target, *(() if data is None else ("--data", data)), *arguments)), script)


def _below(target: str, folder: str) -> str:
    """A target as the scratch copy of a folder has it, in which it is looked for."""
    place, _, name = target.rpartition(":")
    path = Path(place)
    return f"{path.relative_to(folder)}:{name}" if path.is_absolute() and path.is_relative_to(folder) else target


def _file_of(target: str, folder: str) -> Path | None:
    """The file of `file.py:Name` or `package.module:Name`; None of a module that is installed.

    Raises:
        SpecError: there is none.
    """
    place, _, name = target.rpartition(":")
    if not place or not all(part.isidentifier() for part in name.split(".")):
        raise SpecError(f"target {quote(target)} is not possible; allowed: package.module:Name, file.py:Name")
    if place.endswith(".py"):
        path = Path(folder, place)
        if not path.is_file():
            raise SpecError(f"target {quote(target)}: no file {place}; allowed: package.module:Name, file.py:Name")
        return path.resolve()
    file = module_file(place, folder)
    if file is None and not is_installed(place.partition(".")[0]):
        raise SpecError(f"target {quote(target)}: no module {place!r} in {folder}, and none is installed")
    return file
