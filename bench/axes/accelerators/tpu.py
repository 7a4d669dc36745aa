"""TPUs, and which of two packages drives one.

torch_tpu (TorchTPU) is eager, its device is `tpu`, and it needs torch 2.11 or later. torch_xla is lazy, its device is
`xla`, its last version is 2.9.0, and it is what Lightning supports.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

from bench.axes.accelerators.base import Accelerator
from bench.axes.accelerators.xla import XLA_CPU, TorchXLA, XLACompiled, no_torch_xla, xla_on_cpu
from bench.errors import Unsupported

GOOGLE = "0x1ae0"  # the PCI vendor id that torch_xla looks for as well


class TPU(TorchXLA):
    """A TPU through torch_xla, or through torch_tpu where that is installed and no Lightning asks."""

    name = "tpu"

    @property
    def real_name(self) -> str:
        return XLA_CPU if xla_on_cpu() else self.name

    def driver(self, *, lightning: bool) -> Accelerator:
        return TorchTPU(self.name) if not lightning and no_torch_tpu() is None else self

    def unavailable(self) -> str | None:
        return no_tpu() or no_torch_xla()


class TorchTPU(XLACompiled):
    """A TPU through torch_tpu, which is eager and registers itself as torch's accelerator.

    Args:
        name: of the accelerator that it stands in for; it is no value of the axis itself.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def unavailable(self) -> str | None:
        return no_tpu() or no_torch_tpu()

    def prepare(self) -> None:
        reason = load_torch_tpu()
        if reason:
            raise Unsupported(reason)

    def describe(self) -> str:
        return "TPU through torch_tpu"

    def reset_peak_memory(self) -> None:
        import torch

        torch.accelerator.reset_peak_memory_stats()

    def peak_memory(self) -> Mapping[str, int]:
        import torch

        return {"peak_memory_device": torch.accelerator.max_memory_allocated()}

    def allocated_memory(self) -> int | None:
        import torch

        return torch.accelerator.memory_allocated()


def no_tpu() -> str | None:
    """Why there is no TPU on this machine, or None; without torch."""
    for path in Path("/sys/bus/pci/devices").glob("*/vendor"):
        if path.read_text().strip() == GOOGLE:
            return None
    return f"no TPU on this machine: no PCI device of vendor {GOOGLE}"


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
