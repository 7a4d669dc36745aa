"""`bench run --debug`: one arm in this process, where a debugger has the terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from bench.cli.debug import first_cell
from bench.commands.selection import Selection, plan_selection
from bench.errors import SpecError

SUITE = """
from bench import Point, Suite, Workload


def build(point: Point) -> Workload:
    import torch

    def loss(model, batch):
        {line}
        return model(batch[0]).square().mean()

    model = torch.nn.Linear(4, 2)
    data = torch.utils.data.TensorDataset(torch.randn(64, 4))
    return Workload(
        model=model, loss=loss, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        batches=torch.utils.data.DataLoader(data, batch_size=8), samples=8, lightning=lambda: None,
    )


suite = Suite(name="mine", title="t", axes={{"loop": ("plain",)}}, compare="loop", baseline="plain", build=build)
"""


def debug(folder: Path, line: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "mine.py").write_text(SUITE.format(line=line))
    return subprocess.run(
        [sys.executable, "-m", "bench", "run", "mine", "--suites", str(folder), "--debug"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_breakpoint_in_a_loss_stops_there_and_goes_on(tmp_path: Path) -> None:
    typed = "p 'shape', tuple(batch[0].shape)\nimport sys; sys.breakpointhook = lambda: None\nc\n"
    done = debug(tmp_path, "breakpoint()", typed)
    assert done.returncode == 0, done.stderr
    assert "('shape', (8, 4))" in done.stdout
    assert "12 steps, 96 samples; losses of the watched ones: " in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["mine.py"]  # kept nothing


def test_a_debugger_that_is_left_and_an_error_of_the_users(tmp_path: Path) -> None:
    left = debug(tmp_path, "breakpoint()", "q\n")
    assert (left.returncode, left.stdout.splitlines()[-1].removeprefix("(Pdb) ")) == (0, "the debugger was left")
    failed = debug(tmp_path, "raise ZeroDivisionError('here')")
    assert failed.returncode == 3
    assert "in loss" in failed.stdout  # where it was raised: that is what one debugs for
    assert "ZeroDivisionError: here" in failed.stdout


def test_the_cell_is_the_first_that_was_asked_for() -> None:
    plan, _ = plan_selection(Selection(settings=("batch_size=32,64",)))
    assert first_cell(plan, "loop=trainer and batch_size=64").point["batch_size"] == 64
    assert first_cell(plan, None).point["loop"] == "plain"
    several, _ = plan_selection(Selection(settings=("devices=2",)))
    with pytest.raises(SpecError, match="no cell that runs in one process here"):
        first_cell(several, None)
