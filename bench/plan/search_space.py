"""What a search may choose from: axes with their values, configurations of these, and which cannot run. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.axes.engine_axes import AxisValue
from bench.errors import SpecError
from bench.plan.cell import as_text

Configuration = Mapping[str, AxisValue]

# A search keeps all of them in memory and asks of each whether it can run; a grid of more is a slip.
MOST_CONFIGURATIONS = 20_000


@dataclass(frozen=True)
class SearchSpace:
    """Axes and their values; the first value of each makes the default configuration.

    Attributes:
        axes: values by axis, two or more each.
        refused: by label, why a configuration cannot run here or makes no sense.
    """

    axes: Mapping[str, tuple[AxisValue, ...]]
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def default(self) -> dict[str, AxisValue]:
        """The configuration that all others are raced against."""
        return {axis: values[0] for axis, values in self.axes.items()}

    @property
    def size(self) -> int:
        """How many configurations there are, refused ones too."""
        return math.prod(map(len, self.axes.values()))

    def label(self, configuration: Configuration) -> str:
        """`batch_size=256,threads=2`: what a configuration is called, and what its trial's cell is."""
        return ",".join(f"{axis}={as_text(configuration[axis])}" for axis in self.axes)

    def configurations(self) -> Iterator[dict[str, AxisValue]]:
        """All of them, the default first, in the order of the axes."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def candidates(self) -> list[dict[str, AxisValue]]:
        """Those that can run and are not the default."""
        _, *others = self.configurations()
        return [one for one in others if self.label(one) not in self.refused]


def search_space(
    axes: Mapping[str, Sequence[AxisValue]], refuses: Callable[[Configuration], str], example: str
) -> SearchSpace:
    """The space over these axes.

    Args:
        axes: those that are searched; of each the first value is the default's.
        refuses: why a configuration cannot be tried, or "".
        example: how the command line gives values, for messages.

    Raises:
        SpecError: there is nothing to choose from, all at once: no axis of two values, or one of which a single value
            can run here; or the default cannot run; or there are more configurations than a search can look through.
    """
    several = {axis: tuple(values) for axis, values in axes.items() if len(values) > 1}
    space = SearchSpace(several)
    if not several:
        raise SpecError(f"a search over one point has nothing to find; allowed: two values of an axis, by {example}")
    if space.size > MOST_CONFIGURATIONS:
        raise SpecError(
            f"{space.size} configurations are more than a search looks through; allowed: up to {MOST_CONFIGURATIONS}"
        )
    refused = {space.label(one): reason for one in space.configurations() if (reason := refuses(one))}
    space = SearchSpace(several, refused)
    left = {axis: {one[axis] for one in [*space.candidates(), space.default]} for axis in several}
    if wrong := refused.get(space.label(space.default)):
        alone = _told(several, lambda one: refuses({**space.default, **one}))
        raise SpecError(
            f"the default configuration, {space.label(space.default)}, cannot be tried: {wrong}; "
            f"{alone or 'allowed: another first value of an axis'}"
        )
    mistakes = [
        f"axis {axis!r}: {_reasons(axis, values, space)}; left is {as_text(values[0])} alone; "
        "allowed: without this axis"
        for axis, values in several.items()
        if len(left[axis]) < 2
    ]
    if mistakes:
        raise SpecError(mistakes)
    return space


def values_refused(space: SearchSpace) -> list[str]:
    """Sentences on the values of which no configuration can be tried."""
    left = {axis: {one[axis] for one in [*space.candidates(), space.default]} for axis in space.axes}
    return [
        f"axis {axis!r}: {_reasons(axis, values, space)}; left are {', '.join(map(as_text, own))}"
        for axis, values in space.axes.items()
        if len(own := [value for value in values if value in left[axis]]) < len(values)
    ]


def _reasons(axis: str, values: Sequence[AxisValue], space: SearchSpace) -> str:
    """`64-true cannot be tried: ...`, of each value of which no configuration can."""
    usable = {one[axis] for one in [*space.candidates(), space.default]}
    told = []
    for value in values:
        if value not in usable:
            one = {**space.default, axis: value}
            reason = space.refused.get(space.label(one)) or next(iter(space.refused.values()))
            told.append(f"{as_text(value)} cannot be tried: {reason}")
    return "; ".join(told)


def _told(axes: Mapping[str, Sequence[AxisValue]], refuses: Callable[[Configuration], str]) -> str:
    """Which values would make a default that can run, as words; "" where changing one axis is not enough."""
    found = {axis: [as_text(value) for value in values if not refuses({axis: value})] for axis, values in axes.items()}
    words = [f"{axis}={' or '.join(values)}" for axis, values in found.items() if values]
    return f"allowed first: {', '.join(words)}" if words else ""
