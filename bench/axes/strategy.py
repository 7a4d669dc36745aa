"""How several devices train one model, and how a model is compiled: the names, and what cannot run. No torch.

Fabric and Trainer are given Lightning's name of a strategy and torch's of a compile mode, and do as they do; what they
really did is read back. The plain loop asks here. Read in torch 2.13's and Lightning 2.6.6's sources.
"""

from __future__ import annotations

from typing import Literal

STRATEGIES = ("auto", "ddp", "fsdp")

Wrapping = Literal["single_device", "ddp", "fsdp"]


def resolve_strategy(strategy: str, devices: int) -> Wrapping:
    """What a strategy's name means for so many devices: `auto` is one process for one, and ddp for more."""
    if strategy == "fsdp":
        return "fsdp"
    return "ddp" if strategy == "ddp" or devices > 1 else "single_device"


def ranks(strategy: str, devices: int) -> int:
    """Processes that are ranks of a process group; 0 where one process trains by itself."""
    return 0 if resolve_strategy(strategy, devices) == "single_device" else devices


def unsupported_strategy(strategy: str, devices: int, accelerator: str, loop: str) -> str | None:
    """Why a strategy cannot run, or None."""
    wrapping = resolve_strategy(strategy, devices)
    if wrapping == "single_device":
        return None
    if accelerator in ("tpu", "xla-cpu"):
        return f"one {accelerator} device only: Lightning's strategy for several is `xla`, and it is not driven here"
    if accelerator == "mps":
        return f"no {wrapping} on {accelerator}: Lightning and torch have none there"
    if wrapping == "fsdp" and accelerator != "cuda" and loop != "plain":
        return f"Lightning runs fsdp on cuda only, not on {accelerator}"
    return None
