"""Every optimizer of torch.optim in every implementation, and what is counted of it: the table of docs/optimizers.md.

`python tests/arm/optimizers.py cpu` (or `cuda`) prints the table for that device.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

WAYS = ("one", "two", "accumulation")  # one optimizer; two over a half of the model each; an update every second step
IMPLEMENTATIONS = ("default", "foreach", "fused")
STEPS = 6


def optimizer_classes() -> dict[str, type[torch.optim.Optimizer]]:
    """All that torch.optim has, by name."""
    found = (getattr(torch.optim, name) for name in dir(torch.optim))
    return {
        one.__name__: one
        for one in found
        if isinstance(one, type) and issubclass(one, torch.optim.Optimizer) and one is not torch.optim.Optimizer
    }


@dataclass
class Truth:
    """What really happened, by copies of all parameters around every call of an optimizer's step."""

    updates: int = 0
    changes: int = 0


def build(name: str, device: str) -> tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]:
    """A model that this optimizer can train, and its loss."""
    torch.manual_seed(0)
    if name == "SparseAdam":  # takes sparse gradients and no others
        embeddings = nn.ModuleList([nn.Embedding(8, 4, sparse=True) for _ in range(2)]).to(device)
        index = torch.arange(8, device=device)
        return embeddings, lambda model: sum(part(index).square().mean() for part in model)
    layers = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False)).to(device)  # Muon: 2-D
    data = torch.randn(16, 4, device=device)
    return layers, lambda model: (model(data) - data).square().mean()


def make(name: str, implementation: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer | None:
    """The optimizer in that implementation, None where torch has it not."""
    options = {} if implementation == "default" else {implementation: True}
    try:
        return optimizer_classes()[name](list(parameters), lr=0.05, **options)
    except (TypeError, RuntimeError):  # it knows no such argument; or not for these tensors
        return None


def not_here(error: RuntimeError) -> bool:
    """Whether this is an optimizer's refusal of a device, which some say at their first step only."""
    return "fused=True" in str(error)


def train(name: str, implementation: str, way: str, device: str) -> Truth | None:
    """Train for STEPS steps; what really happened, or None where torch has no such implementation."""
    model, loss_of = build(name, device)
    parameters = list(model.parameters())
    halves = [parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]]
    made = [make(name, implementation, own) for own in (halves if way == "two" else [parameters])]
    optimizers = [one for one in made if one is not None]
    if len(optimizers) < len(made):
        return None
    truth = Truth()
    every = 2 if way == "accumulation" else 1
    for step in range(STEPS):

        def closure() -> torch.Tensor:
            for one in optimizers:
                one.zero_grad()
            loss = loss_of(model)
            loss.backward()
            return loss

        if name != "LBFGS":
            if step % every == 0:
                for one in optimizers:
                    one.zero_grad()
            loss_of(model).backward()
        if step % every == every - 1:
            for one in optimizers:
                before = [parameter.detach().clone() for parameter in parameters]
                try:
                    one.step(closure) if name == "LBFGS" else one.step()
                except RuntimeError as error:
                    if not_here(error):
                        return None
                    raise
                truth.updates += 1
                pairs = zip(before, parameters, strict=True)
                truth.changes += any(not torch.equal(was, now.detach()) for was, now in pairs)
    return truth


def seen(name: str, implementation: str, way: str, device: str) -> tuple[Truth, Truth] | None:
    """What really happened, and what the ledger says of it; None where torch has no such implementation."""
    from bench.arm.updates import Updates

    updates = Updates()
    updates.watching = True
    truth = train(name, implementation, way, device)
    updates.watching = False
    updates.settle()
    return None if truth is None else (truth, Truth(updates.steps, updates.changed))


def table(device: str) -> str:
    """The table as it stands in docs/optimizers.md."""
    head = f"| `torch.optim`, on {device} | {' | '.join(IMPLEMENTATIONS)} |\n|---|{'---|' * len(IMPLEMENTATIONS)}\n"
    return head + "".join(
        f"| {name} | {' | '.join(_word(name, implementation, device) for implementation in IMPLEMENTATIONS)} |\n"
        for name in optimizer_classes()
    )


def _word(name: str, implementation: str, device: str) -> str:
    found = [seen(name, implementation, way, device) for way in WAYS]
    if all(one is None for one in found):
        return "torch has none"
    return "each update once" if all(one and one[0] == one[1] and one[0].changes for one in found) else "miscounted"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    print(table(sys.argv[1]), end="")
