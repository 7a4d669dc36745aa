"""`--set axis=v1,v2`: values from the command line as their axes have them. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.axes.engine_axes import AxisValue
from bench.errors import SpecError, one_of, quote, without_middle
from bench.plan.quantities import largest
from bench.plan.suite import Suite, all_axes, allowed_values


def parse_value(suite: Suite, axis: str, text: str) -> AxisValue:
    """A value from the command line as the axis' type.

    Raises:
        SpecError: `text` is not of that type, or not among the axis' choices; says what is allowed.
    """
    example = all_axes(suite)[axis][0]
    kind = type(example)
    value: AxisValue
    if not text.strip():
        raise SpecError(f"axis {axis!r}: {text!r} is empty; allowed: a value, e.g. {example}")
    if kind is bool:
        if text not in ("true", "false"):
            raise SpecError(f"axis {axis!r}: {text!r} is not a bool; allowed: true, false")
        value = text == "true"
    else:
        try:
            value = kind(text)
        except ValueError:
            raise SpecError(f"axis {axis!r}: {quote(text)} is not of type {kind.__name__}, e.g. {example}") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError(f"axis {axis!r}: {text!r} is not finite; allowed: any finite number")
        if isinstance(value, int | float) and value > largest(value):
            raise SpecError(f"axis {axis!r}: {quote(value)} is too large; allowed: up to {largest(value)}")
    allowed = allowed_values(suite, axis)
    if allowed is not None and value not in allowed:
        raise SpecError(one_of(f"value of axis {axis!r}", text, allowed))
    # Sizes and counts: below the axis' own zero, if it has one, nothing makes sense.
    zero = 0 in all_axes(suite)[axis]
    if kind in (int, float) and not isinstance(value, str) and (value < 0 or (value == 0 and not zero)):
        allowed_text = f"any {kind.__name__} from 0 on" if zero else f"any {kind.__name__} above 0"
        raise SpecError(f"axis {axis!r}: {quote(value)} is not positive; allowed: {allowed_text}")
    return value


def _apply(setting: str, suites: Mapping[str, Suite], axes: dict[str, dict[str, Sequence[AxisValue]]]) -> list[str]:
    axis, equals, text = setting.partition("=")
    if not equals or not text:
        return [f"--set {quote(setting)} is not of the form axis=value[,value...]"]
    owners = [name for name in suites if axis in axes[name]]
    if not owners and suites:
        return [one_of("axis", axis, dict.fromkeys(known for own in axes.values() for known in own))]
    mistakes = []
    for name in owners:
        values: list[AxisValue] = []
        for part in dict.fromkeys(text.split(",")):
            try:
                values.append(parse_value(suites[name], axis, part))
            except SpecError as error:
                mistakes += [f"--set {without_middle(setting)}: {mistake}" for mistake in error.mistakes]
        axes[name][axis] = values
    return list(dict.fromkeys(mistakes))
