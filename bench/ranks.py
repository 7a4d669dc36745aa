"""What the ranks of one arm say, put together: one turn, one result, one reason for the loss of all. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

# Failures that another rank's failure brings about: the peer's connection is gone.
CONSEQUENCE = re.compile(r"closed by peer|reset by peer|gloo|nccl|broken pipe|store|remote process", re.IGNORECASE)

# Settings that ranks have each their own of: their values are joined, in the order of the ranks.
JOINED = ("cores",)
OWN = ("cores", "rank")


def together(replies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One reply from those of all ranks, rank 0's first. That of a single process is passed through.

    A turn takes as long as its slowest rank's; `spread` is how much longer that is than the fastest's, in seconds.
    Processor time, switches and page faults are summed.
    """
    first = dict(replies[0])
    if len(replies) == 1:
        return first
    if first["op"] == "taken":
        slowest = max(replies, key=lambda reply: sum(reply["seconds"]))
        counted = [sum(reply["seconds"][1:]) for reply in replies]
        return {
            **slowest,
            **{name: sum(reply[name] for reply in replies) for name in ("cpu", "involuntary", "faults")},
            "spread": max(counted) - min(counted),
        }
    if first["op"] == "result":
        return {
            **first,
            "ledger": _ledger([reply["ledger"] for reply in replies]),
            "effective": _effective([reply["effective"] for reply in replies]),
            # The largest rank: what a machine must have for each.
            "memory": {
                name: max(reply["memory"].get(name, 0) for reply in replies) for name in replies[0]["memory"]
            },
            "samples_per_step": sum(reply["samples_per_step"] for reply in replies),
        }
    return first


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
    digests = ",".join(str(ledger["samples_digest"]) for ledger in ledgers)
    losses = [ledger["losses"] for ledger in ledgers]
    return {
        **first,
        "samples": sum(ledger["samples"] for ledger in ledgers),
        "samples_digest": f"{zlib.crc32(digests.encode()):08x}",
        "losses": [sum(values) / len(values) for values in zip(*losses, strict=False)],
        "nonzero_gradients": min(ledger["nonzero_gradients"] for ledger in ledgers),
        "rank_differences": differ,
        "rank_losses": losses,
    }


def _effective(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rank 0's settings; where another rank's differ, the list of all of them, which no request equals."""
    found: dict[str, Any] = {}
    for name, value in settings[0].items():
        values = [own.get(name) for own in settings]
        if name in JOINED:
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
    causes = {rank: loss for rank, loss in losses.items() if not CONSEQUENCE.search(loss[1])} or dict(losses)
    # A process that ran out of memory or failed says more than one that then waited for it in vain.
    rank = min(causes, key=lambda rank: (causes[rank][0] == "timeout", causes[rank][0] != "oom", rank))
    outcome, reason = causes[rank]
    return outcome, f"rank {rank} of {ranks}: {reason}"
