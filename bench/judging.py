"""Whether the arms of one launch did the same work: the ledgers compared, and what comes of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.ledger import differences
from bench.precision import PRECISIONS
from bench.record import Record


def judge(records: Sequence[Record], baseline_cell: str) -> list[Record]:
    """Records of one launch with `unequal-work` where an arm did other work than the baseline of its group.

    Args:
        baseline_cell: the baseline's id. Without an `ok` record of it there is nothing to compare with, and no ratio.
    """
    baseline = next((record for record in records if record.cell == baseline_cell and record.outcome == "ok"), None)
    if baseline is None:
        return list(records)
    judged = []
    for record in records:
        if record.outcome == "ok" and record is not baseline:
            mine, theirs = str(record.requested["precision"]), str(baseline.requested["precision"])
            cpu = {record.requested["accelerator"], baseline.requested["accelerator"]} == {"cpu"}
            # Kernels that inductor writes, sharded reductions and TF32 round otherwise than the baseline's.
            arithmetic = ("compile", "strategy", "matmul_precision", "devices")
            alike = all(record.requested.get(name) == baseline.requested.get(name) for name in arithmetic)
            # Another torch, which `bench versions` may compare, has other kernels.
            alike = alike and record.effective.get("torch") == baseline.effective.get("torch")
            same_batches = record.requested.get("devices", 1) == baseline.requested.get("devices", 1)
            found = differences(
                record.ledger,
                baseline.ledger,
                bits=cpu and alike and mine == theirs == "32-true" and record.requested.get("compile", "off") == "off",
                tolerance=max(PRECISIONS[mine].tolerance, PRECISIONS[theirs].tolerance),
                same_precision=mine == theirs,
                planned=None if same_batches else (record.samples_per_step, baseline.samples_per_step),
            )
            if found:
                record = replace(record, outcome="unequal-work", reason="; ".join(found))
        judged.append(record)
    return judged
