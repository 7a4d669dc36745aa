"""Verify: it finds what was changed, in the page or in the records, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from synthetic import PLAIN, TRAINER, cell_id, make

from bench.report import html
from bench.report import verify as module
from bench.stats import summarize
from bench.store import Run

RUN = make(launches=4)
PAGE = html.render(RUN, summarize(RUN), drawings=())


def verify(run: Run, page: str | None) -> list[str]:
    """Of pages without drawings."""
    return module.verify(run, page, ())


def figures(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data


def with_figures(data: dict[str, Any]) -> str:
    start = PAGE.index('id="figures">') + len('id="figures">')
    return PAGE[:start] + json.dumps(data) + PAGE[PAGE.index("</script>", start):]


def test_an_untouched_report_has_no_differences() -> None:
    assert verify(RUN, PAGE) == []
    assert verify(RUN, None) == []


@pytest.mark.parametrize("run", [make(launches=0), make(launches=1), make(launches=3, rounds=5),
                                 make(launches=3, failures={(PLAIN, 32, 0): ("crashed", "</script>&<b>")})])
def test_so_has_one_of_a_run_that_went_wrong(run: Run) -> None:
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
        f"cells/{cell_id(TRAINER, 32)}/versus/ratio/estimate: the report says 1.0, the records give {true}"]
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
    printed = re.search(r'data-figure="(cells/[^"]*/versus/difference)">([^<]*)<', PAGE)
    assert printed is not None
    page = PAGE.replace(f">{printed[2]}<", ">+1 µs [0, 2]<", 1)
    found = verify(RUN, page)
    assert len(found) == 1
    assert found[0].startswith(f"{printed[1]} (as text): the report says +1 µs [0, 2], the records give {printed[2]}")


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


@pytest.mark.parametrize("page", ["", "<html></html>", with_figures(figures(PAGE)).replace('"run":', '"run"'),
                                  with_figures([]), with_figures({})])  # type: ignore[arg-type]
def test_a_page_without_readable_figures_is_a_difference(page: str) -> None:
    assert verify(RUN, page)


def test_a_mistake_in_the_statistics_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(run: Run, *arguments: Any) -> Any:
        summary = summarize(run, *arguments)
        first = summary.cells[0]
        metric = replace(first.metrics["step_time"], estimate=1.0)
        return replace(summary, cells=[replace(first, metrics={**first.metrics, "step_time": metric}),
                                       *summary.cells[1:]])

    monkeypatch.setattr(module, "summarize", wrong)
    for page in (None, html.render(RUN, wrong(RUN), drawings=())):
        assert [text for text in verify(RUN, page) if f"cells/{RUN.records[0].cell}/metrics/step_time" in text]
