"""What `bench selftest --power` found, as text."""

from __future__ import annotations

from collections.abc import Sequence

from bench.commands.gate_power import PowerPoint
from bench.stats.rounding import percent_of


def power_table(points: Sequence[PowerPoint], sentence: str) -> str:
    """The operating curve as lines of text.

    Args:
        sentence: the tally's.
    """
    lines = [f"{'slowdown':<24}  gates  called a regression [95 % bounds]      wall time   verdicts"]
    for point in points:
        name = "none" if point.slowdown == 0 else percent_of(point.slowdown, signed=True)
        if point.every > 1:
            name += f", each {point.every}th doubled"
        share = f"{percent_of(point.share, 0)} [{100 * point.low:.0f}, {100 * point.high:.0f}]"
        told = ", ".join(f"{n} {verdict}" for verdict, n in point.verdicts.items())
        lines.append(f"{name:<24}  {point.gates:>5}  {share:<36}  {point.seconds:>6.0f} s   {told}")
    return "\n".join([*lines, "", sentence])
