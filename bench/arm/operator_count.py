"""How often torch dispatches which operator, the backward pass included, and who called it.

A dispatch mode sees each operator that reaches a kernel; what is composed of others is seen as these.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import CodeType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

COPYING = frozenset({"aten::copy_", "aten::_to_copy", "aten::clone"})
# Python gets to know what the device has computed.
READING = frozenset({"aten::_local_scalar_dense", "aten::nonzero", "aten::equal"})
PROFILER_MARKS = (
    "profiler::"  # what tells a profiler, where there is one, that something begins or ends; they compute nothing
)
OUTSIDE = "?"  # called by no Python function but torch's


class OperatorCount(TorchDispatchMode):
    """Counts the operators that are dispatched while it is entered.

    Attributes:
        operators: by name, how often.
        callers: by operator, how often each function outside of torch called it.
        copies, host_syncs: those of them that copy, and for which the host waits.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._found: dict[tuple[str, str, bool], int] = {}
        self._names: dict[int, tuple[CodeType, str]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """One operator, which is run as it would be."""
        given = kwargs or {}
        value = func(*args, **given)
        name = func._schema.name
        if name.startswith(PROFILER_MARKS):
            return value
        waits = name in READING or (name in COPYING and _waits(name, args, given, value))
        key = name, self._caller(), waits
        self._found[key] = self._found.get(key, 0) + 1
        return value

    @property
    def operators(self) -> dict[str, int]:
        return self._summed(lambda name, waits: True)

    @property
    def copies(self) -> dict[str, int]:
        return self._summed(lambda name, waits: name in COPYING)

    @property
    def host_syncs(self) -> dict[str, int]:
        return self._summed(lambda name, waits: waits)

    def callers(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for (name, caller, _), number in self._found.items():
            own = found.setdefault(name, {})
            own[caller] = own.get(caller, 0) + number
        return found

    def _summed(self, wanted: Any) -> dict[str, int]:
        found: dict[str, int] = {}
        for (name, _, waits), number in self._found.items():
            if wanted(name, waits):
                found[name] = found.get(name, 0) + number
        return found

    def _caller(self) -> str:
        frame = sys._getframe(2)
        while frame is not None:
            module = frame.f_globals.get("__name__", "?")
            if module.partition(".")[0] != "torch":
                code = frame.f_code
                if id(code) not in self._names:
                    self._names[id(code)] = code, f"{module}:{code.co_qualname}"
                return self._names[id(code)][1]
            frame = frame.f_back  # type: ignore[assignment]  # None at the outermost
        return OUTSIDE


def _waits(name: str, args: Sequence[Any], given: Mapping[str, Any], value: Any) -> bool:
    """Whether a copy goes from one device to another, and was not asked to be made while the host goes on."""
    in_place = name == "aten::copy_"
    if given.get("non_blocking") or (in_place and any(args[2:3])):
        return False
    tensors = [leaf for leaf in tree_leaves((args[: 1 + in_place], value)) if isinstance(leaf, torch.Tensor)]
    return len({leaf.device for leaf in tensors}) > 1
