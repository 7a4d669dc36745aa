"""The training scripts of the zoo train, alone and as they stand: what races them can be sure of that."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_scripts import SCRIPTS, run_script

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
HALF_RIGHT = 0.5  # of validation points after an epoch; a tenth would be by chance


def accuracy(printed: str) -> float:
    """The last one that a script printed."""
    return float(printed.rsplit("accuracy", 1)[1].split()[0])


@pytest.mark.long
@pytest.mark.parametrize("name", ["hand_written.py", "fabric_loop.py", "trainer_fit.py", "hand_written_ddp.py"])
def test_a_script_learns_and_saves(name: str, tmp_path: Path) -> None:
    assert accuracy(run_script(name, tmp_path)) > HALF_RIGHT


@pytest.mark.long
def test_several_ranks_as_torchrun_starts_them(tmp_path: Path) -> None:
    assert accuracy(run_script("hand_written_ddp.py", tmp_path, launcher=TORCHRUN)) > HALF_RIGHT


@pytest.mark.long
def test_a_slow_step_learns_the_same(tmp_path: Path) -> None:
    """Whoever races it against itself finds equal work, and a known ratio."""
    for folder in ("usual", "slow"):
        (tmp_path / folder).mkdir()
    usual = run_script("hand_written.py", tmp_path / "usual")
    assert run_script("hand_written.py", tmp_path / "slow", "--slow", "50") == usual


def test_no_script_knows_of_the_program() -> None:
    """They are a user's, from before he heard of it."""
    scripts = sorted(SCRIPTS.glob("*.py"))
    assert len(scripts) == 8
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        assert "import bench" not in text
        assert "from bench" not in text
