"""What makes figures of different runs one series: the machine, the software, the workload's definition. No pandas.

A series goes on as long as machine and workload stay. What changes by itself from day to day, such as the kernel's
version, load and free memory, is not part of any name here, or each of its changes would begin a new history.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.axes.engine_axes import engine_axes
from bench.axes.trainer_sets import BUILT_IN, DEFAULT_SET
from bench.errors import RunError
from bench.machine.environment import CHECKED_FACTS
from bench.plan.cell import SIDES, as_text
from bench.results.store import StoredRun

# Of what must match before runs are compared, the half that is the machine begins another series, and the half that is
# software is a boundary within one.
SOFTWARE = ("python", "torch", "lightning")
MACHINE = tuple(key for key in CHECKED_FACTS if key not in SOFTWARE)

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIRTY = "-dirty"


@dataclass(frozen=True)
class WorkloadVersion:
    """What a cell measures, named so that it means the same in all runs.

    Attributes:
        name: the suite, with the axes in brackets that a run took off the only value which the suite gives them.
        params: the axes along which the suite varies by default, and this cell's values.
        fixed: all its other axes, and their values.
        version: a hash of name, names of `params`, and `fixed`: of the definition and not of the source, so that
            tidying up a suite's code does not end its history, and changing the size of its data does.
    """

    name: str
    params: Mapping[str, Any]
    fixed: Mapping[str, Any]
    version: str


def workload(run: StoredRun, cell: Mapping[str, Any]) -> WorkloadVersion:
    """The workload of a planned cell, as it stands in run.json."""
    axes: Mapping[str, Any] = run.info["plan"]["suites"][cell["suite"]]["axes"]
    # Threads are a fact of the environment; an axis they are only where they are others.
    first = {axis: values[0] for axis, values in engine_axes().items()} | {"threads": _threads(run)}
    engine = {axis: value for axis, value in first.items() if axis not in axes}
    point = {**cell["point"], **{axis: value for axis, value in engine.items() if axis not in cell["point"]}}
    params = {axis: point[axis] for axis, values in axes.items() if len(values) > 1}
    usual = {**engine, **{axis: values[0] for axis, values in axes.items()}}
    other = {axis: value for axis, value in point.items() if axis not in params}
    odd = {axis: value for axis, value in other.items() if value != usual.get(axis, value)}
    # An engine's axis at its first value is left out: the engine will get more of them, and old runs have fewer.
    fixed = {axis: value for axis, value in other.items() if axis in axes or axis in odd}
    inner = ",".join(f"{axis}={as_text(value)}" for axis, value in odd.items())
    name = f"{cell['suite']}[{inner}]" if inner else str(cell["suite"])
    definition = json.dumps([name, list(params), sorted(fixed.items()), *_own_set(run, cell["suite"], fixed)])
    return WorkloadVersion(name, params, fixed, hashlib.sha256(definition.encode()).hexdigest()[:16])


def _own_set(run: StoredRun, suite: str, fixed: Mapping[str, Any]) -> list[Any]:
    """What all cells set in Trainer, where it is no set that is built in: its name may mean another thing tomorrow."""
    name = str(fixed.get("trainer", DEFAULT_SET))
    own = run.info["plan"]["suites"][suite].get("trainers", {}).get(name)
    return [] if name in BUILT_IN or own is None else [own]


def _threads(run: StoredRun) -> int:
    return int(run.info["options"].get("threads", 1))


def commit(run: StoredRun) -> str:
    """The commit that the run measured.

    Raises:
        RunError: it has none, or several, or the files differed from it, so that no commit names what was measured.
    """
    if any(SIDES in suite["axes"] for suite in run.info["plan"]["suites"].values()):
        raise RunError(f"run {run.id}: it compared environments, and is no run of one commit")
    found = str(run.info.get("environment", {}).get("commit", "none"))
    if found.endswith(_DIRTY):
        raise RunError(
            f"run {run.id}: it measured files that differ from commit {found[:8]}; "
            "commit them and run again, or name the commit with --commit"
        )
    if not _HASH.fullmatch(found):
        raise RunError(
            f"run {run.id}: no commit is known of it (commit: {found!r}); allowed: a run that was made "
            "in a git checkout, or --commit"
        )
    return found


def machine(run: StoredRun) -> dict[str, Any]:
    """The facts that stay the same for as long as it is the same machine, used in the same way."""
    environment = run.info.get("environment", {})
    return {key: environment.get(key, "unknown") for key in MACHINE}


def machine_name(run: StoredRun) -> str:
    """A name for machines of this kind, e.g. `intel-xeon-processor-2c`; no host's name, which a CI runner has once."""
    facts = machine(run)
    cpu = re.sub(r"\((r|tm)\)", "", str(facts["cpu"]).lower())
    slug = re.sub(r"[^a-z0-9]+", "-", cpu).strip("-") or "unknown"
    return f"{slug[:64]}-{facts['cores']}c"


def software(run: StoredRun) -> dict[str, str]:
    """The versions that the arithmetic and the loops come from."""
    environment = run.info.get("environment", {})
    return {key: str(environment.get(key, "unknown")) for key in SOFTWARE}


def devices(run: StoredRun) -> dict[str, str]:
    """The device of every measured cell that ran on none of the processor's cores, by cell."""
    return {
        record.cell: str(record.effective["device"])
        for record in run.records
        if record.effective.get("accelerator", "cpu") != "cpu" and "device" in record.effective
    }


def files(run: StoredRun, suite: str) -> str:
    """One digest of all files of a suite, or "" where the run has none of them."""
    found = ((run.info.get("digests") or {}).get("files") or {}).get(suite)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16] if found else ""


def minor(version: str) -> str:
    """`2.13` of `2.13.0+cu130`; what is no such number is given back."""
    match = re.match(r"\d+\.\d+", version)
    return match[0] if match else version
