"""What this machine can do at most, measured for every accelerator that is here: `bench env --calibrate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.axes.accelerators import accelerators
from bench.commands.selection import allowed_budget
from bench.engine.options import Progress
from bench.errors import Unsupported
from bench.machine.calibrate import CALIBRATION_BUDGET, calibrate
from bench.machine.calibration import Calibration, save_calibration


@dataclass(frozen=True)
class Ceilings:
    """What was measured.

    Attributes:
        files: the calibrations, by the file that keeps them.
        reasons: by accelerator, why it could not be measured although it is here.
    """

    files: Mapping[Path, Calibration] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


def measure_ceilings(threads: int, budget: float | None, progress: Progress) -> Ceilings:
    """Measure the ceilings of every accelerator that is here, and keep them in the user's cache folder.

    Args:
        budget: seconds for each accelerator; None: the usual ones.

    Raises:
        BenchError: the measuring process did not come to its end.
    """
    files: dict[Path, Calibration] = {}
    reasons: dict[str, str] = {}
    for kind, device in accelerators().items():
        if device.unavailable():
            continue
        progress.phase(f"measuring the ceilings of {kind}")
        try:
            calibration = calibrate(kind, threads, allowed_budget(budget, CALIBRATION_BUDGET))
        except Unsupported as error:
            reasons[kind] = str(error)
            continue
        files[save_calibration(calibration)] = calibration
    return Ceilings(files, reasons)
