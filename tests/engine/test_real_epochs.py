"""Turns that are the loops' own epochs, through the whole pipeline: counts, a planted cost, workers, what is told."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import SUITES, Bench

from bench.analysis import frames
from bench.analysis.summary import summarize
from bench.analysis.warnings import validation_warnings
from bench.engine.options import Options
from bench.errors import SpecError
from bench.plan.suite import Suite
from bench.report import sentences
from bench.results import store
from bench.results.record import Record

QUICK = Options(budget=1, launch=0.1, fork_servers=1)
BATCHES, VALIDATION = 20, 2  # an epoch's, of the suite `ended`
FETCH, BURNT = 0.001, 0.004  # processor seconds of each of its batches, and of a validation that burns
ROOM = 0.03  # beside the interval of six launches, which misses one time in twenty
LOOPS = ("plain", "fabric", "trainer-barebones", "trainer")


@pytest.fixture(scope="module")
def ran(fleet: Any, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Two launches of the suite `epochs` as it is, of few samples."""
    bench = Bench(fleet, tmp_path_factory.mktemp("epochs") / "results")
    options = Options(budget=600, launch=0.1, fork_servers=1, launches=2)
    bench.run("epochs", "loader=in-process", "batch_size=16", "samples=176", "width=16", options=options)
    return bench


def test_every_loop_ends_its_epochs_with_the_same_work(ran: Bench) -> None:
    records = store.read_run(ran.folder).records
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    assert {str(record.point["loop"]) for record in records} == set(LOOPS)
    for record in records:
        turns = record.turns
        assert turns is not None
        assert (turns.real, turns.whole, set(turns.lengths)) == (True, True, {11})
        assert len(turns.end) == len(turns.gap) == len(turns.round) > 0
        epochs = 2 + len(turns.round)  # the first one, the warm-up's, and one a round; the last audited steps end none
        assert record.ledger["steps"] == epochs * 11 + 4
        assert record.ledger["validation_declared"] is True
        assert record.ledger["validation_batches"] == epochs * 2
        assert record.effective["training_mode"] is True
    kept = {str(record.point["loop"]): record.effective["checkpoint"] for record in records}
    assert kept == dict(zip(LOOPS, ("torch.save", "fabric.save", "none", "ModelCheckpoint"), strict=True))


def test_the_epoch_is_a_metric_and_is_what_sentences_speak_of(ran: Bench) -> None:
    run = store.read_run(ran.folder)
    turns = frames.turns(run)
    assert turns["epoch_time"].tolist() == pytest.approx((11 * turns["step_time"]).tolist())
    assert turns["epoch_end"].notna().all()
    summary = summarize(run)
    assert all(cell.metrics["epoch_time"].unit == "s" for cell in summary.cells)
    told = sentences.headlines(summary)
    about = [text for text in told if text.startswith(("Fabric", "Trainer")) and "fastest" not in text]
    assert len(about) == len(LOOPS) - 1, told
    assert all("time an epoch" in text and "for its 11 steps" in text and "a step" not in text for text in about), told
    assert not [text for text in summary.warnings if "validation" in text]


@pytest.mark.long
@pytest.mark.alone
def test_validation_of_a_known_cost_is_read_back(bench: Bench) -> None:
    """A fifth of an epoch's 20 ms of fetches, burnt at its end, is in the ratio, and in the epoch's end."""
    options = Options(budget=600, launch=0.7, fork_servers=1, launches=6)
    records = bench.run("ended", "validation=quick,burnt", options=options)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    summary = summarize(store.read_run(bench.folder))
    cells = {str(cell.point["validation"]): cell for cell in summary.cells if not cell.twin}
    versus = cells["burnt"].versus
    assert versus is not None
    low, high = versus.ratio.low, versus.ratio.high
    assert low is not None
    assert high is not None
    used = BATCHES * cells["quick"].metrics["cpu_time"].estimate  # of a processor, which others may share
    assert BATCHES * FETCH < used < 2 * BATCHES * FETCH
    assert low - ROOM <= 1 + BURNT / used <= high + ROOM
    assert versus.ratio.estimate > 1 + 0.4 * BURNT / used  # narrower than the interval, on a machine with others
    ends = [cells[name].metrics["epoch_end"].estimate for name in ("quick", "burnt")]
    assert ends[1] - ends[0] > 0.7 * BURNT
    told = sentences.headlines(summary)
    assert any("for its 20 steps" in text for text in told), told


@pytest.mark.long
def test_a_side_that_does_not_validate_did_other_work(bench: Bench) -> None:
    records = bench.run("ended", "validation=quick,none", "loop=plain,trainer-barebones", options=QUICK)
    found = {(record.point["loop"], record.point["validation"]): record for record in records if not record.twin}
    for loop in ("plain", "trainer-barebones"):
        quick, none = found[loop, "quick"], found[loop, "none"]
        assert quick.outcome == "ok", quick.reason
        assert none.outcome == "unequal-work"
        count = quick.ledger["validation_batches"]
        assert count > 0
        assert count % VALIDATION == 0
        assert none.reason == f"validation batches: 0 against the baseline's {count}: it never validates"
        assert none.ledger["validation_declared"] is False  # of which nothing is warned: nothing was left out


def test_workers_are_started_anew_each_epoch_unless_they_persist(bench: Bench) -> None:
    records = bench.run(
        "ended", "validation=quick", "num_workers=1", "persistent_workers=false,true", options=QUICK, select="quick"
    )
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    gaps = {}
    for record in records:
        if record.twin:
            continue
        turns = record.turns
        assert turns is not None
        log = (bench.folder / record.log).read_text()
        pids = re.findall(r"worker 0 is (\d+)", log)
        persist = bool(record.point["persistent_workers"])
        # One an epoch: the first, the warm-up's, each round's, and that of the last audited steps.
        assert len(set(pids)) == len(pids) == (1 if persist else 2 + len(turns.round) + 1)
        gaps[persist] = statistics.median(turns.gap)
    assert gaps[False] > gaps[True]  # an epoch pays for what it starts


def train_alone(loop: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **asked: Any) -> Any:
    """One arm of `ended` in this process, over some epochs: its ledger."""
    from bench.arm.debug import train_here

    monkeypatch.chdir(tmp_path)
    settings = {"loop": loop, "accelerator": "cpu", "precision": "32-true", "devices": 1}
    point = {"validation": "quick", "loop": loop, "num_workers": 0, "persistent_workers": False}
    request = {"suite": "ended", "file": str(SUITES / "ended.py"), "point": point, "seed": 0, "requested": settings}
    return train_here({**request, "padding": 0, "real_epochs": True, **asked}, 2 * BATCHES).ledger


def test_a_loop_that_ends_with_its_first_epoch_is_told_how_to_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    records = bench.run("ended", "validation=quick", "loop=once", options=QUICK)
    assert {record.outcome for record in records} == {"unsupported"}
    start = "turns are the loop's own epochs, and the loop 'once' ended by itself; it must go on to its next epoch "
    assert {record.reason for record in records} == {f"{start}until job.ending.over"}
    # Where epochs do not end it is a loop as any.
    assert train_alone("once", monkeypatch, tmp_path, real_epochs=False).steps == 4 + 2 * BATCHES


def test_a_loop_as_users_write_it_has_epochs_and_what_it_leaves_out_is_told(bench: Bench) -> None:
    records = bench.run("ended", "validation=quick", "loop=nested", options=QUICK)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    for record in records:
        assert record.turns is not None
        assert record.ledger["steps"] == (2 + len(record.turns.round)) * BATCHES + 4
        assert (record.ledger["validation_declared"], record.ledger["validation_batches"]) == (True, 0)
    told = summarize(store.read_run(bench.folder)).warnings
    never = "nested: validation is declared and was never run (validation batches: 0): it is not in these figures"
    assert told.count(never) == 1


def test_audited_steps_that_hold_an_epochs_end_count_no_validation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from bench.arm import debug

    monkeypatch.setattr(debug, "AUDITED", BATCHES + 1)
    ledger = train_alone("plain", monkeypatch, tmp_path)
    assert (ledger.audited, ledger.forward, ledger.backward) == (BATCHES + 1,) * 3
    assert ledger.validation_batches == 3 * VALIDATION


def record(loop: str, suite: str = "s", *, real: bool = True, **ledger: Any) -> Record:
    from bench.results.turns import Turns

    turns = Turns(1, whole=real, real=real)
    return Record(suite, f"{suite}[loop={loop}]", "g", {"loop": loop}, False, 0, "ok", ledger=ledger, turns=turns)


def warnings_of(ran: Bench, *records: Record) -> list[str]:
    return validation_warnings(replace(store.read_run(ran.folder), records=records))


def test_declared_validation_that_no_loop_ran_is_told_once(ran: Bench) -> None:
    declared = {"validation_declared": True, "validation_batches": 0}
    steps = [record(loop, real=False, **declared) for loop in LOOPS]
    found = warnings_of(ran, *steps)
    start = "s: validation is declared and is not in these figures (validation batches: 0): "
    assert [text[: len(start)] for text in found] == [start]
    one = record("trainer-barebones", **declared)
    others = [record("plain", validation_declared=True, validation_batches=4)] * 2
    text = (
        "trainer-barebones: validation is declared and was never run (validation batches: 0): it is not in these "
        "figures"
    )
    assert warnings_of(ran, *others, one, one) == [text]
    assert warnings_of(ran, *others, record("fabric"), record("x", validation_declared=False)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": "whole"}, "unknown epochs 'whole'; allowed: False, True, real"),
        ({"epochs": 1}, "unknown epochs 1; allowed: False, True, real"),
        ({"epochs": None}, "unknown epochs None; allowed: False, True, real"),
        ({"epochs": "real", "length_axis": "loop"}, "length_axis: 'loop' with epochs='real'"),
    ],
)
def test_what_epochs_may_be(changes: dict[str, Any], words: str) -> None:
    whole: dict[str, Any] = {"name": "s", "title": "t", "axes": {"loop": ("plain",)}, "compare": "loop"}
    with pytest.raises(SpecError, match=re.escape(words)):
        Suite(**whole, baseline="plain", build=lambda point: None, **changes)
    assert math.isfinite(len(Suite(**whole, baseline="plain", build=print, epochs="real").axes))
