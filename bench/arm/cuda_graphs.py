"""Whether code that inductor compiled really runs as CUDA graphs, where a mode asks for them.

Inductor leaves a graph out silently when something in it cannot be captured (an operation on the CPU, an input that is
changed, a shape that is not fixed): the mode has its name still, and the speed of another. It counts what it leaves out
(`counters["inductor"]["cudagraph_skips"]`), and its trees number what they record (torch 2.11 to 2.13).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from bench.protocol import NOT_SEEN

OPTION = "triton.cudagraphs"  # of a mode, in torch._inductor.list_mode_options
_COUNTER = re.compile(r"count\((\d+)\)")  # how itertools.count writes the number that comes next


def cuda_graphs(options: Mapping[str, Any] | None, skips: int, recorded: int | None, reasons: Iterable[str]) -> str:
    """`off` where no mode asks for them, `yes`, or `no` or `in part` with inductor's reason.

    Args:
        options: that the graphs were compiled with.
        skips: how many were left out.
        recorded: graphs that were recorded; None: this torch does not say.
        reasons: inductor's, of those that were left out.
    """
    if not (options or {}).get(OPTION):
        return "off"
    if not skips:
        if recorded is None:
            return NOT_SEEN
        return "yes" if recorded else "no: inductor recorded none"
    said = sorted({one.removeprefix("skipping cudagraphs due to ").splitlines()[0] for one in reasons if one.strip()})
    why = f": {'; '.join(said)[:300]}" if said else ""
    return f"{'in part' if recorded else 'no'}{why}"


def recorded_graphs() -> int | None:
    """CUDA graphs that inductor's trees have recorded in this process; None where this torch keeps them otherwise."""
    trees = sys.modules.get("torch._inductor.cudagraph_trees")
    if trees is None:
        return 0
    try:
        containers = trees.get_obj(trees.local, "tree_manager_containers")
        managers = [one.tree_manager for one in containers.values() if one.tree_manager is not None]
        counters = [_COUNTER.fullmatch(repr(one.graph_counter)) for one in managers]
    except AttributeError:
        return None
    return None if None in counters else sum(int(found[1]) for found in counters if found is not None)
