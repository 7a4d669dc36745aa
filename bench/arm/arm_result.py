"""What an arm says at its end, put together from those who kept the books."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

import bench.protocol as protocol
from bench.arm.audit import Audit, weights_digest
from bench.arm.turn_gate import Gatekeeper
from bench.axes.accelerators.base import Accelerator
from bench.machine.memory import peak_resident


def ledger_of(
    gate: Gatekeeper,
    audit: Audit,
    model: torch.nn.Module,
    initial: str,
    *,
    declared: int | None = None,
    validation: tuple[bool, int] = (False, 0),
    judged: Sequence[float] = (),
) -> protocol.Ledger:
    """The work that was done.

    Args:
        initial: digest of the weights at the start.
        declared: samples in a batch, as the workload says.
        validation: whether there are validation batches, and how many were taken.
        judged: what the referee found after each epoch.
    """
    watched = audit.ledger()
    return protocol.Ledger(
        steps=gate.steps,
        samples=gate.samples,
        smallest_batch=gate.smallest if gate.steps else 0,
        largest_batch=gate.largest,
        declared_samples=declared,
        samples_digest=gate.digest,
        initial_weights=initial,
        final_weights=weights_digest(model),
        audited=watched["audited"],
        forward=watched["forward"],
        backward=watched["backward"],
        optimizer_updates=watched["optimizer_updates"],
        losses=tuple(protocol.loss(loss) for loss in watched["losses"]),
        nonzero_gradients=watched["nonzero_gradients"],
        audited_updates=watched["audited_updates"],
        audited_changes=watched["audited_changes"],
        optimizers=tuple(watched["optimizers"]),
        learning_rates=tuple(watched["learning_rates"]),
        faults=tuple(watched["faults"]),
        validation_declared=validation[0],
        validation_batches=validation[1],
        validation_losses=tuple(protocol.loss(loss) for loss in judged),
    )


def effective_settings(audit: Audit, gate: Gatekeeper, device: Accelerator) -> dict[str, Any]:
    """What was really in force, as far as it is read back the same way in every arm."""
    return {
        **audit.effective(),
        **gate.effective(),
        "torch": str(torch.__version__),
        "lightning": str(getattr(sys.modules.get("lightning"), "__version__", "not imported")),
        "lightning_imported": "lightning" in sys.modules,
        "pandas_imported": "pandas" in sys.modules,
        "torch_xla_imported": "torch_xla" in sys.modules,
        "device": device.describe(),
    }


def memory_of(start: int, padding: int, device: Accelerator) -> dict[str, int]:
    """Bytes: the process's peak, what it began with, by what its heap was pushed up, and the device's own."""
    return {
        "peak_memory_host": peak_resident(),
        "start_memory_host": start,
        "heap_padding": padding,
        **device.peak_memory(),
    }
