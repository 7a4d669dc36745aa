"""Times, shares and sizes as people write them: `90s`, `1%`, `4GiB`. One place for the command line and for Python."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from bench.errors import SpecError, quote

# What the kernel's waits and limits take is far above; what is larger is a slip, and its arithmetic would overflow.
LONGEST_DURATION = 30 * 86400.0  # seconds
LARGEST_SIZE = 2**63 - 1  # bytes


def brief(text: str) -> str:
    """A value as it is quoted in a message, whatever its length."""
    return repr(text) if len(text) <= 80 else f"{text[:40]!r}... of {len(text)} characters"


def duration(text: str) -> float:
    """Seconds from `90`, `90s`, `12ms`, `3m`, `1h`.

    Raises:
        SpecError: it is none, or not above 0, or longer than 30 days.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    seconds = float(match[1]) * {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}[match[2]] if match else 0.0
    if not 0 < seconds <= LONGEST_DURATION:
        raise SpecError(
            f"{brief(text)} is not a time; allowed: a number above 0 with ms, s, m or h, 30 days at most, e.g. 90s"
        )
    return seconds


_STEP_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def step(text: str) -> float:
    """Seconds of one step from `12ms`, `250us`, `1.5s`. A bare number is refused: `500` was meant as milliseconds.

    Raises:
        SpecError: it is none, or has no unit.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(us|µs|ms|s|m|h)", text)
    seconds = float(match[1]) * _STEP_UNITS[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise SpecError(
            f"{text!r} is not a time with a unit; allowed: a number above 0 with us, ms, s, m or h, e.g. 12ms"
        )
    return seconds


def fraction(text: str) -> float:
    """A fraction from `1%` or `0.01`.

    Raises:
        SpecError: it is none, or not above 0 and below 1.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < value < 1:
        raise SpecError(f"{text!r} is not a share; allowed: above 0 and below 100%, e.g. 1% or 0.01")
    return value


def size(text: str) -> int:
    """Bytes from `4GiB`, `512MiB` or a number.

    Raises:
        SpecError: it is none, or more than 8 EiB.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(KiB|MiB|GiB|)", text)
    number = float(match[1]) * {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[match[2]] if match else math.inf
    if number > LARGEST_SIZE:
        raise SpecError(
            f"{brief(text)} is not a size; allowed: a number with KiB, MiB or GiB, 8 EiB at most, e.g. 4GiB"
        )
    return int(number)


def seconds(name: str, value: float | str | None) -> float | None:
    """A time that Python code gave: seconds, or a text as `duration` reads it.

    Raises:
        SpecError: it is neither; names the argument.
    """
    return _number(name, value, duration, "seconds above 0, or a text", "'90s'", LONGEST_DURATION)


def share(name: str, value: float | str | None) -> float | None:
    """A share that Python code gave: a number between 0 and 1, or a text as `fraction` reads it.

    Raises:
        SpecError: it is neither; names the argument.
    """
    return _number(name, value, fraction, "a share above 0 and below 1, or a text", "'1%'", math.nextafter(1.0, 0.0))


def number_of_bytes(name: str, value: int | str | None) -> int | None:
    """A size that Python code gave: bytes, or a text as `size` reads it.

    Raises:
        SpecError: it is neither; names the argument.
    """
    number = _number(name, value, size, "bytes above 0, or a text", "'4GiB'", LARGEST_SIZE)
    return None if number is None else int(number)


def _number(
    name: str, value: float | str | None, read: Callable[[str], float], allowed: str, example: str, most: float
) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return read(value)
        except SpecError as error:
            raise SpecError(f"{name}: {error}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise SpecError(f"{name}: {quote(value)} is not possible; allowed: {allowed}, e.g. {example}")
    return float(value)
