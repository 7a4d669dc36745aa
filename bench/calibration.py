"""Ceilings that this machine was measured to reach: where they are kept, and for which environment they hold.

`bench.ceilings` measures them. A ceiling is never looked up by a device's name: published tables have gaps and errors
(lightning 2.6.6 gives L40 the L4's figure and doubles H100 NVL). No torch, no pandas.
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
from typing import Any

from bench import environment
from bench.environment import Value
from bench.errors import RunError

SCHEMA = 1


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
    value: float | None = None
    low: float | None = None
    repeats: int = 0
    size: int = 0
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

    environment: Mapping[str, Value]
    ceilings: tuple[Ceiling, ...]
    measured: str
    seconds: float
    load_average: float
    cores: tuple[int, ...]

    def ceiling(self, name: str) -> Ceiling:
        """The ceiling of that name, or one without a figure."""
        for ceiling in self.ceilings:
            if ceiling.name == name:
                return ceiling
        return Ceiling(name, "", reason="it was not measured")


def fingerprint(accelerator: str, device: str, threads: int) -> dict[str, Value]:
    """What must be equal for a ceiling to hold: device and torch, and for the CPU also threads and processor time.

    Args:
        accelerator: as Lightning spells it.
        device: the device's own name; not looked at for the CPU.
        threads: intra-operator threads of torch.
    """
    values: dict[str, Value] = {
        "accelerator": accelerator,
        "device": environment.cpu() if accelerator == "cpu" else device,
        "machine": platform.machine(),
        "system": platform.system(),
        "torch": version("torch"),
    }
    if accelerator == "cpu":
        values |= {"cores": os.cpu_count() or 1, "cpu_quota": environment.cpu_quota(), "threads": threads}
    return values


def home() -> Path:
    """Where calibrations are kept: `loopmark/calibrations` in the user's cache folder, beside MNIST.

    A relative XDG_CACHE_HOME is ignored, as the XDG base directory specification wants it.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if Path(named).is_absolute() else Path("~/.cache").expanduser()
    return cache / "loopmark" / "calibrations"


def save(calibration: Calibration) -> Path:
    """Keep it, in place of an earlier one of the same environment; a reader sees the old one or the new one.

    Raises:
        RunError: it cannot be written.
    """
    path = _path(calibration.environment)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"schema": SCHEMA, **asdict(calibration)}, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(f"{path}: the calibration cannot be written: {error.strerror}") from None
    return path


def find(wanted: Mapping[str, Value]) -> tuple[Calibration | None, str]:
    """The calibration of the environment with that fingerprint, or None and why there is none."""
    path = _path(wanted)
    if path.is_file():
        try:
            found = from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RunError) as error:
            return None, f"{path}: not readable as a calibration: {error}"
        differ = refusal(found, wanted)
        return (None, f"{path}: {differ}") if differ else (found, "")
    threads = f" --threads {wanted['threads']}" if "threads" in wanted else ""
    others = _of_other_environments(wanted, path.parent)
    return None, f"no calibration of this environment; `bench env --calibrate{threads}` makes one" + others


def refusal(calibration: Calibration, wanted: Mapping[str, Value]) -> str:
    """Why a calibration does not hold in the environment with that fingerprint; empty if it does."""
    theirs = calibration.environment
    keys = [key for key in {**wanted, **theirs} if wanted.get(key) != theirs.get(key)]
    differ = [f"{key}: {theirs.get(key)!r} there, {wanted.get(key)!r} here" for key in keys]
    return f"the calibration is of another environment ({'; '.join(differ)})" if differ else ""


def from_json(data: object) -> Calibration:
    """A calibration from JSON data.

    Raises:
        RunError: it is not one, or of another schema version.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise RunError(f"not a calibration of schema {SCHEMA}: {str(data)[:80]!r}")
    try:
        values: dict[str, Any] = {key: value for key, value in data.items() if key != "schema"}
        ceilings = tuple(Ceiling(**ceiling) for ceiling in values.pop("ceilings"))
        return Calibration(ceilings=ceilings, cores=tuple(values.pop("cores")), **values)
    except (KeyError, TypeError) as error:
        raise RunError(f"not a calibration of schema {SCHEMA}: {error}") from None


def _path(values: Mapping[str, Value]) -> Path:
    digest = hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:12]
    return home() / f"{values['accelerator']}-{digest}.json"


def _of_other_environments(wanted: Mapping[str, Value], folder: Path) -> str:
    """What keeps the nearest of the other calibrations of this accelerator from being used."""
    refusals: list[tuple[int, str]] = []
    for path in sorted(folder.glob(f"{wanted['accelerator']}-*.json")):
        try:
            said = refusal(from_json(json.loads(path.read_text(encoding="utf-8"))), wanted)
        except (OSError, ValueError, RunError):
            continue  # it is not ours to judge: it could not be used in any case
        refusals.append((said.count(" there, "), f"; {path.name} is not used: {said}"))
    return min(refusals, default=(0, ""))[1]
