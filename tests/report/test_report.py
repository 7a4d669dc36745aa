"""The report: units, sentences, and pages that hold every cell, fetch nothing and stay whole whatever a reason says."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from balanced import BalancedReader
from synthetic import FABRIC, PLAIN, TRAINER, cell_id, make
from tiers import Choice

from bench.analysis.costs import Cost
from bench.analysis.summary import Summary, summarize
from bench.borders import markdown_text
from bench.report import console, html, markdown
from bench.report import csv as csv_report
from bench.report.drawing import Drawing
from bench.report.figures import draw_run
from bench.report.sentences import headlines
from bench.report.tables import label
from bench.report.text_layout import terminal_width
from bench.report.units import chosen_quantity, percent, quantity, ratio, span, unbreakable
from bench.stats.intervals import Interval

NASTY = 'ValueError: </script><b>bold</b> | NaN?\n"quoted" ünï'
FAILED = make(launches=3, failures={(TRAINER, 32, 1): ("crashed", NASTY), (FABRIC, 256, -1): ("unsupported", "no <x>")})


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (431e-6, "s", "431 µs"),
        (1.2346e-3, "s", "1.23 ms"),
        (0.9996e-3, "s", "1.00 ms"),
        (12.0, "s", "12.0 s"),
        (3e-9, "s", "3.00 ns"),
        (0.0, "s", "0 s"),
        (314572800, "bytes", "300 MiB"),
        (1023, "bytes", "1023 B"),
        (1536, "bytes", "1.50 KiB"),
        (102400.0, "samples/s", "102 k samples/s"),
        (0.25, "samples/s", "0.250 samples/s"),
    ],
)
def test_quantities_have_three_digits_and_a_prefix(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((431e-6, 410e-6, 452e-6), "+431 µs [410, 452]"),
        ((-3.1e-6, -20e-6, 14e-6), "-3 µs [-20, 14]"),
        ((-4e-9, -20e-6, 14e-6), "0 µs [-20, 14]"),
        ((0.9e-3, 0.8e-3, 1.1e-3), "+900 µs [800, 1100]"),
        ((1e-3, 1e-3, 1e-3), "+1.00 ms"),
    ],
)
def test_intervals_share_a_prefix_and_drop_meaningless_digits(values: tuple[float, float, float], text: str) -> None:
    assert quantity(values[0], "s", *values[1:], signed=True) == text


def test_other_forms() -> None:
    assert percent(0.0362, 0.034, 0.038) == "+3.6 % [3.4, 3.8]"
    assert percent(-0.5) == "-50 %"
    assert ratio(1.0357, 1.034, 1.038) == "1.036 [1.034, 1.038]"
    assert ratio(1.0) == "1.000"
    assert span(0.8e-3, 9.07e-3, "s") == "0.8 to 9.1 ms"
    assert chosen_quantity(0.012, "s") == "12 ms"
    assert unbreakable("a step of 12 ms [1, 2] or so") == "a step of 12\u00a0ms [1,\u00a02] or so"


def costed(**changes: Any) -> Summary:
    """A summary with one headline of the given cost."""
    cost = Cost(
        suite="overhead",
        axis="loop",
        value="trainer",
        baseline="plain",
        twin=False,
        where={"data": "x"},
        groups=["a", "b"],
        left_out=[],
        reference_step=0.012,
        cost=Interval(431e-6, 410e-6, 452e-6, 5),
        relative=Interval(0.0359, 0.0342, 0.0377, 5),
        fixed=None,
        share=None,
        shortest=0.8e-3,
        longest=20e-3,
    )
    return replace(summarize(make(launches=0)), costs=[replace(cost, **changes)])


def test_the_sentence_people_want() -> None:
    assert headlines(costed()) == [
        "Trainer costs +431 µs a step [410, 452] over plain PyTorch; on your 12 ms step expect +3.6 % [3.4, 3.8]."
    ]


def test_the_noise_floor() -> None:
    (sentence,) = headlines(costed(twin=True, value="plain", cost=Interval(-3.1e-6, -20e-6, 14e-6, 5)))
    assert (
        sentence == "The twin of plain PyTorch, the same code, reads -3 µs a step [-20, 14]: that is the noise floor."
    )
    (sentence,) = headlines(costed(twin=True, value="plain", cost=Interval(9e-6, 4e-6, 14e-6, 5)))
    assert "excludes zero" in sentence
    assert "noise floor" not in sentence


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"cost": Interval(4e-6, -9e-6, 17e-6, 5)}, "[-9, 17] over plain PyTorch, which cannot be told from zero; on"),
        ({"longest": 9.07e-3}, "(extrapolated: measured steps were 0.8 to 9.1 ms)."),
        ({"groups": ["a"], "shortest": 2.5e-3}, "(no fit: measured at one step length only, 2.50 ms, and taken as"),
        ({"left_out": ["c"]}, "(without c, where it has no ratio)."),
        ({"cost": Interval(431e-6, None, None, 1)}, "No cost of Trainer can be told: one launch gives no"),
        ({"value": "fabric"}, "Fabric costs"),
        ({"value": "trainer-barebones"}, "Trainer(barebones=True) costs"),
        ({"value": "my-loop"}, "my-loop costs"),
        ({"axis": "precision", "value": "16-mixed"}, "precision 16-mixed costs"),
    ],
)
def test_what_else_a_sentence_says(changes: dict[str, Any], part: str) -> None:
    assert part in headlines(costed(**changes))[0]


def test_an_arm_without_figure_says_why() -> None:
    run = make(launches=2, failures={(TRAINER, batch, 1): ("oom", "no memory") for batch in (32, 256, 2048)})
    sentence = next(text for text in headlines(summarize(run)) if text.startswith("Trainer"))
    assert sentence == f"Trainer has no figure: {cell_id(TRAINER, 32)} is oom (launch 2 of 2: no memory)."


def test_labels() -> None:
    assert label("loop", "plain") == "plain PyTorch"
    assert label("loop", "other") == "other"
    assert label("precision", "32-true") == "precision 32-true"


class Reader(BalancedReader):
    """What a browser would see: text, elements in balance, and everything that it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.fetched: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action") and not (value or "").startswith("#"):
                self.fetched.append(f"{tag} {name}={value}")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def drawings() -> list[Drawing]:
    return draw_run(FAILED, summarize(FAILED))


@pytest.fixture(scope="module")
def page(drawings: list[Drawing]) -> str:
    return html.render(FAILED, summarize(FAILED), drawings)


def test_the_page_is_whole_and_fetches_nothing(page: str, drawings: list[Drawing]) -> None:
    reader = read(page)
    assert reader.fetched == []
    assert len(reader.ids) == len(set(reader.ids))
    assert not re.search(r"@import|url\((?!#)", page)
    assert page.count("<script") == 3  # its own, and the JSON of figures and of steps
    assert page.count("<svg") == 1 + len(drawings) > 4  # that of one's own step, and the figures
    assert "prefers-color-scheme: dark" in page


def test_every_cell_outcome_and_reason_is_on_the_page(page: str) -> None:
    reader = read(page)
    for cell in summarize(FAILED).cells:
        assert cell.id in reader.text
        assert " ".join(cell.reason.split()) in reader.text
    assert "<b>bold" not in page
    assert re.sub(r"NaN\?", "", reader.text).lower().count("nan ") == 0
    for words in (
        "a <fast> one & only",
        "bench run overhead --set loop=plain,fabric",
        "precision-goal",
        "2025-01-01 00:00 UTC",
        "equal in 3 of 3 launches",
        "Every setting that was read back inside the steps was as requested",
    ):
        assert words in reader.text


def test_the_figures_are_embedded(page: str) -> None:
    start = page.index('id="figures">') + len('id="figures">')
    data = page[start : page.index("</script>", start)]
    assert json.loads(data) == json.loads(json.dumps(summarize(FAILED).to_json()))
    assert "<" not in data


def test_the_same_records_give_the_same_page(page: str, drawings: list[Drawing], cases: Choice) -> None:
    """Drawn anew, if all is tried."""
    assert html.render(FAILED, summarize(FAILED), [drawings, None][cases(0, 1)]) == page


def test_figures_take_their_ink_from_the_page(page: str) -> None:
    assert "currentColor" in page
    assert "#010203" not in page


def test_settings_that_were_not_as_requested_are_listed() -> None:
    run = make(launches=1)
    first = run.records[0]
    run = replace(run, records=(replace(first, effective={**first.effective, "threads": 7}), *run.records[1:]))
    text = read(html.render(run, summarize(run), drawings=())).text
    assert re.search(r"plain,batch_size=32[^/]*threads\s*1\s*7", text)


def test_unequal_work_is_marked() -> None:
    run = make(launches=1)
    last = run.records[2]
    run = replace(
        run,
        records=(*run.records[:2], replace(last, ledger={**last.ledger, "final_weights": "other"}), *run.records[3:]),
    )
    text = read(html.render(run, summarize(run), drawings=())).text
    assert "other ≠" in text
    assert "equal in 0 of 1 launches" in text


def test_a_run_with_little_or_nothing_in_it_has_a_page(cases: Choice) -> None:
    one = make(launches=1)
    runs = [make(launches=0), replace(one, records=()), one, make(launches=2, rounds=3)]
    for run in runs[: cases(2, len(runs))]:
        summary = summarize(run)
        drawings = draw_run(run, summary)
        assert bool(drawings) == any(record.turns for record in run.records)
        text = read(html.render(run, summary, drawings)).text
        assert all(cell.id in text for cell in summary.cells)
        assert ("as requested" in text) == any(record.effective for record in run.records)


def test_an_unfinished_run_has_a_page() -> None:
    run = make(launches=1)
    info = {name: value for name, value in run.info.items() if name not in ("timing", "stops")}
    run = replace(run, info={**info, "finished": None})
    assert "not finished" in read(html.render(run, summarize(run), drawings=())).text


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["/somewhere/bin/bench", "run", "a b"], "bench run 'a b'"),
        (["/somewhere/bench/__main__.py", "run"], "python -m bench run"),
        ([], "bench"),
    ],
)
def test_the_command_names_no_folder(argv: list[str], text: str) -> None:
    run = make(launches=0)
    assert html.command(replace(run, info={**run.info, "argv": argv})) == text


def test_the_console_fits_and_says_everything() -> None:
    summary = summarize(FAILED)
    text = console.render(summary)
    assert max(map(len, text.splitlines())) <= terminal_width()
    for cell in summary.cells:
        assert cell.group in text
        assert cell.outcome in text
        assert " ".join(cell.reason.split())[:30] in text
    for sentence in headlines(summary):
        assert sentence.split(";")[0][:60] in text
    assert "trainer" in text
    assert "(twin)" in text


def test_the_columns_of_the_console_line_up() -> None:
    header, *lines = console.render(summarize(FAILED)).splitlines()
    rows = [line for line in lines[: lines.index("Not ok:")] if re.match(r" +(plain|fabric|trainer)", line)]
    assert len(rows) == len(summarize(FAILED).cells)
    ends = {header.index(name) + len(name) for name in ("step time", "ratio", "difference")}
    for row in (row for row in rows if " ok " in row and not row.lstrip().startswith("plain  ")):
        assert all(row[end - 1] == "]" and row[end : end + 2].strip() == "" for end in ends), row


def test_markdown_has_a_row_for_every_cell() -> None:
    summary = summarize(FAILED)
    text = markdown.render(summary)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(summary.cells)
    assert all(cell.outcome in text and markdown_text(cell.group[:8]) in text for cell in summary.cells)
    assert all(markdown_text(sentence) in text for sentence in headlines(summary))


def test_csv_has_plain_si_values() -> None:
    summary = summarize(FAILED)
    rows = list(csv.DictReader(io.StringIO(csv_report.render(summary))))
    assert [row["cell"] for row in rows] == [cell.id for cell in summary.cells]
    trainer = next(cell for cell in summary.cells if cell.id == cell_id(TRAINER, 256))
    row = next(row for row in rows if row["cell"] == trainer.id)
    assert trainer.versus is not None
    assert float(row["step_time_estimate"]) == trainer.metrics["step_time"].estimate
    assert float(row["ratio_low"]) == trainer.versus.ratio.low
    assert (row["loop"], row["batch_size"], row["outcome"], row["baseline"]) == (
        "trainer",
        "256",
        "ok",
        cell_id(PLAIN, 256),
    )
    failed = next(row for row in rows if row["outcome"] == "unsupported")
    assert (failed["step_time_estimate"], failed["ratio_estimate"], failed["reason"]) == ("", "", "no <x>")
    assert next(row for row in rows if row["outcome"] == "crashed")["reason"].endswith(NASTY)
