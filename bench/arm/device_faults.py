"""What became of a device, or of ranks that wait for each other, from the words of an exception. Pure."""

from __future__ import annotations

import re
from typing import Literal

# Memory of a device that is used up, where the exception is no OutOfMemoryError: raised by the driver (CUDA 13,
# driver_types.h), by libraries on it (cublas_api.h, cudnn_graph.h), by nccl, or by the allocators of MPS and the CPU.
_OUT_OF_MEMORY = re.compile(
    r"CUDA error: out of memory|CUDA out of memory|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED"
    r"|CUDNN_STATUS_ALLOC_FAILED|CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"
    r"|Cuda failure (?:\d+ )?'out of memory'|MPS backend out of memory|allocate memory",
    re.IGNORECASE,
)
# Ranks that waited in vain: nccl by the error that its work is given, gloo, and the store (torch 2.13, c10d).
_TIMED_OUT = re.compile(
    r"collective operation timeout|Timed out waiting \d+ms for (?:recv|send) operation|wait timeout after \d+ms"
    r"|Socket Timeout|timed out after \d+ seconds|failed due to timeout|NCCL .*timed? ?out",
    re.IGNORECASE,
)
# The name of an error in CUDA's library, in the second line of what torch says (c10/cuda/CUDAException.cpp).
_NAME = re.compile(r"Search for `(cudaError\w+)'")


def device_outcome(text: str) -> Literal["oom", "timeout", "crashed"]:
    """The outcome of an arm that ended with an exception of these words."""
    if _OUT_OF_MEMORY.search(text):
        return "oom"
    return "timeout" if _TIMED_OUT.search(text) else "crashed"


def device_words(text: str) -> str:
    """The first line of an exception's text, with CUDA's name of the error, where a later line has it."""
    first, *rest = text.strip().splitlines() or [""]
    found = _NAME.search("\n".join(rest))
    return f"{first} ({found[1]})" if found else first
