"""The notebook, made anew: all of its cells run, and its three trainings end in the same weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.mark.long
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # several that wait for cores may add in another order
    for package in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(package, reason=f'{package} is missing: pip install "loopmark[notebook]"')
    out = tmp_path / "again.ipynb"
    command = [sys.executable, str(ROOT / "examples" / "build_notebook.py"), "--budget", "20s", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cells = json.loads(out.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    said = "".join("".join(output.get("text", ())) for output in outputs)
    assert all(output["output_type"] != "error" for output in outputs)
    assert "All weights are equal, bit for bit" in said
    assert "trainer.py" in said
    assert not any(str(path) in said for path in (tmp_path, ROOT))
