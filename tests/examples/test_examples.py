"""The examples: one training in plain PyTorch, Fabric and Trainer ends in the same bits, and a difference shows."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, call

NAMES = ("plain", "fabric", "trainer")
# 125 validation samples are a batch of 64 and one of 61, which weigh differently.
SMALL = ("--samples", "1000", "--width", "16", "--latent", "2", "--seed", "3", "--gamma", "0.7")
WILD = ("--learning_rate", "3", "--gamma", "1", "--epochs", "2")  # the second epoch is worse than the first
pytestmark = pytest.mark.usefixtures("one_thread", "one_thread_elsewhere")


@pytest.fixture
def one_thread_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of commands, too: several threads that wait for cores may add in another order (docs/examples.md)."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def train(path: Path, out: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a script as `__main__` in this process; gives its outcome."""
    monkeypatch.setattr(sys, "argv", [str(path), *SMALL, "--out", str(out), *arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Trainer's advice, of workers and intervals
        runpy.run_path(str(path), run_name="__main__")
    outcome: dict[str, Any] = json.loads((out / "outcome.json").read_text())
    return outcome


def same(outcomes: list[dict[str, Any]]) -> bool:
    return all(
        one[what] == outcomes[0][what] for one in outcomes for what in ("weights", "validation_losses", "test_loss")
    )


def example(name: str) -> Path:
    return ROOT / "examples" / f"{name}.py"


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What plain.py makes of four epochs."""
    return train(example("plain"), tmp_path / "whole", "--epochs", "4", monkeypatch=monkeypatch)


def as_command(name: str, folder: Path) -> str:
    """Call an example as its first lines say, from another folder, in a process of its own; gives what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(example(name)), "--epochs", "3", *SMALL, "--out", name]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_the_three_end_in_the_same_bits_as_commands(processes: None, tmp_path: Path) -> None:
    outcomes = []
    for name in NAMES:
        said = as_command(name, tmp_path)
        outcomes.append(json.loads((tmp_path / name / "outcome.json").read_text()))
        assert f"weights after the last epoch {outcomes[-1]['weights'][:16]}" in said
        assert {"reconstructions.png", "latent.png", "best.ckpt", "last.ckpt"} <= {
            path.name for path in (tmp_path / name).iterdir()
        }
    assert same(outcomes), outcomes
    losses = outcomes[0]["validation_losses"]
    assert len(losses) == 3
    assert losses[-1] < losses[0]


@pytest.mark.long
def test_bench_train_ends_in_the_same_bits(processes: None, tmp_path: Path) -> None:
    pytest.importorskip("jsonargparse", reason='jsonargparse is missing: pip install "loopmark[train]"')
    of_model = ("--model.width", "16", "--model.latent", "2", "--model.gamma", "0.7")
    of_data = ("--data.samples", "1000", "--data.seed", "3", "--seed_everything", "3")
    of_trainer = ("--trainer.max_epochs", "3", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
    done = call("train", "fit", *of_model, *of_data, *of_trainer, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr
    (saved,) = tmp_path.rglob("last.ckpt")
    as_command("plain", tmp_path)  # in as many threads: in others, sums have another order
    theirs = torch.load(saved, map_location="cpu", weights_only=True)["state_dict"]
    ours = torch.load(tmp_path / "plain" / "last.ckpt", map_location="cpu", weights_only=True)["model"]
    assert {name.removeprefix("model."): digest(value) for name, value in theirs.items()} == {
        name: digest(value) for name, value in ours.items()
    }


def digest(tensor: torch.Tensor) -> bytes:
    return tensor.numpy().tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_is_gone_on_with_is_as_if_it_had_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, Any], name: str
) -> None:
    train(example(name), tmp_path / "parts", "--epochs", "2", monkeypatch=monkeypatch)
    resumed = train(example(name), tmp_path / "parts", "--epochs", "4", "--resume", monkeypatch=monkeypatch)
    assert same([whole, resumed])
    saved = torch.load(tmp_path / "parts" / "best.ckpt", map_location="cpu", weights_only=True)
    told = saved.get("hyperparameters") or saved["hyper_parameters"]
    assert (told["width"], told["latent"], told["gamma"]) == (16, 2, 0.7)


def test_all_stop_early_in_the_same_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is learned no epoch is better than the first, on any machine."""
    still = ("--epochs", "9", "--patience", "2", "--learning_rate", "0")
    outcomes = [train(example(name), tmp_path / name, *still, monkeypatch=monkeypatch) for name in NAMES]
    assert same(outcomes)
    assert [len(outcome["validation_losses"]) for outcome in outcomes] == [3, 3, 3]


PLANTED = {
    "the scheduler is stepped twice": ("scheduler.step()\n", "scheduler.step(), scheduler.step()\n"),
    "the scheduler is not stepped": ("            scheduler.step()\n", ""),
    "shuffled by another generator": ("task.batch_size, task.seed, train", "task.batch_size, task.seed + 1, train"),
    "the same order in every epoch": ("set_epoch(epoch)", "set_epoch(0)"),
    "gradients are never zeroed": ("                optimizer.zero_grad()\n", ""),
    "weights before the seed": (
        "torch.manual_seed(task.seed)\n    model =",
        "torch.manual_seed(task.seed)\n    torch.rand(1)\n    model =",
    ),
    "another loss": ("loss = reconstruction_loss(model, images)", "loss = 2 * reconstruction_loss(model, images)"),
    "another optimizer": ("make_optimizer(model.parameters(), ", "torch.optim.SGD(model.parameters(), "),
    "the mean of means": ("* len(images)\n            count += len(images)", "\n            count += 1"),
    "the last epoch is tested": ('out / "best.ckpt", map', 'out / "last.ckpt", map'),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_difference_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, Any], planted: str
) -> None:
    """So that equality above is worth something."""
    changed = altered(tmp_path, *PLANTED[planted])
    more = WILD if planted == "the last epoch is tested" else ()
    if more:
        whole = train(example("plain"), tmp_path / "wild", "--epochs", "4", *more, monkeypatch=monkeypatch)
        assert whole["validation_losses"][-1] > min(whole["validation_losses"])
    found = train(changed, tmp_path / "out", "--epochs", "4", *more, monkeypatch=monkeypatch)
    assert not same([whole, found])


NOT_PUT_BACK = {
    "moments": ("plain", '        optimizer.load_state_dict(saved["optimizer"])\n', ""),
    "the epoch of the shuffling": ("fabric", "            next(iter(training))\n", "            pass\n"),
}


@pytest.mark.parametrize("part", NOT_PUT_BACK)
def test_what_is_not_put_back_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, Any], part: str
) -> None:
    """The scheduler's state is none of it: an ExponentialLR goes on from the learning rate in the optimizer's."""
    name, before, after = NOT_PUT_BACK[part]
    changed = altered(tmp_path, before, after, name)
    train(changed, tmp_path / "parts", "--epochs", "2", monkeypatch=monkeypatch)
    found = train(changed, tmp_path / "parts", "--epochs", "4", "--resume", monkeypatch=monkeypatch)
    assert not same([whole, found])


def altered(folder: Path, before: str, after: str, name: str = "plain") -> Path:
    """An example with a difference, in a file of its own."""
    text = example(name).read_text(encoding="utf-8")
    assert text.count(before) == 1
    (folder / "altered.py").write_text(text.replace(before, after), encoding="utf-8")
    return folder / "altered.py"
