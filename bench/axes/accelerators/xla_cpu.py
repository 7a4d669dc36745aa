"""PJRT's CPU device, for the sake of testing: the code path of a TPU, and none of its figures."""

from __future__ import annotations

import sys

from bench.axes.accelerators.xla import XLA_CPU, TorchXLA, no_torch_xla, xla_on_cpu


class XLAOnCPU(TorchXLA):
    """The CPU through torch_xla, which PJRT_DEVICE=CPU in the environment asks for."""

    name = XLA_CPU
    lightning = "tpu"
    caution = (
        f"{XLA_CPU} is torch_xla's CPU device, where loops can be tried without a TPU: its figures say nothing of a TPU"
    )

    def unavailable(self) -> str | None:
        if not xla_on_cpu():
            return "set PJRT_DEVICE=CPU to run torch_xla on the CPU"
        return no_torch_xla()

    def prepare(self) -> None:
        if "lightning" in sys.modules:
            answer_lightning()

    def describe(self) -> str:
        return f"{super().describe()}, PJRT's CPU device: no TPU"


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
