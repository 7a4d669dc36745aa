"""What the ledger and the effective settings are read from: watched steps, outside of all timing. Runs in the arm.

Nothing here knows a model or a loop. It watches the few places that every loop must pass: the first module that holds
parameters (forward), `torch.autograd.backward` (the loss), the optimizer's step (`bench.arm.updates`), and torch's
dispatcher (dtype and device of the first matrix product).
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.arm.sharding import sharded_roots, whole_parameters
from bench.arm.switches import Switches, listeners
from bench.arm.updates import Updates
from bench.axes.accelerators.base import Accelerator
from bench.protocol import NOT_SEEN

if TYPE_CHECKING:
    from bench.arm.compile_watch import CompileWatch

MATMUL_OPERATORS = (
    *("mm", "addmm", "bmm", "baddbmm", "convolution", "linear", "matmul", "_scaled_dot_product"),
    "convolution_overrideable",  # on XLA
)


class _FirstMatmul(TorchDispatchMode):
    """Remembers dtype and device of the first matrix product's result."""

    def __init__(self, accelerator: Accelerator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._accelerator = accelerator
        self.dtype: torch.dtype | None = None
        self.device: torch.device | None = None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if (
            self.dtype is None
            and isinstance(result, torch.Tensor)
            and func._schema.name.split("::")[1] in MATMUL_OPERATORS
        ):
            self.dtype, self.device = self._accelerator.real_dtype(result), result.device
        return result


class Audit:
    """Watches steps while it is open, and keeps what it saw over all that it watched.

    Args:
        model: whose parameters are trained.
        accelerator: that was asked for; it says what devices and dtypes really are.
        compiled: what sees the compiled regions, where there are any: no hook and no dispatch mode may go in there, so
            a forward pass is then counted by the loss that it left to the backward pass.
    """

    def __init__(self, model: torch.nn.Module, accelerator: Accelerator, compiled: CompileWatch | None = None) -> None:
        self._model = model
        self._accelerator = accelerator
        self._compiled = compiled
        self._parameters: list[torch.nn.Parameter] = []
        self._leaf = model
        self.audited = 0
        self.switches = Switches()
        self.listeners: dict[str, str] = {}
        self.forward = 0
        self.backward = 0
        self.losses: list[float] = []
        self.updates = Updates()
        self.training = True
        self.ranks = 1
        self.strategy = "single_device"
        self.compiled_around_ddp = False
        self.autocast = "off"
        self.loss_scale = 1.0
        self._matmul = _FirstMatmul(accelerator)
        self._output: torch.Tensor | None = None  # of the first module that holds parameters
        self._open: ExitStack | None = None
        self._mode = ExitStack()

    def start(self) -> None:
        """Begin to watch."""
        if not self._parameters:
            # Not before: sharding puts other parameters in the place of those that the workload was built with, and so
            # does a move to XLA; and a LightningModule may build its layers in `configure_model`.
            self._parameters = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
            own = (one for one in self._model.modules() if next(one.parameters(recurse=False), None) is not None)
            self._leaf = next(own, self._model)
        self.updates.watching = True
        stack = ExitStack()
        if self._compiled is None:
            handle = self._leaf.register_forward_hook(self._on_forward)
            stack.callback(handle.remove)
        stack.enter_context(self._watch_backward())
        self._mode = stack.enter_context(ExitStack())
        if self._compiled is None and self._matmul.dtype is None:
            self._mode.enter_context(self._matmul)
        self._open = stack

    def stop(self, steps: int) -> None:
        """End it, after `steps` steps."""
        assert self._open is not None, "stop without start"
        self._open.close()
        self._open = None
        self.updates.watching = False
        self.audited += steps
        # Now, since a loop that has ended has let go of its wrappers, and perhaps of the process group.
        self.switches.read()
        self.listeners = listeners()
        self.ranks = torch.distributed.get_world_size() if in_process_group() else 1
        self.strategy = strategy_in_force(self._parameters)
        self.compiled_around_ddp = self._compiled is not None and self.strategy == "ddp" and compiled_around_ddp()

    def _on_forward(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        if not torch.is_grad_enabled():
            return  # validation, where the watched steps hold the end of an epoch
        self.switches.read()
        self.forward += 1
        self.training = self.training and module.training
        kind = next(module.parameters()).device.type
        if torch.is_autocast_enabled(kind):
            self.autocast = str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
        if self._output is None:
            parts = tree_leaves(output)
            floats = [part for part in parts if isinstance(part, torch.Tensor) and part.is_floating_point()]
            self._output = floats[0].detach()[:0] if floats and floats[0].dim() else None

    @contextmanager
    def _watch_backward(self) -> Iterator[None]:
        original, original_scale = torch.autograd.backward, torch.amp.GradScaler.scale

        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            self.switches.read()
            loss = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors), None)
            self.backward += 1
            if isinstance(loss, torch.Tensor):  # torch takes edges of the graph as well
                self.losses.append(_value(loss) / self.loss_scale)
            if self._matmul.dtype is not None:
                self._mode.close()
            if self._compiled is not None:
                self.forward += getattr(loss, "grad_fn", None) is not None
                self.training = self.training and self._model.training
            self.updates.backward = True
            try:
                original(tensors, *args, **kwargs)
            finally:
                self.updates.backward = False

        def scale(scaler: torch.amp.GradScaler, outputs: Any) -> Any:
            self.loss_scale = scaler.get_scale()  # 1.0 of a scaler that is off
            return original_scale(scaler, outputs)

        torch.autograd.backward = backward
        torch.amp.GradScaler.scale = scale  # type: ignore[method-assign,assignment]  # for the watched steps only
        try:
            yield
        finally:
            torch.autograd.backward = original
            torch.amp.GradScaler.scale = original_scale  # type: ignore[method-assign]  # put back

    def ledger(self) -> dict[str, Any]:
        """The watched part of the ledger; see `bench.results.work_ledger`."""
        updates = self.updates
        updates.settle()
        return {
            "audited": self.audited,
            "forward": self.forward,
            "backward": self.backward,
            "optimizer_updates": updates.steps,
            "audited_updates": updates.watched,
            "audited_changes": updates.changed,
            "optimizers": updates.optimizers,
            "learning_rates": updates.learning_rates,
            "losses": self.losses,
            "nonzero_gradients": updates.nonzero_gradients,
            "faults": updates.faults,
        }

    def effective(self) -> dict[str, Any]:
        """The settings that were really in force inside the watched steps, switches also after every turn."""
        seen = self._compiled or self._matmul
        autocast = self._compiled.autocast if self._compiled else self.autocast
        device = seen.device or next((own.device for own in (self._output, *self._parameters) if own is not None), None)
        return {
            "accelerator": NOT_SEEN if device is None else self._accelerator.kind(device),
            "precision": self._precision(seen.dtype, autocast),
            "devices": self.ranks,
            "strategy": self.strategy,
            "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
            "autocast": autocast,
            "loss_scale": self.loss_scale,
            "loss_scaled": self.loss_scale != 1.0,
            "matmul_dtype": str(seen.dtype).removeprefix("torch.") if seen.dtype else "no product seen",
            "training_mode": self.training,
            **self.switches.effective(),
            **self.listeners,
            **({"compiled_around_ddp": self.compiled_around_ddp} if self._compiled and self.strategy == "ddp" else {}),
            **(self._compiled.effective() if self._compiled else {"compile": "off"}),
        }

    def _precision(self, product: torch.dtype | None, autocast: str) -> str:
        """The precision in Lightning's words, by the weights and the first product.

        A model without a product has nothing that autocast would cast: that it was on, or the dtype of the first
        output, tells as much as can be known.
        """
        weights = next((parameter for parameter in self._parameters if parameter.is_floating_point()), None)
        if weights is None:
            return NOT_SEEN
        own = self._accelerator.real_dtype(weights)
        if product is None and autocast != "off":
            product = getattr(torch, autocast)
        elif product is None and self._output is not None:
            product = self._accelerator.real_dtype(self._output)
        return NOT_SEEN if product is None else precision_name(own, product)


def in_process_group() -> bool:
    """Whether this process is a rank of a process group."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def strategy_in_force(parameters: Sequence[torch.nn.Parameter]) -> str:
    """How these parameters are really trained together: `single_device`, `ddp` or `fsdp`; looks at what there is."""
    if not in_process_group():
        return "single_device"
    from torch.distributed.tensor import DTensor
    from torch.nn.parallel import DistributedDataParallel

    if any(isinstance(parameter, DTensor) for parameter in parameters):
        return "fsdp"
    ours = set(map(id, parameters))
    for found in gc.get_objects():
        if type(found) is DistributedDataParallel and not ours.isdisjoint(map(id, found.module.parameters())):
            return "ddp"
    return "fsdp" if sharded_roots(parameters) else "single_device"


def compiled_around_ddp() -> bool:
    """Whether a module that torch.compile made holds a DistributedDataParallel, and not the other way round."""
    from torch._dynamo.eval_frame import OptimizedModule
    from torch.nn.parallel import DistributedDataParallel

    return any(
        type(found) is OptimizedModule and isinstance(found._orig_mod, DistributedDataParallel)
        for found in gc.get_objects()
    )


def _value(loss: torch.Tensor) -> float:
    """A loss as one number: the mean of one that is several."""
    own = loss.detach()
    own = own.abs() if own.is_complex() else own
    return float(own if own.numel() == 1 else own.double().mean())


def precision_name(parameter: torch.dtype | None, matmul: torch.dtype | None) -> str:
    """Lightning's word for a pair of dtypes: of the weights, and of what the matrix products gave."""
    words = {torch.float32: "32", torch.float16: "16", torch.bfloat16: "bf16", torch.float64: "64"}
    if parameter not in words or matmul not in words:
        return f"weights {parameter}, products {matmul}"
    return f"{words[matmul]}-{'true' if parameter == matmul else 'mixed'}"


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 over dtype, shape and bytes of every tensor of the state, in its order."""
    digest = hashlib.sha256()
    with whole_parameters(model) as lent:
        for tensor in model.state_dict().values():
            if isinstance(tensor, torch.Tensor):
                whole = getattr(tensor, "full_tensor", None)  # of a sharded one: every rank must come here
                digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
                # What is lent is taken back by resizing its storage, which a view of numpy's on it would forbid.
                digest.update(_bytes(whole() if whole is not None else tensor.clone() if lent else tensor))
    return digest.hexdigest()


def _bytes(tensor: torch.Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
