"""docs/adding/suite.md is followed to the letter, and its file is what a user's would be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from adding import files_of, install, its_test, python
from conftest import ROOT

PAGE = "suite.md"


def test_the_page_is_followed_to_the_letter(tmp_path: Path) -> None:
    for name, text in files_of(PAGE).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreach.py", "test_foreach.py"]
    done = its_test(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_commands_of_the_page_name_its_cells(tmp_path: Path) -> None:
    (tmp_path / "foreach.py").write_text(files_of(PAGE)["foreach.py"], encoding="utf-8")
    listed = python("-m", "bench", "list", "foreach", "--suites", ".", folder=tmp_path)
    assert "foreach[foreach=true]\n" in listed.stdout
    axes = ("--set", "loop=plain,trainer", "--set", "depth=6,24,96")
    listed = python("-m", "bench", "list", "foreach", "--suites", ".", *axes, folder=tmp_path)
    assert listed.stdout.count("[foreach=") == 12
    assert listed.stderr == ""
    page = (ROOT / "docs" / "adding" / PAGE).read_text(encoding="utf-8")
    assert f"bench run foreach --suites . {' '.join(axes)}" in page


@pytest.mark.long
def test_the_page_names_it_by_its_file_and_checks_it(tmp_path: Path) -> None:
    (tmp_path / "foreach.py").write_text(files_of(PAGE)["foreach.py"], encoding="utf-8")
    done = python("-m", "bench", "check", "foreach.py", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "foreach: all " in done.stdout
    assert "FAILED" not in done.stdout
    page = (ROOT / "docs" / "adding" / PAGE).read_text(encoding="utf-8")
    assert "$ bench check foreach.py\n" in page
    assert "`bench run foreach.py`" in page


def test_a_distribution_brings_it_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "foreach.py").write_text(files_of(PAGE)["foreach.py"], encoding="utf-8")
    entry = 'foreach = "my_package.foreach:suite"'
    assert entry in (ROOT / "docs" / "adding" / PAGE).read_text(encoding="utf-8")
    install(tmp_path, "mine", "bench.suites", foreach="my_package.foreach:suite")
    code = "import bench, json; print(json.dumps(sorted(bench.suites())))"
    assert "foreach" in json.loads(python("-c", code, folder=tmp_path).stdout)
