"""What an accelerator is: all that a device has of its own, asked of one class. Torch is imported in methods only.

`unavailable` is asked by the parent, which never imports torch; it looks for the driver's files, not for torch's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import torch


class DeviceWatch(Protocol):
    """What a device does besides the arithmetic, read at the edges of turns."""

    def before(self) -> None:
        """Just before a turn; not timed."""

    def after(self, steps: int, *, audited: bool, timed: bool) -> None:
        """Just after a turn of that many steps; not timed."""

    def effective(self) -> dict[str, Any]:
        """What goes into the record's effective settings."""


class NoWatch:
    """Of most devices there is nothing to say."""

    def before(self) -> None:
        pass

    def after(self, steps: int, *, audited: bool, timed: bool) -> None:
        pass

    def effective(self) -> dict[str, Any]:
        return {}


class Accelerator:
    """A value of the axis `accelerator`, and all that is asked of it; the base answers for a device like most.

    A new one is a subclass with a `name`, in a file of this folder or at an entry point of the group
    `bench.accelerators`. It is made without arguments, by the parent and by every arm. Its file imports no torch at the
    top. docs/adding/accelerator.md goes through it step by step.

    Attributes:
        name: value of the axis, as Lightning spells it where Lightning knows it. The only one that must be given.
        packages: what its interpreters import besides torch, before they fork.
        late_imports: modules of these that programs import at their first step; imported with them.
        settings: effective settings that only cells on it have, each with the reason why others need not.
        counts: what `watch` tells that is counted and not set, each with what is counted; arms may differ in it.
        caution: what a reader must be told of its figures, or None.
    """

    name: str
    packages: tuple[str, ...] = ()
    late_imports: tuple[str, ...] = ()
    settings: Mapping[str, str] = {}
    counts: Mapping[str, str] = {}
    caution: str | None = None

    @property
    def lightning(self) -> str:
        """What Fabric and Trainer are given as `accelerator`; "" where Lightning cannot drive it."""
        return self.name

    @property
    def device_type(self) -> str:
        """Torch's word for it: the type of `torch.device`."""
        return self.name

    @property
    def real_name(self) -> str:
        """The name that its cells are planned, labelled and recorded under, where that depends on the environment."""
        return self.name

    def driver(self, *, lightning: bool) -> Accelerator:
        """The accelerator that a loop gets, where several packages drive the device.

        Args:
            lightning: whether Fabric or Trainer is to use it.
        """
        return self

    # Asked by the parent, while it plans. Reasons are whole clauses; the user reads them behind the cell's id.

    def unavailable(self) -> str | None:
        """Why cells cannot run on it on this machine, or None."""
        return None

    def count(self) -> int:
        """How many of it there are for us, without asking torch."""
        return 1

    def too_many(self, devices: int, threads: int) -> str | None:
        """Why so many devices, with so many threads each, cannot be had, or None."""
        if devices <= self.count():
            return None
        return f"devices={devices}: there are fewer {self.name} devices; allowed: 1 to {self.count()}"

    def unsupported_precision(self, name: str, *, lightning: bool) -> str | None:
        """Why a precision cannot run on it, or None.

        Args:
            name: a key of `bench.axes.precision.PRECISIONS`.
            lightning: whether Fabric or Trainer is asked for it.
        """
        return None

    def unsupported_strategy(self, wrapping: Literal["ddp", "fsdp"], *, lightning: bool) -> str | None:
        """Why several ranks cannot train on it in that way, or None."""
        if wrapping == "fsdp" and lightning:
            return f"Lightning runs fsdp on cuda only, not on {self.name}"
        return None

    def unsupported_compile(self, mode: str) -> str | None:
        """Why torch.compile does not have that mode on it, or None; never asked for `off`."""
        if mode == "reduce-overhead":
            return f"reduce-overhead is CUDA graphs (torch._inductor.list_mode_options), which {self.name} has not"
        return None

    def asks(self, compile_mode: str) -> Mapping[str, str]:
        """Effective settings that a mode of torch.compile asks for on it besides its name: without them the cell is
        `downgraded`."""
        return {}

    def unsupported_calibration(self) -> str | None:
        """Why `bench env --calibrate` cannot measure its ceilings, or None."""
        return None

    # Asked in the arm, with torch.

    def prepare(self) -> None:
        """What an arm does before it builds anything."""

    def device(self, local_rank: int = 0) -> torch.device:
        """The device that a rank trains on.

        Raises:
            Unsupported: torch does not find it; the cell's outcome is `unsupported`, with this reason.
        """
        import torch

        return torch.device(self.device_type)

    @property
    def asynchronous(self) -> bool:
        """Whether a step may return before its work is done, so that a turn's edges must wait."""
        return self.device_type != "cpu"

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if self.asynchronous:
            import torch

            torch.accelerator.synchronize()

    def describe(self) -> str:
        """The device's own name, as its maker gives it."""
        return self.name

    def kind(self, device: torch.device) -> str:
        """What a tensor's device is called in records: the name of this accelerator, or torch's word for another."""
        return self.name if device.type == self.device_type else device.type

    def real_dtype(self, tensor: torch.Tensor) -> torch.dtype:
        """The dtype that a tensor has on its device, where that may be another than it says."""
        return tensor.dtype

    def reset_peak_memory(self) -> None:
        """Begin a new peak."""

    def peak_memory(self) -> Mapping[str, int]:
        """Bytes since the last reset, as `peak_memory_device` and `peak_memory_device_reserved`; nothing where the
        device has no memory of its own."""
        return {}

    def allocated_memory(self) -> int | None:
        """Bytes that tensors have on the device now; None where it has no memory of its own, or does not say."""
        return None

    def meter(self) -> str:
        """Where this rank's device is metered, for the conductor: `nvml:UUID`, `rapl:`, or "" for nowhere."""
        return ""

    def watch(self) -> DeviceWatch:
        """What reads the device's own counters at the edges of turns."""
        return NoWatch()
