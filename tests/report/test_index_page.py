"""reports/index.html: all runs, those that cannot be read with the reason; cheap, whole, and of hostile names."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import call
from histories import run_of, save
from synthetic import Arm, race

from bench.analysis.summary import summarize
from bench.report import about_page, index_page
from bench.report.about_page import read_about
from bench.report.index_page import OLD_RUN_PAGE, RUN_GONE, index_of, update_index
from bench.report.run_page import write_run_page
from bench.report.side_by_side_page import write_shared_page
from bench.results import report_places, store
from bench.results.store import StoredRun

SHORT = {"launches": 2, "rounds": 8}


@pytest.fixture(autouse=True)
def no_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index does not look at pages."""
    monkeypatch.setattr("bench.report.html.render", lambda *_, **__: "<html></html>")


def kept(run: StoredRun, out: Path) -> StoredRun:
    return store.read_run(save(run, out))


def paged(run: StoredRun) -> Path:
    return write_run_page(run, summarize(run))


def links(page: Path) -> list[Path]:
    text = page.read_text(encoding="utf-8")
    return [page.parent / unquote(found) for found in re.findall(r'<a href="([^"#]+)"', text)]


def test_all_runs_are_listed_newest_first_with_what_their_pages_say(tmp_path: Path) -> None:
    out = tmp_path / "results"
    first, second = (kept(run_of(number, f"{number:040x}", **SHORT), out) for number in range(2))
    made = race("optimizer", {"adam": Arm(1e-3), "fused": Arm(7e-4, outcome="crashed", reason="fell")})
    third = kept(replace(made, info={**made.info, "run": "20260103-000000-aaaa"}), out)
    pages = [paged(run) for run in (first, third)]
    found = index_of(out)
    assert [row.name for row in found.rows] == [second.id, first.id, third.id]
    assert [bool(row.link) for row in found.rows] == [False, True, True]
    newest, older, race_row = found.rows
    assert (newest.outcomes, newest.headline) == ("8 planned", "")
    assert (older.outcomes, older.commit, older.started) == ("8 ok", "0" * 10, "2026-01-01 00:00")
    assert older.headline == about_page.headlines(summarize(first))[0]
    assert older.machine == "Example(R) CPU @ 2.00GHz, 2 cores"
    assert race_row.outcomes == "2 ok, 1 crashed"
    index = tmp_path / "reports" / "index.html"
    assert links(index) == [pages[0], pages[1]]
    text = index.read_text(encoding="utf-8")
    assert f"no page yet: bench report {second.id}" in text
    assert "3 runs" in text


def test_a_run_that_went_on_since_is_said_to_have(tmp_path: Path) -> None:
    out = tmp_path / "results"
    run = kept(run_of(0, "a" * 40, **SHORT), out)
    paged(run)
    assert index_of(out).rows[0].note == ""
    opened = store.RunFolder(run.folder)
    more = [replace(record, launch=record.launch + 7) for record in run.records]
    opened.append(more)
    opened.close()
    assert index_of(out).rows[0].note == OLD_RUN_PAGE
    paged(store.read_run(run.folder))
    assert index_of(out).rows[0].note == ""


def test_what_cannot_be_read_is_named_and_stops_nothing(tmp_path: Path) -> None:
    out = tmp_path / "results"
    good, cut, spoilt, gone = (kept(run_of(number, "a" * 40, **SHORT), out) for number in range(4))
    paged(gone)
    records = cut.folder / store.RECORDS
    records.write_text(records.read_text()[:-20])
    (spoilt.folder / store.RUN).write_text("{")
    (gone.folder / store.RUN).unlink()
    paged(good)
    found = index_of(out)
    assert [(row.name, row.note) for row in found.rows] == [(gone.id, RUN_GONE), (good.id, "")]
    assert len(found.unread) == 2
    assert any(str(cut.folder) in text and "truncated" in text for text in found.unread)
    assert any(str(spoilt.folder) in text and "not readable" in text for text in found.unread)
    text = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert text.count(": truncated: ") == 1


def test_a_spoilt_card_is_made_of_the_run_again(tmp_path: Path) -> None:
    out = tmp_path / "results"
    run = kept(run_of(0, "a" * 40, **SHORT), out)
    card = paged(run).with_name(report_places.ABOUT_FILE)
    assert read_about(card) is not None
    for spoilt in ("", "{", "{}", "[1]", card.read_text().replace('"schema": 1', '"schema": 2')):
        card.write_text(spoilt)
        (row,) = index_of(out).rows
        assert (row.name, row.outcomes) == (run.id, "8 planned")
        assert row.link


def test_no_record_is_read_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "results"
    runs = [kept(run_of(number, "a" * 40, **SHORT), out) for number in range(3)]
    paged(runs[0])

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(store, "read_run", never)
    monkeypatch.setattr(index_page, "about_folder", lambda folder: counted.append(folder) or about(folder))
    counted: list[Path] = []
    about = about_page.about_folder
    assert len(index_of(out).rows) == 3
    assert counted == [run.folder for run in runs[1:]], "of a run with a page the card is enough"


def test_pages_of_several_runs_are_listed_apart(tmp_path: Path) -> None:
    out = tmp_path / "results"
    runs = [kept(run_of(number, f"{number:040x}", **SHORT), out) for number in range(2)]
    page = write_shared_page([(run, summarize(run)) for run in runs])
    found = index_of(out)
    (shared,) = found.shared
    assert shared.name == f"{runs[0].id} + {runs[1].id}"
    assert len(found.rows) == 2
    assert links(tmp_path / "reports" / "index.html") == [page]


@pytest.mark.parametrize(
    "name", ["20260101-000000-<b>&\"'", "20260101-000000-\u202egnp", "20260101-000000-é 100%#?", "🦊"]
)
def test_names_are_shown_and_linked_as_they_are(name: str, tmp_path: Path) -> None:
    out = tmp_path / "results"
    made = run_of(0, "a" * 40, **SHORT)
    run = kept(replace(made, info={**made.info, "run": name}), out)
    page = paged(run)
    index = tmp_path / "reports" / "index.html"
    text = index.read_text(encoding="utf-8")
    assert links(index) == [page]
    assert page.exists()
    assert "<b>&" not in text
    assert "\u202e" not in text


def test_no_run_is_a_sentence(tmp_path: Path) -> None:
    page = update_index(tmp_path / "results")
    assert "no runs under" in page.read_text(encoding="utf-8")
    assert "bench run" in page.read_text(encoding="utf-8")


def test_those_who_write_at_once_lose_no_page(tmp_path: Path) -> None:
    out = tmp_path / "results"
    runs = [kept(run_of(number, "a" * 40, **SHORT), out) for number in range(4)]
    summaries = [summarize(run) for run in runs]
    threads = [threading.Thread(target=write_run_page, args=taken) for taken in zip(runs, summaries, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(links(tmp_path / "reports" / "index.html")) == 4


def test_a_page_that_goes_elsewhere_leaves_the_index_alone(tmp_path: Path) -> None:
    run = kept(run_of(0, "a" * 40, **SHORT), tmp_path / "results")
    assert write_run_page(run, summarize(run), tmp_path / "mine.html") == tmp_path / "mine.html"
    assert not (tmp_path / "reports").exists()


def test_the_command_writes_page_and_index_and_verify_finds_old_pages(processes: None, tmp_path: Path) -> None:
    run = kept(run_of(0, "a" * 40, **SHORT), tmp_path / "results")
    done = call("report", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"reports/{run.id}/index.html\n")
    assert call("verify", cwd=tmp_path).stdout.startswith(f"reports/{run.id}/index.html: as the records give them")
    (tmp_path / "reports" / run.id / "index.html").rename(run.folder / "report.html")
    done = call("verify", run.id, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"results/{run.id}/report.html: as the records give them")
    (run.folder / "report.html").unlink()
    done = call("verify", run.id, cwd=tmp_path)
    assert done.returncode == 2
    assert f"reports/{run.id}/index.html: no report there; `bench report results/{run.id}` writes it" in done.stderr
