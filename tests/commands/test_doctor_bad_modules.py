"""Modules with one thing wrong with each, given to the doctor: a line, its log, exit code 3, and nothing harmed."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, call
from zoo.unharmed import unharmed

MODULES = sorted((ROOT / "tests" / "zoo" / "bad_modules").glob("*.py"))


@pytest.mark.long
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_bad_module_is_told_in_a_line(module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = tmp_path / "project", tmp_path / "out"
    folder.mkdir()
    shutil.copy(module, folder)
    (expected,) = re.findall(r"^EXPECTED = (\".*\")$", module.read_text(encoding="utf-8"), re.MULTILINE)
    with unharmed(folder, monkeypatch):
        done = call(
            "doctor", f"{module.name}:Module", "--budget", "10s", "--timeout", "12s", "--out", str(out), cwd=folder
        )
    assert (done.returncode, done.stdout) == (3, "")
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"bench: {module.name}:Module: ")
    assert ast.literal_eval(expected) in line
    log = Path(line.rpartition("; its log: ")[2])
    assert log.parent.parent == out
    assert log.is_file()
