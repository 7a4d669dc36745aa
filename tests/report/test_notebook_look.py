"""What a notebook shows: the answer, few rows, nothing that runs, and no text of others that is markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from synthetic import FABRIC, TRAINER, make
from test_borders import hostile
from test_sinks import infected, judged, merged_of
from tiers import examples

from bench.analysis.run import Run
from bench.borders import one_line
from bench.commands.compare import CellRatio, Comparison
from bench.report.notebook import MOST_ROWS, MOST_SENTENCES
from bench.report.sentences import headlines
from bench.stats.intervals import Interval

OURS = {"div", "p", "b", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code"}


class Shown(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[tuple[str, ...]] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {(tag,), *((tag, name) for name, _ in attrs)}
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if set(self._open) & {"td", "th"}:
            self.rows[-1][-1] += data


def harmless(text: str) -> Shown:
    shown = Shown(text)
    assert {seen[0] for seen in shown.seen} <= OURS
    assert {seen[1] for seen in shown.seen if len(seen) > 1} <= {"style", "scope"}
    assert len({len(row) for row in shown.rows}) <= 1
    # Colours are the notebook's own, so that it reads well in light and in dark ones; lines are seen in both.
    assert "color: inherit" in text or not shown.rows
    assert "#" not in "".join(part.partition('"')[0] for part in text.split('style="')[1:])
    return shown


def test_a_run_shows_its_answer_and_its_cells() -> None:
    run = Run(make(launches=3, failures={(TRAINER, 32, 1): ("crashed", "no <b>mood</b>")}))
    shown = harmless(run._repr_html_())
    for sentence in headlines(run.summary):
        assert sentence in shown.text
    assert shown.rows[0] == ["loop", "batch_size", "outcome", "step time", "ratio", "difference"]
    assert len(shown.rows) == 1 + len(run.summary.cells)
    assert [row[0] for row in shown.rows[1:5]] == ["plain", "fabric", "trainer", "plain (twin)"]
    assert shown.rows[3][2] == "crashed: launch 2 of 3: no <b>mood</b>"
    fabric = next(cell for cell in run.summary.cells if cell.point["loop"] == FABRIC)
    assert fabric.versus is not None
    assert shown.rows[2][4].startswith(f"{fabric.versus.ratio.estimate:.3f} [")
    assert "not finished" not in shown.text


def test_a_large_run_has_few_rows_and_says_how_many_more() -> None:
    run = Run(make(lengths={8 + place: 1e-3 for place in range(40)}, launches=2))
    shown = harmless(run._repr_html_())
    assert len(shown.rows) == 1 + MOST_ROWS
    assert f"{160 - MOST_ROWS} more rows: run.cells" in shown.text
    assert shown.text.count("\n") < 40 * (MOST_ROWS + MOST_SENTENCES)
    assert len(run._repr_html_()) < 40_000


@settings(max_examples=examples(10), deadline=None)
@given(hostile)
@example("<script>alert(1)</script>\" onclick='x' style=\"")
def test_any_text_is_text(text: str) -> None:
    run = Run(infected(text))
    shown = harmless(run._repr_html_())
    assert len(shown.rows) == 1 + len(run.summary.cells)
    harmless(judged(text)._repr_html_())
    harmless(merged_of(text)._repr_html_())
    cell = CellRatio(f"c{text}", Interval(1.1, 1.0, 1.2, 3), Interval(1.1, 1.0, 1.2, 3), 7, 3, 3, 1e-3, 1.1e-3)
    for invalid in ("", f"invalid {text}"):
        harmless(Comparison(text, text, (text,), (text,), (cell,), (text,), (text,), invalid)._repr_html_())


def test_a_gate_shows_its_verdict_and_a_comparison_its_ratios() -> None:
    shown = harmless(judged("x")._repr_html_())
    assert shown.text.strip().startswith("gate: regression (1 regression)")
    assert shown.rows[1][:3] == ["cellx", "regression", "1.100 [1.050, 1.200]"]
    cell = CellRatio("c", Interval(1.1, 1.0, 1.2, 3), Interval(1.1, 1.0, 1.2, 3), 7, 3, 3, 1e-3, 1.1e-3)
    shown = harmless(Comparison("a", "b", (), (), (cell,), (), (), "")._repr_html_())
    assert "b against a" in shown.text
    assert one_line(shown.rows[1][3]).startswith("1.100 [1.000, 1.200]")
    lost = Comparison("a", "b", (), (), (cell,), (), (), "other machine")
    assert "invalid: other machine" in harmless(lost._repr_html_()).text
    assert harmless(merged_of("x")._repr_html_()).rows[0] == ["work", "", "over the baseline's"]


@pytest.mark.parametrize("what", ["run", "empty"])
def test_an_unfinished_run_says_so(what: str) -> None:
    made = make(launches=2, lengths={} if what == "empty" else {32: 1e-3})
    run = Run(made.__class__(made.folder, {**made.info, "finished": None}, made.records if what == "run" else ()))
    assert "not finished" in harmless(run._repr_html_()).text
