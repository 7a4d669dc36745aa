"""What an arm is asked for, where it runs, and what it did otherwise. No torch, no pandas."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.axes import strategy
from bench.borders import file_name
from bench.machine.cores import Layout
from bench.plan.cell import Cell
from bench.protocol import NOT_SEEN

# Axes of the engine whose values must be found again, under the same name, in the effective settings.
AXES = ("loop", "accelerator", "precision", "matmul_precision", "devices", "compile")


def requested_settings(cell: Cell, place: Layout, threads: int) -> dict[str, Any]:
    """The settings that a cell asks for, under the names of the effective settings."""
    devices = int(cell.point["devices"])
    return {
        **{axis: cell.point[axis] for axis in AXES},
        "strategy": strategy.resolve_strategy(str(cell.point["strategy"]), devices),
        "threads": threads,
        **cell.asks,
        "cores": [core for own in place.ranks(devices, cell.workers) for core in own],
    }


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
    devices = int(cell.point["devices"])
    return {
        "suite": cell.suite,
        "file": file,
        "point": dict(cell.point),
        "seed": seed,
        "requested": requested_settings(cell, place, threads),
        "memory_limit": memory_limit,
        "padding": padding,
        "real_epochs": cell.epochs == "real",
        "alone": alone,
        "ranks": strategy.ranks(str(cell.point["strategy"]), devices),
        "cores": place.ranks(devices, cell.workers),
        # A twin compiles for itself: it is the same code, and must pay the same.
        "compile_cache": str(caches / file_name(cell.id)),
        "temporary": tempfile.gettempdir(),
    }


def downgrades(asked: Mapping[str, Any], effective: Mapping[str, Any]) -> str:
    """What an arm did otherwise than it was asked to, as one sentence; "" where nothing was seen to differ."""
    changed = {key: value for key, value in asked.items() if effective.get(key) not in (value, NOT_SEEN)}
    return "; ".join(f"{key}: asked for {value}, got {effective.get(key)}" for key, value in changed.items())
