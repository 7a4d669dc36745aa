"""Judges a run's records again, from what they hold: outcomes, downgrades, ledgers, launches. Pure.

What an arm that was lost had done is not in its record, so the word for its loss is taken as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from bench.engine.arm_request import downgrades
from bench.engine.equal_work import judge_work
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.results.work_ledger import own_faults

# Outcomes that follow from settings and ledgers. The others are what happened, a fault of ours among it; `noisy` and
# `drifting` are no launch's, but follow from the times of all.
JUDGED_OUTCOMES = frozenset({"ok", "downgraded", "unequal-settings", "unequal-work"})
JUDGED_FROM = 5  # the schema with which the present rules came


def can_be_judged(run: StoredRun) -> bool:
    """Whether the rules by which its records were judged are the present ones."""
    return bool(run.info["schema"] >= JUDGED_FROM)


def judge_again(run: StoredRun) -> list[str]:
    """How the outcomes that follow from the records differ from those that they have, as sentences."""
    baselines = {cell["id"]: cell["baseline"] for cell in run.info["plan"]["cells"]}
    launches: dict[tuple[str, int, bool], list[Record]] = {}
    for record in (*run.records, *run.instrumented):
        launches.setdefault((record.group, record.launch, record.instrumented), []).append(record)
    found: list[str] = []
    for members in launches.values():
        suite = run.info["plan"]["suites"][members[0].suite]
        judge = partial(judge_work, equal=suite.get("equal", ""), tolerance=suite.get("tolerance"))
        found += _launch(members, baselines[members[0].cell] or "", judge)
    return found + list(_stops(run))


def _launch(
    records: Sequence[Record], baseline: str, judge: Callable[[Sequence[Record], str], list[Record]]
) -> Iterator[str]:
    fresh = []
    for record in records:
        try:
            fresh.append(_alone(record))
        except (KeyError, TypeError, ValueError) as error:
            yield f"{_name(record)}: cannot be judged again: {type(error).__name__}: {error}"
            return
    try:
        fresh = judge(fresh, baseline)
    except (KeyError, TypeError, ValueError) as error:
        yield f"{_name(records[0])}: cannot be judged against its baseline: {type(error).__name__}: {error}"
        return
    for record, now in zip(records, fresh, strict=True):
        if (record.outcome, record.reason) != (now.outcome, now.reason):
            was, is_ = (f"{one.outcome}{f' ({one.reason})' if one.reason else ''}" for one in (record, now))
            yield f"{_name(record)}: its record says {was}, what it holds gives {is_}"


def _alone(record: Record) -> Record:
    """The record with the outcome that follows from itself.

    Raises:
        KeyError, TypeError: its ledger or its settings lack something.
    """
    if record.outcome not in JUDGED_OUTCOMES:
        return record
    if not record.ledger:
        return replace(record, outcome="crashed", reason="there is no ledger in it")
    if otherwise := downgrades(record.requested, record.effective):
        return replace(record, outcome="downgraded", reason=otherwise)
    if faults := own_faults(record.ledger):
        return replace(record, outcome="unequal-work", reason="; ".join(faults))
    return replace(record, outcome="ok", reason="")


def _stops(run: StoredRun) -> Iterator[str]:
    """Groups whose launches are not as many as run.json has."""
    seen: dict[str, set[int]] = {}
    for record in run.records:
        if record.launch >= 0:
            seen.setdefault(record.group, set()).add(record.launch)
    for group, stop in run.info["stops"].items():
        there = len(seen.get(group, ()))
        if stop["launches"] != there:
            yield f"{group}: run.json has {stop['launches']} launches, the records are of {there}"


def _name(record: Record) -> str:
    return f"{record.cell}, {'instrumented ' if record.instrumented else ''}launch {record.launch}"
