"""How quantities are written: the only place with SI prefixes and rounding. Data elsewhere has neither."""

from __future__ import annotations

import math
import re

_SI = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti")
DIGITS = 3
LARGEST_FACTOR = 1e4
CLOSE = ("FLOP", "FLOP/s", "B/s")  # written with their prefix as one word, long as they are


def quantity(
    value: float, unit: str, low: float | None = None, high: float | None = None, *, signed: bool = False
) -> str:
    """A quantity with 3 significant digits, and its interval where there is one: `431 µs [410, 452]`.

    All three share the estimate's prefix. Digits that the interval makes meaningless are dropped: `-3 µs [-20, 14]`.

    Args:
        value, low, high: in `unit`, without prefix.
        unit: `s`, `bytes`, `bytes/s`, `samples/s`, "1" for a plain number, or any other; bytes get binary prefixes,
            bytes/s decimal ones.
        signed: whether the estimate, if positive, gets a plus sign.
    """
    # Bytes and counts are often the same in every launch: [300, 300] would tell nothing.
    bounds = [] if low is None or high is None or high - low <= 1e-9 * abs(value) else [low, high]
    # An estimate that cannot be told from zero may be far smaller than its bounds, which then set the prefix.
    largest = max(abs(item) for item in [value, *bounds])
    lead = largest if bounds and bounds[0] <= 0 <= bounds[1] else abs(value)
    factor, prefix = _prefix(lead, unit)
    scaled = [item / factor for item in [value, *bounds]]
    name = "" if unit == "1" else unit.replace("bytes", "B")
    space = " " if prefix and len(name) > 2 and name not in CLOSE else ""
    # A share of 0.0000037 is none; a time of 3.7 µs has its prefix instead.
    most = 4 if unit == "1" else None
    return _text(scaled, f" {prefix}{space}{name}" if prefix or name else "", signed=signed, most=most)


def scale(value: float, unit: str) -> tuple[float, str]:
    """What to divide by so that values up to `value` are easily read, and the unit with its prefix: 0.001 and `ms`."""
    factor, prefix = _prefix(value, unit)
    return factor, f"{prefix}{unit.replace('bytes', 'B')}"


def span(low: float, high: float, unit: str) -> str:
    """A range with 2 significant digits and one prefix: `0.8 to 9.1 ms`."""
    factor, prefix = _prefix(high, unit)
    first, last = (float(f"{value / factor:.1e}") for value in (low, high))
    return f"{first:g} to {last:g} {prefix}{unit}"


def chosen_quantity(value: float, unit: str) -> str:
    """A quantity that someone chose, without the zeros that would tell a precision: `12 ms`."""
    factor, prefix = _prefix(value, unit)
    return f"{value / factor:.{DIGITS}g} {prefix}{unit}"


def percent(
    value: float, low: float | None = None, high: float | None = None, *, signed: bool = True, digits: int = 2
) -> str:
    """A fraction as `+3.6 % [3.4, 3.8]`."""
    bounds = [] if low is None or high is None else [low, high]
    return _text([100 * item for item in [value, *bounds]], " %", signed=signed, digits=digits)


def factor(value: float, low: float, high: float) -> str:
    """How many times: `2.41 times [2.30, 2.52]`; an end beyond 10,000 is not spelled out."""
    text = _text([value, low, min(high, LARGEST_FACTOR)], " times", signed=False)
    return text if high <= LARGEST_FACTOR else text.replace(", ", ", over ")


def ratio(value: float, low: float | None = None, high: float | None = None) -> str:
    """A ratio with 3 decimals, as steps that differ by 0.1 % are told apart: `1.036 [1.034, 1.038]`."""
    if low is None or high is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def unbreakable(text: str) -> str:
    """The text with no-break spaces within quantities and intervals, so that lines do not end inside them."""
    text = re.sub(r"(?<=\d) (?=%|[nµm]?s\b)", "\u00a0", text)
    return re.sub(r"\[[-+.\d]+, [-+.\d]+\]", lambda found: found[0].replace(" ", "\u00a0"), text)


def _prefix(value: float, unit: str) -> tuple[float, str]:
    # Rounded first: 999.7 µs is 1.00 ms, not 1000 µs.
    value = float(f"{value:.{DIGITS - 1}e}")
    if unit == "bytes":
        power = min(int(math.log2(value) // 10), len(_BINARY) - 1) if value >= 1 else 0
        return 1024.0**power, _BINARY[power]
    exponent = 3 * math.floor(math.log10(value) / 3) if value > 0 else 0
    exponent = max(min(_SI), min(max(_SI), exponent))
    # Milli-samples a second help nobody.
    exponent = exponent if unit == "s" else max(0, exponent)
    return 10.0**exponent, _SI[exponent]


def _text(values: list[float], unit: str, *, signed: bool, digits: int = DIGITS, most: int | None = None) -> str:
    decimals = _decimals(max(map(abs, values)), digits)
    decimals = decimals if most is None else min(decimals, most)
    if len(values) == 3 and values[2] > values[1]:
        decimals = min(decimals, _decimals((values[2] - values[1]) / 2, 2))
        decimals = _beside_zero(values[1:], decimals)
    texts = [f"{_no_minus_zero(round(value, decimals)):.{decimals}f}" for value in values]
    sign = "+" if signed and float(texts[0]) > 0 else ""
    interval = f" [{texts[1]}, {texts[2]}]" if len(texts) == 3 else ""
    return f"{sign}{texts[0]}{unit}{interval}"


def _beside_zero(bounds: list[float], decimals: int) -> int:
    """Decimals with which an interval that excludes zero is not printed as one that holds it, within reason."""
    nearest = min(map(abs, bounds))
    if bounds[0] <= 0 <= bounds[1]:
        return decimals
    return next((more for more in range(decimals, decimals + 6) if round(nearest, more)), decimals)


def _decimals(value: float, digits: int) -> int:
    """Decimals that show `value` with so many significant digits."""
    if value == 0:
        return 0
    magnitude = math.floor(math.log10(float(f"{value:.{digits - 1}e}")))
    return max(0, digits - 1 - magnitude)


def _no_minus_zero(value: float) -> float:
    return value + 0.0 if value else 0.0
