"""How a model is compiled: the names of the modes, and what cannot run. No torch."""

from __future__ import annotations

import os
import shutil

COMPILE_MODES = ("off", "default", "reduce-overhead", "max-autotune")


def unsupported_compile(mode: str, accelerator: str) -> str | None:
    """Why a compile mode cannot run, or None."""
    if mode == "off":
        return None
    if accelerator in ("tpu", "xla-cpu"):
        return "inductor, torch.compile's default backend, has none for XLA"
    if mode == "reduce-overhead" and accelerator != "cuda":
        return f"reduce-overhead is CUDA graphs (torch._inductor.list_mode_options), which {accelerator} has not"
    if accelerator == "cpu" and not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))):
        return "torch.compile needs a C++ compiler for the CPU: no g++ or clang++ on the path, and no CXX"
    return None
