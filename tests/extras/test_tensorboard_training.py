"""`bench train` where TensorBoard is installed: its file lies beside metrics.csv, and has the same losses."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "train"))
from training_calls import SMALL, train


@pytest.mark.usefixtures("processes")
def test_both_loggers_have_the_losses_of_all_epochs(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train("fit", *SMALL, "--trainer.max_epochs", "2", cwd=tmp_path)
    folder = tmp_path / "trainings" / "fit-0"
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    with open(folder / "metrics.csv", newline="") as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]]
    assert [event.value for event in events.Scalars("val_loss")] == pytest.approx(losses, rel=1e-6)
    assert len(losses) == 2
