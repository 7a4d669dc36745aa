"""Whether cells of two runs did the same work, by the suite's own equality, as far as two machines can show it. Pure.

How many steps were taken depends on how fast they were, so totals and last weights differ. What must agree is what the
suite asks to be equal: the first weights, the batches of the first steps by what was learnt from them, passes and
updates a step, samples a step, the losses of the first steps. Where as many steps were taken, the digests of the
batches, too.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from bench.axes.precision import PRECISIONS
from bench.results import identity
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.results.work_ledger import EQUALITIES, LOSS_TOLERANCE

TimedRecords = Mapping[int, Record]  # of one cell in one run, by launch


def timed_records(run: StoredRun) -> dict[str, dict[int, Record]]:
    """The records of a run that have turns and are `ok`, by cell and launch."""
    found: dict[str, dict[int, Record]] = {}
    for record in run.records:
        if record.turns is not None and record.outcome == "ok":
            found.setdefault(record.cell, {})[record.launch] = record
    return found


def ranks_of(point: Mapping[str, Any]) -> int:
    """How many processes a cell trains with: devices of a node times nodes."""
    return int(point.get("devices", 1)) * int(point.get("num_nodes", 1))


def work_apart(
    suite: str, one: tuple[StoredRun, TimedRecords], other: tuple[StoredRun, TimedRecords]
) -> tuple[list[str], str]:
    """How the work of a cell differs between two runs, as sentences, and, where none does, what was equal.

    Args:
        one, other: the runs, each with the cell's records.
    """
    (mine, own), (theirs, others) = one, other
    info = mine.info["plan"]["suites"][suite]
    asked = str(info.get("equal", "")) or "loss"
    # Two machines have other kernels, and took other numbers of steps: no weights agree bit for bit.
    compared = EQUALITIES["loss" if asked == "weights" else asked]
    seeds = [(run.info.get("options") or {}).get("seed") for run in (mine, theirs)]
    same_data = seeds[0] == seeds[1] and seeds[0] is not None
    names = identity.other_files(mine.info.get("digests"), theirs.info.get("digests"), suite)
    if not same_data and compared and names:
        return [f"other seeds and other files of suite {suite} ({', '.join(names)}): nothing tells what is equal"], ""
    if not compared:
        return [], "what work the steps do is not compared, as the suite asks"
    first, second = next(iter(own.values())), next(iter(others.values()))
    found = _steps(first, second, compared)
    ranks = ranks_of(first.point), ranks_of(second.point)
    common = sorted(set(own) & set(others)) if same_data and ranks[0] == ranks[1] else []
    told = ["as many samples a step" if ranks[0] == ranks[1] else "as many samples a rank and step"]
    for launch in common:
        apart = _data(own[launch], others[launch], compared, info.get("tolerance"))
        found += [f"launch {launch}: {text}" for text in apart]
        if found:
            break
    if common and "initial_weights" in compared:
        told.append("the same first weights and losses")
    if {"backward", "updates"} & compared:
        told.append("as many passes and updates a step")
    return found, "" if found else "; ".join(told)


def _steps(one: Record, other: Record, compared: frozenset[str]) -> list[str]:
    """What a step has and does."""
    found = []
    if "samples" in compared and _batch(one, other) != _batch(other, one):
        found.append(f"{_batch(one, other):g} samples a step and rank against {_batch(other, one):g}")
    for name in ("forward", "backward"):
        mine, theirs = (_rate(record.ledger, name, "audited") for record in (one, other))
        if name in compared and mine != theirs:
            found.append(f"{mine:g} {name} passes a step against {theirs:g}")
    mine, theirs = (_rate(record.ledger, "optimizer_updates", "steps") for record in (one, other))
    # The last update of those that are accumulated may lie after the last step.
    slack = sum(1 / record.ledger["steps"] for record in (one, other) if record.ledger.get("steps"))
    if "updates" in compared and abs(mine - theirs) > slack:
        found.append(f"{mine:.3g} optimizer updates a step against {theirs:.3g}")
    return found


def _batch(record: Record, other: Record) -> float:
    """Samples by which two records are compared: where both have counted, those of a rank's largest batch."""
    counted = "largest_batch" in record.ledger and "largest_batch" in other.ledger
    return float(record.ledger["largest_batch"]) if counted else record.samples_per_step / ranks_of(record.point)


def _rate(ledger: Mapping[str, Any], name: str, over: str) -> float:
    return float(ledger[name] / ledger[over]) if ledger.get(over) else 0.0


def _data(one: Record, other: Record, compared: frozenset[str], tolerance: float | None) -> list[str]:
    """What must be the same where seed and ranks are: the first weights, the batches, the first losses."""
    mine, theirs = one.ledger, other.ledger
    found = []
    if "initial_weights" in compared and mine.get("initial_weights") != theirs.get("initial_weights"):
        found.append("initial_weights: other digests")
    digests = mine.get("samples_digest"), theirs.get("samples_digest")
    if "batches" in compared and mine.get("steps") == theirs.get("steps") and all(digests) and digests[0] != digests[1]:
        found.append(f"samples_digest: {digests[0]} against {digests[1]}")
    if "loss" in compared:
        found += _losses(mine.get("losses", ()), theirs.get("losses", ()), _tolerance(one, other, tolerance))
    return found


def _tolerance(one: Record, other: Record, asked: float | None) -> float:
    names = [str(record.requested.get("precision", "32-true")) for record in (one, other)]
    return asked or max(PRECISIONS[name].tolerance if name in PRECISIONS else LOSS_TOLERANCE for name in names)


def _losses(mine: Any, theirs: Any, tolerance: float) -> list[str]:
    """The losses of the first watched steps, the first half of all; the others come hundreds of steps later."""
    half = max(1, min(len(mine), len(theirs)) // 2)
    size = statistics.median(map(abs, theirs)) if theirs else 0.0
    for index, (loss, expected) in enumerate(zip(mine[:half], theirs[:half], strict=False)):
        if not math.isclose(loss, expected, rel_tol=tolerance, abs_tol=tolerance * size):
            return [f"loss of audited step {index}: {loss:.6g} against {expected:.6g}"]
    return []
