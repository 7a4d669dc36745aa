"""Batches as they were when they were handed out: who trains on them may take parts out, or change them in place.

Kept until a turn is over, when the digest is made: it would cost a step more than the stream may.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bench.axes.loops.batch_tree import CLOSED, DEEPEST, is_tensor, opened

Versions = list[tuple[Any, int]]  # tensors, each with its version counter, which any change in place raises


def snapshot(batch: Any, versions: Versions) -> Any:
    """The batch as it is now, in lists and dictionaries of its own; tensors and objects are not copied.

    Args:
        versions: takes its tensors as they are now.
    """
    return _snapshot(batch, versions, {}, 0)


def changed(versions: Versions) -> bool:
    """Whether a tensor was changed in place since the snapshot that gave these versions."""
    return any(tensor._version != version for tensor, version in versions)


def _snapshot(value: Any, versions: Versions, known: dict[int, tuple[Any, Any]], depth: int) -> Any:
    """`known`: containers by id, each with its copy; one that is met within itself stands for itself."""
    kind = type(value)
    if kind in CLOSED or depth > DEEPEST:
        return value
    if is_tensor(value):
        with suppress(Exception):  # those made for inference count no versions
            versions.append((value, value._version))
        return value
    if id(value) in known:
        return known[id(value)][1]
    record = hasattr(kind, "_fields")  # a namedtuple, which nobody takes anything out of
    node = opened(value) if issubclass(kind, Mapping | tuple | list) and not record else None
    if node is None:
        return value
    known[id(value)] = value, value
    parts = [part if type(part) in CLOSED else _snapshot(part, versions, known, depth + 1) for part in node.parts]
    made: Any = dict(zip(node.names, parts, strict=True)) if node.kind == "mapping" else parts
    if kind is tuple:
        made = tuple(parts)
    known[id(value)] = value, made
    return made
