"""The ends of logs on a page: read from the end, only from among the run's logs, and harmless."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
from synthetic import FABRIC, PLAIN, TRAINER, cell_id, make

from bench.analysis.summary import summarize
from bench.report import html
from bench.report.cell_logs import TAIL_BYTES, TAILS, cell_log_tails
from bench.report.verify import page_differences
from bench.results.store import StoredRun

FAILED = cell_id(TRAINER, 32)


def failed_run(folder: Path, log: str = "logs/a.log") -> StoredRun:
    """A run whose Trainer crashed; all arms of a launch have logs."""
    run = make(launches=2, lengths={32: 1e-3}, failures={(TRAINER, 32, 1): ("crashed", "boom")})
    (folder / "logs").mkdir()
    records = []
    for record in run.records:
        named = log if record.cell == FAILED else f"logs/{record.order}.log"
        records.append(replace(record, log=named))
    return replace(run, folder=folder, records=tuple(records))


def test_a_failed_cell_shows_the_end_of_its_log_and_others_none(tmp_path: Path) -> None:
    run = failed_run(tmp_path)
    (tmp_path / "logs" / "a.log").write_text("one\r\ntwo\nthree\n")
    (tmp_path / "logs" / "0.log").write_text("of a cell that went well")
    assert cell_log_tails(run) == {FAILED: "one\ntwo\nthree"}
    both = cell_log_tails(run, [cell_id(PLAIN, 32), cell_id(FABRIC, 32)])
    assert both[cell_id(FABRIC, 32)] == ""  # it is not there
    assert list(both) == [cell_id(PLAIN, 32), cell_id(FABRIC, 32), FAILED]
    assert both[cell_id(PLAIN, 32)] == "of a cell that went well"


def test_of_a_log_of_200_megabytes_only_the_end_is_read(tmp_path: Path) -> None:
    run = failed_run(tmp_path)
    with open(tmp_path / "logs" / "a.log", "wb") as file:
        file.truncate(200 * 10**6)
        file.seek(0, 2)
        file.write(b"\n" + b"a line\n" * 2000 + b"the last words\n")
    began = process_time()
    text = cell_log_tails(run)[FAILED]
    assert process_time() - began < 0.5
    assert text.endswith("a line\nthe last words")
    first, second, *_ = text.splitlines()
    assert first == f"[... {200 * 10**6 + 1 + 14000 + 15 - TAIL_BYTES} bytes before ...]"
    assert second == "a line"  # whole
    assert len(text) < TAIL_BYTES + 100


def test_one_line_longer_than_what_is_read_is_shown_from_its_middle(tmp_path: Path) -> None:
    run = failed_run(tmp_path)
    (tmp_path / "logs" / "a.log").write_text("x" * 10_000)
    assert cell_log_tails(run)[FAILED] == f"[... {10_000 - TAIL_BYTES} bytes before ...]\n{'x' * TAIL_BYTES}"


@pytest.mark.parametrize(
    "name", ["../secret", "logs/../../secret", "run.json", "logs", "logs/none.log", "logs/a\x00b", "logs/link.log"]
)
def test_nothing_is_shown_that_is_no_log_of_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("a secret")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    run = failed_run(tmp_path / "run", name)
    (tmp_path / "run" / "logs" / "link.log").symlink_to(tmp_path / "secret")
    assert cell_log_tails(run) == {FAILED: ""}


def test_an_absolute_path_is_none_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text("a secret")
    assert cell_log_tails(failed_run(tmp_path / "run", str(tmp_path / "secret"))) == {FAILED: ""}


def test_control_characters_and_bytes_that_are_no_text_are_written_out(tmp_path: Path) -> None:
    run = failed_run(tmp_path)
    (tmp_path / "logs" / "a.log").write_bytes(b"\x1b[31mred\x00\xff\n\xe2\x80\xaeback\rwards <b>")
    text = cell_log_tails(run)[FAILED]
    assert text == "\\x1b[31mred\\x00\ufffd\n\\u202eback\nwards <b>"  # markup is the template's affair


def test_a_page_has_it_in_the_cells_section_as_text(tmp_path: Path) -> None:
    run = failed_run(tmp_path)
    (tmp_path / "logs" / "a.log").write_text("<script>alert(1)</script>\nTraceback: \x1b[31mboom")
    page = html.render(run, summarize(run), ())
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#10;Traceback: \\x1b[31mboom" in page
    assert page_differences(run, page, ()) == []
    (tmp_path / "logs" / "a.log").unlink()  # as of a run that was copied without its logs: it is no figure
    assert page_differences(run, page, ()) == []


def test_many_failed_cells_have_so_many_logs_and_chosen_ones_come_first(tmp_path: Path) -> None:
    run = failed_run(tmp_path)
    (tmp_path / "logs" / "a.log").write_text("words")
    failed = next(record for record in run.records if record.cell == FAILED and record.outcome != "ok")
    many = replace(run, records=tuple(replace(failed, cell=f"cell {number}") for number in range(TAILS + 20)))
    assert len(cell_log_tails(many)) == TAILS
    last = f"cell {TAILS + 19}"
    assert next(iter(cell_log_tails(many, [last]))) == last
