"""What comes back every so many steps is told in every format, in seconds and in its share of the mean step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from step_races import Machine, TrueArm, race
from synthetic import PLAIN, TRAINER, make

from bench.analysis.summary import Summary, summarize
from bench.report import console, html, markdown
from bench.report.repeated import LEAST_SHARE, ordinal, repeated
from bench.results.store import StoredRun
from bench.stats.periods import Period


def with_events(extra: float) -> StoredRun:
    """A run whose trainer takes `extra` typical steps longer at each 50th step."""
    run, rng = make(lengths={256: 1.5e-3}, launches=6), np.random.default_rng(1)
    arms = [TrueArm(), TrueArm(), TrueArm(1.2), TrueArm(1.5, every=50, extra=extra)]
    names = [(PLAIN, False), (PLAIN, True), ("fabric", False), (TRAINER, False)]
    turns = {launch: dict(zip(names, race(rng, arms, Machine()), strict=True)) for launch in range(6)}
    records = tuple(
        replace(record, turns=turns[record.launch][str(record.point["loop"]), record.twin]) for record in run.records
    )
    return replace(run, records=records)


@pytest.fixture(scope="module")
def told() -> Summary:
    return summarize(with_events(3.0))


def test_a_flush_every_50_steps_has_its_sentence_in_every_format(told: Summary) -> None:
    (sentence,) = repeated(told)
    assert sentence.startswith("Trainer: every 50th step takes +6.")
    assert sentence.endswith(" % of the typical step on each")
    assert sentence in " ".join(console.render(told).split())
    assert sentence in markdown.render(told)
    assert sentence in html.render(with_events(3.0), told, drawings=())


def test_what_users_pay_is_the_mean_and_the_typical_step_stands_beside_it(told: Summary) -> None:
    trainer = next(cell for cell in told.cells if cell.point["loop"] == TRAINER)
    assert trainer.versus is not None
    assert trainer.versus.typical is not None
    assert trainer.versus.ratio.estimate == pytest.approx(1.5 * 1.06, rel=0.01)
    assert trainer.versus.typical.estimate == pytest.approx(1.5, rel=0.01)
    mean, typical, rate = (trainer.metrics[name].estimate for name in ("step_time", "typical_step_time", "throughput"))
    assert mean == pytest.approx(1.06 * typical, rel=0.01)
    assert rate == pytest.approx(256 / mean, rel=0.01)
    assert typical < trainer.metrics["step_time_p95"].estimate < trainer.metrics["step_time_p99"].estimate


def test_what_adds_next_to_nothing_is_left_unsaid(told: Summary) -> None:
    cell = next(cell.id for cell in told.cells if cell.point["loop"] == TRAINER)
    for share, sentences in ((LEAST_SHARE / 2, 0), (LEAST_SHARE, 1)):
        assert len(repeated(replace(told, periods={cell: (Period(50, (49,), 50 * share),)}))) == sentences


def test_several_phases_and_ordinals() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 50, 101)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "50th", "101st",
    ]  # fmt: skip
