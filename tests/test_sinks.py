"""One hostile text through every sink of every report: each output is read back and holds only what belongs there.

What the border functions do is held in test_borders; here it is that nothing gets past them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from balanced import BalancedReader
from histories import run_of
from hypothesis import example, given, settings
from synthetic import TRAINER, make
from test_borders import PIECES, hostile
from tiers import Choice, examples

from bench.analysis import history as histories
from bench.analysis.merge import merge_runs
from bench.analysis.merge_values import Merge
from bench.analysis.summary import Summary, summarize
from bench.borders import encodable, json_text
from bench.commands import gate_judgement
from bench.commands.compare import CellRatio, Comparison
from bench.commands.gate_exact import Exact
from bench.machine.git import Commit
from bench.report import asv, comparison, console, figures, html, markdown, merge_page
from bench.report import csv as csv_report
from bench.report import gate as gate_report
from bench.report import history as history_report
from bench.report import merge as merge_report
from bench.report.drawing import Drawing
from bench.report.history_page import history_page
from bench.report.text_layout import terminal_width
from bench.results.record import Metric
from bench.results.store import StoredRun
from bench.stats.conditions import Answer
from bench.stats.gate_rule import Decision, Rule
from bench.stats.intervals import Interval

ALL = "".join(PIECES)
SMALL: dict[str, Any] = {"lengths": {32: 1e-3, 64: 3e-3}, "launches": 2, "rounds": 8, "instrument": 1}


def infected(text: str) -> StoredRun:
    """A run that has the text wherever text can come from outside: values, ids, reasons, metrics, titles, settings.

    Without lone surrogates: a run is read from files, whose JSON has none, and pandas refuses them beside pyarrow.
    """
    text = encodable(text)
    run = make(**SMALL, failures={(TRAINER, 64, 1): ("crashed", text or "x")})
    metric = Metric(f"m{text}", f"u{text}", "lower", f"d{text}", part_of=f"w{text}")
    metrics = (metric, replace(metric, name=f"w{text}", part_of=""))

    def named(cell: str) -> str:
        return cell.replace("synthetic", text).replace("trainer", f"trainer{text}")

    def point(old: Any) -> dict[str, Any]:
        loop = f"trainer{text}" if old["loop"] == "trainer" else old["loop"]
        return {**old, "data": text, "loop": loop, f"axis{text}": f"{text}{old['batch_size']}"}

    cells = [
        {**cell, **{key: named(cell[key]) for key in ("id", "group", "baseline")}, "point": point(cell["point"])}
        for cell in run.info["plan"]["cells"]
    ]

    def changed(record: Any) -> Any:
        own = {"cell": named(record.cell), "group": named(record.group), "point": point(record.point)}
        if record.instrumented:
            own |= {"extra": {f"m{text}": 1.0, f"w{text}": 2.0}, "declared": metrics}
        effective = {**record.effective, f"set{text}": text} if record.effective else {}
        return replace(record, **own, effective=effective)

    suite = {**run.info["plan"]["suites"]["overhead"], "title": text}
    info = {
        **run.info,
        "run": text,
        "argv": ["bench", text],
        "plan": {"suites": {"overhead": suite}, "cells": cells},
        "environment": {**run.info["environment"], f"key{text}": text},
        "stops": {named(group): {"reason": text, "launches": 2} for group in run.info["stops"]},
    }
    return replace(
        run, info=info, records=tuple(map(changed, run.records)), instrumented=tuple(map(changed, run.instrumented))
    )


def on_a_terminal(text: str) -> None:
    kinds = {unicodedata.category(letter) for letter in text if letter != "\n"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    text.encode("utf-8")
    assert max(map(len, text.splitlines())) <= terminal_width()


def bars(row: str) -> int:
    """Bars that separate columns: those with an even number of backslashes before them."""
    return sum(len(found[1]) % 2 == 0 for found in re.finditer(r"(\\*)\|", row))


FOLDS = ("<details open>", "<details>", "</details>", "<summary>", "</summary>")


def as_markdown(text: str, own: tuple[str, ...] = ()) -> None:
    on_a_terminal("\n".join(line[:100] for line in text.splitlines()))
    text = re.sub(r"(?<=<summary>).*(?=</summary>)", lambda html: html[0].replace("](", "").replace("`", ""), text)
    bare = re.sub(r"<span>[$@#:.-]</span>", "-", text)  # what GitHub would act on
    for tag in own:
        bare = bare.replace(tag, "")
    assert "<" not in bare
    assert "](" not in bare
    columns: int | None = None
    for line in text.split("\n"):
        if not line.startswith("|"):
            columns = None
            continue
        columns = bars(line) if columns is None else columns
        assert bars(line) == columns
    assert text.count("`") % 2 == text.count("\\`") % 2


class Page(BalancedReader):
    """Elements and attributes of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, ...]] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        self.seen |= {(tag,), *((tag, name) for name, _ in attrs)}

    def handle_data(self, data: str) -> None:
        self.text += data


def as_page(text: str, harmless: str) -> None:
    page, other = Page(), Page()
    for one, source in ((page, text), (other, harmless)):
        one.feed(source)
        one.close()
        assert one.open == []
    assert page.seen <= other.seen, "an element or an attribute that a harmless text does not bring"
    text.encode("utf-8")
    kinds = {unicodedata.category(letter) for letter in text if letter not in "\n\t"}
    assert not kinds & {"Cc", "Cf", "Cs"}


def summarized(run: StoredRun, text: str) -> Summary:
    """With an answer that has the text in all its parts."""
    answer = Answer(text, text, text, text, "open", None, None, 0, text, text)
    return replace(summarize(run), conditions=(answer,))


HARMLESS = infected("x")
HARMLESS_PAGE = html.render(HARMLESS, summarized(HARMLESS, "x"), drawings=())


@settings(max_examples=examples(12), deadline=None)
@given(hostile)
@example(ALL)
@example("")
def test_a_run_comes_through_every_sink_whole(text: str) -> None:
    run = infected(text)
    summary = summarized(run, text)
    on_a_terminal(console.render(summary))
    as_markdown(markdown.render(summary), FOLDS)
    rows = list(csv.reader(io.StringIO(csv_report.render(summary), newline="")))
    assert len(rows) == 1 + len(summary.cells)
    assert {len(row) for row in rows} == {len(rows[0])}
    for entry in (entry for row in rows for entry in row):
        assert not entry.startswith(("=", "+", "-", "@", "\t", "\r")) or math.isfinite(float(entry))
    read = json.loads(json_text(summary.to_json(), indent=1), parse_constant=pytest.fail)
    assert len(read["cells"]) == len(summary.cells)
    as_page(html.render(run, summary, drawings=()), HARMLESS_PAGE)


def svgs(drawings: list[Drawing]) -> Iterator[ElementTree.Element]:
    for drawing in drawings:
        yield ElementTree.fromstring(drawing.svg)


@pytest.fixture(scope="module")
def harmless_drawn() -> str:
    return html.render(HARMLESS, summarize(HARMLESS))


def test_a_run_with_hostile_texts_is_drawn(harmless_drawn: str, cases: Choice) -> None:
    texts = [ALL, "$a^$", "_" + "x" * 300, ""]
    for text in texts[: cases(1, len(texts))]:
        run = infected(text)
        summary = summarize(run)
        drawings = figures.draw_run(run, summary)
        assert len({drawing.title for drawing in drawings}) == len(drawings) > 4
        tags = {element.tag.rpartition("}")[2] for svg in svgs(drawings) for element in svg.iter()}
        assert not tags & {"script", "foreignObject", "image", "a", "iframe"}
        as_page(html.render(run, summary, drawings=drawings), harmless_drawn)


def judged(text: str) -> gate_judgement.Gate:
    told = Interval(1.1, 1.05, 1.2, 10)
    one = Decision(
        f"cell{text}",
        f"group{text}",
        False,
        "regression",
        "confirm",
        10,
        "mean",
        told,
        told,
        0.01,
        None,
        None,
        None,
        0.05,
        text,
    )
    return gate_judgement.Gate(
        "g",
        "regression",
        (text,),
        Rule(),
        (one, replace(one, verdict="invalid", twin=True)),
        (Exact(f"cell{text}", f"m{text}", f"u{text}", 1.0, 2.0, 0.0, "regression"),),
        ((f"skipped{text}", text),),
        (text,),
        {"screen": 6},
        10.0,
        20.0,
        {},
    )


@settings(max_examples=examples(30), deadline=None)
@given(hostile)
@example(ALL)
def test_a_verdict_comes_through_every_sink_whole(text: str) -> None:
    outcome = judged(text)
    on_a_terminal(gate_report.console(outcome, text))
    as_markdown(gate_report.markdown(outcome, text), ("<sub>", "</sub>"))
    root = ElementTree.fromstring(gate_report.junit(outcome, text).encode("utf-8"))
    assert {element.tag for element in root.iter()} <= {
        "testsuite",
        "testcase",
        "failure",
        "error",
        "skipped",
        "system-out",
    }
    assert len(root.findall("testcase")) == 3


@settings(max_examples=examples(30), deadline=None)
@given(hostile)
@example(ALL)
def test_a_comparison_comes_through_every_sink_whole(text: str) -> None:
    cell = CellRatio(f"c{text}", Interval(1.1, 1.0, 1.2, 3), Interval(1.1, 1.0, 1.2, 3), 7, 3, 3, 1e-3, 1.1e-3)
    lost = CellRatio(text, None, None, 0, 0, 0, None, None, text)
    for invalid in ("", f"invalid {text}"):
        found = Comparison(text, text, (text,), (text,), (cell, lost), (text,), (text,), invalid)
        on_a_terminal(comparison.console(found))
        as_markdown(comparison.markdown(found))


def merged_of(text: str) -> Merge:
    """Two machines whose runs have the text everywhere; one is pooled of two runs, and a cell of it failed."""
    run = infected(text)
    nodes = [
        replace(
            run,
            info={
                **run.info,
                "run": f"{name}{text}",
                "environment": {**run.info["environment"], "node": f"{name}{text}"},
            },
        )
        for name in "ab"
    ]
    other = replace(
        run, info={**run.info, "run": f"c{text}", "environment": {"cpu": text, "cores": 3, f"k{text}": text}}
    )
    return merge_runs([*nodes, other], labels={f"c{text}": f"box{text}"}, prices={f"box{text}": 2.5})


@cache
def harmless_merge() -> str:
    return merge_page.render_merge_page(merged_of("x"), drawings=())


@settings(max_examples=examples(8), deadline=None)
@given(hostile)
@example(ALL)
@example("")
def test_a_merge_comes_through_every_sink_whole(text: str) -> None:
    found = merged_of(text)
    assert found.works
    assert found.nodes
    on_a_terminal(merge_report.console(found))
    as_markdown(merge_report.markdown(found))
    rows = list(csv.reader(io.StringIO(merge_report.merge_csv(found), newline="")))
    assert {len(row) for row in rows} == {len(rows[0])}
    for entry in (entry for row in rows for entry in row):
        assert not entry.startswith(("=", "+", "-", "@", "\t", "\r")) or math.isfinite(float(entry))
    assert json.loads(json_text(found.to_json()), parse_constant=pytest.fail)["works"]
    as_page(merge_page.render_merge_page(found, drawings=()), harmless_merge())


@pytest.mark.parametrize("text", [ALL, "$a^$"])
def test_the_picture_of_a_merge_is_whole(text: str) -> None:
    drawing = merge_page.draw_merge(merged_of(text))
    assert drawing is not None
    (picture,) = svgs([drawing])
    assert float(picture.attrib["viewBox"].split()[2]) <= 361  # as a telephone shows it
    tags = {element.tag.rpartition("}")[2] for element in picture.iter()}
    assert not tags & {"script", "foreignObject", "image", "a", "iframe"}


@cache
def measured() -> list[histories.MetricSeries]:
    return histories.analyse(histories.points([run_of(number, f"{number:040x}") for number in range(4)])[0]).series


def history_of(text: str) -> histories.History:
    told = [
        replace(
            one, cell=f"c{text}", group=f"g{text}", machine=f"m{text}", unit=f"u{text}", metric=f"n{text}", note=text
        )
        for one in measured()[:2]
    ]
    runs = [histories.HistoryRun(point.run, point.commit, point.started) for point in told[0].points]
    return histories.History(f"n{text}", "commit", "x", told, [text], runs)


@settings(max_examples=examples(8), deadline=None)
@given(hostile)
@example(ALL)
def test_a_history_comes_through_every_sink_whole(text: str) -> None:
    found = history_of(text)
    shown = history_report.console(found)
    kinds = {unicodedata.category(letter) for letter in shown if letter != "\n"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}  # its tables may be wider than a terminal


@pytest.fixture(scope="module")
def harmless_history() -> str:
    return history_page(history_of("x"))


@pytest.mark.parametrize("text", [ALL, "$a^$"])
def test_the_page_of_a_history_is_whole(text: str, harmless_history: str) -> None:
    as_page(history_page(history_of(text)), harmless_history)


@settings(max_examples=examples(8), deadline=None)
@given(hostile)
@example(ALL)
def test_what_asv_is_given_is_valid_json_in_its_folder(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results"
        done = asv.export([(infected(text), Commit("ab" * 20, 1_750_000_000))], out)
        assert done.files
        assert [path.name for path in Path(folder).iterdir()] == ["results"]
        for path in out.rglob("*.json"):
            assert json.loads(path.read_text(encoding="utf-8"))
