"""Trainings for a goal from records: curves, who gets there when, what is censored, pairs, other targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from convergences import EPOCHS, LOOPS, QUIET, SAMPLES, STEPS, TARGET, TrueCell, cell_id, reached_run
from synthetic import make
from tiers import Choice

from bench.analysis.convergence import Convergence, GoalCell, GoalPair, attempt_of, convergence_of
from bench.analysis.run import Run
from bench.errors import SpecError
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.stats.time_to_target import Wait

# 0.02 + exp(-0.14 x the seed's x 20): from some seeds it is at 0.1 in 20 epochs, from others not.
LATE = {"plain": TrueCell(), "late": TrueCell(rate=0.13, rate_sd=0.3)}


def goals(run: StoredRun, target: float | None = None) -> Convergence:
    found = convergence_of(run, target)
    assert found is not None
    return found


def cells(found: Convergence) -> dict[str, GoalCell]:
    return {"twin" if cell.twin else cell.value: cell for cell in found.cells}


def pairs(found: Convergence) -> dict[str, GoalPair]:
    return {"twin" if pair.twin else pair.value: pair for pair in found.pairs}


def changed(run: StoredRun, where: Mapping[str, Sequence[int]], **values: Any) -> StoredRun:
    """With other values in the records of these cells and launches."""
    records = [
        replace(record, **values) if record.launch in where.get(record.cell, ()) else record for record in run.records
    ]
    return replace(run, records=tuple(records))


def with_losses(record: Record, losses: Sequence[float]) -> Record:
    return replace(record, ledger={**record.ledger, "validation_losses": list(losses)})


def test_a_curve_is_what_the_record_has_set_up_and_first_epoch_included() -> None:
    run = reached_run(seeds=1, machine=QUIET)
    record = run.records[0]
    assert record.turns is not None
    losses = record.ledger["validation_losses"]
    at = next(number for number, loss in enumerate(losses) if loss <= TARGET)
    found = attempt_of(record, TARGET)
    assert found is not None
    assert found.curve.losses == tuple(losses)
    assert found.curve.samples[:2] == (STEPS * SAMPLES, 2 * STEPS * SAMPLES)
    expected = record.extra["setup_time"] + math.fsum(record.turns.entire[: at + 1])
    assert found.seconds == Wait(pytest.approx(expected), reached=True)  # type: ignore[arg-type]  # an approximate float
    assert (found.epochs, found.samples) == (Wait(at + 1.0, True), Wait((at + 1.0) * STEPS * SAMPLES, True))
    assert (found.final, found.diverged, found.launch) == (losses[-1], False, 0)


def test_reaching_it_once_counts_and_touching_it_does() -> None:
    record = with_losses(reached_run(seeds=1, epochs=4).records[0], [0.5, 0.25, 0.3, 0.4])
    found = attempt_of(record, 0.25)
    assert found is not None
    assert (found.epochs, found.final) == (Wait(2.0, True), 0.4)


def test_a_loss_that_is_not_finite_reaches_nothing_and_is_told() -> None:
    record = reached_run(seeds=1, epochs=4).records[0]
    for bad in (math.nan, math.inf, -math.inf):
        found = attempt_of(with_losses(record, [0.5, bad, bad, bad]), 0.25)
        assert found is not None
        assert (found.seconds.reached, found.diverged, found.final) == (False, True, None)
        assert found.epochs == Wait(4.0, False)
        assert found.curve.losses == (0.5, None, None, None)
    early = attempt_of(with_losses(record, [0.2, math.nan, math.nan, math.nan]), 0.25)
    assert early is not None
    assert (early.epochs, early.diverged) == (Wait(1.0, True), True)


def test_what_is_no_training_is_none() -> None:
    record = reached_run(seeds=1, epochs=4).records[0]
    assert attempt_of(with_losses(record, []), 0.1) is None
    assert attempt_of(replace(record, turns=None), 0.1) is None
    some = attempt_of(with_losses(record, [0.5, 0.4]), 0.1)  # ended before it was judged a third time
    assert some is not None
    assert some.epochs == Wait(2.0, False)


def test_known_ratios_come_back_and_equal_losses_are_so() -> None:
    found = pairs(goals(reached_run(seeds=9)))
    assert found["trainer"].seconds.estimate == pytest.approx(1.9, rel=0.02)
    assert found["fabric"].seconds.estimate == pytest.approx(1.05, rel=0.02)
    assert found["trainer"].word == "told"
    assert found["twin"].word in ("zero", "told")
    for pair in found.values():
        assert (pair.final.answer, pair.final.identical, pair.interleaved) == ("equivalent", True, True)
        assert pair.epochs.even == pair.epochs.seeds == 9
        assert pair.samples.estimate == 1.0


def test_trainings_that_missed_are_in_every_figure() -> None:
    """Trap 33."""
    run = reached_run(LATE, seeds=9, seed=3)
    late, pair = cells(goals(run))["late"], pairs(goals(run))["late"]
    assert 0 < late.reached < len(late.attempts) == 9
    assert late.seconds is not None
    assert (late.seconds.seeds, late.seconds.reached) == (9, late.reached)
    assert late.seconds.high is None
    assert (pair.seconds.seeds, pair.seconds.high) == (9, None)
    assert pair.seconds.longer >= 9 - late.reached
    missed = [attempt for attempt in late.attempts if not attempt.seconds.reached]
    for attempt in missed:
        assert attempt.epochs == Wait(float(EPOCHS), False)
        assert attempt.seconds.amount == attempt.curve.seconds[-1]


def test_another_target_is_asked_of_the_same_records() -> None:
    run = reached_run(LATE, seeds=5)
    easy, hard = goals(run, 0.5), goals(run, 0.021)
    assert (easy.chosen, hard.chosen, goals(run).chosen) == (0.5, 0.021, None)
    assert all(cell.reached == 5 and cell.target == 0.5 for cell in easy.cells)
    assert not any(cell.reached for cell in hard.cells if cell.value != "plain")
    assert [cell.final for cell in easy.cells] == [cell.final for cell in hard.cells]
    with pytest.raises(SpecError, match="finite number"):
        convergence_of(run, math.nan)
    with pytest.raises(SpecError, match=r"no suite of .* trains for a goal"):
        convergence_of(make(launches=1), 0.5)
    assert convergence_of(make(launches=1)) is None


def test_a_point_says_its_own_target() -> None:
    run = reached_run(seeds=2, where=(({"target": 0.1}, 1.0), ({"target": 0.4}, 1.0)))
    found = goals(run)
    assert {cell.target for cell in found.cells} == {0.1, 0.4}
    assert {cell.target for cell in goals(run, 0.2).cells} == {0.2}
    assert found.across == ()  # other questions are not compared


def test_what_is_not_sound_is_compared_with_nothing() -> None:
    run = reached_run(seeds=3)
    trainer = cell_id("trainer", {})
    broken = changed(run, {trainer: (1,)}, outcome="unequal-work", reason="other batches")
    found = goals(broken)
    assert "trainer" not in pairs(found)
    assert cells(found)["trainer"].reason == "unequal-work: other batches"
    assert len(cells(found)["trainer"].attempts) == 3
    lost = changed(run, {trainer: (0, 1, 2)}, outcome="crashed", reason="no mood", turns=None, ledger={})
    own = cells(goals(lost))["trainer"]
    assert (own.attempts, own.seconds, own.rule, own.reason) == ((), None, None, "crashed: no mood")
    nobody = changed(run, {cell_id("plain", {}): (0,)}, outcome="oom", reason="too large", turns=None, ledger={})
    assert goals(nobody).pairs == ()
    assert goals(replace(run, records=())).pairs == ()
    assert cells(goals(replace(run, records=())))["plain"].reason == "no training of it was measured"


def test_a_cell_that_diverged_is_compared_and_is_as_good_as_nothing() -> None:
    found = goals(reached_run({"plain": TrueCell(), "wild": TrueCell(diverges=(1, 3))}, seeds=5))
    wild, pair = cells(found)["wild"], pairs(found)["wild"]
    assert (wild.diverged, wild.reached, wild.final) == (2, 3, None)
    assert wild.rule is not None
    assert not wild.rule.met
    assert (pair.final.answer, pair.seconds.high, pair.seconds.seeds) == ("undecided", None, 5)


def test_groups_along_another_axis_are_paired_by_seed_and_marked() -> None:
    where = (({"precision": "32-true", "batch_size": 64}, 1.0), ({"precision": "bf16-mixed", "batch_size": 64}, 0.8))
    found = goals(reached_run(seeds=6, where=where))
    assert {(pair.axis, pair.value, pair.over) for pair in found.across} == {("precision", "bf16-mixed", "32-true")}
    assert len(found.across) == len(LOOPS)  # twins are of their groups
    for pair in found.across:
        assert not pair.interleaved
        assert pair.seconds.estimate == pytest.approx(0.8, rel=0.02)
        assert pair.baseline != pair.cell


def test_few_seeds_are_told_to_be_few() -> None:
    one = goals(reached_run(seeds=1))
    assert pairs(one)["trainer"].word == "one-launch"
    assert pairs(one)["trainer"].seconds.level == 0.0
    assert pairs(goals(reached_run(seeds=2)))["trainer"].seconds.level == 0.5


def test_plain_against_plain_is_equivalent_and_no_ratio_is_told(repeats: Choice) -> None:
    """A/A through the records, with 0.1 % between identical trainings, as CUDA may have: equivalent in 95 of 100."""
    runs = repeats(20, 300)
    same = {"plain": TrueCell(own=0.001), "other": TrueCell(own=0.001)}
    equal = told = 0
    for seed in range(runs):
        pair = pairs(goals(reached_run(same, seeds=5, epochs=12, seed=seed)))["other"]
        equal += pair.final.answer == "equivalent"
        told += pair.word == "told"
    assert equal / runs >= 0.95
    assert told / runs <= 0.0625 + 3 * math.sqrt(0.0625 / runs)


def test_the_run_has_its_curves_as_a_table() -> None:
    run = Run(reached_run({"plain": TrueCell(), "wild": TrueCell(diverges=(1,))}, seeds=2, epochs=4))
    table = run.curves
    assert len(table) == 3 * 2 * 4
    own = table[(table["cell"] == cell_id("wild", {})) & (table["launch"] == 1)]
    assert own["epoch"].tolist() == [1, 2, 3, 4]
    assert own["loss"].isna().tolist() == [False, False, True, True]
    assert own["seconds"].is_monotonic_increasing
    assert run.convergence() == run.summary.convergence
    other = run.convergence(0.9)
    assert other is not None
    assert other.chosen == 0.9
    assert len(Run(make(launches=1)).curves) == 0
    assert Run(make(launches=1)).convergence() is None
