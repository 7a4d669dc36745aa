"""docs/adding/report-format.md is followed to the letter, in a copy of the repository."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from adding import python
from conftest import ROOT
from synthetic import make

from bench.analysis.summary import summarize
from bench.report import SUMMARY_FORMATS, renderer

PAGE = ROOT / "docs" / "adding" / "report-format.md"
BLOCK = re.compile(r"`([\w./]+)`:\n\n```python\n(.*?)```", re.DOTALL)


def test_the_page_is_followed_to_the_letter(tmp_path: Path) -> None:
    for name in ("bench", "suites"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests" / "report").mkdir(parents=True)
    for file in (ROOT / "tests").glob("*.py"):
        if not file.name.startswith("test_"):
            shutil.copyfile(file, tmp_path / "tests" / file.name)
    blocks = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    line = blocks.pop("line")
    assert sorted(blocks) == ["bench/report/jsonl.py", "tests/report/test_jsonl.py"]
    for name, text in blocks.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    formats = tmp_path / "bench" / "report" / "__init__.py"
    text = formats.read_text(encoding="utf-8")
    formats.write_text(text.replace("Mapping[str, str] = {\n", "Mapping[str, str] = {\n" + line), encoding="utf-8")
    (tmp_path / "tests" / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", folder=tmp_path, root=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    told = python("-m", "bench", "show", "--help", folder=tmp_path, root=tmp_path)
    assert "jsonl" in told.stdout


@pytest.mark.parametrize("name", SUMMARY_FORMATS)
def test_every_format_has_its_function(name: str) -> None:
    assert "overhead" in renderer(name)(summarize(make(launches=2)))
