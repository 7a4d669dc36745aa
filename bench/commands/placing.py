"""Where a run is: on this machine, or on nodes that a launcher has; what it then measures. No torch, no pandas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bench.commands.selection import Selection
from bench.engine.launchers import Launcher, launcher_of
from bench.errors import SpecError

NODES_AXIS = "num_nodes"
LAST_PORT = 2**16 - 1
EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Placing:
    """What was asked for of a run's nodes.

    Attributes:
        launcher: its name; "": all is on this machine.
        nodes: how many; None: all that the launcher has.
        devices: of each node; None: as the suites say.
        address: of the conductor, as nodes reach it; "": as the launcher says.
        port: at which they knock; 0: any.
    """

    launcher: str = ""
    nodes: int | None = None
    devices: int | None = None
    address: str = ""
    port: int = 0

    def find_launcher(self, out: Path) -> Launcher | None:
        """The launcher, or None.

        Raises:
            SpecError: there is none such, or it has too few nodes, or address and port are for none.
            BenchError: it is not here.
        """
        if not self.launcher and (self.address or self.port):
            raise SpecError("--address and --port are where nodes reach this run; allowed: with --launcher")
        if self.port > LAST_PORT:
            raise SpecError(f"--port {self.port}: allowed: 1 to {LAST_PORT}, or none for any that is free")
        if self.address in EVERYWHERE:
            raise SpecError(f"--address {self.address}: nodes knock at it; allowed: one address of this machine")
        found = launcher_of(self.launcher, self.nodes, out)
        if found is not None:
            found.address, found.port = self.address or found.address, self.port
        return found


def placed_selection(selection: Selection, placing: Placing, nodes: int) -> Selection:
    """The selection on so many nodes, compared along their number where nothing else is asked for.

    One node is the baseline, then twice as many each time, then all.
    """
    named = {setting.partition("=")[0] for setting in selection.settings}
    settings = list(selection.settings)
    if placing.devices is not None:
        if "devices" in named:
            raise SpecError("--devices and --set devices=...: allowed: one of the two")
        settings.append(f"devices={placing.devices}")
    compare = selection.compare
    if nodes > 1 and NODES_AXIS not in named:
        settings.append(f"{NODES_AXIS}={','.join(map(str, node_counts(nodes)))}")
        compare = compare or NODES_AXIS
    return replace(selection, settings=tuple(settings), compare=compare, nodes=nodes)


def node_counts(nodes: int) -> list[int]:
    """1, 2, 4, ... and the number itself."""
    return sorted({2**power for power in range(nodes.bit_length()) if 2**power <= nodes} | {nodes})
