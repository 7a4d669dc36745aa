"""How often the gate was wrong, or right, on this machine: counted by `bench selftest --power`, printed by every gate.

One file for each environment in the user's cache folder, beside the calibrations and by the same fingerprint. No torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from bench.borders import json_text
from bench.errors import RunError
from bench.machine import calibration
from bench.machine.environment import EnvironmentValue
from bench.results import decoding, files
from bench.results.decoding import Count, Scalar
from bench.stats.binomial import upper
from bench.stats.gate_rule import Verdict
from bench.stats.rounding import percent_of

TALLY_SCHEMA = 1
SAME = "0"  # the key of gates between equal sides


@dataclass(frozen=True)
class Tally:
    """Verdicts of gates whose truth is known.

    Attributes:
        gates: by the slowdown that was put in, as a fraction (`0`, `0.05`), then by verdict, how many.
        problem: why what was counted before cannot be read, or "".
    """

    gates: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problem: str = ""

    def count(self, slowdown: str, verdict: Verdict) -> Tally:
        """With one more gate."""
        own = dict(self.gates.get(slowdown, {}))
        own[verdict] = own.get(verdict, 0) + 1
        return replace(self, gates={**self.gates, slowdown: own})

    def gates_at(self, slowdown: str) -> int:
        """Gates with that slowdown."""
        return sum(self.gates.get(slowdown, {}).values())

    def caught(self, slowdown: str) -> int:
        """Of these, regressions; between equal sides, false alarms."""
        return self.gates.get(slowdown, {}).get("regression", 0)

    @property
    def sentence(self) -> str:
        """The rate of false alarms, for every output of a gate."""
        if self.problem:
            return f"observed A/A false alarms on this machine: not known: {self.problem}"
        # A gate whose budget was too small to decide could not have alarmed, so it proves nothing.
        n, x = self.gates_at(SAME) - self.gates.get(SAME, {}).get("inconclusive", 0), self.caught(SAME)
        if not n:
            return "observed A/A false alarms on this machine: none counted yet; `bench selftest --power` counts"
        invalid = self.gates.get(SAME, {}).get("invalid", 0)
        more = f"; {invalid} of them invalid" if invalid else ""
        bound = f"95 % upper bound {percent_of(upper(x, n))}"
        return f"observed A/A false alarms on this machine: {x} of {n}, {bound}{more}"


@dataclass(frozen=True)
class TallyFile:
    """A tally as it stands in its file, with the environment that it was counted in."""

    schema: Literal[1]
    environment: Mapping[str, Scalar]
    gates: Mapping[str, Mapping[Verdict, Count]]


def read_tally(threads: int) -> Tally:
    """The tally of the CPU of this environment; empty where there is none, or none that can be read: it says why."""
    path, fingerprint = _where(threads)
    return _read(path, fingerprint)


def _read(path: Path, fingerprint: Mapping[str, EnvironmentValue]) -> Tally:
    if not os.path.lexists(path):
        return Tally()
    try:
        found = decoding.decode(TallyFile, files.read_bytes(path), path, whole=True)
    except RunError as error:
        return Tally(problem=str(error))
    if found.environment != fingerprint:
        return Tally(problem=f"{path}: it was counted in another environment")
    return Tally({slowdown: {str(name): n for name, n in own.items()} for slowdown, own in found.gates.items()})


def count_gate(threads: int, slowdown: str, verdict: Verdict) -> Tally:
    """Count one more gate, and keep it; others that count at the same time wait.

    Raises:
        RunError: it cannot be written, or what was counted before cannot be read.
    """
    path, fingerprint = _where(threads)
    with files.lock(path.with_name(f".{path.name}.lock")):
        before = _read(path, fingerprint)
        if before.problem:
            raise RunError(f"{before.problem}; nothing was counted: move it away to begin anew")
        tally = before.count(slowdown, verdict)
        text = json_text({"schema": TALLY_SCHEMA, "environment": fingerprint, "gates": tally.gates}, indent=1)
        files.write_aside(path, text + "\n")
    return tally


def _where(threads: int) -> tuple[Path, dict[str, EnvironmentValue]]:
    fingerprint = calibration.fingerprint("cpu", "", threads)
    digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:12]
    return calibration.calibrations_folder().parent / "tallies" / f"cpu-{digest}.json", fingerprint
