"""What instrumented launches saw, in frames, summary and reports: shown by what was declared, and never compared."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from synthetic import DECLARED, FABRIC, PLAIN, TRAINER, cell_id, group_id, make

from bench.analysis import frames
from bench.analysis.summary import summarize
from bench.arm.instrument import GAP
from bench.errors import RunError
from bench.report import console, html, markdown, tables
from bench.report import csv as csv_report
from bench.report.figures import draw_run
from bench.report.text_layout import terminal_width
from bench.report.units import quantity
from bench.report.verify import page_differences
from bench.results.store import StoredRun

RUN = make(launches=4, instrument=3)
BLIND = make(launches=4)
NAMES = [metric.name for metric in DECLARED]
STEP = 2.5e-3  # plain at 256


def with_record(run: StoredRun, index: int, **changes: Any) -> StoredRun:
    return replace(
        run,
        instrumented=(
            *run.instrumented[:index],
            replace(run.instrumented[index], **changes),
            *run.instrumented[index + 1 :],
        ),
    )


def test_metrics_are_rows_of_the_same_frame_and_marked() -> None:
    rows = frames.launches(RUN)
    those = rows[rows["instrumented"]]
    assert rows[~rows["instrumented"]].reset_index(drop=True).equals(frames.launches(BLIND))
    assert list(dict.fromkeys(those["metric"])) == NAMES
    assert len(those) == 3 * 3 * 3 * len(NAMES)  # launches, groups, arms without twins
    one = those[(those["cell"] == cell_id(PLAIN, 256)) & (those["launch"] == 1)].set_index("metric")
    assert one["value"]["half_two"] == pytest.approx(1.2 * STEP * 3 / 4)
    assert (one["unit"]["grip"], one["better"]["grip"], one["loop"]["grip"]) == ("bytes", "higher", "plain")


def test_nothing_that_was_timed_is_touched() -> None:
    assert frames.turns(RUN).equals(frames.turns(BLIND))
    assert frames.pairs(RUN).equals(frames.pairs(BLIND))
    assert frames.cells(RUN).equals(frames.cells(BLIND))
    seen, blind = summarize(RUN), summarize(BLIND)
    assert [replace(cell, instrumented={}) for cell in seen.cells] == list(blind.cells)
    assert replace(seen, cells=[], declared={}) == replace(blind, cells=[])


def test_the_summary_has_an_interval_over_instrumented_launches() -> None:
    summary = summarize(RUN)
    assert list(summary.declared) == NAMES
    cell = next(cell for cell in summary.cells if cell.id == cell_id(PLAIN, 256))
    whole = cell.instrumented["whole_step"]
    assert whole.estimate == pytest.approx(STEP * 1.2)
    assert whole.low is not None
    assert whole.low < STEP * 1.2
    assert (whole.launches, whole.unit) == (3, "s")
    assert cell.instrumented["stalls"].estimate == 0.0  # has no logarithm, and is shown all the same
    assert not next(cell for cell in summary.cells if cell.twin).instrumented
    assert json.loads(json.dumps(summary.to_json()))["declared"]["stalls"]["limit"] == 0.5


def test_a_cell_that_was_only_instrumented_is_not_measured() -> None:
    run = make(launches=2, rounds=4, instrument=1)
    summary = summarize(run)
    cell = next(cell for cell in summary.cells if cell.id == cell_id(PLAIN, 256))
    assert cell.outcome == "noisy"
    assert cell.instrumented
    assert not cell.metrics


def test_a_limit_that_is_passed_is_a_warning() -> None:
    assert not [text for text in summarize(RUN).warnings if "stalls" in text]
    run = make(launches=2, instrument=1)
    late = with_record(run, 0, extra={**run.instrumented[0].extra, "stalls": 0.9})
    (warning,) = [text for text in summarize(late).warnings if "stalls" in text]
    assert warning == f"{cell_id(PLAIN, 32)}: stalls is 0.9, and should be 0.5 or less: how often it stood still"
    # The phases' sum is one of these: a twentieth of the step, and no more.
    assert (GAP.better, GAP.limit) == ("lower", 0.05)


def test_a_failed_instrumented_launch_is_a_warning_and_nothing_else() -> None:
    run = make(launches=4, instrument=1)
    failed = with_record(run, 1, outcome="crashed", reason="boom", extra={}, declared=())
    summary = summarize(failed)
    assert f"{cell_id(FABRIC, 32)}: instrumented launch 0 is crashed: boom" in summary.warnings
    cell = next(cell for cell in summary.cells if cell.id == cell_id(FABRIC, 32))
    assert (cell.outcome, cell.reason, cell.instrumented) == ("ok", "", {})
    assert page_differences(failed, html.render(failed, summary, drawings=()), ()) == []


def test_parts_are_shares_and_none_of_a_step_that_the_looking_changed() -> None:
    """1.25 times the timed step is the most that may be looked at; then there is no share, and no bar."""
    cell = next(cell for cell in summarize(RUN).cells if cell.id == cell_id(PLAIN, 256))
    assert cell.share("half_one", "whole_step") == pytest.approx(1 / 4)
    assert cell.looked("whole_step") == pytest.approx(1.2, abs=0.03)
    assert cell.share("half_one", "nothing") is None
    longer = RUN
    for index, record in enumerate(RUN.instrumented):
        if record.point["loop"] == PLAIN:
            seen = {name: record.extra[name] * 1.1 for name in ("half_one", "half_two", "whole_step")}
            longer = with_record(longer, index, extra={**record.extra, **seen})
    summary = summarize(longer)
    for table in tables.instrumented_tables(summary):
        entries = {metric.name: dict(zip(table.arms, seen, strict=True)) for metric, seen in table.rows}
        assert entries["half_one"][tables.label("loop", PLAIN)].text == tables.NO_SHARE
        assert entries["half_one"][tables.label("loop", TRAINER)].text == "25 %"
        assert re.fullmatch(r"1\.[23]\d times the timed step", entries["whole_step"][tables.label("loop", PLAIN)].text)
        assert entries["stalls"][tables.label("loop", PLAIN)].text  # what is no time is no share of one
    page = html.render(longer, summary)
    assert page_differences(longer, page) == []
    everything = RUN
    for index, record in enumerate(RUN.instrumented):
        everything = with_record(everything, index, extra={**record.extra, "whole_step": 1.0})
    assert 'id="parts-whole_step-' not in html.render(everything, summarize(everything))


def test_a_metric_that_nobody_declares_is_named() -> None:
    run = with_record(RUN, 0, extra={"ghost": 1.0})
    with pytest.raises(RunError, match="unknown metric 'ghost'; allowed: step_time"):
        frames.launches(run)


def test_one_name_has_one_unit() -> None:
    other = replace(DECLARED[0], unit="bytes")
    run = with_record(RUN, 4, declared=(other, *DECLARED[1:]))
    with pytest.raises(RunError, match="metric 'half_one' in bytes, lower is better; elsewhere in s"):
        summarize(run)


def test_the_page_has_a_table_and_a_figure_of_them() -> None:
    summary = summarize(RUN)
    drawings = draw_run(RUN, summary)
    page = html.render(RUN, summary, drawings)
    assert len(re.findall(r'<svg[^>]* id="parts-whole_step-', page)) == 3  # one a group
    assert 'id="parts-whole_step-' in page
    assert "Where a step&#39;s time goes" in page
    assert "how often it stood still" in page
    for name in NAMES:
        assert f'data-figure="cells/{cell_id(TRAINER, 2048)}/instrumented/{name}"' in page
    assert page_differences(RUN, page) == []  # which draws them anew
    main = page[page.index(">Cells</h2>") : page.index("<h2>Where a step's time and memory go")]
    assert "whole step" not in main.split("<figure>")[0]
    assert "Where a step&#39;s time goes" not in html.render(BLIND, summarize(BLIND))


def test_what_the_page_says_of_them_is_verified() -> None:
    page = html.render(RUN, summarize(RUN), drawings=())
    path = f"cells/{cell_id(PLAIN, 256)}/instrumented/half_one"
    shown = re.search(rf'data-figure="{re.escape(path)}">([^<]*)<', page)
    assert shown is not None
    changed = page.replace(f'{path}">{shown[1]}', f'{path}">1 µs', 1)
    assert page_differences(RUN, changed, ()) == [
        f"{path} (as text): the report says 1 µs, the records give {shown[1]}"
    ]
    index = next(number for number, one in enumerate(RUN.instrumented) if one.cell == cell_id(PLAIN, 256))
    other = with_record(RUN, index, extra={**RUN.instrumented[index].extra, "half_one": 1.0})
    assert [text for text in page_differences(other, page, ()) if text.startswith(f"{path}/estimate")]


def test_markdown_csv_and_console_show_them() -> None:
    summary = summarize(RUN)
    text = markdown.render(summary)
    assert text.count("never compared") == 3
    assert "| half one | 25 % |" in text.replace("\\", "")
    assert re.search(r"\| whole step \| 1\.\d\d times the timed step \|", text)
    rows = {row["cell"]: row for row in csv.DictReader(io.StringIO(csv_report.render(summary)))}
    assert float(rows[cell_id(PLAIN, 256)]["half_one_estimate"]) == pytest.approx(STEP * 1.2 / 4)
    assert rows[cell_id(PLAIN, 256, twin=True)]["half_one_estimate"] == ""
    assert rows[cell_id(PLAIN, 256)]["grip_launches"] == "3"
    lines = console.render(summary).splitlines()
    assert max(map(len, lines)) <= terminal_width()
    start = next(number for number, line in enumerate(lines) if "never compared" in line)
    assert lines[start + 1].split() == ["half", "one", "half", "two", "whole", "step"]
    assert lines[start + 2] == group_id(32)
    assert "never compared" not in console.render(summarize(BLIND))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["phase_data", "phase_rest"], ["data", "rest"]),
        (["phase", "phase_rest"], ["phase", "phase rest"]),
        (["a_b_c", "a_b_d"], ["c", "d"]),
        (["one"], ["one"]),
    ],
)
def test_names_are_shortened_by_what_they_share(names: list[str], words: list[str]) -> None:
    assert tables.short_names(names) == words


def test_plain_numbers_have_no_unit() -> None:
    assert quantity(3.7e-6, "1") == "0.0000"
    assert quantity(0.0123, "1") == "0.0123"
    assert quantity(12.0, "1") == "12.0"
    assert math.isclose(float(quantity(0.5, "1", 0.4, 0.6).split()[0]), 0.5)
