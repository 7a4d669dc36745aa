"""How a model is compiled: the names of the modes, which are torch's. No torch. What cannot run, accelerators say."""

from __future__ import annotations

COMPILE_MODES = ("off", "default", "reduce-overhead", "max-autotune")
