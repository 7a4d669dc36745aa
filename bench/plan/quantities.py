"""Times, shares and sizes as people write them: `90s`, `1%`, `4GiB`. One place for the command line and for Python."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

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


def largest(value: float) -> float:
    """The largest number of its kind that a record may hold: JSON's readers hold it exactly, and its square is finite.

    Of an axis, say; `bench.results.decoding` refuses what is above, once there is a folder that it is written to.
    """
    return 2**53 if isinstance(value, int) else 1e100


@dataclass(frozen=True)
class WholeNumbers:
    """Whole numbers that an option takes: what they are called, the least one, and how many digits they may have."""

    name: str
    least: int
    digits: int
    examples: str

    def read(self, text: str) -> int:
        """One of them from a text.

        Raises:
            SpecError: it is none.
        """
        number = int(text) if re.fullmatch(f"-?[0-9]{{1,{self.digits}}}", text) else None
        if number is None or number < self.least:
            raise SpecError(f"{brief(text)} is not {self._told}")
        return number

    def given(self, name: str, value: object) -> int | None:
        """One of them that Python code gave, or None.

        Raises:
            SpecError: it is none; names the argument.
        """
        if value is None:
            return None
        number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
        if number is None or not self.least <= number < 10**self.digits:
            raise SpecError(f"{name}: {quote(value)} is not {self._told}")
        return number

    @property
    def _told(self) -> str:
        return f"{self.name}; allowed: e.g. {self.examples}, of {self.digits} digits at most"


ANY_WHOLE = WholeNumbers("a whole number", 1 - 10**15, 15, "0 or 42")
ABOVE_ZERO = WholeNumbers("a whole number above 0", 1, 9, "1 or 4")
FROM_ZERO = WholeNumbers("a whole number from 0 on", 0, 9, "0 or 3")


def seconds(name: str, value: float | str | None) -> float | None:
    """A time that Python code gave: seconds, or a text as `duration` reads it.

    Raises:
        SpecError: it is neither; names the argument.
    """
    return _number(name, value, duration, "seconds above 0, or a text", "'90s'", LONGEST_DURATION)


def step_seconds(name: str, value: float | str) -> float:
    """A step's time that Python code gave: seconds, or a text as `step` reads it.

    Raises:
        SpecError: it is neither; names the argument.
    """
    given = _number(name, value, step, "seconds above 0, or a text", "'12ms'", LONGEST_DURATION)
    if given is None:
        raise SpecError(f"{name}: None is not possible; allowed: seconds above 0, or a text, e.g. '12ms'")
    return given


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
    number = _number(name, value, size, "bytes, 1 at least, or a text", "'4GiB'", LARGEST_SIZE, least=1)
    return None if number is None else int(number)


def _number(
    name: str,
    value: float | str | None,
    read: Callable[[str], float],
    allowed: str,
    example: str,
    most: float,
    least: float = math.ulp(0.0),
) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return read(value)
        except SpecError as error:
            raise SpecError(f"{name}: {error}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise SpecError(f"{name}: {quote(value)} is not possible; allowed: {allowed}, e.g. {example}")
    return float(value)
