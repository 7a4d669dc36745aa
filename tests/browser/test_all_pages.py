"""Every page that the program writes is sound in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from synthetic import make

from bench.analysis.summary import summarize
from bench.report import html


def test_a_runs_page(tmp_path: Path, is_sound: Callable[[Path], None]) -> None:
    run = make(launches=4)
    path = tmp_path / "page.html"
    path.write_text(html.render(run, summarize(run)), encoding="utf-8")
    is_sound(path)
