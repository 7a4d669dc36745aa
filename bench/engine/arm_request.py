"""What an arm is asked for, where it runs, and what it did otherwise. No torch, no pandas."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.axes import strategy
from bench.axes.accelerators import accelerator
from bench.borders import file_name
from bench.engine.merge_ranks import ArmResult
from bench.engine.processes import Arm
from bench.machine.cores import Layout, layout
from bench.machine.process_env import thread_environment
from bench.plan.cell import Cell
from bench.protocol import NOT_SEEN
from bench.results.record import Outcome
from bench.results.work_ledger import own_faults

# Axes of the engine whose values must be found again, under the same name, in the effective settings.
AXES = ("loop", "accelerator", "precision", "matmul_precision", "devices", "num_nodes", "compile")


def threads_of(cell: Cell, threads: int) -> int:
    """Threads of each process of a cell: what its axis says, or `threads`, which is what `--threads` says."""
    return int(cell.point.get("threads", threads))


def widest_layout(cells: Iterable[Cell], threads: int) -> Layout:
    """The layout in which the cell of most threads has its cores, so that the conductor is on none of them."""
    return layout(max((threads_of(cell, threads) for cell in cells if not cell.unsupported), default=threads))


def widest_layouts(cells: Iterable[Cell], threads: int, nodes: Sequence[Sequence[int]]) -> Layout | None:
    """The same on other machines: the first one's layout with those of the others; None where there are none.

    Args:
        nodes: the usable cores of each.
    """
    widest = max((threads_of(cell, threads) for cell in cells if not cell.unsupported), default=threads)
    there = [layout(widest, cores) for cores in nodes]
    return replace(there[0], others=tuple(there[1:])) if there else None


def requested_settings(cell: Cell, place: Layout, threads: int) -> dict[str, Any]:
    """The settings that a cell asks for, under the names of the effective settings."""
    devices, nodes, own = int(cell.point["devices"]), cell.num_nodes, threads_of(cell, threads)
    cores = [core for cores in place.ranks(devices, cell.workers, own, nodes) for core in cores]
    if cell.script is not None:  # all else is what the script makes of it
        return {"script": cell.script.label, "devices": devices, "cores": cores}
    return {
        **{axis: cell.point[axis] for axis in AXES if axis != "num_nodes"},
        "num_nodes": nodes,
        "strategy": strategy.resolve_strategy(str(cell.point.get("strategy", "auto")), devices * nodes),
        "threads": own,
        **accelerator(str(cell.point["accelerator"])).asks(str(cell.point["compile"])),
        **cell.asks,
        "cores": cores,
    }


def all_cores(cells: Iterable[Cell], place: Layout, threads: int) -> list[int]:
    """All cores that these cells run on, on whatever node."""
    return sorted({core for cell in cells for core in requested_settings(cell, place, threads)["cores"]})


def request(
    cell: Cell,
    file: str,
    place: Layout,
    *,
    threads: int,
    seed: int,
    caches: Path,
    padding: int = 0,
    alone: bool = False,
    memory_limit: int | None = None,
) -> dict[str, Any]:
    """What `Fleet.start_arm` is asked for.

    Args:
        file: of the cell's suite, "" for one that came by an entry point.
        caches: where compiled code is kept, a folder a cell.
        padding: bytes by which the arm pushes its heap up.
        alone: whether it is set up alone, and so on its own cores from the start.
        memory_limit: bytes that it may allocate over what its interpreter has, or None.
    """
    devices, nodes, own = int(cell.point["devices"]), cell.num_nodes, threads_of(cell, threads)
    environ = {**thread_environment(own), **(cell.script.environ if cell.script else {})}
    return {
        "suite": cell.suite,
        "file": file,
        "point": dict(cell.point),
        "seed": seed,
        "requested": requested_settings(cell, place, threads),
        "trainer": dict(cell.trainer),
        "memory_limit": memory_limit,
        "padding": padding,
        "real_epochs": cell.epochs == "real",
        "judged": cell.goal is not None,
        "alone": alone,
        "ranks": strategy.ranks(str(cell.point.get("strategy", "auto")), devices * nodes),
        "nodes": nodes,
        "cores": place.ranks(devices, cell.workers, own, nodes),
        "environ": environ,
        # A twin compiles for itself: it is the same code, and must pay the same.
        "compile_cache": str(caches / file_name(cell.id)),
        "temporary": tempfile.gettempdir(),
        **({"script": {**asdict(cell.script), "threads": own}} if cell.script else {}),
    }


def informed_cells(cells: Sequence[Cell], arms: Mapping[str, Arm]) -> list[Cell]:
    """The cells of a launch, with what only their arms could tell: loader workers, of which all then have all cores."""
    told = max((rank.workers for arm in arms.values() for rank in arm.ranks), default=0)
    return [replace(cell, workers=max(told, cell.workers)) if cell.script else cell for cell in cells]


def runs_behind(cells: Sequence[Cell], arms: Mapping[str, Arm]) -> bool:
    """Whether any arm's device runs behind its loop."""
    asked = [str(cell.point["accelerator"]) for cell in cells if "accelerator" in cell.point]
    told = [rank.accelerator for arm in arms.values() for rank in arm.ranks if rank.accelerator]
    return any(accelerator(name).asynchronous for name in (*asked, *told))


def arm_outcome(arm: Arm, void: str, asked: Mapping[str, Any], result: ArmResult | None) -> tuple[Outcome, str]:
    """What became of an arm, and why where that is not `ok`: before its work is compared with others'.

    Args:
        void: what disturbed its launch, or "".
        asked: what it was asked for.
        result: what it said at its end, if it did.
    """
    if arm.lost is not None:
        return arm.lost.outcome, arm.lost.reason
    if void:
        return "void", void
    if otherwise := downgrades(asked, result.effective if result else {}):
        return "downgraded", otherwise
    if result and (faults := own_faults(result.ledger)):
        return "unequal-work", "; ".join(faults)
    return "ok", ""


def downgrades(asked: Mapping[str, Any], effective: Mapping[str, Any]) -> str:
    """What an arm did otherwise than it was asked to, as one sentence; "" where nothing was seen to differ."""
    changed = {key: value for key, value in asked.items() if effective.get(key) not in (value, NOT_SEEN)}
    return "; ".join(f"{key}: asked for {value}, got {effective.get(key)}" for key, value in changed.items())
