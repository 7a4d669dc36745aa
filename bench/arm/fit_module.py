"""Train a LightningModule that has no script: `python -m bench.arm.fit_module TARGET [--data TARGET] [NAME=VALUE ...]`.

An arm runs this as its script, in the training's own folder. A target is `package.module:Name` or `file.py:Name`; a
module is a class that needs no arguments, a function that gives one, or the module itself; data are in the same ways a
LightningDataModule, or what gives loaders. The rest are arguments of Trainer, which otherwise is as it comes.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.axes.trainer_arguments import made_arguments
from bench.errors import SpecError, quote

WAYS = "package.module:Name, file.py:Name"


def main(argv: Sequence[str] | None = None) -> None:
    """Import, make, fit.

    Raises:
        SpecError: a target is not there or cannot be used; one line, with what is allowed.
    """
    parser = argparse.ArgumentParser(prog="bench.arm.fit_module")
    parser.add_argument("target")
    parser.add_argument("--data")
    parser.add_argument("arguments", nargs="*")
    given = parser.parse_intermixed_args(argv)  # else words behind --data are taken by nobody
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module = module_of_target(given.target)
    data = None if given.data is None else data_of_target(given.data)
    if data is None and not _overrides(module, "train_dataloader"):
        raise SpecError(f"{given.target}: has no train_dataloader of its own, and there is no --data; allowed: either")
    arguments = {"max_epochs": -1, "default_root_dir": os.getcwd(), **read_arguments(given.arguments)}
    trainer = _lightning_of(module).Trainer(**made_arguments("Trainer", arguments, {}, ""))
    if data is not None and "LightningDataModule" in [one.__name__ for one in type(data).__mro__]:
        trainer.fit(module, datamodule=data)
    elif isinstance(data, tuple) and len(data) == 2:
        trainer.fit(module, *data)
    else:
        trainer.fit(module, data)


def module_of_target(target: str) -> Any:
    """The LightningModule of a target.

    Raises:
        SpecError: it is not there, cannot be made without arguments, or has no training_step.
    """
    made = _made_of(target)
    if "LightningModule" not in [one.__name__ for one in type(made).__mro__]:
        raise SpecError(f"{target}: gives {quote(type(made).__name__)}; allowed: a LightningModule")
    if not _overrides(made, "training_step"):
        raise SpecError(f"{target}: {type(made).__name__} has no training_step; allowed: a LightningModule with one")
    return made


def data_of_target(target: str) -> Any:
    """The data of a target: a LightningDataModule, a loader, or two, for training and validation.

    Raises:
        SpecError: it is not there, or cannot be made without arguments.
    """
    made = _made_of(target)
    if made is None:
        raise SpecError(f"--data {target}: gives None; allowed: a LightningDataModule, a loader, a pair of loaders")
    return made


def read_arguments(words: Sequence[str]) -> dict[str, Any]:
    """Trainer's arguments from `NAME=VALUE`, values as JSON where they are.

    Raises:
        SpecError: a word is no such thing.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise SpecError(f"argument of Trainer {quote(word)} is not possible; allowed: NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _made_of(target: str) -> Any:
    """What a target names, called if it can be."""
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise SpecError(f"target {quote(target)} is not possible; allowed: {WAYS}")
    source = _imported(target, place)
    found: Any = source
    for part in name.split("."):
        if not hasattr(found, part):
            there = ", ".join(own for own in _made_here(source)) or "(none)"
            raise SpecError(f"{target}: there is no {quote(name)} in {place}; there are: {there}")
        found = getattr(found, part)
    if not isinstance(found, type) and (not callable(found) or hasattr(found, "training_step")):
        return found  # it is made already
    if needed := _needed(found):
        raise SpecError(
            f"{target}: needs arguments ({', '.join(needed)}); allowed: a class or function that needs none"
        )
    return found()


def _imported(target: str, place: str) -> ModuleType:
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        path = Path(place)
        if not path.is_file():
            raise SpecError(f"{target}: there is no file {place}; allowed: {WAYS}")
        sys.path.insert(0, str(path.resolve().parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:  # of a file that ends with .py there are both
            raise ImportError(path)
        made = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = made  # workers look their classes up by it
        spec.loader.exec_module(made)
        return made
    except SpecError:
        raise
    except Exception as error:  # whatever somebody else's module does while it is imported
        import traceback

        traceback.print_exc()  # for the log
        raise SpecError(f"{target}: cannot be imported: {type(error).__name__}: {error}") from error


def _made_here(source: ModuleType) -> list[str]:
    own = [name for name, value in vars(source).items() if getattr(value, "__module__", None) == source.__name__]
    return [name for name in own if not name.startswith("_")]


def _needed(make: Any) -> list[str]:
    """The arguments that it cannot be called without."""
    try:
        known: Mapping[str, inspect.Parameter] = inspect.signature(make).parameters
    except (TypeError, ValueError):  # of a builtin nobody knows
        return []
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, one in known.items() if one.default is one.empty and one.kind not in free]


def _overrides(made: Any, name: str) -> bool:
    """Whether its class, below lightning's own, has a method of this name."""
    for one in type(made).__mro__:
        if name in vars(one):
            return one.__module__.partition(".")[0] not in ("lightning", "pytorch_lightning")
    return False


def _lightning_of(made: Any) -> ModuleType:
    """The one of lightning's two packages that a module's base is from: either's Trainer refuses the other's."""
    old = any(one.__module__.startswith("pytorch_lightning.") for one in type(made).__mro__)
    return importlib.import_module("pytorch_lightning" if old else "lightning.pytorch")


if __name__ == "__main__":
    main()
