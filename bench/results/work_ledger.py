"""What work an arm did, and whether two arms did the same. Pure: no torch, no pandas.

A ledger is a mapping of plain values:

    steps               steps taken, all of them: audited, warm-up, timed
    samples             samples handed out over these steps
    smallest_batch      samples of the smallest batch, and
    largest_batch       of the largest; of several ranks, over all of them
    declared_samples    what the suite says that a batch has, or None: nothing, or by rank
    samples_digest      CRC-32 chain over the batches: every batch of audited steps, the last of every timed turn;
                        "" where batches come back from the device in other bits than they went, or cannot be read
    audited             steps that were watched
    forward, backward   calls seen in the audited steps
    optimizer_updates   steps of optimizers over all steps, those that a scaler skipped left out
    audited_updates     of these, those that were watched, and
    audited_changes     how many of them changed a parameter
    optimizers          their classes, as `AdamW fused`
    learning_rates      before each watched update
    losses              the loss of each backward pass of the audited steps, as handed to it
    nonzero_gradients   smallest share of an optimizer's parameters with a gradient other than zero in a watched update
    initial_weights     SHA-256 of the state at the start, and
    final_weights       at the end
    faults              sentences on what the arm itself saw that spoils its figures
    validation_declared whether the workload has validation batches, and
    validation_batches  how many of them the loop took from its first step on; all ranks together
    validation_losses   after each epoch, of a training for a goal: what its referee found
    rank_differences    of several ranks: sentences on what differs between them and must not, weights above all;
                        samples are then those of all ranks, losses their means, `rank_losses` those of each
    equal               what was compared with the baseline and found equal, once that is judged

Ledgers of schemas 1 to 4 may lack what came later.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.results.sample_counts import sample_faults

# A scaler that starts at 65,536 halves its scale with every skipped update, so a handful come first; more than this
# share of the baseline's updates is training that does not train.
SKIPPED_SHARE = 0.1

# Kernels of devices other than the CPU may add in another order from launch to launch, so weights cannot be compared
# by bits there. 1e-3 on the loss after tens of steps is far above rounding (1e-6 a step) and far below a lost update.
LOSS_TOLERANCE = 1e-3

# Hundreds of steps later 24 layers under AdamW lay 1.3 % of the loss apart, or 13 % of the way that training had come,
# when nothing differed but the rounding of its update (fused, CUDA, 1,463 steps). Lost updates are seen by their count.
LATER_SIZE = 30
LATER_WAY = 0.25

# What a suite may ask to be equal: what each compares, beside the steps, which are always as many.
EQUALITIES: Final[Mapping[str, frozenset[str]]] = {
    "weights": frozenset({"samples", "batches", "forward", "backward", "updates", "initial_weights", "weights"}),
    "loss": frozenset({"samples", "batches", "backward", "updates", "initial_weights", "loss"}),
    "samples": frozenset({"samples", "batches"}),
    "counts": frozenset({"forward", "backward", "updates"}),
    "none": frozenset(),
}
_TOLD_BY = ("weights", "loss")  # kinds that tell by what was learnt whether the batches were the same
DEFAULT_EQUALITY: Final = ""  # weights where they can be compared bit for bit, else the loss


@dataclass(frozen=True)
class LedgerComparison:
    """How two ledgers are compared.

    Attributes:
        equal: a key of EQUALITIES, or DEFAULT_EQUALITY.
        no_bits: why weights cannot agree bit for bit here; "" where they must.
        tolerance: relative, of the losses.
        same_precision: whether both have weights of one dtype and scale alike; else digests of the first weights
            differ, and updates that a scaler skips are not counted against either.
        same_passes: whether forward passes are counted in the same place; not where one side alone is compiled.
        planned: samples in a step of this arm and of the baseline, all ranks together, where these are other numbers of
            ranks: batches and losses then differ, and samples must be in this proportion. None: the same batches.
        ahead: whether a loop may fetch a batch before it needs it, as a script's: the batches that are told of are then
            shifted by one, and what they were is told by weights or losses.
        own_epochs: whether each trains as many epochs, of its own number of steps: with equal "none" these may differ.
    """

    equal: str = DEFAULT_EQUALITY
    no_bits: str = ""
    tolerance: float = LOSS_TOLERANCE
    same_precision: bool = True
    same_passes: bool = True
    planned: tuple[float, float] | None = None
    ahead: bool = False
    own_epochs: bool = False


def own_faults(ledger: Mapping[str, Any]) -> list[str]:
    """What is wrong with a ledger by itself, as sentences: training that does not train."""
    faults = [*ledger.get("rank_differences", ()), *ledger.get("faults", ()), *sample_faults(ledger)]
    watched = ledger.get("audited_updates", 0)
    if watched and not ledger["audited_changes"]:
        faults.append(f"{watched} optimizer updates were watched, and none of them changed a parameter")
    if not ledger["nonzero_gradients"] > 0:
        faults.append("all gradients were zero in an audited step")
    if ledger["initial_weights"] == ledger["final_weights"]:
        faults.append("the weights at the end are those of the start")
    # A training for a goal that diverges is an answer: it does not get there.
    if not ledger.get("validation_losses") and not all(math.isfinite(loss) for loss in ledger["losses"]):
        faults.append(f"losses that are not finite: {ledger['losses']}")
    return faults


def work_differences(
    ledger: Mapping[str, Any], baseline: Mapping[str, Any], how: LedgerComparison
) -> tuple[list[str], str]:
    """How the work of an arm differs from the baseline's, as sentences, causes first; then what was compared and equal.

    No sentence: the work is equal, in the kind that was asked for.
    """
    if how.equal == "weights" and how.no_bits and how.planned is None:
        allowed = ", ".join(name for name in EQUALITIES if name != "weights")
        return [f"equal='weights' cannot be judged here: {how.no_bits}; allowed here: {allowed}"], ""
    kind = how.equal or ("weights" if not how.no_bits else "loss")
    compared = EQUALITIES[kind]
    losses = bool(ledger["losses"]) and bool(baseline["losses"])
    if kind == "loss" and not losses and how.equal:
        return ["equal='loss' cannot be judged: no loss was handed to backward; allowed here: samples, counts"], ""
    causes = _causes(ledger, baseline)
    found = _counts(ledger, baseline, how, compared)
    if how.same_precision and "initial_weights" in compared and _differ("initial_weights", ledger, baseline):
        found.append("initial_weights: another digest than the baseline's")
    if kind == "weights" and not how.no_bits:
        if _differ("final_weights", ledger, baseline):
            found.append(_other_weights(ledger, baseline, None if found or causes else how.tolerance))
    elif "loss" in compared and how.planned is None:
        found += _losses(ledger["losses"], baseline["losses"], how.tolerance)
    if how.planned is None and "initial_weights" in compared:
        found += validation_differences(ledger, baseline)
    if how.ahead and not causes and len(found) == 1 and found[0].startswith("samples_digest:") and kind in _TOLD_BY:
        found = []
    if found:
        return [*causes, *found], ""
    return [], _told(kind, ledger, baseline, how)


def _counts(
    ledger: Mapping[str, Any], baseline: Mapping[str, Any], how: LedgerComparison, compared: frozenset[str]
) -> list[str]:
    names = [] if how.own_epochs and how.equal == "none" else ["steps"]
    if how.planned is None and "samples" in compared:
        names.append("samples")
    if how.planned is None and "batches" in compared and ledger["samples_digest"] and baseline["samples_digest"]:
        names.append("samples_digest")
    found = [
        f"{name}: {ledger[name]} against the baseline's {baseline[name]}"
        for name in names
        if _differ(name, ledger, baseline)
    ]
    if how.planned is not None and "samples" in compared:
        mine, theirs = how.planned
        if not math.isclose(ledger["samples"] * theirs, baseline["samples"] * mine, rel_tol=1e-9):
            found.append(
                f"samples: {ledger['samples']} in steps of {mine:g} against the baseline's {baseline['samples']} in "
                f"steps of {theirs:g}"
            )
    for name in ("forward", "backward"):
        counted = how.same_passes if name == "forward" else True
        if name in compared and counted and _rate(ledger, name) != _rate(baseline, name):
            found.append(
                f"{ledger[name]} {name} passes in {ledger['audited']} audited steps against the baseline's "
                f"{baseline[name]} in {baseline['audited']}"
            )
    if "updates" in compared and not _same_updates(ledger, baseline, how):
        found.append(
            f"{ledger['optimizer_updates']} optimizer updates in {ledger['steps']} steps against the baseline's "
            f"{baseline['optimizer_updates']}"
        )
    return found


def _rate(ledger: Mapping[str, Any], name: str) -> float:
    return float(ledger[name] / ledger["audited"]) if ledger["audited"] else 0.0


def _same_updates(ledger: Mapping[str, Any], baseline: Mapping[str, Any], how: LedgerComparison) -> bool:
    mine, theirs = ledger["optimizer_updates"], baseline["optimizer_updates"]
    if how.same_precision or mine == theirs:
        return bool(mine == theirs)
    # One of the two may scale its loss, and skip.
    return bool(abs(mine - theirs) <= SKIPPED_SHARE * max(mine, theirs))


def _differ(name: str, ledger: Mapping[str, Any], baseline: Mapping[str, Any]) -> bool:
    return bool(ledger[name] != baseline[name])


def _losses(mine: Sequence[float], theirs: Sequence[float], tolerance: float) -> list[str]:
    """Where two curves part. The first half was watched at the loop's first steps, the second hundreds of steps later.

    At the first steps the same training shows the same losses. Later what rounding did at first has grown: there the
    curves must still lie near each other, by their size or by the way that training has come.
    """
    # A loss may cross zero, where nothing is near anything by proportion: the curve's own size is the measure there.
    size = statistics.median(map(abs, theirs)) if theirs else 0.0
    half = len(theirs) // 2
    way = abs(statistics.fmean(theirs[half:]) - statistics.fmean(theirs[:half])) if half else 0.0
    for index, (loss, expected) in enumerate(zip(mine, theirs, strict=False)):
        near = tolerance * size if index < half or not half else max(LATER_SIZE * tolerance * size, LATER_WAY * way)
        if not math.isclose(loss, expected, rel_tol=tolerance, abs_tol=near):
            return [f"loss of audited step {index}: {loss:.6g} against the baseline's {expected:.6g}"]
    return []


def _other_weights(ledger: Mapping[str, Any], baseline: Mapping[str, Any], tolerance: float | None) -> str:
    mine, theirs = ledger["losses"], baseline["losses"]
    text = f"final_weights: {ledger['final_weights'][:12]} against the baseline's {baseline['final_weights'][:12]}"
    if tolerance and mine and len(mine) == len(theirs) and not _losses(mine, theirs, tolerance):
        return (
            f"{text}, though all losses agree within {tolerance:g}: if the arithmetic is meant to differ, as that of "
            "another kernel, the suite may ask for equal='loss'"
        )
    return text


def _causes(ledger: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """What explains a difference of work, in words; nothing where only the outcome of it is known."""
    found = []
    mine, theirs = ledger.get("optimizers"), baseline.get("optimizers")
    if mine and theirs and list(mine) != list(theirs):
        found.append(f"optimizer: {', '.join(mine)} against the baseline's {', '.join(theirs)}")
    rates, others = ledger.get("learning_rates"), baseline.get("learning_rates")
    # An arm that updates less often is watched less often too: that is no other rate.
    if rates and others and _span_of(rates) != _span_of(others):
        found.append(_schedules(rates, others))
    updates, steps = ledger["optimizer_updates"], ledger["steps"]
    base_updates, base_steps = baseline["optimizer_updates"], baseline["steps"]
    if updates and base_updates and updates * base_steps != base_updates * steps:
        accumulated = [steps / updates, base_steps / base_updates]
        if max(accumulated) >= 1.5:
            found.append(
                f"gradient accumulation: an update every {accumulated[0]:.3g} steps against the baseline's every "
                f"{accumulated[1]:.3g}"
            )
    return found


def _span_of(rates: Sequence[float]) -> tuple[float, ...]:
    return rates[0], min(rates), max(rates), rates[-1]


def _schedules(mine: Sequence[float], theirs: Sequence[float]) -> str:
    scheduled = [min(rates) != max(rates) for rates in (mine, theirs)]
    told = [
        f"{rates[0]:.4g} to {rates[-1]:.4g}" if moves else f"{rates[0]:.4g} throughout"
        for rates, moves in zip((mine, theirs), scheduled, strict=True)
    ]
    why = ": a schedule on one side" if scheduled[0] != scheduled[1] else ""
    return f"learning rate: {told[0]} against the baseline's {told[1]}{why}"


def _told(kind: str, ledger: Mapping[str, Any], baseline: Mapping[str, Any], how: LedgerComparison) -> str:
    """What was compared and found equal, as a clause."""
    if how.planned is not None:
        mine, theirs = how.planned
        samples = f"{mine:g} samples a step against {theirs:g}"
    elif ledger["samples_digest"] and ledger["samples_digest"] == baseline["samples_digest"]:
        samples = "the same batches"
    elif ledger["samples_digest"] and baseline["samples_digest"]:
        samples = "as many samples, which a loop fetches ahead"
    else:
        samples = "as many samples"
    if kind == "samples":
        return f"{samples}; what was done with them is not compared"
    if kind == "none":
        return f"as many {'epochs' if how.own_epochs else 'steps'}; what work they do is not compared"
    if kind == "counts":
        return "as many passes and updates; neither samples nor weights are compared"
    validated = "; as many validation batches" if ledger.get("validation_batches") and how.planned is None else ""
    if kind == "weights" and not how.no_bits:
        return f"{samples}, passes, updates and final weights, bit for bit{validated}"
    if how.planned is not None or not ledger["losses"]:
        return f"{samples}; as many backward passes and updates{validated}"
    return f"{samples} and updates; losses within {100 * how.tolerance:g} %{validated}"


def validation_differences(ledger: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """How the validation of an arm differs from the baseline's, as sentences; empty where both took as many batches."""
    mine, theirs = (int(one.get("validation_batches", 0)) for one in (ledger, baseline))
    if mine == theirs:
        return []
    never = "" if mine and theirs else f": {'the baseline' if mine else 'it'} never validates"
    return [f"validation batches: {mine} against the baseline's {theirs}{never}"]
