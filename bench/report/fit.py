"""What a machine can resolve, as text: `bench env --fit`."""

from __future__ import annotations

import math

from bench.analysis.warnings import STOLEN_SHARE
from bench.commands.fit import Fit
from bench.commands.gate_forecast import GateForecast
from bench.machine.throttling import CoreClock
from bench.report.units import quantity
from bench.stats.rounding import percent_of


def fit_table(fit: Fit) -> str:
    """The machine, the gates that are foreseen, and a sentence on each, as lines of text."""
    pinned = f"cores {', '.join(map(str, fit.cores))}" if fit.cores else "cores that the system chooses"
    taken = f"the hypervisor took {percent_of(fit.stolen)} of the turns' time"
    lines = [
        f"kernel     steps of {quantity(fit.step, 's')}, the same code against itself, on {pinned}",
        f"noise      {fit.sd:.2%} from launch to launch (sd; {2 * fit.launches} ratios of {fit.launches} launches)",
        f"           {fit.between:.2%} of it between processes, {fit.within:.2%} from a second of turns of two arms",
        f"start-up   {fit.start_up:.2f} s of a launch, besides its turns",
        f"steal      {taken}, at a load average of {fit.load_average:.2f}",
        f"clock      {_clock(fit.before, fit.after, fit.throttled)}",
    ]
    if fit.held_back is not None:
        lines.append(f"limit      processes were held back for {fit.held_back:.1f} s by a limit of processor time")
    lines += ["", f"{'gate of':<10}  groups  arms  interpreters  a launch  launches behind the screen  sees from"]
    for gate in fit.gates:
        sees = "nothing" if gate.sees is None else percent_of(gate.sees)
        lines.append(
            f"{gate.suite:<10}  {gate.groups:>6}  {gate.arms:>4}  {gate.starting:>10.0f} s  {gate.launch:>6.1f} s  "
            f"{gate.look:>26}  {sees:>9}"
        )
    lines += ["", *(sentence(gate) for gate in fit.gates)]
    lines += [f"  limited by {text}" for text in limits(fit)]
    return "\n".join([*lines, "", f"measured in {fit.seconds:.0f} s"])


def sentence(gate: GateForecast) -> str:
    """What a gate of that budget sees here."""
    what = "one cell" if gate.groups == 1 else f"{gate.suite}, {gate.groups} groups"
    if gate.sees is not None:
        return f"a gate of {gate.budget:.0f} s here sees slowdowns of {percent_of(gate.sees)} and more ({what})"
    least = "none of an hour or less sees one" if gate.needs is None else f"it takes {math.ceil(gate.needs)} s at least"
    return f"a gate of {gate.budget:.0f} s here can call nothing a regression, {least} ({what})"


def limits(fit: Fit) -> list[str]:
    """What keeps the first gate from seeing less, and what disturbed the machine."""
    found = list(fit.gates[0].limits)
    if fit.stolen > STOLEN_SHARE:
        found.append(f"steal: the hypervisor took {percent_of(fit.stolen)} of the turns' time")
    if fit.throttled:
        found.append(f"heat: the arms' cores were slowed down {fit.throttled} times meanwhile")
    if fit.held_back:
        found.append(f"a limit of processor time, which held processes back for {fit.held_back:.1f} s")
    return found


def _clock(before: CoreClock, after: CoreClock, throttled: int | None) -> str:
    if before.hertz is None or after.hertz is None:
        return "not told by this machine"
    most = "" if after.most_hertz is None else f" of {quantity(after.most_hertz, 'Hz')} at most"
    governor = "" if after.governor is None else f", governor {after.governor}"
    heat = "" if throttled is None else f", slowed down by heat {throttled} times meanwhile"
    return f"{quantity(before.hertz, 'Hz')} before and {quantity(after.hertz, 'Hz')} after{most}{governor}{heat}"
