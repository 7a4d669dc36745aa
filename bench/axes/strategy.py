"""How several devices train one model: the names, and what they mean. No torch. What cannot run, accelerators say.

Fabric and Trainer are given Lightning's name of a strategy and do as they do; what they really did is read back. The
plain loop asks here.
"""

from __future__ import annotations

from typing import Literal

STRATEGIES = ("auto", "ddp", "fsdp")

Wrapping = Literal["single_device", "ddp", "fsdp"]


def resolve_strategy(strategy: str, devices: int) -> Wrapping:
    """What a strategy's name means for so many devices, of all nodes together: `auto` is one process for one, and ddp
    for more."""
    if strategy == "fsdp":
        return "fsdp"
    return "ddp" if strategy == "ddp" or devices > 1 else "single_device"


def ranks(strategy: str, devices: int) -> int:
    """Processes, on all nodes together, that are ranks of a process group; 0 where one process trains by itself."""
    return 0 if resolve_strategy(strategy, devices) == "single_device" else devices
