"""The suite `loader`: whole epochs as turns, in every loop, by the real conductor; loaders without a length."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import USUAL_LOOPS, Bench

from bench.analysis import frames
from bench.analysis import summary as stats
from bench.arm.main import batches_in
from bench.engine.options import Options
from bench.report import console, sentences
from bench.results import store
from bench.results.record import Record

QUICK = Options(budget=1, launch=0.1, fork_servers=1)
ALL = ",".join(USUAL_LOOPS)
BATCH, SAMPLES = 16, 176
EPOCH = SAMPLES // BATCH  # 11 batches: the four audited steps and the rest of an epoch are no multiple of each other
SMALL = (f"batch_size={BATCH}", f"samples={SAMPLES}", "width=16")
SETTINGS = ("in-process", "1-persistent-worker")


@pytest.fixture(scope="module")
def ran(fleet: Any, tmp_path_factory: pytest.TempPathFactory) -> store.StoredRun:
    """One launch of every loop with two loaders."""
    bench = Bench(fleet, tmp_path_factory.mktemp("loader") / "results")
    bench.run("loader", *SMALL, f"loop={ALL}", f"loader={','.join(SETTINGS)}", options=QUICK)
    return store.read_run(bench.folder)


def test_every_loop_runs_with_and_without_a_worker_and_does_the_same_work(ran: store.StoredRun) -> None:
    assert {record.outcome for record in ran.records} == {"ok"}, [record.reason for record in ran.records]
    found = {(record.point["loop"], record.point["loader"]) for record in ran.records}
    assert found == {(loop, loader) for loop in USUAL_LOOPS for loader in SETTINGS}
    for group in {record.group for record in ran.records}:
        ledgers = [record.ledger for record in ran.records if record.group == group]
        assert len(ledgers) == 3  # with the twin
        for name in ("steps", "samples", "samples_digest", "initial_weights", "final_weights", "losses"):
            assert len({str(ledger[name]) for ledger in ledgers}) == 1, name
    workers = {record.point["loader"]: record.effective["loader_workers"] for record in ran.records}
    assert workers == {"in-process": 0, "1-persistent-worker": 1}


def test_a_turn_is_one_epoch_from_its_first_batch(ran: store.StoredRun) -> None:
    for record in ran.records:
        turns = record.turns
        assert turns is not None
        assert turns.whole
        assert set(turns.lengths) == set(turns.taken) == {EPOCH}
        assert len(record.warmup) == 2 * EPOCH  # one epoch with the audited steps at its beginning, and one more
        rounds = len(turns.round)
        assert record.ledger["steps"] == (2 + rounds) * EPOCH + 4  # the last audited ones
        assert record.ledger["samples"] == record.ledger["steps"] * BATCH


def test_gap_and_waiting_are_parts_of_the_epoch(ran: store.StoredRun) -> None:
    for record in ran.records:
        turns = record.turns
        assert turns is not None
        assert len(turns.gap) == len(turns.fetching) == len(turns.seconds) == len(turns.round)
        columns = turns.opening, turns.settled, turns.fetching, turns.gap
        for first, counted, fetching, gap in zip(*columns, strict=True):
            assert 0 < first < counted  # the first step is counted
            assert 0 < fetching < counted
            assert gap < first
        assert turns.settled == turns.entire
    read = frames.turns(ran)
    assert (read["data_time"] > 0).all()
    assert read["epoch_gap"].notna().all()
    one = next(record for record in ran.records if not record.twin)
    assert one.turns is not None
    own = read[read["cell"] == one.cell]
    assert own["epoch_gap"].tolist() == list(one.turns.gap)
    assert own["step_time"].tolist() == pytest.approx([seconds / EPOCH for seconds in one.turns.settled])
    assert own["data_time"].tolist() == pytest.approx([seconds / EPOCH for seconds in one.turns.fetching])


def test_the_share_that_is_waited_is_answered_and_told(ran: store.StoredRun) -> None:
    summary = stats.summarize(ran)
    answers = {answer.cell: answer for answer in summary.answers}
    assert {answer.kind for answer in answers.values()} == {"waiting"}
    assert set(answers) == {cell.id for cell in summary.cells if not cell.twin}
    for cell in summary.cells:
        if cell.twin:
            continue
        assert cell.metrics["epoch_gap"].unit == cell.metrics["data_time"].unit == "s"
        turns = [record.turns for record in ran.records if record.cell == cell.id]
        (taken,) = turns
        assert taken is not None
        waited = statistics.median(taken.fetching) / statistics.median(taken.settled)
        assert answers[cell.id].estimate == pytest.approx(waited, rel=1e-6)
    told = [text for text in sentences.headlines(summary) if "loader in-process" in text]
    assert len(told) == len(USUAL_LOOPS)  # a group for each loop
    shown = " ".join(console.render(summary).split())
    assert "waits for its batches cannot be told: one launch gives no interval" in shown


def by_length(records: tuple[Record, ...]) -> dict[str, Record]:
    return {str(record.point["length"]): record for record in records if not record.twin}


def test_loaders_of_unknown_or_other_length_are_outcomes_with_a_reason(bench: Bench) -> None:
    records = bench.run("lengths", options=QUICK)
    found = by_length(records)
    assert found["known"].outcome == "ok", found["known"].reason
    assert found["known"].turns is not None
    assert set(found["known"].turns.lengths) == {3}  # fewer than are audited at first
    assert (found["none"].outcome, found["none"].turns) == ("unsupported", None)
    assert found["none"].reason == "turns are whole epochs, and its loader has no length"
    assert (found["shorter"].outcome, found["shorter"].turns) == ("unequal-work", None)
    assert found["shorter"].reason == "turns are whole epochs; its loader has 2 batches, the baseline's 3"
    summary = stats.summarize(store.read_run(bench.folder))
    assert {cell.id for cell in summary.cells if cell.versus is not None} == {
        cell.id for cell in summary.cells if cell.twin
    }


def test_a_loader_without_a_length_is_no_matter_where_turns_are_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arm asks every loader for its length; one over an IterableDataset raises TypeError when it is asked."""
    from dataclasses import replace

    from bench.plan import discovery

    suites = discovery.all_suites

    def stepwise(*args: Any) -> Any:
        return {
            name: (replace(suite, epochs=False, baseline="none") if name == "lengths" else suite, file)
            for name, (suite, file) in suites(*args).items()
        }

    monkeypatch.setattr(discovery, "all_suites", stepwise)
    records = bench.run("lengths", "length=none", options=QUICK)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    assert not any(record.turns.whole for record in records if record.turns is not None)


def test_batches_in_an_epoch() -> None:
    from torch.utils.data import DataLoader, IterableDataset

    class Rows(IterableDataset[int]):
        def __iter__(self) -> Iterator[int]:
            return iter([1, 2, 3])

    assert batches_in([1, 2, 3]) == 3
    assert batches_in(iter([1])) == 0
    assert batches_in(DataLoader(Rows(), batch_size=2)) == 0
