"""A ladder's prices from records: each rung over the one below, known truths, what may be said, where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ladders import LENGTH, STEP, Noise, TrueRung, climb

from bench.analysis.ladder import KNOWN_TO, RungPrice, ladder_of, shared_interpreters
from bench.analysis.run import Run
from bench.analysis.summary import Summary, summarize
from bench.borders import json_text
from bench.report import console, html, markdown
from bench.report.ladder import ladder_sentences, ladder_tables, said_of
from bench.report.ladder_figure import draw_ladders, waterfall_of
from bench.report.row_figure import ArmStyles
from bench.report.verify import page_differences
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.stats.intervals import Interval

# Upwards, with an alternative to `log` and one beside all others.
RUNGS: Mapping[str, TrueRung] = {
    "bare": TrueRung(),
    "log": TrueRung(step=STEP + 300e-6),
    "log-rich": TrueRung(step=STEP + 500e-6),
    "validation": TrueRung(step=STEP + 300e-6, epoch=9e-3),
    "summary": TrueRung(step=STEP + 300e-6, epoch=9e-3),
    "steps": TrueRung(step=STEP + 300e-6, epoch=9e-3, every=25, event=5e-3),
    "defaults": TrueRung(step=STEP + 100e-6, epoch=9e-3),
}
LADDER = {"log": "bare", "log-rich": "bare", "validation": "log", "summary": "validation", "steps": "summary"}
LADDER["defaults"] = "bare"
NOISE = Noise(pause=1.0)


def cell_id(rung: str, twin: bool = False) -> str:
    return f"climb[trainer={rung}]{'#twin' * twin}"


def made(
    launches: int = 6,
    *,
    rungs: Mapping[str, TrueRung] = RUNGS,
    ladder: Mapping[str, str] = LADDER,
    noise: Noise = NOISE,
    without: Sequence[str] = (),
    seed: int = 0,
) -> StoredRun:
    """A run of these rungs, as they would be recorded. `without`: those that did not run."""
    rng = np.random.default_rng(seed)
    arms = [*((rung, False) for rung in rungs), (next(iter(rungs)), True)]
    records: list[Record] = []
    for launch in range(launches):
        turns = climb(rng, [rungs[rung] for rung, _ in arms], noise)
        records += [
            Record(
                suite="climb", cell=cell_id(rung, twin), group="climb", point={"trainer": rung}, twin=twin,
                launch=launch, outcome="ok", requested={"trainer": rung}, effective={"trainer": rung},
                ledger={"equal": "samples"}, turns=own, samples_per_step=32, order=place,
                fork_server=launch // 2, seat=int((place > 0) ^ (launch % 2)),
            )
            for place, ((rung, twin), own) in enumerate(zip(arms, turns, strict=True)) if rung not in without
        ]  # fmt: skip
    cells = [
        {"id": cell_id(rung, twin), "suite": "climb", "group": "climb", "point": {"trainer": rung}, "twin": twin,
         "baseline": cell_id(next(iter(rungs))), "outcome": "unsupported" if rung in without else "ok",
         "reason": "no such package" if rung in without else ""}
        for rung, twin in arms
    ]  # fmt: skip
    suite = {"title": "climb", "compare": "trainer", "baseline": next(iter(rungs)), "length_axis": None,
             "axes": {"trainer": list(rungs)}, "ladder": dict(ladder),
             "trainers": {"log": {"logger": True}}}  # fmt: skip
    info: dict[str, Any] = {
        "run": "20250101-000000-abcd", "schema": 6, "loopmark": "0", "argv": ["bench", "run", "climb"], "options": {},
        "plan": {"suites": {"climb": suite}, "cells": cells, "groups": ["climb"]}, "environment": {},
        "started": "2025-01-01T00:00:00+00:00", "finished": "2025-01-01T00:03:00+00:00", "stops": {}, "timing": {},
    }  # fmt: skip
    return StoredRun(Path("results") / "20250101-000000-abcd", info, tuple(records))


def prices(run: StoredRun) -> dict[str, RungPrice]:
    found = ladder_of(run, {record.cell for record in run.records})
    return {"twin" if price.twin else price.value: price for price in found}


@pytest.fixture(scope="module")
def climbed() -> StoredRun:
    return made()


def test_each_rung_is_priced_over_the_one_below_and_truths_come_back(climbed: StoredRun) -> None:
    found = prices(climbed)
    assert list(found) == [*RUNGS, "twin"]
    for name, below in LADDER.items():
        price, true, base = found[name], RUNGS[name], RUNGS[below]
        assert (price.over, price.below, price.length) == (below, below, LENGTH)
        assert price.step is not None
        assert price.epoch is not None
        assert price.whole is not None
        # Within twice the interval: of 95 % intervals some miss, of twelve figures.
        for figure, value in ((price.step, true.mean - base.mean), (price.epoch, true.whole - base.whole)):
            assert figure.high is not None
            assert abs(figure.estimate - value) < max(2 * (figure.high - figure.estimate), 1e-6), (name, value, figure)
        whole = LENGTH * price.step.estimate + price.epoch.estimate
        assert price.whole.estimate == pytest.approx(whole, abs=0.2e-3)
        assert price.step_time == pytest.approx(true.mean, rel=0.03)
    told = {name: (price.step_word, price.epoch_word) for name, price in found.items()}
    assert told["bare"] == ("nothing", "nothing")
    assert (told["log"][0], told["validation"][1], told["steps"][0]) == ("told",) * 3
    assert {told["summary"][0], told["validation"][0], told["log"][1]} <= {"zero", "as-twin"}
    assert told["twin"][0] in ("zero", "told")
    assert found["bare"].reason == "the lowest"


def test_a_rung_over_the_baseline_would_be_another_price(climbed: StoredRun) -> None:
    """So that the test above can fail: over the lowest rung the validation has the log's steps in it."""
    flat = made(ladder=dict.fromkeys(LADDER, "bare"))
    over_bare, over_log = prices(flat)["validation"].step, prices(climbed)["validation"].step
    assert over_bare is not None
    assert over_log is not None
    assert over_bare.estimate > 200e-6 > 5 * abs(over_log.estimate)


def test_what_a_pause_may_cost_is_told_of_no_epoch() -> None:
    """Of shorter or longer steps the pause before an epoch costs less or more, which no arm of a user's pays."""
    rungs = {
        "bare": TrueRung(),
        "longer": TrueRung(step=STEP + 1e-3),
        "both": TrueRung(step=STEP + 1e-3, epoch=9e-3),
        "shorter": TrueRung(step=STEP, epoch=9e-3),
    }
    ladder = {"longer": "bare", "both": "bare", "shorter": "both"}
    found = prices(made(rungs=rungs, ladder=ladder, noise=replace(NOISE, pause=1.15, edges=0.05e-3)))
    longer, both, shorter = (found[name] for name in ladder)
    for price, sign in ((longer, 1), (shorter, -1)):
        assert price.epoch is not None
        assert not price.epoch.contains(0.0), "without the rule it would be told"
        assert (price.epoch.estimate * sign > 0, price.epoch_word) == (True, "as-pause")
    assert (both.epoch_word, both.step_word) == ("told", "told")
    assert {price.step_word for price in (longer, shorter)} == {"told"}


def test_a_rung_that_is_not_there_is_stepped_over_and_says_so() -> None:
    found = prices(made(without=("validation", "log-rich")))
    assert (found["summary"].over, found["summary"].below) == ("log", "validation")
    assert found["summary"].epoch is not None
    assert found["summary"].epoch.estimate == pytest.approx(9e-3, rel=0.1)
    assert (found["validation"].step, found["validation"].reason) == (None, "no figures")
    alone = prices(made(without=("bare",)))
    assert (alone["log"].step, alone["log"].over, alone["log"].reason) == (None, "", "no figures of bare, or below")
    assert alone["validation"].over == "log"


def test_one_launch_has_figures_and_no_claim_and_a_wide_one_is_within_noise() -> None:
    one = prices(made(launches=1))["log"]
    assert one.step is not None
    assert (one.step.low, one.step_word) == (None, "one-launch")
    loud = prices(made(launches=2, noise=replace(NOISE, process=0.05)))["log"]
    assert loud.step is not None
    assert loud.step.high is not None
    assert (loud.step.high - loud.step.estimate) > loud.step_limit >= KNOWN_TO
    assert loud.step_word == "within-noise"


@pytest.mark.parametrize(
    ("figure", "word", "said"),
    [
        (None, "nothing", ""),
        (Interval(3e-5, None, None, 1), "one-launch", "one launch gives no interval"),
        (Interval(3e-5, 2e-5, 4e-5, 6), "told", "told"),
        (Interval(3e-6, -7e-6, 13e-6, 6), "zero", "within noise, known to ±10.0 µs"),
        (Interval(3e-6, 1e-6, 5e-6, 6), "as-twin", "within noise, as the twin; known to ±2.00 µs"),
        (Interval(3e-5, -7e-5, 13e-5, 6), "within-noise", "within noise of ±100 µs"),
        (Interval(3e-4, 2e-4, 4e-4, 6), "as-pause", "no more than the pause may cost, known to ±100 µs"),
        (Interval(3e-5, 2e-5, 4e-5, 6), "no-twin", "the twin has no interval"),
    ],
)
def test_what_is_said_tells_noise_from_what_is_known_to_be_little(figure: Any, word: Any, said: str) -> None:
    assert said_of(figure, word) == said


def test_ladders_that_turn_in_a_circle_or_name_nobody_end() -> None:
    found = prices(made(ladder={"log": "validation", "validation": "log", "summary": "nobody"}))
    assert found["log"].over == "validation"
    assert found["summary"].over == ""
    assert [price.over for name, price in found.items() if name not in ("log", "validation")] == [""] * 5 + ["bare"]
    gone = prices(made(ladder={"log": "validation", "validation": "log"}, without=("validation",)))
    assert gone["log"].step is None


def test_suites_without_a_ladder_have_none(climbed: StoredRun) -> None:
    assert ladder_of(made(ladder={}), {record.cell for record in climbed.records}) == []
    assert ladder_of(climbed, ()) != []
    assert all(price.step is None for price in ladder_of(climbed, ()))
    stepwise = replace(
        climbed,
        records=tuple(replace(one, turns=replace(one.turns, real=False)) for one in climbed.records if one.turns),
    )
    assert all(price.step is None for price in prices(stepwise).values())


def test_launches_of_one_interpreter_hang_together_unless_two_change_places(climbed: StoredRun) -> None:
    by_cell: dict[str, list[Record]] = {}
    for record in climbed.records:
        by_cell.setdefault(record.cell, []).append(record)
    bare, log, validation = (by_cell[cell_id(name)] for name in ("bare", "log", "validation"))
    assert shared_interpreters(list(zip(log, bare, strict=True))) is None
    assert shared_interpreters(list(zip(validation, log, strict=True))) == [0, 1, 2, 3, 4, 5]
    same = [replace(record, fork_server=0, seat=launch % 2) for launch, record in enumerate(log)]
    assert shared_interpreters(list(zip(same, same, strict=True))) == [0, 1] * 3


# --- what is shown


@pytest.fixture(scope="module")
def summary(climbed: StoredRun) -> Summary:
    return summarize(climbed)


def test_the_table_is_in_every_format_and_in_python(climbed: StoredRun, summary: Summary) -> None:
    shown = console.render(summary)
    assert "What each rung costs over the one below:" in shown
    (line,) = [line for line in shown.splitlines() if line.strip().startswith("log ") and " bare " in line]
    assert "µs [" in line
    assert "noise, known to ±" in line
    assert "| validation | log |" in markdown.render(summary)
    table = Run(climbed).ladder
    assert table["rung"].tolist() == [*RUNGS, "bare"]
    assert table["over"].tolist()[:4] == ["", "bare", "bare", "log"]
    assert table.loc[table["rung"] == "validation", "epoch"].item() == pytest.approx(9e-3, rel=0.1)
    assert json_text(summary.to_json())


def test_sentences_name_the_dearest_and_what_is_noise(summary: Summary) -> None:
    step, epoch, *noise = ladder_sentences(summary, "climb")
    assert step.startswith("Dearest a step: log-rich +5")
    assert "over bare" in step
    assert epoch.startswith("Dearest an epoch besides its steps: ")
    assert {"validation", "defaults"} <= {word for word in epoch.replace(";", " ").split()}
    assert not noise or "summary" in noise[0]
    assert ladder_sentences(summary, "another") == []
    assert step in html.headlines(summary)


@pytest.mark.parametrize(
    ("run", "drawn"),
    [
        (made(launches=1), 2),
        (made(launches=2, noise=replace(NOISE, process=0.3)), 2),
        (made(launches=0), 0),
        (made(ladder={}), 0),
        (made(without=[name for name in RUNGS if name != "bare"]), 2),  # of the twin alone
    ],
    ids=["one launch", "loud", "nothing", "no ladder", "twin"],
)
def test_whatever_was_measured_can_be_shown(run: StoredRun, drawn: int) -> None:
    summary = summarize(run)
    assert len(draw_ladders(summary, [cell.group for cell in summary.cells], ArmStyles.of(summary))) == drawn
    page = html.render(run, summary, ())
    assert page_differences(run, page, ()) == []
    assert console.render(summary)
    assert markdown.render(summary)
    assert len(Run(run).ladder) == len(summary.ladder)


def test_a_bar_begins_where_the_rung_below_ends_and_ends_at_what_all_to_it_cost(summary: Summary) -> None:
    """Planted: what each rung's step takes longer than the lowest one's is where its bar ends."""
    rows = ladder_tables(summary)["climb"]
    for place, truth in enumerate((lambda rung: rung.mean, lambda rung: rung.whole)):
        bars = {bar.name.split(" over ")[0]: bar for bar in waterfall_of(rows, place)}
        assert set(bars) == {*LADDER, "bare (twin)"}
        for name, below in LADDER.items():
            bar = bars[name]
            assert bar.start == (bars[below].end if below in bars else 0.0)
            planted = truth(RUNGS[name]) - truth(RUNGS["bare"])
            assert bar.end == pytest.approx(planted, abs=(30e-6, 0.6e-3)[place]), name
            assert bar.low is not None
            assert bar.high is not None
            assert bar.low < bar.end < bar.high
            assert bar.text == next(row for row in rows if row.name == name).entries[("a step", "an epoch")[place]].text
        twin = bars["bare (twin)"]
        assert (twin.start, twin.below, twin.twin) == (0.0, None, True)


def test_a_rung_over_one_without_figures_begins_at_the_nearest_below() -> None:
    rows = ladder_tables(summarize(made(without=["validation"])))["climb"]
    bars = {bar.name.split(" over ")[0]: bar for bar in waterfall_of(rows, 0)}
    assert "validation" not in bars
    assert bars["summary"].name == "summary over log"
    assert bars["summary"].start == bars["log"].end


def test_the_page_has_table_and_picture_and_verify_follows_them(climbed: StoredRun, summary: Summary) -> None:
    drawings = draw_ladders(summary, ["climb"], ArmStyles.of(summary))
    title = "What each rung costs over the one below"
    assert [drawing.title for drawing in drawings] == [f"{title}, a step", f"{title}, an epoch, besides its steps"]
    assert all(name in drawings[0].svg for name in RUNGS if name != "bare")
    page = html.render(climbed, summary, drawings)
    assert page_differences(climbed, page, drawings) == []
    assert 'data-figure="ladder/1/a step"' in page
    index = [price.value for price in summary.ladder].index("validation")
    figure = summary.ladder[index].epoch
    assert figure is not None
    changed = page.replace(repr(figure.estimate), repr(figure.estimate * 1.1))
    assert changed != page
    assert any(f"ladder/{index}/epoch/estimate" in text for text in page_differences(climbed, changed, drawings))
