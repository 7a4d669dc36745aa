"""What work an arm did, and whether two arms did the same. Pure: no torch, no pandas.

A ledger is a mapping of plain values:

    steps               steps taken, all of them: audited, warm-up, timed
    samples             samples handed out over these steps
    samples_digest      CRC-32 chain over the batches: every batch of audited steps, the last of every timed turn;
                        "" where batches come back from the device in other bits than they went
    audited             steps that were watched
    forward, backward   calls seen in the audited steps
    optimizer_updates   changes of the parameters over all steps, by their version counters
    losses              the loss of each audited step, as handed to backward
    nonzero_gradients   smallest share of parameters that had a gradient other than zero in an audited step
    initial_weights     SHA-256 of the state at the start, and
    final_weights       at the end
    validation_declared whether the workload has validation batches, and
    validation_batches  how many of them the loop took from its first step on; all ranks together
    rank_differences    of several ranks: sentences on what differs between them and must not, weights above all;
                        samples are then those of all ranks, losses their means, `rank_losses` those of each
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# A scaler that starts at 65,536 halves its scale with every skipped update, so a handful come first; more than this
# share of all steps is training that does not train.
SKIPPED_SHARE = 0.1

# Kernels of devices other than the CPU may add in another order from launch to launch, so weights cannot be compared
# by bits there. 1e-3 on the loss after tens of steps is far above rounding (1e-6 a step) and far below a lost update.
LOSS_TOLERANCE = 1e-3


def own_faults(ledger: Mapping[str, Any], *, scaled: bool = False) -> list[str]:
    """What is wrong with a ledger by itself, as sentences: training that does not train.

    Args:
        scaled: whether the loss is scaled, so that some updates are skipped (GradScaler); they are recorded either way.
    """
    faults = list(ledger.get("rank_differences", ()))
    steps, audited = ledger["steps"], ledger["audited"]
    for name in ("forward", "backward"):
        if ledger[name] != audited:
            faults.append(f"{ledger[name]} {name} passes in {audited} audited steps")
    skipped = steps - ledger["optimizer_updates"]
    if skipped < 0 or skipped > (SKIPPED_SHARE * steps if scaled else 0):
        faults.append(f"{ledger['optimizer_updates']} optimizer updates in {steps} steps")
    if not ledger["nonzero_gradients"] > 0:
        faults.append("all gradients were zero in an audited step")
    if ledger["initial_weights"] == ledger["final_weights"]:
        faults.append("the weights at the end are those of the start")
    if not all(math.isfinite(loss) for loss in ledger["losses"]):
        faults.append(f"losses that are not finite: {ledger['losses']}")
    return faults


def work_differences(
    ledger: Mapping[str, Any],
    baseline: Mapping[str, Any],
    *,
    bits: bool,
    tolerance: float = LOSS_TOLERANCE,
    same_precision: bool = True,
    planned: tuple[int, int] | None = None,
) -> list[str]:
    """How the work of an arm differs from the baseline's, as sentences; empty when it is equal.

    Args:
        bits: whether the weights must agree bit for bit (the CPU in 32-true); else the losses within `tolerance`.
        tolerance: relative, of the loss of each audited step.
        same_precision: whether both have weights of one dtype and scale alike; else digests of the first weights
            differ, and updates that a scaler skips are not counted against either.
        planned: samples in a step of this arm and of the baseline, all ranks together, where these are other numbers of
            ranks: batches and losses then differ, and samples must be in this proportion. None: the same batches.
    """
    names = ["steps"]
    if planned is None:
        names += ["samples"]
        if ledger["samples_digest"] and baseline["samples_digest"]:
            names += ["samples_digest"]
    if same_precision:
        names += ["optimizer_updates"]
    found = [
        f"{name}: {ledger[name]} against the baseline's {baseline[name]}"
        for name in names
        if ledger[name] != baseline[name]
    ]
    if planned is not None and ledger["samples"] * planned[1] != baseline["samples"] * planned[0]:
        found.append(
            f"samples: {ledger['samples']} in steps of {planned[0]} against the baseline's {baseline['samples']} in "
            f"steps of {planned[1]}"
        )
    if same_precision and ledger["initial_weights"] != baseline["initial_weights"]:
        found.append("initial_weights: another digest than the baseline's")
    if bits:
        if ledger["final_weights"] != baseline["final_weights"]:
            found.append(
                f"final_weights: {ledger['final_weights'][:12]} against the baseline's {baseline['final_weights'][:12]}"
            )
    elif planned is None:
        for index, (loss, expected) in enumerate(zip(ledger["losses"], baseline["losses"], strict=False)):
            if not math.isclose(loss, expected, rel_tol=tolerance):
                found.append(f"loss of audited step {index}: {loss:.6g} against the baseline's {expected:.6g}")
                break
    return found


def validation_differences(ledger: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """How the validation of an arm differs from the baseline's, as sentences; empty where both took as many batches."""
    mine, theirs = (int(one.get("validation_batches", 0)) for one in (ledger, baseline))
    if mine == theirs:
        return []
    never = "" if mine and theirs else f": {'the baseline' if mine else 'it'} never validates"
    return [f"validation batches: {mine} against the baseline's {theirs}{never}"]
