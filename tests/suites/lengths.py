"""A suite whose turns are whole epochs, of a loader that has a length, has none, or has another."""

from __future__ import annotations

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite


def build(point: Point) -> Workload:
    import torch
    from torch.utils.data import DataLoader, IterableDataset, TensorDataset

    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(24, 4, generator=generator)

    class Endless(IterableDataset[tuple[torch.Tensor]]):
        """No `__len__`: a DataLoader over it has one that raises."""

        def __iter__(self):
            return iter([(row,) for row in rows])

    datasets = {"known": TensorDataset(rows), "none": Endless(), "shorter": TensorDataset(rows[:16])}
    return Workload(
        model=torch.nn.Linear(4, 4),
        loss=lambda model, batch: (model(batch[0]) - batch[0]).square().mean(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        batches=DataLoader(datasets[str(point["length"])], batch_size=8),
        samples=8,
        lightning=lambda: None,  # for plain loops only
    )


suite = Suite(
    name="lengths",
    title="epochs of known, unknown and other length",
    axes={"length": ("known", "none", "shorter"), "loop": ("plain",)},
    compare="length",
    baseline="known",
    choices={"length": ("known", "none", "shorter")},
    epochs=True,
    build=build,
)
