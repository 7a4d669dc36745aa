"""Tells a fault of loopmark's own, and a refusal of Lightning's, from one of the training: by where it was raised.

Without torch.
"""

from __future__ import annotations

import dis
import sys
from types import TracebackType
from typing import NoReturn

from bench.arm.device_faults import device_outcome

# What mistakes in Python code raise; what torch, the system or a device refuse is told by other types.
_MISTAKES = (TypeError, AttributeError, LookupError, NameError, ValueError, ArithmeticError, AssertionError)
# Files of ours that call what others wrote, and so hold the innermost frame where the call itself does not fit.
_CALLERS = ("bench.arm.main", "bench.arm.debug", "bench.axes.loops.batches")
_OWN_ROOMS = ("bench.arm.", "bench.callbacks.", "bench.axes.accelerators.")
_OWN_FILES = ("bench.axes.loops.batch_tree", "bench.axes.loops.job")
_REFUSING = ("lightning.fabric.", "lightning_utilities.")
_DEVICE_ERRORS = ("OutOfMemoryError", "AcceleratorError")  # of torch


class OwnFault(Exception):
    """A fault of loopmark's own, in what it does beside the training; becomes the outcome `internal`."""


def blame_ourselves(error: Exception, doing: str) -> NoReturn:
    """Raise what code of ours raised while it did this, as ours; that memory or a device failed is nobody's mistake.

    Raises:
        OwnFault: with the error as its cause.
    """
    torch = sys.modules.get("torch")
    devices = tuple(getattr(torch, name) for name in _DEVICE_ERRORS if hasattr(torch, name))
    text = exception_text(error)
    if isinstance(error, (MemoryError, *devices)) or device_outcome(text) != "crashed":
        raise error
    raise OwnFault(f"{doing}: {type(error).__name__}: {text}") from error


def exception_text(error: BaseException) -> str:
    """What an exception says; one that cannot say it is no reason to fail otherwise."""
    try:
        return str(error)
    except Exception as another:
        return f"(its text cannot be had: {type(another).__name__})"


def is_own_fault(error: BaseException) -> bool:
    """Whether an exception is a mistake in code of ours: it came up there, and nobody raised it on purpose."""
    if isinstance(error, OwnFault):
        return True
    if not isinstance(error, (*_MISTAKES, RecursionError)) or error.__traceback__ is None:
        return False
    innermost, name = _innermost(error.__traceback__)
    if name in _CALLERS or not (name.startswith(_OWN_ROOMS) or name in _OWN_FILES):
        return False
    return isinstance(error, AssertionError) or not _raised_on_purpose(innermost)


def is_lightnings_refusal(error: BaseException) -> bool:
    """Whether Fabric, or what moves batches for Fabric and Trainer, has refused what it was given: a list for a
    DataLoader, a frozen dataclass. Other loops may well take it, so nothing has crashed."""
    if not isinstance(error, TypeError | ValueError | NotImplementedError) or error.__traceback__ is None:
        return False
    innermost, name = _innermost(error.__traceback__)
    return name.startswith(_REFUSING) and _raised_on_purpose(innermost)


def _innermost(place: TracebackType) -> tuple[TracebackType, str]:
    """Where an exception was raised, and the module that it was raised in."""
    while place.tb_next is not None:
        place = place.tb_next
    return place, str(place.tb_frame.f_globals.get("__name__", ""))


def _raised_on_purpose(place: TracebackType) -> bool:
    """Whether a `raise` stands there."""
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"
