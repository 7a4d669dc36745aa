"""A page as PDF: by browsers that do all that a browser can do wrong, and by a real one where there is one."""

from __future__ import annotations

import io
import os
import time
from html import unescape
from pathlib import Path

import pypdf
import pytest
from histories import save
from synthetic import TRAINER, make

from bench import cli
from bench.analysis.summary import summarize
from bench.errors import RunError
from bench.report import html, pdf, tables
from bench.report.sentences import headlines

HONEST = """
for word; do case $word in --print-to-pdf=*) target=${word#*=} ;; file://*) page=${word#file://} ;; esac; done
{ printf '%%PDF-1.4 '; cat "$page"; printf '%%%%EOF\\n'; } > "$target"
"""


def browser(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
    return str(path)


def test_without_a_browser_one_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf, "BROWSERS", tuple(name for name in pdf.BROWSERS if "/" not in name))
    with pytest.raises(RunError, match=r"none of chromium, .*msedge is in PATH; install one, or open the page"):
        pdf.print_page("<p>x</p>")


def test_browsers_are_found_by_name_each_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = browser(tmp_path, "google-chrome", "exit 1")
    (tmp_path / "chrome").symlink_to(made)
    edge = browser(tmp_path, "msedge", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf, "BROWSERS", tuple(name for name in pdf.BROWSERS if "/" not in name))
    assert pdf.found_browsers() == [made, edge]


@pytest.mark.usefixtures("processes")
def test_the_page_is_printed_without_its_scripts(tmp_path: Path) -> None:
    page = '<p>é</p><SCRIPT type="x">alert("</p>")\n</SCRIPT ><script>more()</script><p>end</p>'
    made = pdf.print_page(page, browsers=[browser(tmp_path, "one", HONEST)])
    assert made.decode() == "%PDF-1.4 <p>é</p><p>end</p>%%EOF\n"


@pytest.mark.usefixtures("processes")
def test_what_goes_wrong_is_said_and_the_next_browser_is_tried(tmp_path: Path) -> None:
    wrong = [
        browser(tmp_path, "silent", "exit 3"),
        browser(tmp_path, "loud", "echo 'no \033[31mdisplay' >&2; echo >&2; exit 1"),
        browser(tmp_path, "half", HONEST.replace("printf '%%%%EOF\\n'", "true")),
        browser(
            tmp_path, "other", 'for word; do case $word in --print-to-pdf=*) echo "<html>" > "${word#*=}" ;; esac; done'
        ),
        str(tmp_path / "absent"),
    ]
    with pytest.raises(RunError) as caught:
        pdf.print_page("<p>x</p>", browsers=wrong)
    said = str(caught.value)
    assert "silent: printed no PDF (exit code 3), and said last: nothing" in said
    assert r"loud: printed no PDF (exit code 1), and said last: no \x1b[31mdisplay" in said
    assert "half: printed no PDF (exit code 0)" in said
    assert "other: printed no PDF (exit code 0)" in said
    assert "absent: No such file or directory" in said
    assert pdf.print_page("<p>x</p>", browsers=[*wrong, browser(tmp_path, "one", HONEST)]).startswith(b"%PDF-")


def lives(number: str) -> bool:
    """Whether a process is there that has not ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.usefixtures("processes")
def test_a_browser_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    hanging = browser(tmp_path, "hanging", f"sleep 60 & echo $! $$ > '{numbers}'; wait")
    began = time.monotonic()
    with pytest.raises(RunError, match=r"hanging: did not print within 1 s"):
        pdf.print_page("<p>x</p>", patience=1.0, browsers=[hanging])
    assert time.monotonic() - began < 20
    deadline = time.monotonic() + 20
    while any(map(lives, numbers.read_text().split())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.usefixtures("processes")
def test_nothing_is_left_and_the_profile_is_a_new_one_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    words = tmp_path / "words"
    one = browser(tmp_path, "one", f"printf '%s\\n' \"$@\" >> '{words}'{HONEST}")
    for _ in range(2):
        pdf.print_page("<p>x</p>", browsers=[one])
    assert os.listdir(tmp_path / "temporary") == []
    said = words.read_text().splitlines()
    assert len({word for word in said if word.startswith("--user-data-dir=")}) == 2
    assert said.count("--no-sandbox") == (2 if os.geteuid() == 0 else 0)
    assert said.count("--host-resolver-rules=MAP * ~NOTFOUND") == 2


RUN = make(launches=3, instrument=1, failures={(TRAINER, 32, 1): ("crashed", "no | $mood$ <b>")})


def test_a_pdf_that_cannot_be_made_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(RUN, tmp_path / "results")
    monkeypatch.setattr(pdf, "found_browsers", list)
    (tmp_path / "x.pdf").write_text("mine")
    assert cli.exit_code(["report", str(folder), "--format", "pdf", "-o", str(tmp_path / "x.pdf")]) == 2
    assert "a PDF is printed by a browser" in capsys.readouterr().err
    assert (tmp_path / "x.pdf").read_text() == "mine"


@pytest.mark.usefixtures("processes")
def test_the_command_writes_it_beside_the_page_or_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(RUN, tmp_path / "results")
    monkeypatch.setattr(pdf, "BROWSERS", (browser(tmp_path, "one", HONEST),))
    for more, place in (([], None), (["-o", str(tmp_path / "x.pdf")], tmp_path / "x.pdf")):
        assert cli.exit_code(["report", str(folder), "--format", "pdf", *more]) == 0
        said = Path(capsys.readouterr().out.strip())
        assert place in (None, said)
        assert said.suffix == ".pdf"
        assert said.read_bytes().startswith(b"%PDF-1.4 <!doctype html>")


def plain(text: str) -> str:
    """Text without white space, which printing moves, and without ligatures, which fonts make."""
    for ligature, letters in {"ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl", "−": "-", "\u00ad": ""}.items():
        text = text.replace(ligature, letters)
    return "".join(text.split())


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(not pdf.found_browsers(), reason="no browser is installed; CI installs chromium")
def test_a_real_browser_prints_every_sentence_every_column_and_every_figure() -> None:
    summary = summarize(RUN)
    read = pypdf.PdfReader(io.BytesIO(pdf.print_page(html.render(RUN, summary))))
    assert len(read.pages) >= 2
    text = plain(" ".join(one.extract_text() for one in read.pages))
    for sentence in headlines(summary):
        assert plain(sentence) in text
    for row in tables.cell_rows(summary):
        assert plain(unescape(row.entries["ratio"].text)) in text
        if row.cell.outcome != "ok":
            assert plain(row.cell.reason) in text
    for column in tables.columns(summary):
        assert plain(column) in text, column
    assert "http" not in plain(" ".join(str(one.get("/Annots", "")) for one in read.pages))
