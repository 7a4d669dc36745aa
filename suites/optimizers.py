"""Which implementation of an optimizer's update pays: tensor after tensor, `foreach`, `fused`. On synthetic data."""

from __future__ import annotations

from bench import Point, Suite, Workload

OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adagrad")  # those of torch.optim that have all three


def build(point: Point) -> Workload:
    """A tower of linear layers, half of which are biases: many small tensors, as optimizers meet them."""
    import torch
    from torch import nn

    torch_optimizer = getattr(torch.optim, str(point["optimizer"]))
    flags = {name: name == point["implementation"] for name in ("foreach", "fused")}
    width, depth, batch_size = int(point["width"]), int(point["depth"]), int(point["batch_size"])
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.Tanh())]
    generator = torch.Generator().manual_seed(torch.initial_seed())
    rows = torch.randn(64 * batch_size, width, generator=generator)
    return Workload(
        model=nn.Sequential(*layers),
        loss=lambda model, batch: (model(batch) - batch).square().mean(),
        optimizer=lambda parameters: torch_optimizer(parameters, lr=1e-3, **flags),
        batches=torch.utils.data.DataLoader(rows, batch_size=batch_size),  # type: ignore[arg-type]  # a tensor is one
        samples=batch_size,
    )


suite = Suite(
    name="optimizers",
    title="which implementation of an optimizer's update is fastest: for each tensor, foreach, fused",
    axes={
        "implementation": ("for-each-tensor", "foreach", "fused"),
        "optimizer": ("AdamW",),
        "loop": ("plain",),
        "depth": (24,),
        "width": (32,),
        "batch_size": (32,),
    },
    choices={"implementation": ("for-each-tensor", "foreach", "fused"), "optimizer": OPTIMIZERS},
    compare="implementation",
    baseline="for-each-tensor",
    build=build,
)
