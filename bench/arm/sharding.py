"""Parameters of which each rank has a share: found, and made whole again to be read.

FSDP2 (`fully_shard`, what torch's tutorials and the plain loop have) makes DTensors, which say so themselves. FSDP1
(`FullyShardedDataParallel`, Lightning's `fsdp`) leaves the parameters the objects that they were, by its default
use_orig_params, and takes their elements away.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


def sharded_roots(parameters: Iterable[torch.nn.Parameter]) -> list[Any]:
    """The outermost FullyShardedDataParallel modules that hold some of these parameters."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return []  # and no looking through all objects, which takes a tenth of a second
    module = sys.modules.get("torch.distributed.fsdp.fully_sharded_data_parallel")
    kind = getattr(module, "FullyShardedDataParallel", None)
    if kind is None:
        return []
    ours = set(map(id, parameters))
    wrapped = [found for found in gc.get_objects() if type(found) is kind]
    inner = {id(part) for found in wrapped for part in found.modules() if part is not found}
    return [found for found in wrapped if id(found) not in inner and not ours.isdisjoint(map(id, found.parameters()))]


@contextmanager
def whole_parameters(model: torch.nn.Module) -> Iterator[bool]:
    """The parameters of a model are whole within it, on every rank; every rank must come here. Gives whether they are
    lent for that."""
    with ExitStack() as stack:
        roots = sharded_roots(model.parameters())
        for root in roots:
            stack.enter_context(type(root).summon_full_params(root, writeback=False))
        yield bool(roots)
