"""Runs side by side: each run's own ratio stands in its own column, nothing is pooled, what differs comes first."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import call
from histories import run_of, save
from synthetic import Arm, cell_id, race

from bench.analysis.side_by_side import SideBySide, side_by_side
from bench.analysis.summary import summarize
from bench.errors import RunError
from bench.report.pages import parse_page
from bench.report.side_by_side_page import (
    DRIFTS,
    render_shared_page,
    summary_sentence,
    verify_shared_page,
    write_shared_page,
)
from bench.results import store
from bench.results.store import StoredRun

# Trainer's ratio at 0.8 ms is 1.25 in one run and 1.5 in the other, on a machine that is twice as slow that day.
TRUTHS = {"a": (1.0, 200e-6), "b": (2.0, 800e-6)}
TRAINER = cell_id("trainer", 32)


def runs_of_truth() -> list[StoredRun]:
    runs = []
    for number, (day, cost) in enumerate(TRUTHS.values()):
        lengths = {32: 0.8e-3 * day, 256: 2.5e-3 * day}
        costs = {"plain": 0.0, "fabric": 60e-6 * day, "trainer": cost}
        runs.append(run_of(number, f"{number:040x}", lengths=lengths, costs=costs, launches=6))
    return runs


def of_runs(*runs: StoredRun) -> SideBySide:
    return side_by_side([(run, summarize(run)) for run in runs])


def test_each_run_keeps_its_own_ratio_and_none_is_pooled() -> None:
    runs = runs_of_truth()
    found = of_runs(*runs)
    (row,) = [own for own in found.cells if own.cell == TRAINER]
    ratios = [shown.ratio for shown in row.runs if shown is not None and shown.ratio is not None]
    for ratio, truth, run in zip(ratios, (1.25, 1.5), runs, strict=True):
        assert ratio.estimate == pytest.approx(truth, rel=0.01)
        versus = next(cell.versus for cell in summarize(run).cells if cell.id == TRAINER)
        assert versus is not None
        assert ratio == versus.of_work
    steps = [shown.metrics["step_time"].estimate for shown in row.runs if shown is not None]
    assert steps == pytest.approx([1e-3, 2.4e-3], rel=0.02)
    # A pooled ratio would lie between the two, and stands nowhere on the page.
    page = parse_page(render_shared_page(found, ["a", "b"], 0.012))
    texts = " ".join(text for own in page.texts.values() for text in own)
    assert re.search(r"1\.2[45]\d \[", texts)
    assert re.search(r"1\.(49|50)\d \[", texts)
    assert not re.search(r"1\.3\d\d \[", texts)
    assert DRIFTS in texts


def test_what_differs_comes_first_and_machines_before_the_rest() -> None:
    one = run_of(0, "a" * 40)
    other = run_of(1, "b" * 40, environment={"torch": "2.14.0", "kernel": "6.9"})
    found = of_runs(one, other)
    by_name = {difference.name: difference for difference in found.differences}
    assert [difference.name for difference in found.differences if difference.checked] == ["torch"]
    assert found.differences[0].name == "torch"
    assert by_name["kernel"].values == ("6.1.0", "6.9")
    assert by_name["commit"].values == ("a" * 40, "b" * 40)
    assert by_name["option seed"].values == ("0", "1")
    text = render_shared_page(found, ["a", "b"], 0.012)
    assert text.index("What differs between them") < text.index("Ratios within each run") < text.index("Absolute:")
    again = of_runs(one, replace(one, info={**one.info, "run": "again"}))
    assert again.differences == ()
    assert "Nothing that is recorded" in render_shared_page(again, ["a", "b"], 0.012)


def test_cells_are_matched_by_id_and_the_rest_is_listed() -> None:
    one = run_of(0, "a" * 40)
    less = run_of(1, "a" * 40, lengths={32: 0.8e-3})
    made = race("optimizer", {"adam": Arm(1e-3), "fused": Arm(7e-4)})
    other = replace(made, info={**made.info, "run": "other"})
    found = of_runs(one, less, other)
    assert all("batch_size=32" in own.cell for own in found.cells)
    assert [shown is None for shown in found.cells[0].runs] == [False, False, True]
    assert set(found.alone) == {one.id, "other"}
    assert all("batch_size=256" in cell for cell in found.alone[one.id])
    assert len(found.alone["other"]) == 2
    nothing = of_runs(one, other)
    assert nothing.cells == ()
    assert "have no cell in common" in summary_sentence(nothing)
    assert "have no cell in common" in render_shared_page(nothing, ["a", "b"], 0.012)


def test_unequal_work_is_told() -> None:
    one, other = (run_of(number, "a" * 40) for number in range(2))
    other = replace(other, info={**other.info, "options": one.info["options"]})  # of other seeds weights may differ
    records = tuple(
        replace(record, ledger={**record.ledger, "initial_weights": "f" * 64}) if record.cell == TRAINER else record
        for record in other.records
    )
    found = of_runs(one, replace(other, records=records))
    told = {own.cell: [shown.other_work for shown in own.runs if shown is not None] for own in found.cells}
    assert told[TRAINER][0] == ""
    assert told[TRAINER][1].startswith(f"other work than in {one.id}: ")
    assert "initial_weights" in told[TRAINER][1]
    assert not any(any(own) for cell, own in told.items() if cell != TRAINER)
    assert "1 of them did other work" in summary_sentence(found)
    plan = one.info["plan"]
    suite = {
        **plan["suites"]["overhead"],
        "axes": {**plan["suites"]["overhead"]["axes"], "data": ["synthetic", "real"]},
    }
    defined = replace(one, info={**one.info, "run": "defined", "plan": {**plan, "suites": {"overhead": suite}}})
    assert "is defined otherwise" in next(
        shown.other_work for shown in of_runs(one, defined).cells[0].runs[1:] if shown
    )


def test_failed_cells_have_their_reason_and_no_ratio() -> None:
    failing = run_of(0, "a" * 40, failures={("trainer", 32, 1): ("crashed", "fell <over>")})
    found = of_runs(failing, run_of(1, "b" * 40))
    (row,) = [own for own in found.cells if own.cell == TRAINER]
    assert row.runs[0] is not None
    assert (row.runs[0].outcome, row.runs[0].ratio) == ("crashed", None)
    text = render_shared_page(found, ["a", "b"], 0.012)
    assert "fell &lt;over&gt;" in text
    assert "fell <over>" not in text.partition('id="figures"')[0]


def test_a_run_twice_is_refused() -> None:
    run = run_of(0, "a" * 40)
    with pytest.raises(RunError, match=f"run {run.id} is named twice"):
        of_runs(run, run_of(1, "a" * 40), run)


@pytest.fixture
def kept(tmp_path: Path) -> list[StoredRun]:
    return [store.read_run(save(run, tmp_path / "results")) for run in runs_of_truth()]


def test_the_page_is_verified_and_every_figure_counts(kept: list[StoredRun]) -> None:
    path = write_shared_page([(run, summarize(run)) for run in kept])
    assert verify_shared_page(kept, path).differences == []
    text = path.read_text(encoding="utf-8")
    figure = re.search(r"1\.2[45]\d", text.partition("Ratios within")[2])
    assert figure is not None
    path.write_text(text.replace(figure[0], "1.111"), encoding="utf-8")
    (difference,) = verify_shared_page(kept, path).differences
    assert "1.111" in difference
    assert figure[0] in difference
    data = json.loads(parse_page(text).data)
    data["cells"][1]["runs"][0]["ratio"]["estimate"] *= 1.01
    start, end = text.index('id="figures">') + len('id="figures">'), text.rindex("</script>\n<script>")
    path.write_text(text[:start] + json.dumps(data) + text[end:], encoding="utf-8")
    assert verify_shared_page(kept, path).differences == [
        "the figures in the page as JSON are not those that the records give"
    ]


def test_the_command_makes_and_verifies_one_page_of_several_runs(
    processes: None, kept: list[StoredRun], tmp_path: Path
) -> None:
    ids = [run.id for run in kept]
    done = call("report", *ids, "--step", "40ms", cwd=tmp_path)
    page = f"reports/{'+'.join(ids)}/index.html"
    assert (done.returncode, done.stdout) == (0, f"{page}\n"), done.stderr
    text = (tmp_path / page).read_text(encoding="utf-8")
    assert [f'href="../{run}/index.html"' in text for run in ids] == [True, True]
    done = call("verify", *ids, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (
        0,
        f"{page}: as the records give them: figures, words and script of the page of 2 runs\n",
    )
    refused = call("report", ids[0], "nowhere", "neither", cwd=tmp_path)
    assert refused.returncode == 2
    assert "'nowhere'" in refused.stderr
    assert "'neither'" in refused.stderr
