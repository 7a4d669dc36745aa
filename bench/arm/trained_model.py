"""What a script trains, found from outside: the modules that hold what its optimizers update."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from bench.arm.updates import parameters_of


class TrainedModel(torch.nn.Module):
    """The smallest modules that hold what is trained, as one; and what no module holds.

    Several scripts that train the same model have it at different places, in a LightningModule or a wrapper. Of each
    the innermost module that holds all is taken, so that weights are compared whatever is around them.

    Args:
        tensors: what the optimizers update, in their order.
        modules: every module that there is.
    """

    def __init__(self, tensors: Sequence[torch.Tensor], modules: Iterable[torch.nn.Module]) -> None:
        super().__init__()
        held = [(module, _held(module)) for module in modules]
        left = {id(tensor): tensor for tensor in tensors}
        found: list[torch.nn.Module] = []
        while left:
            shares = [(len(left.keys() & ids), -len(ids), module, ids) for module, ids in held]
            most = max((share[:2] for share in shares if share[0]), default=None)
            if most is None:
                break
            best = [(module, ids) for *share, module, ids in shares if tuple(share) == most]
            module, ids = min(best, key=lambda one: sum(1 for _ in one[0].modules()))
            found.append(module)
            for own in ids:
                left.pop(own, None)
        self.parts = torch.nn.ModuleList(_plain(module) for module in found)
        self._loose = list(left.values())

    def parameters(self, recurse: bool = True) -> Iterator[torch.nn.Parameter]:
        """Those of the modules, then what none of them holds."""
        if recurse:
            yield from self.parts.parameters()
            yield from self._loose  # type: ignore[misc]  # tensors that are trained without being parameters

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As torch has it, with the tensors that no module holds."""
        state = {f"{number}.{key}": value for number, part in enumerate(self.parts) for key, value in _state(part)}
        return {**state, **{f"loose.{number}": tensor for number, tensor in enumerate(self._loose)}}

    @property
    def device_type(self) -> str:
        """Torch's word for the device that it is trained on."""
        first = next(iter(self.parameters()), None)
        return "cpu" if first is None else first.device.type


def _held(module: torch.nn.Module) -> frozenset[int]:
    return frozenset(map(id, module.parameters()))


def _plain(module: torch.nn.Module) -> torch.nn.Module:
    """What torch.compile has wrapped, which holds the same and may hold more of its own."""
    inner = getattr(module, "_orig_mod", None)
    return inner if isinstance(inner, torch.nn.Module) else module


def _state(module: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    """A module's state in the order of its parts; hooks that change names, as of wrappers, are none of ours."""
    yield from module.named_parameters()
    yield from module.named_buffers()


def find_trained_model(optimizers: Iterable[torch.optim.Optimizer]) -> TrainedModel:
    """What these optimizers train. Modules that were imported before the fork are not looked through."""
    tensors = list({id(tensor): tensor for own in optimizers for tensor in parameters_of(own)}.values())
    wanted = set(map(id, tensors))
    modules = [
        found
        for found in gc.get_objects()
        if issubclass(type(found), torch.nn.Module) and not isinstance(found, torch.jit.ScriptModule)
    ]
    return TrainedModel(tensors, [module for module in modules if not wanted.isdisjoint(_held(module))])
