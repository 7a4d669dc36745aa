"""The ceilings of this machine as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.machine.calibration import Calibration
from bench.report.units import quantity

if TYPE_CHECKING:
    pass


def table(calibration: Calibration) -> str:
    """The ceilings as lines of text."""
    where = calibration.environment
    threads = f", {where['threads']} thread{'s' if where['threads'] != 1 else ''}" if "threads" in where else ""
    cores = f", pinned to {', '.join(map(str, calibration.cores))}" if calibration.cores else ""
    lines = [f"{where['accelerator']}: {where['device']}{threads}{cores}"]
    for ceiling in calibration.ceilings:
        if ceiling.value is None or ceiling.low is None:
            lines.append(f"  {ceiling.name:<16}  no figure: {ceiling.reason}")
            continue
        at = quantity(ceiling.size, "bytes") if ceiling.unit == "bytes/s" else f"{ceiling.size} x {ceiling.size}"
        spread = f"{1 - ceiling.low / ceiling.value:.1%} below it at worst in {ceiling.repeats} repeats, {at}"
        risen = "" if ceiling.settled else f"; NOT SETTLED: {ceiling.reason}"
        lines.append(f"  {ceiling.name:<16}  {quantity(ceiling.value, ceiling.unit):>13}  ({spread}{risen})")
    lines.append(f"  measured in {calibration.seconds:.0f} s at a load average of {calibration.load_average:.2f}")
    return "\n".join(lines)
