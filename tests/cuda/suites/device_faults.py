"""Faults of a CUDA device, really done: memory used up, an assertion in a kernel, a graph that cannot be captured."""

from __future__ import annotations

from typing import Any

from bench import Point, Suite, Workload

FAULTS = ("none", "out-of-memory", "assertion", "on-the-cpu")


def build(point: Point) -> Workload:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    fault = str(point["fault"])

    class ByWayOfTheCPU(torch.nn.Module):
        def forward(self, batch: Any) -> Any:
            return batch + batch.mean().cpu().sin().to(batch.device)

    first = [ByWayOfTheCPU()] if fault == "on-the-cpu" else []
    model = torch.nn.Sequential(*first, torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))
    data = TensorDataset(torch.randn(512, 64), torch.randint(8, (512,)))
    steps, kept = [0], list[Any]()

    def loss(model: Any, batch: Any) -> Any:
        inputs, labels = batch
        steps[0] += 1
        if steps[0] > 12 and fault == "out-of-memory":
            kept.append(torch.empty(2**40, dtype=torch.uint8, device=inputs.device))
        if steps[0] > 12 and fault == "assertion":
            labels = labels + 1000
        return torch.nn.functional.cross_entropy(model(inputs), labels)

    return Workload(
        model=model,
        loss=loss,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e-3),
        batches=DataLoader(data, batch_size=64),
    )


suite = Suite(
    name="device_faults",
    title="what becomes of an arm whose device fails",
    axes={"fault": ("none", "out-of-memory", "assertion"), "loop": ("plain",)},
    compare="fault",
    baseline="none",
    choices={"fault": FAULTS},
    build=build,
)
