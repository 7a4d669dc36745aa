"""Verify: it finds what was changed, in the page or in the records, and nothing else."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from typing import Any

import pytest
from synthetic import FABRIC, PLAIN, TRAINER, cell_id, make, wide

from bench.analysis.summary import summarize
from bench.report import figures as figures_of
from bench.report import html
from bench.report import verify as module
from bench.report.cell_markup import cell_anchor
from bench.report.pages import unpacked
from bench.report.replay import judge_again
from bench.results.record import RECORD_SCHEMA
from bench.results.store import StoredRun

RUN = make(launches=4, lengths={32: 0.8e-3, 256: 2.5e-3})
PAGE = html.render(RUN, summarize(RUN), drawings=())


def verify(run: StoredRun, page: str | None) -> list[str]:
    """Of pages without drawings."""
    return module.page_differences(run, page, ())


def figures(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data


def with_figures(data: dict[str, Any]) -> str:
    start = PAGE.index('id="figures">') + len('id="figures">')
    return PAGE[:start] + json.dumps(data) + PAGE[PAGE.index("</script>", start) :]


def test_an_untouched_report_has_no_differences() -> None:
    assert verify(RUN, PAGE) == []
    assert verify(RUN, None) == []


@pytest.mark.parametrize(
    "run",
    [
        make(launches=0),
        make(launches=1),
        make(launches=3, rounds=5),
        make(launches=3, failures={(PLAIN, 32, 0): ("crashed", "</script>&<b>")}),
    ],
)
def test_so_has_one_of_a_run_that_went_wrong(run: StoredRun) -> None:
    assert verify(run, html.render(run, summarize(run), drawings=())) == []
    assert verify(run, None) == []


def test_the_reference_step_is_that_of_the_page() -> None:
    assert verify(RUN, html.render(RUN, summarize(RUN, 0.003), drawings=())) == []


def test_a_changed_figure_is_named_with_both_values() -> None:
    data = figures(PAGE)
    ratio = data["cells"][2]["versus"]["ratio"]
    true = ratio["estimate"]
    ratio["estimate"] = 1.0
    assert verify(RUN, with_figures(data)) == [
        f"cells/{cell_id(TRAINER, 32)}/versus/ratio/estimate: the report says 1.0, the records give {true}"
    ]
    ratio["estimate"] = true * (1 + 1e-8)
    assert len(verify(RUN, with_figures(data))) == 1
    ratio["estimate"] = true * (1 + 1e-11)
    assert verify(RUN, with_figures(data)) == []


def test_missing_and_additional_cells_are_differences() -> None:
    data = figures(PAGE)
    cell = data["cells"].pop(2)
    assert verify(RUN, with_figures(data)) == [f"cells/{cell['id']}: missing in the report, the records give it"]
    data["cells"].insert(2, cell)
    data["cells"].append({**cell, "id": "other"})
    assert verify(RUN, with_figures(data)) == ["cells/other: in the report, but the records do not give it"]


def test_a_changed_text_in_the_table_is_found() -> None:
    cell = cell_id(TRAINER, 256)
    row = re.search(rf'<tr data-cell="{re.escape(cell)}">.*?</tr>', PAGE)
    assert row is not None
    printed = re.search(r"<td>([+-][\d.]+ µs [^<]*)</td>", row[0])
    assert printed is not None
    page = PAGE.replace(row[0], row[0].replace(printed[1], "+1 µs [0, 2]"))
    assert verify(RUN, page) == [
        f"cells/{cell}/versus/difference (as text): the report says +1 µs [0, 2], the records give {printed[1]}"
    ]


def test_a_changed_headline_is_found() -> None:
    page = PAGE.replace("Trainer costs", "Trainer only costs", 1)
    assert [text for text in verify(RUN, page) if text.startswith("headlines/1 (as text)")]


def test_a_changed_record_is_found() -> None:
    record = RUN.records[2]
    assert record.turns is not None
    turns = replace(record.turns, counted=tuple(1.5 * seconds for seconds in record.turns.counted))
    run = replace(RUN, records=(*RUN.records[:2], replace(record, turns=turns), *RUN.records[3:]))
    found = verify(run, PAGE)
    assert [text for text in found if text.startswith(f"cells/{record.cell}/metrics/step_time/estimate")]
    assert [text for text in found if text.startswith(f"cells/{record.cell}/versus/ratio/estimate")]
    assert not [text for text in found if text.startswith(f"cells/{cell_id(TRAINER, 256)}/")]


@pytest.mark.parametrize(
    "page",
    ["", "<html></html>", with_figures(figures(PAGE)).replace('"run":', '"run"'), with_figures([]), with_figures({})],
)
def test_a_page_without_readable_figures_is_a_difference(page: str) -> None:
    assert verify(RUN, page)


def test_a_mistake_in_the_statistics_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(run: StoredRun, *arguments: Any, **more: Any) -> Any:
        summary = summarize(run, *arguments, **more)
        first = summary.cells[0]
        metric = replace(first.metrics["step_time"], estimate=1.0)
        return replace(
            summary, cells=[replace(first, metrics={**first.metrics, "step_time": metric}), *summary.cells[1:]]
        )

    monkeypatch.setattr(module, "summarize", wrong)
    for page in (None, html.render(RUN, wrong(RUN), drawings=())):
        assert [text for text in verify(RUN, page) if f"cells/{RUN.records[0].cell}/metrics/step_time" in text]


# A page with its drawings, and a run of the present schema, whose records are judged again.

JUDGED = replace(RUN, info={**RUN.info, "schema": RECORD_SCHEMA}, covered=True)
DRAWINGS = figures_of.draw_run(JUDGED, summarize(JUDGED))
FIRST, SECOND = cell_id(PLAIN, 32), cell_id(FABRIC, 32)
WHOLE = html.render(JUDGED, summarize(JUDGED), DRAWINGS)


def test_all_that_was_checked_is_claimed_and_nothing_else() -> None:
    found = module.examine(JUDGED, WHOLE, DRAWINGS)
    assert found.differences == []
    assert f"outcomes of {len(RUN.records)} records, judged again" in found.sentence
    assert "its drawings" in found.sentence
    assert "the chained digest of the records" in found.sentence
    older = module.examine(RUN, WHOLE.replace("numpy ", "numpy 0.", 1), DRAWINGS)
    assert "outcomes were not judged again: the run is of schema 1" in older.sentence
    assert "its drawings were not compared: they are by " in older.sentence
    assert "the records carry no digest" in older.sentence
    assert "judged again, " not in older.sentence


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (r"<figure>.*?</figure>", "", f"drawing 'Turns of {FIRST}': missing in the report"),
        (r"(<figure>.*?)<svg.*?</svg>", r"\1", f"drawing 'Turns of {FIRST}': not the one"),
        (r"<figure>", '<figure onclick="x()">', "its elements"),
        (r'(<figure>.*?<svg.*?) d="M', r'\1 d="M 1', f"drawing 'Turns of {FIRST}': not the one"),
        (r"lie outside of what is shown", "lie inside", "drawing 'Step time (batch_size 32)' (its text)"),
        (r"Trainer costs", "Trainer only costs", "headlines/1 (as text): the report says"),
        (r'outcome ok">ok</span>', 'outcome ok">noisy</span>', "outcome: the report says noisy"),
        (r"<dd>a &lt;fast&gt; one", "<dd>a slow one", "Environment / cpu: the report says a slow one"),
        (r"<dt>torch</dt><dd>2.9.0", "<dt>torch</dt><dd>2.9.1", "Environment / torch: the report says 2.9.1"),
        (r"<dt>precision</dt><dd>32-true", "<dt>precision</dt><dd>16-true", "precision: the report says 16-true"),
        (
            r"<dd>equal in 4 of 4 launches",
            "<dd>equal in 3 of 4 launches",
            f"Each cell / work / {cell_anchor(SECOND)}: ",
        ),
        (r"6 cells: equal in", "5 cells: equal in", "Equal work: the report says 5 cells"),
        (r"bbbbbbbbbbbb", "cccccccccccc", "final weights"),
        (r"<th>precision-goal</th>", "<th>budget</th>", "Why each group stopped / "),
        (r"180 s", "18 s", "Where the time went / wall"),
        (r"<h2>Equal work</h2>", "<h2>Work</h2>", "the report says Work"),
        (r"loopmark 0.1.0", "loopmark 0.2.0", "the report says"),
        (r"</main>", "<p>All is well.</p></main>", "the report says All is well."),
        (r"</main>", '<img src="x"></main>', "its elements"),
        (r'class="outcome ok"', 'class="outcome crashed"', "its elements"),
        (r'"use strict";', '"use strict"; ', "the page's script: not the program's own"),
        (r"</main>", "</main><script>0</script>", "the page's script: not the program's own (2 scripts"),
        (r"script-src &#39;sha256-.*?&#39;", "script-src &#39;unsafe-inline&#39;", "head (its elements)"),
        (
            r'(id="steps">.*?"sentences":\["[^"]*?)expect \+',
            r"\1expect -",
            "steps/choices/0/sentences/0: the report says",
        ),
        (r'(id="steps">.*?"y":\[)', r"\g<1>1", "steps/choices/0/y/0: the report says"),
        (r'id="steps">\{', 'id="steps">', "steps: the report has none that can be read"),
        (r'<polyline points="', '<polyline points="0,0 ', "Your step (its elements)"),
        (r'("launches":)4', r"\g<1>5", "the report says 5, the records give 4"),
        (r'"warnings":\[', '"warnings":["none"', "warnings: the report says"),
    ],
)
def test_each_part_of_the_page_that_was_changed_is_named(old: str, new: str, words: str) -> None:
    page, changes = re.subn(old, new, WHOLE, count=1, flags=re.DOTALL)
    assert changes == 1
    found = module.examine(JUDGED, page, DRAWINGS)
    assert [text for text in found.differences if words in text], found.differences[:3]
    assert found.sentence == f"{len(found.differences)} differences"


def test_figures_that_are_compressed_are_compared_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a run of many cells are, whose further rows and sections are read by browsers as one text."""
    monkeypatch.setattr(html, "LARGEST_JSON", 1000)
    run = wide(208)
    page = html.render(run, summarize(run), drawings=())
    assert page.count("<noscript") == 2
    assert verify(run, page) == []
    start = page.index('data-encoding="deflate">') + len('data-encoding="deflate">')
    data = unpacked(page[start : page.index("</script>", start)], "deflate")
    changed = data.replace('"launches":2', '"launches":3', 1)
    assert changed != data
    packed = base64.b64encode(zlib.compress(changed.encode())).decode()
    altered = page[:start] + packed + page[page.index("</script>", start) :]
    assert [text for text in verify(run, altered) if "the report says 3, the records give 2" in text]
    assert verify(run, page[:start] + "x" + page[start:])
    last = page.rindex("<tr data-cell=")
    assert page.rindex("<noscript", 0, last) > page.rindex("<tbody>", 0, page.index("<noscript"))
    other = page[:last] + page[last:].replace("µs [", "µs [9", 1)
    assert [text for text in verify(run, other) if text.startswith(f"cells/{summarize(run).cells[-1].id}/")]


def test_a_warning_that_was_taken_out_is_named() -> None:
    run = replace(JUDGED, info={**JUDGED.info, "finished": None})
    page = html.render(run, summarize(run), drawings=())
    assert verify(run, page) == []
    cut = re.sub(r"<ul class=\"headlines warnings\">.*?</ul>", "", page, flags=re.DOTALL)
    assert cut != page
    assert [text for text in verify(run, cut) if "the records give the run is not finished" in text]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"final_weights": ""}, "unequal-work (final_weights:  against the baseline's"),
        ({"final_weights": "aa" * 8}, "unequal-work (the weights at the end are those of the start)"),
        ({"losses": [0.25, float("nan")]}, "losses that are not finite"),
        ({"steps": 23}, "steps: 23 against the baseline's"),
        ({"samples": 1}, "samples: 1 against the baseline's"),
        ({"nonzero_gradients": 0}, "all gradients were zero"),
    ],
)
def test_a_ledger_that_was_changed_gives_another_outcome(change: dict[str, Any], words: str) -> None:
    index = next(number for number, record in enumerate(RUN.records) if record.point["loop"] == TRAINER)
    record = RUN.records[index]
    spoiled = replace(record, ledger={**record.ledger, **change})
    run = replace(JUDGED, records=(*RUN.records[:index], spoiled, *RUN.records[index + 1 :]))
    said = [text for text in judge_again(run) if text.startswith(f"{record.cell}, launch 0: its record says ok")]
    assert [text for text in said if words in text]


def test_an_outcome_and_a_setting_that_were_changed_are_found() -> None:
    record = RUN.records[1]
    for changed, words in (
        (replace(record, outcome="unequal-work", reason="x"), "says unequal-work (x), what it holds gives ok"),
        (replace(record, effective={**record.effective, "threads": 2}), "downgraded (threads: asked for 1, got 2)"),
        (replace(record, ledger={}), "there is no ledger in it"),
        (replace(record, ledger={"steps": 3}), "cannot be judged again: KeyError: 'nonzero_gradients'"),
    ):
        run = replace(JUDGED, records=(RUN.records[0], changed, *RUN.records[2:]))
        assert [text for text in judge_again(run) if words in text], words


def test_launches_that_are_missing_are_counted() -> None:
    run = replace(JUDGED, records=tuple(record for record in RUN.records if record.launch < 3))
    assert [text for text in judge_again(run) if "run.json has 4 launches, the records are of 3" in text]
