"""Devices that a run has lost: cells that need one are told so in a line each, and are not started. No torch.

A device that fell off the bus stays away until the machine is started anew, and every process that asks for it waits
and fails. The driver's word counts, where there is one; else that of torch, if it can mean nothing else: after a failed
assertion or a wild address in a kernel only the process is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bench.engine.group_state import GroupState
from bench.engine.processes import Arm
from bench.engine.turn_meters import TurnMeters
from bench.plan.cell import Cell
from bench.results.record import Record

# CUDA's words (driver_types.h of CUDA 13) and NVML's for a device that no process gets any more. "busy or unavailable"
# is not among them: a device in exclusive mode says so to the second process only.
GONE = re.compile(
    r"GPU is lost|fallen off the bus|GPU requires (?:restart|reset)|no CUDA-capable device is detected"
    r"|uncorrectable ECC error encountered",
    re.IGNORECASE,
)


class LostDevices:
    """Which devices are lost: the accelerator's name, the local rank that has it, and a sentence."""

    def __init__(self) -> None:
        self._lost: dict[tuple[str, int], str] = {}

    def take(self, cells: Iterable[Cell], arms: Mapping[str, Arm], meters: TurnMeters) -> None:
        """Look at what the arms of a launch were lost by."""
        for cell in cells:
            arm = arms[cell.id]
            if arm.lost is None or arm.lost.outcome == "void":
                continue
            name = str(cell.point.get("accelerator", arm.ranks[0].accelerator))
            words = {number: meters.gone.get(rank.meter, "") for number, rank in enumerate(arm.ranks)}
            if not any(words.values()) and len(arm.ranks) == 1 and (found := GONE.search(arm.lost.reason)):
                words = {0: found[0]}
            for number, said in words.items():
                if said:
                    self._lost.setdefault((name, number), f"lost while {cell.id} had it: {said}")

    def reason(self, cell: Cell) -> str:
        """Why a cell cannot run any more, or ""."""
        name = str(cell.point.get("accelerator", ""))
        for (own, number), sentence in self._lost.items():
            if own == name and number < int(cell.point.get("devices", 1)):
                return f"not started: device {number} of {name} was {sentence}"
        return ""

    def drop(self, state: GroupState) -> list[Record]:
        """Take cells that cannot run any more out of a group; a record for each."""
        return state.give_up("crashed", self.reason)
