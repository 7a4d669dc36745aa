"""The axes that the engine itself reads, with every value that each takes. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from bench.axes import loops
from bench.axes.accelerators import accelerators
from bench.axes.compile_mode import COMPILE_MODES
from bench.axes.precision import MATMUL_PRECISIONS, PRECISIONS
from bench.axes.strategy import STRATEGIES
from bench.axes.trainer_sets import BUILT_IN

AxisValue = str | int | float | bool


Point = Mapping[str, AxisValue]


def engine_axes() -> dict[str, tuple[AxisValue, ...]]:
    """The axes that the engine itself reads, with every value it takes, spelled as Lightning spells them.

    A suite that does not name one gets its first value. What else a suite declares goes to its `build(point)`
    untouched.
    """
    return {
        "loop": tuple(loops.registry()),
        "accelerator": tuple(accelerators()),
        "precision": tuple(PRECISIONS),
        "matmul_precision": MATMUL_PRECISIONS,
        "devices": (1,),  # of each node
        "num_nodes": (1,),
        "strategy": STRATEGIES,
        "compile": COMPILE_MODES,
        "threads": (1,),  # as many as `--threads` says, where neither the suite nor `--set` says otherwise
        "trainer": tuple(BUILT_IN),  # and the sets of the suite and of files that `--set` names
    }


# Axes of the engine that take any value of their type, not only those that `engine_axes` lists.
OPEN = frozenset({"devices", "num_nodes", "threads"})
