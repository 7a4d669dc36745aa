"""The accelerators: one class in one file each, found by looking; a new one is one file here, nothing else.

An accelerator is a class that derives from `Accelerator` and gives itself a `name`: one of this package, or one that an
entry point of the group `bench.accelerators` names. Files import nothing heavy at their top level, so that the parent
can list them.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache

from bench.axes.accelerators.base import Accelerator
from bench.axes.plugins import plugins
from bench.errors import SpecError, one_of, quote

_ORDER = ("cpu", "cuda", "mps", "tpu", "xla-cpu")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")  # stands in the ids of cells, and after `--set accelerator=`


@cache
def accelerators() -> Mapping[str, Accelerator]:
    """Every accelerator by name, `cpu` first: those of this package, then those of the entry-point group.

    Raises:
        SpecError: an entry point names something else, or two accelerators have the same name; says all.
    """
    known: dict[str, Accelerator] = {}
    mistakes: list[str] = []
    for where, candidate in (*_classes_here(), *plugins("bench.accelerators")):
        if not isinstance(candidate, type) or not issubclass(candidate, Accelerator):
            mistakes.append(f"{where}: {quote(candidate)} is no accelerator; allowed: a class derived from Accelerator")
            continue
        name = getattr(candidate, "name", None)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            mistakes.append(f"{where}: {candidate.__name__}.name is {quote(name)}; allowed: {_NAME.pattern}")
            continue
        other = type(known[name]) if name in known else candidate
        if other is not candidate:
            mistakes.append(f"accelerator {name!r} is registered twice: {other.__module__} and {candidate.__module__}")
            continue
        try:
            known[name] = candidate()
        except Exception as error:  # somebody else's code
            mistakes.append(f"{where}: {candidate.__name__}() fails: {type(error).__name__}: {error}")
    if mistakes:
        raise SpecError(mistakes)
    names = [name for name in _ORDER if name in known] + sorted(set(known) - set(_ORDER))
    return {name: known[name] for name in names}


def _classes_here() -> Iterator[tuple[str, type[Accelerator]]]:
    for module in pkgutil.iter_modules(__path__):
        file = importlib.import_module(f"{__name__}.{module.name}")
        for value in vars(file).values():
            here = isinstance(value, type) and value.__module__ == file.__name__ and issubclass(value, Accelerator)
            if here and "name" in vars(value):  # what several accelerators have in common gives itself none
                yield file.__name__, value


def accelerator(name: str, *, lightning: bool = False) -> Accelerator:
    """The accelerator of that name, spelled as Lightning spells it.

    Args:
        lightning: whether Fabric or Trainer is to use it. They drive TPUs through torch_xla only; other loops take
            torch_tpu where it is installed.

    Raises:
        SpecError: there is none of that name.
    """
    return _by_name(name).driver(lightning=lightning)


def accelerator_of_device(kind: str) -> Accelerator:
    """The accelerator of devices that torch calls so: `cpu`, `cuda`, `mps`, `xla`. In the arm.

    Raises:
        SpecError: there is none.
    """
    found = [own for own in accelerators().values() if own.device_type == kind and own.unavailable() is None]
    if not found:
        raise SpecError(one_of("device", kind, {own.device_type for own in accelerators().values()}))
    return found[0]


def real_name(name: str) -> str:
    """The accelerator that cells are planned, labelled and recorded under: `tpu` on PJRT's CPU device is none.

    Raises:
        SpecError: there is none of that name.
    """
    return _by_name(name).real_name


def accelerator_of_type(device_type: str) -> Accelerator:
    """The accelerator that a device is taken for where only torch's word for its type is known.

    Raises:
        SpecError: there is none of that type or name.
    """
    same = (known for known in accelerators().values() if known.device_type == device_type)
    return next(same, None) or accelerator(device_type)


def _by_name(name: str) -> Accelerator:
    if name not in accelerators():
        raise SpecError(one_of("accelerator", name, accelerators()))
    return accelerators()[name]
