"""Fractions as percent: one place, since sentences of the gate's rule, of warnings and of reports all have them."""

from __future__ import annotations


def percent_of(value: float, decimals: int | None = None, *, signed: bool = False) -> str:
    """A fraction as percent: `3.5 %`, with so many decimals, or, without a number, with two significant digits.

    Args:
        signed: whether a positive one gets a plus sign.
    """
    sign = "+" if signed else ""
    number = 100 * value
    if decimals is not None:
        return f"{number:{sign}.{decimals}f} %"
    return f"{number:{sign}.2g} %" if abs(number) < 99.5 else f"{number:{sign}.0f} %"
