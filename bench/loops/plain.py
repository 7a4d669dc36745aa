"""The loop of the PyTorch tutorials. Its process has not imported lightning, which patches torch.compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.loops import register

if TYPE_CHECKING:
    from bench.arm import Job


@register("plain", preload=("torch",))
def plain(job: Job) -> None:
    """Plain PyTorch: forward, loss, zero_grad, backward, step"""
    workload = job.workload
    model = workload.model.to(job.device)
    optimizer = workload.optimizer(model.parameters())
    model.train()
    for batch in job.stream(workload.batches):
        loss = workload.loss(model, job.to_device(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
