"""XLA and TPUs: which package drives a TPU, and all that is specific to torch_xla. Torch is imported in functions only.

Two packages drive TPUs. torch_tpu (TorchTPU) is eager, its device is `tpu`, and it needs torch 2.11 or later. torch_xla
is lazy, its device is `xla`, its last version is 2.9.0, and it is what Lightning supports. torch_xla also compiles for
the CPU: with PJRT_DEVICE=CPU in the environment, cells of `accelerator=tpu` run there and are called `xla-cpu`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

GOOGLE = "0x1ae0"  # the PCI vendor id that torch_xla looks for as well
CPU = "xla-cpu"


def on_cpu() -> bool:
    """Whether the user asks torch_xla for its CPU device. torch_xla takes the CPU by itself where nothing is said, and
    so a program without a TPU trains there unasked; here it must be said."""
    return os.environ.get("PJRT_DEVICE") == "CPU"


def real_name(accelerator: object) -> object:
    """The accelerator that cells are planned, labelled and recorded under: `tpu` on PJRT's CPU device is none."""
    return CPU if accelerator == "tpu" and on_cpu() else accelerator


def no_tpu() -> str | None:
    """Why there is no TPU on this machine, or None; without torch."""
    for path in Path("/sys/bus/pci/devices").glob("*/vendor"):
        if path.read_text().strip() == GOOGLE:
            return None
    return f"no TPU on this machine: no PCI device of vendor {GOOGLE}"


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


def no_torch_tpu() -> str | None:
    """Why torch_tpu cannot be used here, or None; from metadata, nothing is imported.

    Another package of that name is about (of another maker's processors, with a module of its own `_C`): Google's asks
    for libtpu, or names its home, and the module must be the distribution's own.
    """
    spec = importlib.util.find_spec("torch_tpu")
    if spec is None:
        return "the package 'torch_tpu' is not installed"
    try:
        found = distribution("torch_tpu")
    except PackageNotFoundError:
        return "the module 'torch_tpu' here belongs to no distribution of that name"
    where = Path(str(found.locate_file("torch_tpu"))).resolve()
    if spec.origin is None or Path(spec.origin).resolve().parent != where or not _of_google(found):
        return f"the module 'torch_tpu' here is not TorchTPU's: it is that of {found.metadata['Name']} {found.version}"
    return None


def _of_google(found: Distribution) -> bool:
    needs = {requirement.lower().replace("-", "_") for requirement in found.requires or ()}
    # A header that is missing is a KeyError where importlib_metadata has put its own finders in place.
    home = [url for name in ("Home-page", "Project-URL") for url in found.metadata.get_all(name) or ()]
    return any(need.startswith("libtpu") for need in needs) or any("google-pytorch/torch_tpu" in url for url in home)


def load_torch_tpu() -> str | None:
    """Load torch_tpu into this arm; why it drives no device here, or None.

    `import torch` would load it in every interpreter, plain CPU ones included, where it patches torch.compile. So arms
    are started with this variable at 0, and torch_tpu, which reads it, is told otherwise here, after the fork.
    """
    os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "1"
    import torch

    importlib.import_module("torch_tpu")
    try:
        torch.device("tpu", 0)
    except RuntimeError as error:
        return f"torch_tpu {version('torch_tpu')} registers no device: {str(error).splitlines()[0][:120]}"
    return None


def answer_lightning() -> None:
    """Let Lightning take PJRT's CPU device: the only place where Lightning is not as it comes.

    Lightning asks torch_xla how many TPU chips there are (`XLAAccelerator.auto_device_count`, of which `is_available`
    is made) and refuses accelerator="tpu" where there are none. Here the answer is one. On a TPU this is never called.
    """
    from lightning.fabric.accelerators.xla import XLAAccelerator

    def one() -> int:
        return 1

    def yes() -> bool:
        return True

    XLAAccelerator.auto_device_count = staticmethod(one)  # type: ignore[method-assign,assignment]  # was cached
    XLAAccelerator.is_available = staticmethod(yes)  # type: ignore[method-assign,assignment]  # was cached


def wait() -> None:
    """Launch what is pending and wait until the device has done all of it: the edge of a turn."""
    import torch_xla
    from torch_xla.core import xla_model

    torch_xla.sync(wait=True)
    xla_model.wait_device_ops()


def kind(device: torch.device) -> str:
    """Where a tensor's device really is, as accelerators are called here: `xla` says nothing of what is behind it."""
    if device.type != "xla":
        return device.type
    from torch_xla import runtime

    found = str(runtime.device_type()).lower()
    return "tpu" if found == "tpu" else f"xla-{found}"


def real_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The dtype that a tensor has on its device. With XLA_USE_BF16 a float32 tensor is bfloat16 there, and says not."""
    import torch

    if tensor.device.type != "xla":
        return tensor.dtype
    import torch_xla

    # Reads the graph or the buffer; runs nothing.
    name = torch_xla._XLAC._get_xla_tensor_shape_type(tensor)
    words = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "f64": torch.float64}
    return words.get(str(name), tensor.dtype)


def hardware() -> str:
    """The device by torch_xla's own words, e.g. `TPU:0 v4`."""
    import torch_xla

    return " ".join(str(name) for name in torch_xla.real_devices())


def peak_memory() -> Mapping[str, int]:
    """Peak bytes on the device since the client's start, as there is no reset; nothing where PJRT does not count."""
    from torch_xla.core import xla_model

    try:
        return {"peak_memory_device": int(xla_model.get_memory_info()["peak_bytes_used"])}
    except RuntimeError as error:
        if "UNIMPLEMENTED" in str(error):  # PJRT's CPU device
            return {}
        raise


def counters() -> dict[str, int]:
    """torch_xla's counters by name: UncachedCompile, MarkStep, one `aten::...` for each operator done on the CPU."""
    from torch_xla.debug import metrics

    return {str(name): int(metrics.counter_value(name) or 0) for name in metrics.counter_names()}


class XLAWatch:
    """Reads torch_xla's counters at the edges of turns, outside of all timing.

    Watched turns are left out where they would tell of the watching: the audit reads losses, which cuts the graph and
    fetches a scalar.
    """

    EDGES = 2  # `wait` at both ends of a turn counts as a cut each

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
