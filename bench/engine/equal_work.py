"""Whether the arms of one launch ran alike: settings and ledgers compared with the baseline's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.axes.precision import PRECISIONS
from bench.engine import equal_settings
from bench.results import work_ledger
from bench.results.record import Record


def judge_work(records: Sequence[Record], baseline_cell: str) -> list[Record]:
    """Records of one launch with `unequal-settings` or `unequal-work` where an arm ran otherwise than it may.

    The baseline itself can have been listened to in a timed launch; all else is told against it. Settings come first:
    where they differ, other work follows.

    Args:
        baseline_cell: the baseline's id. Without an `ok` record of it there is nothing to compare with, and no ratio.
    """
    records = [_other_settings(record, equal_settings.intruders(record)) for record in records]
    baseline = next((record for record in records if record.cell == baseline_cell and record.outcome == "ok"), None)
    if baseline is None:
        return records
    return [record if record is baseline else _against(record, baseline) for record in records]


def _other_settings(record: Record, found: Sequence[str]) -> Record:
    if record.outcome != "ok" or not found:
        return record
    return replace(record, outcome="unequal-settings", reason="; ".join(found))


def _against(record: Record, baseline: Record) -> Record:
    """The record as it stands beside the baseline's."""
    if record.outcome != "ok":
        return record
    if others := equal_settings.setting_differences(record, baseline):
        return _other_settings(record, others)
    mine, theirs = str(record.requested["precision"]), str(baseline.requested["precision"])
    cpu = {record.requested["accelerator"], baseline.requested["accelerator"]} == {"cpu"}
    # Kernels that inductor writes, sharded reductions and TF32 round otherwise than the baseline's.
    arithmetic = ("compile", "strategy", "matmul_precision", "devices")
    alike = all(record.requested.get(name) == baseline.requested.get(name) for name in arithmetic)
    # Another torch, which `bench versions` may compare, has other kernels.
    alike = alike and record.effective.get("torch") == baseline.effective.get("torch")
    same_batches = record.requested.get("devices", 1) == baseline.requested.get("devices", 1)
    found = work_ledger.work_differences(
        record.ledger,
        baseline.ledger,
        bits=cpu and alike and mine == theirs == "32-true" and record.requested.get("compile", "off") == "off",
        tolerance=max(PRECISIONS[mine].tolerance, PRECISIONS[theirs].tolerance),
        same_precision=mine == theirs,
        planned=None if same_batches else (record.samples_per_step, baseline.samples_per_step),
    )
    return replace(record, outcome="unequal-work", reason="; ".join(found)) if found else record


def judge_validation(records: Sequence[Record], baseline_cell: str, equal: str) -> list[Record]:
    """Records of one launch with `unequal-work` where an arm took another number of validation batches.

    Args:
        baseline_cell: as for `judge_work`.
        equal: the suite's; what is done with the samples is compared in the kinds that compare losses.
    """
    baseline = next((record for record in records if record.cell == baseline_cell and record.outcome == "ok"), None)
    if baseline is None or equal in ("samples", "counts"):
        return list(records)
    judged = []
    for record in records:
        found = work_ledger.validation_differences(record.ledger, baseline.ledger) if record.outcome == "ok" else []
        judged.append(replace(record, outcome="unequal-work", reason="; ".join(found)) if found else record)
    return judged
