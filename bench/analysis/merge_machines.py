"""Which of several runs are of one machine, what each machine is called, and how their environments differ. Pure.

Runs are of one machine where all checked keys of the environment are equal (`bench.machine.environment`): then their
launches may be pooled. Two machines of the same kind are one by that rule, as nodes of an array job are, unless they
were given different names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.analysis import comparability
from bench.errors import SpecError, one_of
from bench.machine.environment import CHECKED_FACTS
from bench.results.store import StoredRun

# What a machine is: it is compared, and differs for that reason. Every other key that differs is an accident.
COMPARED_FACTS = (
    *("cpu", "cores", "cores_usable", "machine", "system", "kernel", "memory", "virtual_machine", "governor"),
    *("cpu_quota", "device", "pjrt_device"),
)
# Differ between any two runs, and explain nothing; nodes are told beside the machine's name.
_VOLATILE = frozenset({"load_average", "scrubbed_variables", "node", "budget_limit", "executable_is_venv"})

DifferenceKind = Literal["compared", "accident"]


@dataclass(frozen=True)
class MergedMachine:
    """All runs of one machine, or of machines that nothing tells apart.

    Attributes:
        name: by which it is called everywhere.
        runs: ids, sorted.
        nodes: that they were made on, as far as they say.
        devices: that they measured, by name.
        facts: the checked keys.
        price: for an hour of one of its nodes, in the user's currency; None: none was given.
    """

    name: str
    runs: tuple[str, ...]
    nodes: tuple[str, ...]
    devices: tuple[str, ...]
    facts: Mapping[str, Any]
    price: float | None = None


@dataclass(frozen=True)
class EnvironmentDifference:
    """A key in which machines differ, with what each has; `compared`: that is what a machine is."""

    key: str
    kind: DifferenceKind
    values: Mapping[str, str]


@dataclass(frozen=True)
class Pool:
    """A machine with its runs themselves, in the order of their ids."""

    machine: MergedMachine
    runs: tuple[StoredRun, ...]


def checked(run: StoredRun) -> dict[str, Any]:
    """The checked keys of a run's environment."""
    environment = run.info.get("environment") or {}
    return {key: environment.get(key, "unknown") for key in CHECKED_FACTS}


def node_of(run: StoredRun) -> str:
    """The node that a run was conducted on; "" where it does not say."""
    return str((run.info.get("environment") or {}).get("node", ""))


def pools(
    runs: Sequence[StoredRun], labels: Mapping[str, str] | None = None, prices: Mapping[str, float] | None = None
) -> tuple[list[Pool], list[str]]:
    """The machines of the runs, in the order in which the runs first name them; and sentences on what stays apart.

    Args:
        labels: names of machines, by a run's id. Runs of one kind of machine with different labels stay apart; one
            without any joins the only label that its kind has.
        prices: for an hour, by a machine's name.

    Raises:
        SpecError: a price is of no machine.
    """
    labels = labels or {}
    kinds = {run.id: machine_kind(run) for run in runs}
    given: dict[str, set[str]] = {}
    for run in runs:
        given.setdefault(kinds[run.id], set()).update({labels[run.id]} if run.id in labels else ())
    members: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        own = given[kinds[run.id]]
        label = labels.get(run.id) or (next(iter(own)) if len(own) == 1 else "")
        members.setdefault((kinds[run.id], label), []).append(run)
    names = _names({key: own for key, own in members.items()})
    unknown = [
        one_of("machine of a price", name, sorted(names.values()))
        for name in prices or {}
        if name not in names.values()
    ]
    if unknown:
        raise SpecError(unknown)
    found = [_pool(names[key], own, (prices or {}).get(names[key])) for key, own in members.items()]
    return found, _apart(members, names)


def machine_kind(run: StoredRun) -> str:
    """Equal for runs of one kind of machine; a run that says nothing of its environment is of its own kind."""
    known = bool(run.info.get("environment"))
    return json.dumps(checked(run) if known else {"run": run.id}, sort_keys=True, default=str)


def _pool(name: str, runs: Iterable[StoredRun], price: float | None) -> Pool:
    ordered = tuple(sorted(runs, key=lambda run: run.id))
    nodes = {node_of(run) for run in ordered}
    nodes |= {node for run in ordered for record in run.records for node in record.nodes}
    devices = {device for run in ordered for device in comparability.devices(run).values()}
    return Pool(
        MergedMachine(
            name,
            tuple(run.id for run in ordered),
            tuple(sorted(nodes - {""})),
            tuple(sorted(devices)),
            checked(ordered[0]),
            price,
        ),
        ordered,
    )


def _names(members: Mapping[tuple[str, str], Sequence[StoredRun]]) -> dict[tuple[str, str], str]:
    """A name for each: its label, or what its devices or its processor are called, with what tells it from others."""
    first = {key: key[1] or _usual_name(own) for key, own in members.items()}
    found: dict[tuple[str, str], str] = {}
    for key, name in first.items():
        alike = [other for other, its in first.items() if its == name]
        facts = {other: checked(members[other][0]) for other in alike}
        telling = [fact for fact in CHECKED_FACTS if len({str(own[fact]) for own in facts.values()}) > 1]
        found[key] = "-".join([name, *(_slug(f"{fact}-{facts[key][fact]}") for fact in telling)])
    for key, name in found.items():
        if list(found.values()).count(name) > 1:  # of one kind, and a label is what another is called anyway
            found[key] = f"{name}-{min(run.id for run in members[key])}"
    return found


def _usual_name(runs: Sequence[StoredRun]) -> str:
    devices = sorted({device for run in runs for device in comparability.devices(run).values()})
    return "-".join(_slug(device) for device in devices) or comparability.machine_name(runs[0])


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") or "unknown"


def _apart(members: Mapping[tuple[str, str], Sequence[StoredRun]], names: Mapping[tuple[str, str], str]) -> list[str]:
    """One sentence for each two machines that one name, or one processor and device, would have made one."""
    first = {key: key[1] or _usual_name(own) for key, own in members.items()}
    found = []
    for key, name in first.items():
        for other in list(first)[list(first).index(key) + 1 :]:
            if first[other] != name or key[0] == other[0]:
                continue
            (mine, one), (theirs, two) = sorted((names[own], members[own][0]) for own in (key, other))
            left, right = checked(one), checked(two)
            keys = [f"{fact}: {left[fact]} against {right[fact]}" for fact in left if left[fact] != right[fact]]
            told = f"as checked keys differ ({'; '.join(keys)})" if keys else "as no environment of theirs is recorded"
            found.append(f"{mine} and {theirs} are not pooled, {told}")
    return sorted(found)


def environment_differences(found: Sequence[Pool]) -> list[EnvironmentDifference]:
    """The keys in which the machines differ, those first that are compared, each with what every machine has."""
    values: dict[str, dict[str, str]] = {}
    for pool in found:
        for key, text in _facts(pool).items():
            values.setdefault(key, {})[pool.machine.name] = text
    names = [pool.machine.name for pool in found]
    differing = {
        key: {name: own.get(name, "none is recorded") for name in names}
        for key, own in values.items()
        if len({own.get(name) for name in names}) > 1 or any("; " in text for text in own.values())
    }
    order = [key for key in COMPARED_FACTS if key in differing]
    accidents = sorted(set(differing) - set(order), key=lambda key: (key not in CHECKED_FACTS, key))
    return [EnvironmentDifference(key, "compared", differing[key]) for key in order] + [
        EnvironmentDifference(key, "accident", differing[key]) for key in accidents
    ]


def _facts(pool: Pool) -> dict[str, str]:
    """Every key with what the machine's runs have, joined where they have several."""
    found: dict[str, dict[str, None]] = {}
    for run in pool.runs:
        environment = {key: value for key, value in (run.info.get("environment") or {}).items() if key not in _VOLATILE}
        seeds = {"seed": (run.info.get("options") or {}).get("seed", "unknown")}
        files = {f"files of suite {suite}": comparability.files(run, suite) or "no digest" for suite in _suites(run)}
        for key, value in {**environment, **seeds, **files, **_switches(run)}.items():
            found.setdefault(key, {})[str(value).replace("; ", ", ")] = None
    if pool.machine.devices:
        found["device"] = {", ".join(pool.machine.devices): None}
    return {key: "; ".join(sorted(own)) for key, own in found.items()}


def _suites(run: StoredRun) -> list[str]:
    return list(run.info["plan"]["suites"])


# Flags that change how a step is computed, or what it waits for, as they were read back inside the steps.
FLAGS = (
    *("matmul_precision", "cudnn_enabled", "cudnn_benchmark", "cudnn_deterministic", "deterministic"),
    *("interop_threads", "gc_enabled", "loader_workers", "pin_memory"),
)


def _switches(run: StoredRun) -> dict[str, str]:
    """The flags that all cells of a run had alike; where cells have their own, the workload says which."""
    seen: dict[str, set[str]] = {}
    for record in run.records:
        if record.outcome == "ok" and record.turns is not None:
            for name in FLAGS:
                if name in record.effective:
                    seen.setdefault(name, set()).add(str(record.effective[name]))
    return {name: next(iter(values)) for name, values in seen.items() if len(values) == 1}
