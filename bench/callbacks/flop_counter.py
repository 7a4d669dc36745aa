"""Counts the floating-point operations of what runs within it, by the arithmetic that does them.

torch's FlopCounterMode counts. It is a dispatch mode: Dynamo refuses to compile a frame that is first run under one,
and in torch 2.13 it then never compiles it again (pytorch issue 190286; tried here), while `fullgraph=True` raises.
What was compiled before runs uncompiled. So all of it runs with `torch.compiler.set_stance("force_eager")`, which
leaves compiled code as it was, compiled before or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

Formula = Callable[..., int]


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Scores and weighted values. Like torch's formulas for other devices it deducts nothing for a causal mask."""
    batch, heads, rows, width = query
    return 2 * batch * heads * rows * key[-2] * (width + value[-1])


def _attention_backward(
    gradient: Sequence[int], query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    """Scores once more, and two products each for values and scores (torch's convention as well)."""
    batch, heads, rows, width = query
    return 2 * batch * heads * rows * key[-2] * (3 * width + 2 * value[-1])


def _mv(matrix: Sequence[int], vector: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * matrix[0] * matrix[1]


def _addmv(start: Sequence[int], matrix: Sequence[int], vector: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * matrix[0] * matrix[1]


def _dot(one: Sequence[int], other: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * one[0]


def _addbmm(start: Sequence[int], one: Sequence[int], other: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * one[0] * one[1] * one[2] * other[2]


# What torch 2.13 has no formula for (torch.utils.flop_counter.flop_registry), and a network may well use.
_aten = torch.ops.aten
FORMULAS: dict[Any, Formula] = {
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    _aten.mv: _mv,
    _aten.addmv: _addmv,
    _aten.dot: _dot,
    _aten.vdot: _dot,
    _aten.addbmm: _addbmm,
}

# Operators of aten that do much arithmetic and may have no formula; a count without them would be too low.
HEAVY = ("mkldnn_rnn", "_cudnn_rnn", "miopen_rnn", "lstm_mps", "_scaled_dot_product", "_fft_", "_linalg_")
HEAVY_NAMES = frozenset(
    (
        *("_trilinear", "_euclidean_dist", "_cdist_forward", "_cdist_backward"),
        *("_int_mm", "_grouped_mm", "_scaled_grouped_mm", "_sparse_mm", "_sparse_addmm", "_addmm_activation"),
        *("linear", "linear_backward", "mkldnn_linear", "mkldnn_linear_backward"),
        *("_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
        *("linalg_qr", "linalg_cholesky_ex", "linalg_eig", "linalg_inv_ex", "linalg_lu", "linalg_lu_factor_ex"),
        *("linalg_lu_solve", "linalg_householder_product", "linalg_lstsq", "linalg_matrix_exp"),
        *("linalg_solve_triangular", "triangular_solve", "cholesky_inverse", "cholesky_solve"),
    )
)
PLAIN = frozenset(("aten", "prim", "prims", "c10d", "_c10d_functional", "profiler"))  # no unknown arithmetic in these


class _Kinds(TorchDispatchMode):
    """Stands before a FlopCounterMode: for which arithmetic it counts, and what it has no formula for."""

    supports_higher_order_operators = True

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.counter = counter
        self.flops: dict[str, int] = {}
        self.unknown: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = self.counter.get_total_flops()
        result = func(*args, **(kwargs or {}))
        counted = self.counter.get_total_flops() - before
        if counted:
            kind = arithmetic(func, args)
            self.flops[kind] = self.flops.get(kind, 0) + counted
        elif isinstance(func, torch._ops.OpOverload) and self._lacks_formula(func):
            self.unknown.add(str(func.overloadpacket))
        return result

    def _lacks_formula(self, func: torch._ops.OpOverload) -> bool:
        if func.overloadpacket in self.counter.flop_registry:
            return False
        name = func.overloadpacket.__name__
        if func.namespace == "aten":
            return name in HEAVY_NAMES or name.startswith(HEAVY)
        # One that is made of operators of aten has been taken apart, and those have been looked at.
        composed = func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)
        return func.namespace not in PLAIN and not composed


def arithmetic(func: object, args: Sequence[Any]) -> str:
    """What a product computes in, by its first tensor: `bfloat16`, `float32`, or `tf32`, where float32 is cut to it.

    Any other substitute for float32 (bfloat16 within oneDNN, say) is named as such, `float32 as bf16`.
    """
    tensor = next(leaf for leaf in tree_leaves(list(args)) if isinstance(leaf, torch.Tensor))
    name = str(tensor.dtype).removeprefix("torch.")
    if name != "float32" or tensor.device.type not in ("cuda", "cpu"):
        return name
    backends: Any = torch.backends
    library = backends.cudnn if tensor.device.type == "cuda" else backends.mkldnn
    products = backends.cuda.matmul if tensor.device.type == "cuda" else backends.mkldnn.matmul
    setting = str((library.conv if "conv" in str(func) else products).fp32_precision)
    if setting in ("none", "ieee"):
        return name
    return "tf32" if setting == "tf32" else f"float32 as {setting}"


class OperationCount:
    """Between `__init__` and `close`, which hooks of a callback may lie, operations are counted.

    Args:
        formulas: of operators that have none; see `FLOPs`.

    Attributes:
        flops: operations by arithmetic.
        unknown: operators that were used and have no formula.
    """

    def __init__(self, formulas: Mapping[Any, Formula]) -> None:
        self._modes = ExitStack()
        self._modes.enter_context(torch.compiler.set_stance("force_eager"))
        counter = self._modes.enter_context(FlopCounterMode(display=False, custom_mapping={**FORMULAS, **formulas}))
        self._kinds = self._modes.enter_context(_Kinds(counter))

    @property
    def flops(self) -> dict[str, int]:
        return dict(self._kinds.flops)

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(sorted(self._kinds.unknown))

    def close(self) -> None:
        self._modes.close()
