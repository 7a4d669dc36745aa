"""Whether the arms of one launch ran alike: settings and ledgers compared with the baseline's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.axes.precision import PRECISIONS
from bench.engine import equal_settings
from bench.results import work_ledger
from bench.results.forms import RANK_AXES
from bench.results.record import Record
from bench.results.sample_counts import counted_samples


def judge_work(
    records: Sequence[Record],
    baseline_cell: str,
    *,
    equal: str = "",
    tolerance: float | None = None,
    trained: bool = False,
) -> list[Record]:
    """Records of one launch with `unequal-settings` or `unequal-work` where an arm ran otherwise than it may.

    The baseline itself can have been listened to in a timed launch; all else is told against it. Settings come first:
    where they differ, other work follows. Those that are equal get a word in their ledger: in what.

    Args:
        baseline_cell: the baseline's id. Without an `ok` record of it there is nothing to compare with, and no ratio.
        equal, tolerance: the suite's.
        trained: whether they trained to an end, over which rounding grows: where weights cannot be compared bit for
            bit, the same batches are asked for and no losses.
    """
    records = [_other_settings(record, equal_settings.intruders(record)) for record in records]
    baseline = next((record for record in records if record.cell == baseline_cell and record.outcome == "ok"), None)
    if baseline is None:
        return records
    return [
        record if record is baseline else _against(record, baseline, equal, tolerance, trained=trained)
        for record in records
    ]


def _other_settings(record: Record, found: Sequence[str]) -> Record:
    if record.outcome != "ok" or not found:
        return record
    return replace(record, outcome="unequal-settings", reason="; ".join(found))


def _against(record: Record, baseline: Record, equal: str, tolerance: float | None, *, trained: bool) -> Record:
    """The record as it stands beside the baseline's."""
    if record.outcome != "ok":
        return record
    if others := equal_settings.setting_differences(record, baseline):
        return _other_settings(record, others)
    how = comparison(record, baseline)
    equal = "samples" if trained and not equal and how.no_bits else equal
    how = replace(how, equal=equal, own_epochs=trained)
    if tolerance is not None:
        how = replace(how, tolerance=tolerance)
    found, same = work_ledger.work_differences(record.ledger, baseline.ledger, how)
    if found:
        return replace(record, outcome="unequal-work", reason="; ".join(found))
    return replace(record, ledger={**record.ledger, "equal": same})


def comparison(record: Record, baseline: Record) -> work_ledger.LedgerComparison:
    """How the work of two arms can be compared, by what they were asked for."""
    mine, theirs = setting_of(record, "precision"), setting_of(baseline, "precision")
    same_batches = all(record.requested.get(name, 1) == baseline.requested.get(name, 1) for name in RANK_AXES)
    compiled = [setting_of(one, "compile", "off") != "off" for one in (record, baseline)]
    return work_ledger.LedgerComparison(
        no_bits=_no_bits(record, baseline),
        tolerance=max(_tolerance(mine), _tolerance(theirs)),
        same_precision=mine == theirs,
        same_passes=compiled[0] == compiled[1],
        ahead="script" in record.point,
        planned=None if same_batches else (counted_samples(record), counted_samples(baseline)),
    )


def setting_of(record: Record, name: str, default: str = "") -> str:
    """A setting as it was asked for, or, where nobody asked, as of a script, as it was read back."""
    return str(record.requested.get(name, record.effective.get(name, default)))


def _tolerance(precision: str) -> float:
    """Of the losses of a precision; of one that has no name, as a script may have, that of the coarsest."""
    known = PRECISIONS.get(precision)
    return known.tolerance if known else max(own.tolerance for own in PRECISIONS.values())


def _no_bits(record: Record, baseline: Record) -> str:
    """Why the weights of two arms cannot agree bit for bit; "" where they must, if their work is equal."""
    accelerators = {setting_of(record, "accelerator"), setting_of(baseline, "accelerator")}
    if accelerators != {"cpu"}:
        return f"kernels of {', '.join(sorted(accelerators - {'cpu'}))} may add in another order each time"
    # Kernels that inductor writes, sharded reductions, TF32 and other precisions round otherwise than the baseline's.
    for name in ("precision", "compile", "strategy", "matmul_precision", *RANK_AXES, "threads"):
        if setting_of(record, name) != setting_of(baseline, name):
            return f"{name} differs, and with it the rounding"
    if (precision := setting_of(record, "precision")) != "32-true":
        return f"{precision} rounds in other places from kernel to kernel"
    if setting_of(record, "compile", "off") != "off":
        return "inductor writes each arm its own kernels"
    # Another torch, which `bench versions` may compare, has other kernels.
    if record.effective.get("torch") != baseline.effective.get("torch"):
        return "another torch has other kernels"
    mine, theirs = (one.ledger.get("optimizers") or [] for one in (record, baseline))
    if list(mine) != list(theirs) and [_class(name) for name in mine] == [_class(name) for name in theirs]:
        return "foreach and fused optimizers round otherwise"
    return ""


def _class(optimizer: str) -> str:
    return optimizer.split()[0]
