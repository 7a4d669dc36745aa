"""Ceilings that this machine was measured to reach: where they are kept, and for which environment they hold.

`bench.machine.calibrate` measures them. A ceiling is never looked up by a device's name: published tables have gaps and
errors (lightning 2.6.6 gives L40 the L4's figure and doubles H100 NVL). No torch, no pandas.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from bench.borders import json_text
from bench.errors import RunError
from bench.machine import environment
from bench.machine.environment import EnvironmentValue
from bench.results import decoding, files
from bench.results.decoding import Count, Number, Scalar, Seconds

CALIBRATION_SCHEMA = 1


@dataclass(frozen=True)
class Ceiling:
    """The most that was reached of one kind of work.

    Attributes:
        name: `matmul_` and the arithmetic (`float32`, `tf32`, `bfloat16`, ...), `copy`, or `host_to_device`.
        unit: `FLOP/s` or `bytes/s`; a copy's bytes count once as read and once as written, a transfer's once.
        value: the best repeat at the best size, or None where there is no figure.
        low: the slowest repeat at that size; with `value` the spread.
        repeats: how many there were.
        size: edge of the square matrices, or bytes of the buffer.
        settled: whether the rate had stopped rising with the size, and no other process took the processor; if not, the
            true ceiling is higher.
        reason: why there is no figure, or why it had not settled; empty for a settled one.
    """

    name: str
    unit: str
    value: Number | None = None
    low: Number | None = None
    repeats: Count = 0
    size: Count = 0
    settled: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Calibration:
    """All ceilings of one device in one environment.

    Attributes:
        environment: `fingerprint` of where they were measured.
        ceilings: one for each kind of work that was tried.
        measured: UTC time, ISO 8601.
        seconds: that measuring took, imports included.
        load_average: of the last minute before, over all cores; other load lowers what can be reached.
        cores: the cores that it was pinned to.
    """

    environment: Mapping[str, Scalar]
    ceilings: tuple[Ceiling, ...]
    measured: str
    seconds: Seconds
    load_average: Number
    cores: tuple[Count, ...]

    def ceiling(self, name: str) -> Ceiling:
        """The ceiling of that name, or one without a figure."""
        for ceiling in self.ceilings:
            if ceiling.name == name:
                return ceiling
        return Ceiling(name, "", reason="it was not measured")


def fingerprint(accelerator: str, device: str, threads: int) -> dict[str, EnvironmentValue]:
    """What must be equal for a ceiling to hold: device and torch, and for the CPU also threads and processor time.

    Args:
        accelerator: as Lightning spells it.
        device: the device's own name; not looked at for the CPU.
        threads: intra-operator threads of torch.
    """
    values: dict[str, EnvironmentValue] = {
        "accelerator": accelerator,
        "device": environment.cpu() if accelerator == "cpu" else device,
        "machine": platform.machine(),
        "system": platform.system(),
        "torch": version("torch"),
    }
    if accelerator == "cpu":
        values |= {"cores": os.cpu_count() or 1, "cpu_quota": environment.cpu_quota(), "threads": threads}
    return values


def calibrations_folder() -> Path:
    """Where calibrations are kept: `calibrations` in the program's cache folder, beside MNIST."""
    return files.cache_folder() / "calibrations"


def save_calibration(calibration: Calibration) -> Path:
    """Keep it, in place of an earlier one of the same environment; a reader sees the old one or the new one.

    Raises:
        RunError: it cannot be written.
    """
    path = _path(calibration.environment)
    try:
        files.write_aside(path, json_text({"schema": CALIBRATION_SCHEMA, **asdict(calibration)}, indent=1) + "\n")
    except ValueError as error:
        raise RunError(f"{path}: the calibration cannot be written: {error}") from None
    return path


def find_calibration(wanted: Mapping[str, EnvironmentValue]) -> tuple[Calibration | None, str]:
    """The calibration of the environment with that fingerprint, or None and why there is none."""
    path = _path(wanted)
    if os.path.lexists(path):
        try:
            found = read_calibration(path)
        except RunError as error:
            return None, str(error)
        differ = refusal(found, wanted)
        return (None, f"{path}: {differ}") if differ else (found, "")
    threads = f" --threads {wanted['threads']}" if "threads" in wanted else ""
    others = _of_other_environments(wanted, path.parent)
    return None, f"no calibration of this environment; `bench env --calibrate{threads}` makes one" + others


def refusal(calibration: Calibration, wanted: Mapping[str, EnvironmentValue]) -> str:
    """Why a calibration does not hold in the environment with that fingerprint; empty if it does."""
    theirs = calibration.environment
    keys = [key for key in {**wanted, **theirs} if wanted.get(key) != theirs.get(key)]
    differ = [f"{key}: {theirs.get(key)!r} there, {wanted.get(key)!r} here" for key in keys]
    return f"the calibration is of another environment ({'; '.join(differ)})" if differ else ""


@dataclass(frozen=True, kw_only=True)
class CalibrationFile(Calibration):
    """A calibration as it stands in its file."""

    schema: Literal[1]


def read_calibration(path: Path) -> Calibration:
    """The calibration in a file.

    Raises:
        RunError: it is none, or of another schema version; names the file and the field.
    """
    where = f"{path}: not readable as a calibration"
    return decoding.decode(Calibration, files.read_bytes(path), where, form=CalibrationFile, whole=True)


def _path(values: Mapping[str, EnvironmentValue]) -> Path:
    digest = hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:12]
    return calibrations_folder() / f"{values['accelerator']}-{digest}.json"


def _of_other_environments(wanted: Mapping[str, EnvironmentValue], folder: Path) -> str:
    """What keeps the nearest of the other calibrations of this accelerator from being used."""
    refusals: list[tuple[int, str]] = []
    for path in sorted(folder.glob(f"{wanted['accelerator']}-*.json")):
        try:
            said = refusal(read_calibration(path), wanted)
        except RunError:
            continue  # it is not ours to judge: it could not be used in any case
        refusals.append((said.count(" there, "), f"; {path.name} is not used: {said}"))
    return min(refusals, default=(0, ""))[1]
