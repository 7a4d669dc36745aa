"""What the accelerators that XLA compiles for have in common; itself none. Torch is imported in functions only.

torch_xla is lazy: operations are recorded, and nothing runs until the graph is cut. It also compiles for the CPU: with
PJRT_DEVICE=CPU in the environment, cells of `accelerator=tpu` run there and are called `xla-cpu`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from bench.axes.accelerators.base import Accelerator, DeviceWatch

if TYPE_CHECKING:
    import torch

XLA_CPU = "xla-cpu"


class XLACompiled(Accelerator):
    """What cannot run where XLA compiles. Read in torch 2.13's and Lightning 2.6.6's sources."""

    def unsupported_precision(self, name: str, *, lightning: bool) -> str | None:
        # 16-true is not here: Lightning takes it, XLA ignores it, and the arm reads that back.
        if lightning and name not in ("32-true", "bf16-true", "16-true"):
            return f"Lightning runs no {name} on XLA"
        if name == "16-mixed":
            return "on XLA mixed precision is bfloat16's: bf16-mixed"
        return None

    def unsupported_strategy(self, wrapping: Literal["ddp", "fsdp"], *, lightning: bool) -> str | None:
        return f"one {self.name} device only: Lightning's strategy for several is `xla`, and it is not driven here"

    def unsupported_compile(self, mode: str) -> str | None:
        return "inductor, torch.compile's default backend, has none for XLA"


class TorchXLA(XLACompiled):
    """A device through torch_xla. The client must not start before Fabric or Trainer is made: they set XLA_USE_BF16."""

    packages = ("torch_xla",)
    # Importing torch_xla starts neither a thread nor its PJRT client; the first tensor on the device does.
    late_imports = ("torch_xla.core.xla_model", "torch_xla.debug.metrics", "torch_xla.runtime")
    device_type = "xla"
    settings: Mapping[str, str] = {
        "graph_cut": "only XLA's graph is cut",
        "torch_xla": "only XLA needs it",
        "torch_xla_imported": "only XLA needs it",
    }
    counts: Mapping[str, str] = {
        "compilations": "by XLA; the summary warns of those in timed turns",
        "compilations_timed": "by XLA",
        "graph_cuts_per_step": "by XLA",
        "operators_on_cpu": "that XLA has not",
    }

    def unsupported_calibration(self) -> str | None:
        # Nobody cuts the graph there: products whose results nobody asks for would be counted and never done.
        return "torch_xla is lazy, and the ceilings are those of calls that are done when they are made"

    def device(self, local_rank: int = 0) -> torch.device:
        import torch

        return torch.device("xla", local_rank)

    def synchronize(self) -> None:
        """Launch what is pending and wait until the device has done all of it: the edge of a turn."""
        import torch_xla
        from torch_xla.core import xla_model

        torch_xla.sync(wait=True)
        xla_model.wait_device_ops()

    def describe(self) -> str:
        """The device by torch_xla's own words, e.g. `TPU:0 v4`."""
        import torch_xla

        return " ".join(str(name) for name in torch_xla.real_devices())

    def kind(self, device: torch.device) -> str:
        """Where a tensor's device really is: `xla` says nothing of what is behind it."""
        if device.type != "xla":
            return device.type
        from torch_xla import runtime

        found = str(runtime.device_type()).lower()
        return "tpu" if found == "tpu" else f"xla-{found}"

    def real_dtype(self, tensor: torch.Tensor) -> torch.dtype:
        """With XLA_USE_BF16 a float32 tensor is bfloat16 on the device, and says not."""
        import torch

        if tensor.device.type != "xla":
            return tensor.dtype
        import torch_xla

        # Reads the graph or the buffer; runs nothing.
        name = torch_xla._XLAC._get_xla_tensor_shape_type(tensor)
        words = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "f64": torch.float64}
        return words.get(str(name), tensor.dtype)

    def peak_memory(self) -> Mapping[str, int]:
        """Peak bytes since the client's start, as there is no reset; nothing where PJRT does not count."""
        from torch_xla.core import xla_model

        try:
            return {"peak_memory_device": int(xla_model.get_memory_info()["peak_bytes_used"])}
        except RuntimeError as error:
            if "UNIMPLEMENTED" in str(error):  # PJRT's CPU device
                return {}
            raise

    def watch(self) -> DeviceWatch:
        return XLAWatch()


def xla_on_cpu() -> bool:
    """Whether the user asks torch_xla for its CPU device. torch_xla takes the CPU by itself where nothing is said, and
    so a program without a TPU trains there unasked; here it must be said."""
    return os.environ.get("PJRT_DEVICE") == "CPU"


def no_torch_xla() -> str | None:
    """Why torch_xla cannot be used here, or None; from metadata, nothing is imported."""
    try:
        own, torch = version("torch_xla"), version("torch")
    except PackageNotFoundError as missing:
        return f"the package {missing.name!r} is not installed"
    if importlib.util.find_spec("torch_xla") is None:
        return "the package 'torch_xla' has metadata but no module"
    # Its metadata pins no torch, so nothing stops a wrong one; its library is built against one minor version.
    needed = ".".join(own.split(".")[:2])
    if torch.split(".")[:2] != own.split(".")[:2]:
        return f"torch_xla {own} needs torch {needed}, and torch {torch} is installed"
    return None


def counters() -> dict[str, int]:
    """torch_xla's counters by name: UncachedCompile, MarkStep, one `aten::...` for each operator done on the CPU."""
    from torch_xla.debug import metrics

    return {str(name): int(metrics.counter_value(name) or 0) for name in metrics.counter_names()}


class XLAWatch:
    """Reads torch_xla's counters at the edges of turns, outside of all timing.

    Watched turns are left out where they would tell of the watching: the audit reads losses, which cuts the graph and
    fetches a scalar.
    """

    EDGES = 2  # `synchronize` at both ends of a turn counts as a cut each

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._steps = self._cuts = self._timed = 0
        self._fallen: set[str] = set()

    def before(self) -> None:
        self._before = counters()

    def after(self, steps: int, *, audited: bool, timed: bool) -> None:
        now = counters()
        grown = {name: value - self._before.get(name, 0) for name, value in now.items()}
        if audited:
            return
        self._fallen |= {name for name, more in grown.items() if more and name.startswith("aten::")}
        self._steps += steps
        self._cuts += grown.get("MarkStep", 0) - self.EDGES
        if timed:
            self._timed += grown.get("UncachedCompile", 0)

    def effective(self) -> dict[str, Any]:
        """Settings and counts for the record; see docs/methodology.md."""
        return {
            "compilations": counters().get("UncachedCompile", 0),
            "compilations_timed": self._timed,
            "graph_cuts_per_step": round(self._cuts / self._steps, 3) if self._steps else None,
            "operators_on_cpu": sorted(self._fallen),
            "torch_xla": sys.modules["torch_xla"].__version__,
        }
