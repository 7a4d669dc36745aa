"""FSDP2, as the plain loop has it, against FSDP1, which Lightning's `fsdp` is, in a loop of the suite's own."""

from __future__ import annotations

import os
from typing import Any

from bench import Job, Point, Suite, Workload, register


@register("fsdp1", preload=("torch",))
def fsdp1(job: Job) -> None:
    """FullyShardedDataParallel around the whole model, with Lightning's use_orig_params"""
    import torch
    from torch import distributed
    from torch.distributed.fsdp import FullyShardedDataParallel

    distributed.init_process_group(distributed.get_default_backend_for_device(job.device))
    own = job.device if job.device.type == "cuda" else torch.device("cpu")
    model = FullyShardedDataParallel(job.workload.model, device_id=own, use_orig_params=True)
    optimizer: Any = job.workload.optimizer(model.parameters())
    model.train()
    for batch in job.stream(job.workload.batches):
        loss = job.workload.loss(model, job.to_device(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def build(point: Point) -> Workload:
    import torch
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

    model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    data = TensorDataset(torch.randn(256, 16), torch.randn(256, 4))
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    sampler: Any = DistributedSampler(data, world, rank, shuffle=False, drop_last=True)

    def loss(model: Any, batch: Any) -> Any:
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1])

    return Workload(
        model=model,
        loss=loss,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
        batches=DataLoader(data, batch_size=32, sampler=sampler, drop_last=True),
    )


suite = Suite(
    name="sharded",
    title="two ways to give each rank a share of the parameters",
    axes={"loop": ("plain", "fsdp1"), "devices": (2,), "strategy": ("fsdp",)},
    compare="loop",
    baseline="plain",
    build=build,
)
