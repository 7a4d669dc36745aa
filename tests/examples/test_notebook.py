"""The notebook that is kept: it has the cells of its builder, all executed, and nothing of the machine that did so."""

from __future__ import annotations

import json
import re

from conftest import ROOT

from examples.build_notebook import CELLS

NOTEBOOK = ROOT / "examples" / "autoencoder.ipynb"


def test_the_notebook_is_the_builders_and_was_executed() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    wanted = [cell.removeprefix("%").strip() for cell in CELLS]
    assert [re.sub(r'budget="\w+"', 'budget="BUDGET"', source) for source in sources] == wanted
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    assert all(output["output_type"] != "error" for output in outputs)
    said = "".join("".join(output.get("text", ())) for output in outputs)
    assert "All weights are equal, bit for bit" in said
    assert said.count("equal in the same batches, passes, updates and final weights, bit for bit") == 3
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert len(text) < 400_000
    assert not re.search(r"https?://|/home/|/tmp/|/root/|/wo(?:rk)/|/Users/", said)
