"""Figures show what was planted: their values, before anything is drawn, and where the drawing puts them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from synthetic import FABRIC, PLAIN, TRAINER, Arm, cell_id, group_id, make, race

from bench.analysis import costs
from bench.analysis.frames import frames_of
from bench.analysis.summary import Summary, summarize
from bench.report import figures, tables
from bench.report.break_even_figure import break_evens, crossing_words
from bench.report.ceiling_figure import ceiling_rows, ceiling_words, roof_points
from bench.report.cell_figure import cell_samples, draw_cell, drift_lines, drift_words, turn_order
from bench.report.cost_figure import cost_curves
from bench.report.distribution_figure import StepSpread, density, frame_of, ratio_rows, spreads_of
from bench.report.drawing import STYLE
from bench.report.memory_figure import HOST_PEAK, memory_rows, memory_words
from bench.report.precision_figure import last_losses, precision_points
from bench.report.row_figure import ArmStyles
from bench.report.scaling_figure import efficiency_words, scaling_points
from bench.report.share_figure import shares_of
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.results.turns import Turns

DEVICES = {1: Arm(1e-3, samples=32), 2: Arm(1.25e-3, samples=64), 4: Arm(2e-3, samples=128)}


def cells_of(summary: Summary, group: str = "") -> list[Any]:
    return [cell for cell in summary.cells if not group or cell.group == group]


def test_a_planted_efficiency_is_drawn_below_the_line_of_as_many() -> None:
    """Two devices take 1.25 ms for two batches of one that takes 1 ms: 80 %; four take 2 ms: 50 %."""
    summary = summarize(race("devices", DEVICES, sd=0.0))
    points = scaling_points(summary.cells, "devices", summary.answers)
    assert [point.devices for point in points] == [1, 2, 4]
    assert [point.ideal for point in points] == pytest.approx([32e3, 64e3, 128e3])
    assert [point.throughput.estimate for point in points] == pytest.approx([32e3, 51.2e3, 64e3])
    assert points[0].efficiency is None
    told = [point.efficiency for point in points[1:] if point.efficiency is not None]
    assert [one.estimate for one in told] == pytest.approx([0.8, 0.5])
    assert efficiency_words(told[0]).startswith("80 %")
    for point, one in zip(points[1:], told, strict=True):  # picture and sentence say the same
        assert point.throughput.estimate / point.ideal == pytest.approx(one.estimate)


def test_one_device_alone_has_no_line() -> None:
    summary = summarize(race("devices", {1: DEVICES[1]}))
    assert scaling_points(summary.cells, "devices", summary.answers) == []


@pytest.mark.parametrize("steps", [50.0, 2000.0, 3e6])
def test_lines_cross_after_as_many_steps_as_were_planted(steps: float) -> None:
    saved, usual = 0.2e-3, 0.5
    starts = {"time_to_first_step_cold": usual + steps * saved, "time_to_first_step_warm": usual + steps * saved / 10}
    eager = Arm(1e-3, starts={"time_to_first_step": usual})
    arms = {"off": eager, "default": Arm(1e-3 - saved, starts=starts)}
    summary = summarize(race("compile", arms, sd=0.0))
    found = break_evens(summary.cells, "compile", summary.answers)
    assert [one.crossing for one in found] == pytest.approx([steps, steps / 10])
    for one in found:
        assert one.crossing is not None
        assert one.eager_at(one.crossing) == pytest.approx(one.compiled_at(one.crossing))
        assert one.eager_at(0) == pytest.approx(usual)
        assert one.compiled_at(0.5 * one.crossing) > one.eager_at(0.5 * one.crossing)
        assert one.compiled_at(1.5 * one.crossing) < one.eager_at(1.5 * one.crossing)
        assert one.crossing < one.reach
    assert crossing_words(found[0]).startswith(f"after {steps:,.0f} steps")


def test_what_never_pays_has_no_crossing_and_says_so() -> None:
    arms = {
        "off": Arm(1e-3, starts={"time_to_first_step": 0.5}),
        "default": Arm(1.3e-3, starts={"time_to_first_step_cold": 4.0}),
    }
    summary = summarize(race("compile", arms, sd=0.0))
    (one,) = break_evens(summary.cells, "compile", summary.answers)
    assert (one.crossing, crossing_words(one)) == (None, "never, by what was seen")
    assert (one.extra, one.saved) == pytest.approx((3.5, -0.3e-3))
    assert all(one.compiled_at(end) > one.eager_at(end) for end in (0.0, one.reach))


def test_parts_are_the_shares_of_the_table_to_the_letter() -> None:
    """Planted: a quarter and three quarters. What the picture writes is what the table beside it writes."""
    run = make(launches=4, instrument=3)
    summary = summarize(run)
    (whole, names), *others = tables.parts(summary).items()
    assert (whole, others) == ("whole_step", [])
    for table in tables.instrumented_tables(summary):
        entries = {metric.name: entries for metric, entries in table.rows}
        cells = [cell for cell in cells_of(summary, table.group) if cell.instrumented]
        bars = shares_of(cells, whole, names)
        assert [bar.cell for bar in bars] == [cell.id for cell in cells]
        for place, bar in enumerate(bars):
            assert [part.share for part in bar.parts] == pytest.approx([0.25, 0.75])
            assert [part.text for part in bar.parts] == [entries[name][place].text for name in names]


def test_a_part_without_a_share_has_no_bar_of_nothing() -> None:
    """An arm lacks a part: the table has no entry there, so the picture may not write 0 % either."""
    run = make(launches=4, instrument=3)
    fewer = tuple(
        replace(one, extra={name: value for name, value in one.extra.items() if name != "half_one"})
        if one.point["loop"] == FABRIC
        else one
        for one in run.instrumented
    )
    summary = summarize(replace(run, instrumented=fewer))
    (bar,) = [bar for bar in shares_of(summary.cells, "whole_step", ["half_one", "half_two"])
              if bar.cell == cell_id(FABRIC, 256)]  # fmt: skip
    assert [(part.name, part.text) for part in bar.parts] == [("two", "75 %")]
    entries = next(dict((metric.name, seen[1].text) for metric, seen in table.rows)
                   for table in tables.instrumented_tables(summary) if table.group == group_id(256))  # fmt: skip
    assert (entries["half_one"], entries["half_two"]) == ("", "75 %")


def with_drift(run: StoredRun, growth: float) -> StoredRun:
    """The run with steps that take so many seconds longer with each step of a launch."""

    def longer(record: Record) -> Record:
        old = record.turns
        assert old is not None
        began, seconds = [], []
        taken = 0
        for step in (counted / old.steps for counted in old.counted):
            began.append(taken)
            seconds.append(tuple(step + growth * (taken + place) for place in range(8)))
            taken += 8
        named = {name: getattr(old, name) for name in ("round", "position", "cpu", "involuntary", "faults", "stolen")}
        return replace(record, turns=Turns(**named, began=tuple(began), seconds=tuple(seconds), cold=1))

    return replace(run, records=tuple(longer(record) for record in run.records))


@pytest.mark.parametrize("growth", [0.0, 1e-6, -0.5e-6])
def test_a_planted_drift_is_the_slope_of_the_line(growth: float) -> None:
    run = with_drift(make(launches=4, rounds=16, noise="none", lengths={32: 2e-3}), growth)
    summary = summarize(run)
    order = turn_order(run.records)
    for cell in summary.cells:
        own = [record for record in run.records if record.cell == cell.id]
        samples = cell_samples(own, order, cell.id, cell.drift)
        assert samples is not None
        assert [launch.steps for launch in samples.launches] == [128] * 4
        for launch, (ends, values) in zip(samples.launches, drift_lines(samples), strict=True):
            assert (values[1] - values[0]) / (ends[1] - ends[0]) == pytest.approx(growth, abs=2e-9)
            # The line goes through the points, all of them where there is no noise.
            for place, second in zip(launch.places, launch.seconds, strict=True):
                assert values[0] + growth * place == pytest.approx(second, abs=2e-6)
        assert ("not material" in drift_words(cell.drift)) == (growth == 0)


def test_points_are_thinned_to_medians_and_lose_no_launch() -> None:
    run = make(launches=6, rounds=100, noise="none", lengths={32: 2e-3})
    own = [record for record in run.records if record.cell == cell_id(PLAIN, 32)]
    samples = cell_samples(own, [], own[0].cell, None)
    assert samples is not None
    assert (samples.block, len(samples.launches)) == (3, 6)
    assert [len(launch.seconds) for launch in samples.launches] == [34] * 6
    assert all(second == pytest.approx(2e-3) for launch in samples.launches for second in launch.seconds)
    assert (drift_lines(samples), drift_words(None)) == ([], "drift within a launch: not known")


def test_the_order_of_turns_is_that_of_the_records() -> None:
    run = make(launches=2, rounds=9, lengths={32: 2e-3})
    order = turn_order(run.records)
    assert len(order) == 9
    for number, cells in enumerate(order):
        for record in run.records:
            if record.launch == 0 and record.turns is not None:
                assert cells.index(record.cell) == record.turns.position[number]
    assert turn_order([]) == []


def test_of_many_arms_the_turns_of_some_are_drawn_and_always_the_cells_own() -> None:
    run = race("loader", {number: Arm(1e-3) for number in range(20)}, launches=2)
    summary = summarize(run)
    order = turn_order(run.records)
    style = ArmStyles.of(summary)
    for cell in (summary.cells[0], summary.cells[19]):
        own = [record for record in run.records if record.cell == cell.id]
        samples = cell_samples(own, order, cell.id, cell.drift)
        assert samples is not None
        with matplotlib.rc_context(STYLE):
            drawn = draw_cell(samples, style)
        assert "9 more arms had turns between them." in drawn.caption
        assert f">{cell.point['loader']}</text>" in drawn.svg


def test_a_cell_that_nobody_measured_has_no_figure() -> None:
    run = make(launches=1, failures={(TRAINER, 32, 0): ("crashed", "boom")})
    own = [record for record in run.records if record.cell == cell_id(TRAINER, 32)]
    assert cell_samples(own, [], own[0].cell, None) is None


def test_a_planted_gap_of_the_loss_is_the_height_of_its_mark() -> None:
    run = race("precision", {"32-true": Arm(2e-3), "bf16-mixed": Arm(1e-3), "16-mixed": Arm(3e-3)}, sd=0.0)
    planted = {"32-true": 0.2, "bf16-mixed": 0.206, "16-mixed": math.nan}

    def lossy(record: Record) -> Record:
        return replace(record, ledger={**record.ledger, "losses": [9.0, planted[str(record.point["precision"])]]})

    run = replace(run, records=tuple(map(lossy, run.records)))
    summary = summarize(run)
    base, mixed, wild = precision_points(summary.cells, last_losses(run.records))
    assert (base.gap, mixed.gap, wild.gap) == (0.0, pytest.approx(0.03), None)
    assert (base.lost, mixed.lost, wild.lost) == (0, 0, 5)
    assert [one.seconds for one in (base, mixed, wild)] == pytest.approx([2e-3 / 32, 1e-3 / 32, 3e-3 / 32])


def test_validation_tells_of_the_loss_where_there_is_any() -> None:
    run = race("precision", {"32-true": Arm(2e-3)})
    ledger = {"losses": [1.0], "validation_losses": [3.0, 0.7]}
    records = [replace(record, ledger={**record.ledger, **ledger}) for record in run.records]
    assert {loss for own in last_losses(records).values() for loss in own.values()} == {0.7}


def test_memory_is_that_of_the_table() -> None:
    run = make(launches=3)
    summary = summarize(run)
    rows = memory_rows(cells_of(summary, group_id(32)), {cell_id(PLAIN, 32): 200.0 * 2**20}, HOST_PEAK)
    entries = {row.cell.id: row.entries["peak memory host"].text for row in tables.cell_rows(summary)}
    assert [memory_words(row) for row in rows] == [entries[row.cell] for row in rows]
    assert [row.start for row in rows] == [200.0 * 2**20, None, None, None]
    grown = replace(rows[0].peak, estimate=2048.0, low=1024.0, high=3072.0)
    assert memory_words(replace(rows[0], growth=grown)).endswith("; +2.00 KiB a step")
    assert memory_words(replace(rows[0], growth=replace(grown, low=-1.0))) == entries[rows[0].cell]


def test_a_rate_stands_under_the_ceiling_that_it_was_measured_with() -> None:
    """1 GFLOP/s is a quarter of a ceiling of 4."""
    run = make(launches=3, instrument=2)
    extra = {"flops_per_step": 1e6, "flop_rate": 1e9, "ceiling_share": 0.25}
    declared = [replace(run.instrumented[0].declared[-1], name=name, better="higher") for name in extra]
    seen = [replace(one, extra=extra, declared=tuple(declared)) for one in run.instrumented]
    rows = ceiling_rows(cells_of(summarize(replace(run, instrumented=tuple(seen))), group_id(32)))
    assert [row.ceiling for row in rows] == pytest.approx([4e9] * 3)
    assert ceiling_words(rows[0]) == "1.00 GFLOP/s, 25 % of the ceiling"
    unknown = replace(rows[0], share=None)
    assert (unknown.ceiling, ceiling_words(unknown)) == (None, "1.00 GFLOP/s")


def with_rates(run: StoredRun, rates: Mapping[int, tuple[float, float]]) -> StoredRun:
    """The run with so many FLOP a step and FLOP/s by batch size, under a ceiling of 4 GFLOP/s."""

    def rated(one: Record) -> Record:
        flops, rate = rates[int(one.point["batch_size"])]
        extra = {"flops_per_step": flops, "flop_rate": rate, "ceiling_share": rate / 4e9}
        declared = tuple(replace(one.declared[-1], name=name, better="higher") for name in extra)
        return replace(one, extra=extra, declared=declared)

    return replace(run, instrumented=tuple(map(rated, run.instrumented)))


def test_more_work_a_step_comes_nearer_to_the_roof() -> None:
    planted = {32: (1e6, 0.5e9), 256: (8e6, 2e9), 2048: (64e6, 3.6e9)}
    run = with_rates(make(launches=2, instrument=2), planted)
    summary = summarize(run)
    points = roof_points(ceiling_rows(summary.cells), ArmStyles.of(summary))
    assert len(points) == 9
    assert [point.flops for point in points] == sorted(point.flops for point in points)
    known = dict(planted.values())
    assert all(point.rate == pytest.approx(known[round(point.flops)]) for point in points)
    assert all(point.ceiling == pytest.approx(4e9) for point in points)
    titles = [one.title for one in figures.draw_run(run, summary) if one.section == "ceilings"]
    assert titles[-1] == "Arithmetic a second by arithmetic a step"
    alike = with_rates(make(launches=2, instrument=2), dict.fromkeys(planted, (1e6, 1e9)))
    assert roof_points(ceiling_rows(summarize(alike).cells), ArmStyles.of(summary)) == []


def test_a_spread_marks_the_mean_of_the_table_and_counts_what_lies_beyond() -> None:
    run = make(launches=8, rounds=30, noise="spikes")
    summary, frames = summarize(run), frames_of(run)
    cells = cells_of(summary, group_id(256))
    turns = frames.turns[frames.turns["group"] == group_id(256)]
    steps = frames.launches[frames.launches["metric"] == "step_time"]
    spreads = spreads_of(cells, turns, steps[steps["group"] == group_id(256)])
    low, high = frame_of(spreads)
    for spread, cell in zip(spreads, cells, strict=True):
        assert (spread.cell, spread.mean) == (cell.id, cell.metrics["step_time"].estimate)
        assert len(spread.turns) == 8 * 30
        assert len(spread.launches) == 8
        assert low < min(spread.launches) <= max(spread.launches) < high
        inside = sum(low <= turn <= high for turn in spread.turns)
        assert spread.beyond(low, high) == 240 - inside
    assert sum(spread.beyond(low, high) for spread in spreads) > 0


def test_a_density_is_where_the_values_are() -> None:
    at, dense = density([1.0] * 400 + [2.0] * 100 + [1.01, 1.99])
    assert at[dense.argmax()] == pytest.approx(1.0, abs=0.05)
    assert dense.max() == 1.0
    middle = dense[abs(at - 1.5).argmin()]
    assert middle < 0.05 < dense[abs(at - 2.0).argmin()] < 0.5
    assert [len(part) for part in (*density([1.0, 1.0, 1.0]), *density([1.0, 2.0]))] == [0, 0, 0, 0]


def test_a_frame_of_equal_turns_has_a_width() -> None:
    low, high = frame_of([StepSpread("a", [2e-3] * 5, [2e-3], 2e-3, None, None)])
    assert low < 2e-3 < high


def test_ratios_are_those_of_the_table() -> None:
    run = make(launches=5)
    summary, frames = summarize(run), frames_of(run)
    pairs = frames.pairs[frames.pairs["group"] == group_id(32)]
    rows = ratio_rows(cells_of(summary, group_id(32)), pairs)
    assert [row.cell for row in rows] == [cell_id(FABRIC, 32), cell_id(TRAINER, 32), cell_id(PLAIN, 32, twin=True)]
    for row in rows:
        versus = next(cell.versus for cell in summary.cells if cell.id == row.cell)
        assert versus is not None
        assert row.ratio == versus.ratio
        assert len(row.launches) == 5
        assert math.exp(sum(map(math.log, row.launches)) / 5) == pytest.approx(row.ratio.estimate, rel=1e-3)


def test_the_element_of_the_cost_says_where_its_axes_lie() -> None:
    """Whoever moves a mark over it, computes its place from these: here that of a launch, which is drawn already."""
    run = make(launches=4, noise="none")
    summary, frames = summarize(run), frames_of(run)
    (cost,) = [one for one in figures.draw_run(run, summary, frames) if one.section == "cost"]
    svg = ElementTree.fromstring(cost.svg)
    data = {name: value for name, value in svg.attrib.items() if name.startswith("data-")}
    assert (data.pop("data-scale-x"), data.pop("data-scale-y")) == ("log", "linear")
    number = {name[5:]: float(value) for name, value in data.items()}
    width, height = (float(part) for part in svg.attrib["viewBox"].split()[2:])
    assert 0 < number["left"] < number["right"] < width
    assert 0 < number["top"] < number["bottom"] < height
    models = costs.models(run.info["plan"], frames.pairs)
    curves = cost_curves(summary, ArmStyles.of(summary), "overhead", models, frames.pairs)
    assert curves is not None
    assert number["x0"] == pytest.approx(curves.low)
    marks = [(float(one.attrib["x"]), float(one.attrib["y"])) for one in svg.iter() if one.tag.endswith("}use")]
    for dot in curves.dots:
        across = math.log(dot.step / number["x0"]) / math.log(number["x1"] / number["x0"])
        up = (dot.cost - number["y0"]) / (number["y1"] - number["y0"])
        x = number["left"] + across * (number["right"] - number["left"])
        y = number["bottom"] + up * (number["top"] - number["bottom"])
        assert min(math.hypot(x - mark[0], y - mark[1]) for mark in marks) < 0.05
    fit = {line.arm: line for line in curves.lines}
    for step, told in zip(fit["Trainer"].steps, fit["Trainer"].costs, strict=True):
        assert told == pytest.approx(430e-6, rel=0.01), step


def test_of_many_groups_that_of_the_users_step_is_drawn_and_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "DRAWN", 2)
    summary = summarize(make(launches=2))
    assert figures.drawn_groups(summary) == [group_id(2048)]  # 9 ms is nearest to 12 ms
    assert figures.drawn_groups(replace(summary, reference_step=1e-3)) == [group_id(32)]
    assert figures.drawn_groups(summary, [group_id(256), "none"]) == [group_id(256), group_id(2048)]
    said = figures.left_out(summary, [group_id(2048)])
    assert said.startswith(" Of 3 groups only 1 are drawn")
    assert "batch_size 2048" in said
    assert figures.left_out(summary, [group_id(batch) for batch in (32, 256, 2048)]) == ""


def test_cells_have_figures_of_their_own_as_far_as_a_page_can_carry_them(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(launches=2)
    summary, frames = summarize(run), frames_of(run)

    def drawn() -> list[str]:
        return [one.cell for one in figures.draw_run(run, summary, frames) if one.section == "cell"]

    assert drawn() == [cell.id for cell in summary.cells]
    monkeypatch.setattr(figures, "CELLS_DRAWN", 7)  # one group of four is whole, and the next is not
    assert drawn() == [cell.id for cell in summary.cells if cell.group == group_id(32)]
    monkeypatch.setattr(figures, "CELLS_DRAWN", 1)
    assert len(drawn()) == 4


def test_figures_stand_in_the_order_of_a_page_under_headings_that_differ() -> None:
    run = make(launches=2, instrument=1)
    drawings = figures.draw_run(run, summarize(run))
    sections = list(dict.fromkeys(one.section for one in drawings))
    assert sections == ["cost", "distributions", "phases", "memory", "cell"]
    assert len({one.title for one in drawings}) == len(drawings)
    ids = [found for one in drawings for found in re.findall(r' id="([^"]*)"', one.svg)]
    assert len(set(ids)) == len(ids)
    assert all(bool(one.cell) == (one.section == "cell") for one in drawings)


def test_a_ladder_without_prices_and_trainings_without_curves_draw_nothing() -> None:
    summary = summarize(make(launches=2))
    style = ArmStyles.of(summary)
    assert figures.draw_ladders(summary, [group_id(32)], style) == []
    assert figures.draw_curves(summary, [group_id(32)], style) == []


def test_interval_words_of_an_efficiency_without_a_figure() -> None:
    summary = summarize(race("devices", DEVICES, launches=1))
    points = scaling_points(summary.cells, "devices", summary.answers)
    assert all("[" not in efficiency_words(one.efficiency) for one in points if one.efficiency)
