"""Samples as they were counted: those of a step, and whether a suite declares what its batches had. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.results.record import Record

NEAR_THE_MEAN = 0.5  # samples: whoever declares the mean of batches of unequal size rounds it


def sample_faults(ledger: Mapping[str, Any]) -> list[str]:
    """What a suite says wrongly of its batches, as a sentence: neither the largest batch nor the mean has so many.

    Ledgers of older runs have not counted, and none of ranks that were judged each by itself declares anything.
    """
    declared, steps = ledger.get("declared_samples"), ledger["steps"]
    if declared is None or not steps:
        return []
    mean, smallest, largest = ledger["samples"] / steps, ledger["smallest_batch"], ledger["largest_batch"]
    if declared == largest or abs(declared - mean) <= NEAR_THE_MEAN:
        return []
    return [
        f"{declared} samples a batch are declared, and batches had {mean:.4g} ({smallest} to {largest}): correct "
        "`samples`, leave it out, or give samples=lambda batch: ..."
    ]


def counted_samples(record: Record) -> float:
    """Samples of a step, all ranks together, as the ledger counted them; of older records as their suite has it."""
    ledger = record.ledger
    if "largest_batch" in ledger and ledger.get("steps"):
        return float(ledger["samples"] / ledger["steps"])
    return float(record.samples_per_step)
