"""Trainings for a goal in every format: what is said, what is counted, and that pages verify with any target."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from pathlib import Path

import pytest
from convergences import LOOPS, TrueCell, cell_id, reached_run
from histories import save
from synthetic import make

from bench import cli
from bench.analysis.summary import summarize
from bench.borders import json_text, markdown_text
from bench.report import console, html, markdown
from bench.report import csv as csv_report
from bench.report.convergence import across_sentences, goal_levels, goal_sentences, goal_tables
from bench.report.convergence_figure import draw_curves, points_of
from bench.report.interval_count import all_hold, shown_intervals
from bench.report.pages import parse_page
from bench.report.row_figure import ArmStyles
from bench.report.sentences import headlines
from bench.report.verify import page_differences
from bench.results.store import StoredRun

WHERE = (({"precision": "32-true"}, 1.0), ({"precision": "bf16-mixed"}, 0.8))
MIXED = {
    "plain": TrueCell(),
    "noisy": TrueCell(own=0.003),
    "far": TrueCell(own=0.2),
    "worse": TrueCell(floor=0.09),
    "late": TrueCell(rate=0.12),
    "wild": TrueCell(diverges=(0, 1, 2, 3, 4)),
}


def sentences(run: StoredRun) -> list[str]:
    summary = summarize(run)
    return [text for group in goal_tables(summary) for text in goal_sentences(summary, group)]


def test_sentences_say_time_epochs_seeds_and_losses() -> None:
    first, fabric, trainer, twin, rule = sentences(reached_run())
    assert re.fullmatch(
        r"plain PyTorch reaches 0\.1 in 10\.\d s \[[\d.]+, [\d.]+\], after 10 epochs \[9, 12\] \(93\.8 %\), "
        r"from 5 of 5 seeds\.",
        first,
    )
    assert re.fullmatch(
        r"Trainer reaches 0\.1 in 1\.9\d\d times plain PyTorch's time \[1\.\d{3}, 1\.\d{3}\] \(93\.8 %\), in the same "
        r"number of epochs, from 5 of 5 seeds; final losses are equal bit for bit\.",
        trainer,
    )
    assert fabric.startswith("Fabric reaches 0.1 in 1.0")
    assert twin.startswith("The twin of plain PyTorch, the same code, takes ")
    assert "noise floor" in twin
    assert "p < 0.01 by a one-sided t test: met by plain PyTorch, Fabric and Trainer (mean " in rule


def test_six_seeds_have_95_percent_and_one_has_nothing() -> None:
    assert "%" not in sentences(reached_run(seeds=6))[0]
    one = sentences(reached_run(seeds=1))
    assert one[0].endswith("from its one seed.")
    assert "one seed gives no interval" in one[2]
    assert "of one seed" in one[-1]


def test_answers_on_final_losses_are_three_and_none_is_no_difference() -> None:
    told = {text.split()[0]: text for text in sentences(reached_run(MIXED, seeds=5))}
    assert "final losses are equivalent: " in told["noisy"]
    assert "within ±2 %" in told["noisy"]
    assert "whether final losses are as good is undecided: " in told["far"]
    assert "final losses are different: +" in told["worse"]
    assert ", beyond ±2 %" in told["worse"]
    assert "5 of 5 trainings diverged, of the baseline's 0" in told["wild"]
    assert not any("no difference" in text or "no significant" in text for text in told.values())


def test_a_cell_that_never_gets_there_is_told_with_what_it_takes_at_least() -> None:
    run = reached_run({"plain": TrueCell(), "worse": TrueCell(floor=0.11, epoch=1.5)}, seeds=5)
    worse = sentences(run)[1]
    assert worse.startswith("worse does not reach 0.1 within 20 epochs, from any of 5 seeds: it takes over ")
    assert ", no end] (93.8 %)" in worse
    other = reached_run({"plain": TrueCell(floor=0.11), "good": TrueCell()}, seeds=5)
    first, good = sentences(other)[:2]
    assert first == "plain PyTorch does not reach 0.1 within 20 epochs, from any of 5 seeds."
    assert good.startswith("good reaches 0.1 in under ")
    both = reached_run({"plain": TrueCell(floor=0.11), "bad": TrueCell(floor=0.12)}, seeds=5)
    bad, twin = sentences(both)[1:3]
    assert ", nor does plain PyTorch, so that nobody knows which would be sooner; " in bad
    assert twin.startswith("The twin of plain PyTorch, the same code, tells no noise of times to the target; ")
    assert "not known" not in " ".join(sentences(both))


def test_some_that_missed_are_said_to_count() -> None:
    run = reached_run({"plain": TrueCell(), "late": TrueCell(rate=0.13, rate_sd=0.3)}, seeds=9, seed=3)
    late = sentences(run)[1]
    assert re.search(r"from \d of 9 seeds; the others count as longer than they were given", late)
    assert ", no end]" in late


def test_what_did_not_train_together_is_said_so() -> None:
    summary = summarize(reached_run(seeds=5, where=WHERE))
    told = across_sentences(summary)
    assert len(told) == len(LOOPS)
    assert all("not interleaved, so that what the machine did in between is in it" in text for text in told)
    assert told[0].startswith("plain PyTorch: precision bf16-mixed takes 0.8")
    assert headlines(summary)[-len(told) :] == told


def test_every_format_has_it_and_the_page_verifies() -> None:
    run = reached_run(MIXED, seeds=5, where=WHERE)
    summary = summarize(run)
    page = html.render(run, summary)
    assert page_differences(run, page) == []
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ").split())
    shown = " ".join(console.render(summary).split())
    marked = markdown.render(summary)
    for group in goal_tables(summary):
        for sentence in goal_sentences(summary, group):
            assert sentence in text
            assert sentence in shown
            assert markdown_text(sentence) in marked
    data = json.loads(json_text(summary.to_json()))
    assert [cell["reached"] for cell in data["convergence"]["cells"]][:2] == [5, 5]
    lines = list(csv.DictReader(io.StringIO(csv_report.render(summary))))
    wild = next(line for line in lines if line["cell"] == cell_id("wild", {"precision": "32-true"}))
    assert (wild["reached"], wild["diverged"], wild["final_losses"]) == ("0", "5", "different")
    assert wild["final_loss_estimate"] == ""
    late = next(line for line in lines if line["cell"] == cell_id("late", {"precision": "32-true"}))
    assert float(late["seconds_to_target_ratio_low"]) > 1
    assert "nan" not in csv_report.render(summary)


def test_tables_without_goals_are_as_they_were() -> None:
    summary = summarize(make(launches=2))
    assert goal_tables(summary) == {}
    assert (
        goal_levels(summary),
        draw_curves(summary, [summary.cells[0].group], ArmStyles.of(summary)),
        across_sentences(summary),
    ) == ([], [], [])
    assert "to_target" not in csv_report.render(summary)


@pytest.mark.parametrize("target", [None, 0.3])
def test_a_page_is_made_again_with_the_target_that_it_was_asked_for(target: float | None) -> None:
    run = reached_run(seeds=5)
    page = html.render(run, summarize(run, target=target), drawings=())
    assert page_differences(run, page, ()) == []
    other = page.replace('"reached":5', '"reached":4', 1)
    assert other != page
    assert any(text.startswith("convergence/cells/0/") for text in page_differences(run, other, ()))
    for wrong in ('"hard"', "NaN", "1e999"):
        spoiled = re.sub(r'"chosen":[^,}]+', f'"chosen":{wrong}', page)
        assert page_differences(run, spoiled, ())


def test_intervals_of_other_levels_are_counted() -> None:
    summary = summarize(reached_run(seeds=5))
    levels = goal_levels(summary)
    assert sorted(set(levels)) == [0.9375, 0.95]
    of_less = sum(level < 0.95 for level in levels)
    assert of_less == 4 * 3 + 3  # three medians of four cells, and three ratios
    (sentence,) = all_hold(summary)
    assert sentence.startswith(
        f"{shown_intervals(summary)} intervals of 95 % and {of_less} of less, as is said, are shown"
    )
    both = summarize(reached_run(seeds=5, where=WHERE))
    assert len(goal_levels(both)) == 2 * len(levels) + len(LOOPS)  # and those that are said across the groups
    six = summarize(reached_run(seeds=6))
    assert all(level >= 0.95 for level in goal_levels(six))
    assert " of less" not in all_hold(six)[0]
    page = html.render(reached_run(seeds=6), six, drawings=())
    shown = [text for text in parse_page(page).figures.values() if re.fullmatch(r".*\[.*,.*\]", text)]
    assert len(shown) == shown_intervals(six)


def test_an_entry_without_an_interval_is_not_counted_as_one() -> None:
    """Nobody gets there: no ratio, and no median has an interval. What is left is the final losses."""
    none = summarize(reached_run({"plain": TrueCell(floor=0.11), "bad": TrueCell(floor=0.12)}, seeds=5, epochs=5))
    entries = [entry.text for rows in goal_tables(none).values() for row in rows for entry in row.entries.values()]
    assert len(goal_levels(none)) == sum("[" in text for text in entries) == 3 + 1


def test_few_epochs_are_no_fault_of_trainings_for_a_goal() -> None:
    """Ratios of steps need six rounds; a goal that is reached in five is reached."""
    summary = summarize(reached_run(seeds=3, epochs=5, target=0.5))
    assert {cell.outcome for cell in summary.cells} == {"ok"}
    assert not any("is not used" in text or "has no ratio" in text for text in [*summary.warnings, *headlines(summary)])
    assert "reaches 0.5 in " in headlines(summary)[0]


def test_a_line_ends_where_the_middle_training_has_diverged() -> None:
    """A picture of the trainings that are left would show a cell better than it is."""
    wild = {"plain": TrueCell(), "wild": TrueCell(diverges=(0, 1, 2))}
    found = summarize(reached_run(wild, seeds=5, epochs=6)).convergence
    assert found is not None
    own = {cell.value: points_of(cell, "samples") for cell in found.cells if not cell.twin}
    assert (len(own["plain"]), len(own["wild"])) == (6, 2)
    few = summarize(reached_run({"plain": TrueCell(), "wild": TrueCell(diverges=(0,))}, seeds=5, epochs=6)).convergence
    assert few is not None
    wide = points_of(few.cells[1], "samples")[-1]
    losses = sorted(attempt.last for attempt in few.cells[1].attempts[1:])
    assert (len(losses), wide[2]) == (4, losses[2])  # the middle of five, of which the one that diverged is the highest


def test_show_report_and_verify_take_another_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = save(reached_run(seeds=5), tmp_path).name
    there = [name, "--out", str(tmp_path)]
    assert cli.exit_code(["show", *there]) == 0
    assert "plain PyTorch reaches 0.1 in " in capsys.readouterr().out
    assert cli.exit_code(["show", *there, "--target", "0.3", "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)["convergence"]
    assert (data["chosen"], {cell["target"] for cell in data["cells"]}) == (0.3, {0.3})
    assert cli.exit_code(["report", *there, "--target", "0.3"]) == 0
    page = (tmp_path / "reports" / name / "index.html").read_text(encoding="utf-8")
    assert "plain PyTorch reaches 0.3 in " in page
    assert cli.exit_code(["verify", *there]) in (0, 3)  # made-up records have no ledger that could be judged again
    said = capsys.readouterr().out
    assert "convergence" not in said
    assert "drawing" not in said.rpartition("index.html:")[0]


@pytest.mark.parametrize("wrong", ["nan", "soon", "inf"])
def test_a_target_that_is_none_is_refused(wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = save(reached_run(seeds=1), tmp_path).name
    assert cli.exit_code(["show", name, "--out", str(tmp_path), "--target", wrong]) == 2
    assert f"{wrong!r} is no validation loss; allowed: a finite number" in capsys.readouterr().err


def test_a_run_that_trained_for_nothing_has_no_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = save(make(launches=1), tmp_path).name
    assert cli.exit_code(["report", name, "--out", str(tmp_path), "--target", "0.3"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"bench: target 0.3: no suite of {name} trains for a goal; allowed: ")
    assert said.count("\n") == 1
