"""A training that was stopped and goes on is, to the last bit, the one that was never stopped."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from training_calls import EPOCHS, SMALL, checkpoint, differences, own_lines, signalled, train

from suites.autoencoder_lightning import LitAutoEncoder, MNISTDataModule

pytestmark = pytest.mark.usefixtures("processes")
STEPS = 8  # of an epoch
LONG = ("--trainer.max_epochs", str(EPOCHS))


@pytest.fixture(scope="module")
def whole(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    train("fit", *SMALL, *LONG, cwd=folder)
    return folder / "trainings" / "fit-0"


def goes_on(folder: Path, whole: Path) -> dict[str, Any]:
    """Let the newest training under a folder go on to the end, as its message says; the last checkpoint, compared."""
    train("fit", *SMALL, *LONG, "--ckpt_path", "last", cwd=folder)
    ended = checkpoint(folder / "trainings" / "fit-1" / "checkpoints" / "last.ckpt")
    never_stopped = checkpoint(whole / "checkpoints" / "last.ckpt")
    assert ended["epoch"] == EPOCHS - 1
    assert ended["global_step"] == EPOCHS * STEPS
    assert ended["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(1e-3 * 0.9**EPOCHS)
    assert differences(ended, never_stopped) == []
    return ended


@pytest.mark.long
def test_a_training_goes_on_after_a_whole_epoch(whole: Path, tmp_path: Path) -> None:
    train("fit", *SMALL, "--trainer.max_epochs", "2", cwd=tmp_path)
    goes_on(tmp_path, whole)
    assert rows(tmp_path / "trainings" / "fit-1") == [row for row in rows(whole) if int(row["epoch"]) >= 2]


@pytest.mark.long
@pytest.mark.parametrize("step", [STEPS + 2, 2 * STEPS - 1], ids=["mid-epoch", "last step of an epoch"])
def test_a_training_goes_on_after_ctrl_c(step: int, whole: Path, tmp_path: Path) -> None:
    slow = ("--trainer.callbacks+=training_calls.SlowAtStep", f"--trainer.callbacks.step={step}")
    code, said = signalled("fit", *SMALL, *LONG, *slow, cwd=tmp_path, when="the step begins")
    first, last = own_lines(said)
    assert code == 130
    assert first.startswith("stopping after this step")
    saved = "trainings/fit-0/checkpoints/last.ckpt"
    how = f"bench train fit --config trainings/fit-0/config.yaml --ckpt_path {saved}"
    assert last == f"interrupted; to go on: {how}"
    assert checkpoint(tmp_path / saved)["global_step"] == step + 1
    goes_on(tmp_path, whole)


@pytest.mark.long
def test_a_training_goes_on_after_sigterm_in_its_validation(whole: Path, tmp_path: Path) -> None:
    slow = ("--trainer.callbacks+=training_calls.SlowInValidation", "--trainer.callbacks.epoch=1")
    code, said = signalled(
        "fit", *SMALL, *LONG, *slow, cwd=tmp_path, when="the validation begins", number=signal.SIGTERM
    )
    assert code == 130
    assert own_lines(said)[-1].startswith("interrupted; to go on: ")
    goes_on(tmp_path, whole)


@pytest.mark.long
def test_a_second_ctrl_c_stops_at_once_and_keeps_the_whole_epochs(whole: Path, tmp_path: Path) -> None:
    slow = ("--trainer.callbacks+=training_calls.SlowAtStep", f"--trainer.callbacks.step={STEPS + 2}")
    code, said = signalled("fit", *SMALL, *LONG, *slow, cwd=tmp_path, when="the step begins", times=2)
    assert code == 130
    assert "Traceback" not in said
    assert "to go on after its newest whole epoch: " in own_lines(said)[-1]
    assert checkpoint(tmp_path / "trainings/fit-0/checkpoints/last.ckpt")["global_step"] == STEPS
    goes_on(tmp_path, whole)


@pytest.mark.long
def test_ctrl_c_before_the_training_has_nothing_to_save(tmp_path: Path) -> None:
    code, said = signalled("fit", *SMALL, cwd=tmp_path, when="Seed set to")
    assert code == 130
    assert own_lines(said)[-1] == "interrupted"
    assert not list(tmp_path.rglob("*.ckpt"))


def rows(folder: Path) -> list[dict[str, str]]:
    """The epochs' lines of metrics.csv."""
    with open(folder / "metrics.csv", newline="") as file:
        return [{name: row[name] for name in ("epoch", "val_loss")} for row in csv.DictReader(file) if row["val_loss"]]


@pytest.mark.long
@pytest.mark.parametrize("name", ["best", "last"])
def test_a_checkpoint_knows_its_hyperparameters_and_gives_the_same_loss(name: str, whole: Path, tmp_path: Path) -> None:
    """Of model and data: none of `SMALL` is named again, and the loss is the one of the training to the last digit."""
    root = ("--trainer.default_root_dir", str(whole.parent))
    train("validate", "--trainer.accelerator", "cpu", *root, "--ckpt_path", name, cwd=tmp_path)
    folder = max(whole.parent.glob("validate-*"), key=lambda path: path.stat().st_mtime_ns)
    (validated,) = rows(folder)
    losses = [row["val_loss"] for row in rows(whole)]
    assert validated["val_loss"] == (min(losses, key=float) if name == "best" else losses[-1])


@pytest.mark.long
def test_a_checkpoint_is_loaded_in_python_without_lightning_cli(whole: Path) -> None:
    module = LitAutoEncoder.load_from_checkpoint(
        whole / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True
    )
    own = {"variant": "mlp", "width": 16, "latent": 3, "learning_rate": 1e-3, "gamma": 0.9, "log": True}
    assert dict(module.hparams) == own
    data = MNISTDataModule.load_from_checkpoint(whole / "checkpoints" / "last.ckpt", weights_only=True)
    assert (data.samples, data.batch_size, data.seed) == (512, 64, 0)
    data.setup("validate")
    ((images, _),) = list(data.val_dataloader())
    with torch.no_grad():
        loss = torch.nn.functional.mse_loss(module.eval()(images), images)
    assert float(loss) == float(rows(whole)[-1]["val_loss"])


@pytest.mark.long
def test_the_best_checkpoint_so_far_is_kept_by_a_training_that_goes_on(tmp_path: Path) -> None:
    """It is copied, and stays the best one where what comes after is worse."""
    train("fit", *SMALL, "--trainer.max_epochs", "1", cwd=tmp_path)
    folder = tmp_path / "trainings" / "fit-0" / "checkpoints"
    saved = torch.load(folder / "last.ckpt", weights_only=True)
    (state,) = [state for key, state in saved["callbacks"].items() if key.startswith("ModelCheckpoint")]
    state["best_k_models"] = dict.fromkeys(state["best_k_models"], torch.tensor(0.0))  # nothing is better
    state["best_model_score"] = state["kth_value"] = torch.tensor(0.0)
    torch.save(saved, folder / "last.ckpt")
    train("fit", *SMALL, "--trainer.max_epochs", "2", "--ckpt_path", "last", cwd=tmp_path)
    after = tmp_path / "trainings" / "fit-1" / "checkpoints"
    assert (after / "best.ckpt").read_bytes() == (folder / "best.ckpt").read_bytes()
    assert checkpoint(after / "last.ckpt")["epoch"] == 1
    assert {path.name for path in after.iterdir()} == {"best.ckpt", "last.ckpt"}


OWN = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset

class Lit(LightningModule):
    def __init__(self, size: int = 4):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(8, size), torch.nn.Dropout(0.5), torch.nn.Linear(size, 1))
    def training_step(self, batch, batch_idx):
        return (self.net(batch[0]) - 1).square().mean()
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())

class Data(LightningDataModule):
    def __init__(self, samples: int = 32):
        super().__init__()
        self.samples = samples
    def train_dataloader(self):
        numbers = torch.arange(8.0 * self.samples).view(self.samples, 8)
        return DataLoader(TensorDataset(numbers), batch_size=8, shuffle=True)
"""


@pytest.mark.long
def test_a_users_own_module_with_dropout_and_shuffling_goes_on_too(tmp_path: Path) -> None:
    """By name, on the command line and in YAML; its random numbers go on where they were."""
    (tmp_path / "mine.py").write_text(OWN)
    quietly = (
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
    )
    named = ("--model=mine.Lit", "--model.size=5", "--data=mine.Data", *quietly)
    train("fit", *named, "--trainer.max_epochs=4", cwd=tmp_path)
    train("fit", *named, "--trainer.max_epochs=2", cwd=tmp_path)
    trainings = tmp_path / "trainings"
    config = ("--config", "trainings/fit-1/config.yaml")
    train("fit", *config, "--trainer.max_epochs=4", "--ckpt_path", "last", cwd=tmp_path)
    whole, parts = (checkpoint(trainings / name / "checkpoints" / "last.ckpt") for name in ("fit-0", "fit-2"))
    assert parts["hyper_parameters"]["size"] == 5
    assert differences(parts, whole) == []
