"""What torch.compile really did in an arm: graphs, breaks, recompiles, caches, dtypes inside compiled regions.

Nothing may be hooked inside a compiled region: a hook would be compiled with it, or break the graph. So this watches
the door by which every graph goes to inductor (`torch._inductor.compile_fx.compile_fx`, looked up anew for each graph
by `torch._TorchCompileInductorWrapper.__call__`, torch 2.9 to 2.13), reads dtype and device off the graph's own nodes,
and asks dynamo's counters for the rest. Importing it imports nothing; `CompileWatch()` imports inductor: 3 s on slow
cores.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.arm.cuda_graphs import cuda_graphs, recorded_graphs

if TYPE_CHECKING:
    import torch

MATMUL_NAMES = ("linear", "matmul", "addmm", "mm", "bmm", "baddbmm", "conv", "convolution", "scaled_dot_product")


class CompileWatch:
    """Sees every graph that is handed to inductor, from now to the end of the process.

    Args:
        cache: where inductor and triton keep what they compile, a folder of the cell's own: the first arm that uses it
            compiles cold, the later ones warm.
        temporary: the machine's folder for temporary files, which an arm's own stands in for.
    """

    def __init__(self, cache: Path, temporary: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.cold = not any(cache.iterdir())
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
        os.environ["TRITON_CACHE_DIR"] = str(cache / "triton")
        share_headers(temporary)
        import torch._inductor.compile_fx as inductor

        self.graphs = 0
        self.options: dict[str, Any] | None = None  # of the first graph; a mode is a set of options
        self.dtype: torch.dtype | None = None
        self.device: torch.device | None = None
        self.autocast = "off"
        self._inside = False
        original = inductor.compile_fx

        def compile_fx(graph: Any, *args: Any, **kwargs: Any) -> Any:
            if self._inside:  # it calls itself, once with its options applied
                return original(graph, *args, **kwargs)
            self._read(graph, kwargs.get("config_patches"))
            self._inside = True
            try:
                return original(graph, *args, **kwargs)
            finally:
                self._inside = False

        inductor.compile_fx = compile_fx  # type: ignore[assignment]  # same arguments, same result

    def _read(self, graph: Any, options: dict[str, Any] | None) -> None:
        import torch

        self.graphs += 1
        if self.options is None:
            self.options = dict(options or {})
        for node in graph.graph.nodes:
            value = node.meta.get("example_value", node.meta.get("val"))
            if not isinstance(value, torch.Tensor):
                continue
            name = str(getattr(node.target, "__name__", node.target)).split(".")[0]
            if self.dtype is None and node.op == "call_function" and name.startswith(MATMUL_NAMES):
                self.dtype, self.device = value.dtype, value.device
                if any(own.dtype != value.dtype for own in _floating_inputs(node)):
                    self.autocast = str(value.dtype).removeprefix("torch.")

    def mode(self) -> str:
        """torch's name of the mode whose options the graphs were compiled with; `off` where none was."""
        import torch._inductor

        if self.options is None:
            return "off"
        modes = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
        known = {mode: torch._inductor.list_mode_options(mode) for mode in modes}
        named = [mode for mode, options in known.items() if options == self.options]
        return named[0] if named else f"options {self.options}"

    def effective(self) -> dict[str, Any]:
        """What became of compilation, for the record.

        `graphs` that inductor compiled, backward passes not counted; `graph_breaks`; `recompiles`, frames compiled
        again because a guard failed; caches hit and missed; CUDA graphs that were asked for and left out, and whether
        there are any.
        """
        from torch._dynamo.utils import counters, get_compilation_metrics

        compilations = get_compilation_metrics()
        again = {str(seen.compile_id) for seen in compilations if seen.recompile_reason}
        skipped = [str(getattr(seen, "cudagraph_skip_reason", None) or "") for seen in compilations]
        inductor, autograd = counters["inductor"], counters["aot_autograd"]
        return {
            "compile": self.mode(),
            "compile_cache": "cold" if self.cold else "warm",
            "graphs": self.graphs,
            "graph_breaks": sum(counters["graph_break"].values()),
            "recompiles": len(again),
            "cache_hits": autograd["autograd_cache_hit"] + inductor["fxgraph_cache_hit"],
            "cache_misses": autograd["autograd_cache_miss"] + inductor["fxgraph_cache_miss"],
            "cudagraph_skips": inductor["cudagraph_skips"],
            "cuda_graphs": "off"
            if self.device is not None and self.device.type != "cuda"
            else cuda_graphs(self.options, inductor["cudagraph_skips"], recorded_graphs(), skipped),
        }


def share_headers(temporary: Path) -> None:
    """Let this process find the C++ headers that torch compiles once for a machine.

    torch keeps them in the folder for temporary files, whatever the cache's folder is ("these headers need to be
    global", torch/_inductor/codecache.py, torch 2.13), and each arm has a folder of its own: all would compile them
    anew, which took half of a cold start here.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    own = Path(default_cache_dir())
    if own.exists() or own.parent == temporary:
        return
    with suppress(OSError):  # then they are compiled anew
        (temporary / own.name).mkdir(mode=0o700, parents=True, exist_ok=True)
        own.symlink_to(temporary / own.name, target_is_directory=True)


def _floating_inputs(node: Any) -> list[torch.Tensor]:
    import torch

    values = [own.meta.get("example_value", own.meta.get("val")) for own in node.all_input_nodes]
    return [value for value in values if isinstance(value, torch.Tensor) and value.is_floating_point()]
