"""A set of Trainer's arguments as Trainer takes it: callbacks and loggers looked up and made, in the arm.

Lightning is imported in functions only. What cannot be had is `Unsupported`, the outcome of that cell alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bench.axes.trainer_sets import REFUSED_CALLBACKS, TrainerArguments
from bench.errors import Unsupported


def made_arguments(name: str, arguments: TrainerArguments, own: TrainerArguments, package: str) -> dict[str, Any]:
    """The arguments of a set, its callbacks and loggers made.

    Args:
        name: of the set.
        arguments: as JSON had them.
        own: the same as the suite has them, functions and all; {} where the set is not the suite's.
        package: in which modules beside the suite's file are found.

    Raises:
        Unsupported: a class cannot be imported or made, or is none that Trainer takes there.
    """
    found = dict(arguments)
    for kind in ("callbacks", "logger"):
        value, source = arguments.get(kind), own.get(kind)
        if isinstance(value, list):
            sources = source if isinstance(source, list | tuple) else [source] * len(value)
            found[kind] = [
                _made(f"trainer={name}: {kind}[{index}]", kind, part, sources[index], package)
                for index, part in enumerate(value)
            ]
        elif isinstance(value, Mapping):
            found[kind] = _made(f"trainer={name}: {kind}", kind, value, source, package)
    return found


def _made(where: str, kind: str, part: Any, source: Any, package: str) -> Any:
    from lightning.pytorch import Callback
    from lightning.pytorch.loggers import Logger

    wanted = Callback if kind == "callbacks" else Logger
    path = part.get("class_path") or part["function"]
    try:
        make = _class(path, package) if "class_path" in part else source
        made = make(**part.get("init_args", {}))
    except Exception as error:  # whatever somebody else's class does while it is made
        raise Unsupported(f"{where}: {path} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(made, wanted):
        raise Unsupported(
            f"{where}: {path} gives {type(made).__name__}; allowed: a {wanted.__name__} of lightning.pytorch"
        )
    if refused := [one.__name__ for one in type(made).__mro__ if one.__name__ in REFUSED_CALLBACKS]:
        raise Unsupported(f"{where}: {refused[0]} trains, or ends the training, by itself; the stream of batches does")
    return made


def _class(path: str, package: str) -> Callable[..., Any]:
    """A class by its import path: `module:Class`, `module.Class`, or the name alone of one of lightning's."""
    module, _, name = path.replace(":", ".").rpartition(".")
    places = [module, f"{package}.{module}"] if module else ["lightning.pytorch.callbacks", "lightning.pytorch.loggers"]
    for place in places:
        try:
            found = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise  # it is there, and imports something that is not
            continue
        if hasattr(found, name):
            wanted: Callable[..., object] = getattr(found, name)
            return wanted
    raise ImportError(f"no {name!r} in {' or in '.join(places)}")


@contextmanager
def refusals_told(arguments: TrainerArguments) -> Iterator[None]:
    """What lightning refuses of a set becomes the cell's reason; without a set its exceptions stay what they are.

    Raises:
        Unsupported: lightning refused the arguments.
    """
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        yield
    except (MisconfigurationException, TypeError, ValueError) as error:
        if not arguments:
            raise
        told = ", ".join(arguments)
        raise Unsupported(f"Trainer refuses this set ({told}): {type(error).__name__}: {error}") from error
