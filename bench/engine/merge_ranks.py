"""What the ranks of one arm say, put together: one turn, one result, one reason for the loss of all. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.protocol import CallbackMetrics, Result, TurnReport
from bench.results.sample_counts import sample_faults
from bench.results.stacks import SampledStacks
from bench.results.step_counts import StepCounts

# Failures that another rank's failure brings about: the peer's connection is gone.
CONSEQUENCE = re.compile(r"closed by peer|reset by peer|gloo|nccl|broken pipe|store|remote process", re.IGNORECASE)

# Settings that ranks have each their own of: their values are joined, in the order of the ranks.
JOINED_SETTINGS = ("cores",)
RANKS_OWN_SETTINGS = ("cores", "rank")


@dataclass(frozen=True)
class Turn:
    """A turn of all ranks of an arm; see `bench.arm.stream.TurnTimes`.

    A turn takes as long as its slowest rank's; `spread` is how much longer that is than the fastest's, in seconds, None
    of a single process. Processor time, switches, page faults and memory are summed: what any rank leaks is seen.
    """

    seconds: tuple[float, ...]
    fetching: tuple[float, ...]
    cpu: float
    involuntary: int
    faults: int
    spread: float | None = None
    resident: int = 0
    allocated: int | None = None


@dataclass(frozen=True)
class ArmResult:
    """What an arm, all its ranks together, said at its end; see `bench.results.record.Record`."""

    ledger: Mapping[str, Any]
    effective: Mapping[str, Any]
    memory: Mapping[str, int]
    samples_per_step: int
    instrumented: CallbackMetrics
    counts: Sequence[StepCounts] = ()  # of each rank
    stacks: SampledStacks | None = None  # of the first


def turn(replies: Sequence[TurnReport], *, uncounted: int = 1) -> Turn:
    """One turn from those of all ranks, of which the first `uncounted` steps are not counted.

    The slowest rank is the one whose counted steps took longest: another's may be the longest first step.
    """
    if len(replies) == 1:
        (only,) = replies
        own = only.seconds, only.fetching, only.cpu, only.involuntary, only.faults
        return Turn(*own, resident=only.resident, allocated=only.allocated)
    counted = [sum(reply.seconds[uncounted:]) for reply in replies]
    slowest = replies[counted.index(max(counted))]
    allocated = [reply.allocated for reply in replies]
    return Turn(
        slowest.seconds,
        slowest.fetching,
        sum(reply.cpu for reply in replies),
        sum(reply.involuntary for reply in replies),
        sum(reply.faults for reply in replies),
        max(counted) - min(counted),
        sum(reply.resident for reply in replies),
        None if any(part is None for part in allocated) else sum(part or 0 for part in allocated),
    )


def arm_result(replies: Sequence[Result]) -> ArmResult:
    """One answer from those of all ranks, rank 0's first. That of a single process is passed through."""
    first = replies[0]
    if len(replies) == 1:
        ledger, effective, memory = _plain(first), first.effective, first.memory
    else:
        ledger = _ledger([_plain(reply) for reply in replies])
        effective = _effective([reply.effective for reply in replies])
        # The largest rank: what a machine must have for each.
        memory = {name: max(reply.memory.get(name, 0) for reply in replies) for name in first.memory}
    counted = round(ledger["samples"] / ledger["steps"]) if ledger["steps"] else 0
    counts = tuple(reply.counts for reply in replies if reply.counts is not None)
    return ArmResult(ledger, effective, memory, counted, first.instrumented, counts, first.stacks)


def _plain(reply: Result) -> dict[str, Any]:
    """The ledger of one rank, its losses all numbers again."""
    ledger: dict[str, Any] = msgspec.to_builtins(reply.ledger)
    return {**ledger, **{name: [float(loss) for loss in ledger[name]] for name in ("losses", "validation_losses")}}


def _ledger(ledgers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The arm's ledger: global samples, the mean loss, and where ranks differ that must not."""
    first = ledgers[0]
    alike = ("steps", "samples", "audited", "forward", "backward", "optimizer_updates")
    same_weights = ("initial_weights", "final_weights")
    differ = [
        f"{name} differ between ranks: {', '.join(str(ledger[name])[:12] for ledger in ledgers)}"
        for name in alike + same_weights
        if len({ledger[name] for ledger in ledgers}) > 1
    ]
    differ += same_shares(ledgers)
    for rank, ledger in enumerate(ledgers):
        differ += [f"rank {rank}: {fault}" for fault in sample_faults(ledger)]
    digests = [str(ledger["samples_digest"]) for ledger in ledgers]
    losses = [ledger["losses"] for ledger in ledgers]
    return {
        **first,
        "samples": sum(ledger["samples"] for ledger in ledgers),
        "smallest_batch": min(ledger["smallest_batch"] for ledger in ledgers),
        "largest_batch": max(ledger["largest_batch"] for ledger in ledgers),
        "declared_samples": None,  # of each rank, and told of each above
        "samples_digest": f"{zlib.crc32(','.join(digests).encode()):08x}" if all(digests) else "",
        "losses": [sum(values) / len(values) for values in zip(*losses, strict=False)],
        "nonzero_gradients": min(ledger["nonzero_gradients"] for ledger in ledgers),
        "validation_batches": sum(ledger["validation_batches"] for ledger in ledgers),
        "rank_differences": differ,
        "rank_losses": losses,
    }


def same_shares(ledgers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ranks that were handed the same batches, as a sentence: all but one of them do work that is done already."""
    by_batches: dict[tuple[Any, ...], list[int]] = {}
    for rank, ledger in enumerate(ledgers):
        if ledger["samples_digest"]:
            alike = "samples_digest", "samples", "smallest_batch", "largest_batch"
            by_batches.setdefault(tuple(ledger[name] for name in alike), []).append(rank)
    return [
        f"ranks {', '.join(map(str, ranks))} were handed the same batches: a sampler that gives each rank a share of "
        "its own is missing (torch.utils.data.DistributedSampler)"
        for ranks in by_batches.values()
        if len(ranks) > 1
    ]


def _effective(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rank 0's settings; where another rank's differ, the list of all of them, which no request equals."""
    found: dict[str, Any] = {}
    for name, value in settings[0].items():
        values = [own.get(name) for own in settings]
        if name in JOINED_SETTINGS:
            found[name] = [item for own in values for item in own or ()]
        elif all(own == value for own in values):
            found[name] = value
        else:
            found[name] = values
    return found


def blame(losses: Mapping[int, tuple[str, str]], ranks: int) -> tuple[str, str]:
    """Outcome and reason of an arm of which these ranks were lost, by rank: the cause, not what followed from it."""
    if ranks == 1:
        return losses[0]
    for outcome, reason in losses.values():
        if outcome == "void":  # of no rank's making
            return outcome, reason
    causes = {rank: loss for rank, loss in losses.items() if not CONSEQUENCE.search(loss[1])} or dict(losses)
    # A process that ran out of memory or failed says more than one that then waited for it in vain.
    rank = min(causes, key=lambda rank: (causes[rank][0] == "timeout", causes[rank][0] != "oom", rank))
    outcome, reason = causes[rank]
    return outcome, f"rank {rank} of {ranks}: {reason}"
