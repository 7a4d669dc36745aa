"""What the three examples share: what is to be trained, and how it is said what became of it. No training is in here.

The model, its loss and the digits are those of the program's own suites.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch


@dataclass(frozen=True)
class Task:
    """One training, in numbers and texts; all of it goes into a checkpoint.

    Attributes:
        epochs: the most that are trained.
        patience: epochs without a lower validation loss, after which training stops.
        gamma: what the learning rate is multiplied by after each epoch.
        samples: training samples; validation and test have an eighth each.
        source: of the digits, `synthetic` or `mnist`.
    """

    epochs: int = 10
    patience: int = 3
    seed: int = 0
    source: str = "synthetic"
    samples: int = 8192
    batch_size: int = 64
    width: int = 64
    latent: int = 3
    learning_rate: float = 1e-3
    gamma: float = 0.95


@dataclass(frozen=True)
class Call:
    """A task, the folder for what comes of it, and whether to go on with the training that lies there."""

    task: Task
    out: Path
    resume: bool


def read_call(what: str, name: str) -> Call:
    """The call of a script from its command line.

    Args:
        what: the script's docstring.
        name: of the folder, unless `--out` names another.
    """
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for field in fields(Task):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default, help=" ")
    parser.add_argument("--out", type=Path, default=Path("results") / "examples" / name, help="folder for what is made")
    parser.add_argument("--resume", action="store_true", help="go on with the training that lies in the folder")
    given = vars(parser.parse_args())
    out, resume = given.pop("out"), given.pop("resume")
    out.mkdir(parents=True, exist_ok=True)
    return Call(Task(**given), out, resume)


def logged_losses(out: Path) -> list[float]:
    """The validation loss after each epoch, from all `metrics.csv` under a folder; later files go on with earlier."""
    losses: dict[int, float] = {}
    for path in sorted(out.rglob("metrics.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            losses |= {int(row["epoch"]): float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]}
    return [losses[epoch] for epoch in sorted(losses)]


def weights_digest(model: torch.nn.Module) -> str:
    """The same for two models only if all their weights are the same, bit for bit, in the same order."""
    whole = hashlib.sha256()
    for parameter in model.parameters():
        whole.update(parameter.detach().cpu().numpy().tobytes())
    return whole.hexdigest()


def tell_outcome(call: Call, weights: str, test_loss: float) -> None:
    """Print what became of a training, and write it to `outcome.json` in its folder."""
    losses = logged_losses(call.out)
    outcome = {"task": asdict(call.task), "weights": weights, "validation_losses": losses, "test_loss": test_loss}
    (call.out / "outcome.json").write_text(f"{json.dumps(outcome, indent=2)}\n", encoding="utf-8")
    for epoch, loss in enumerate(losses):
        print(f"epoch {epoch}: validation loss {loss:.6f}")
    print(
        f"test loss of the best epoch {test_loss:.6f}; weights after the last epoch {weights[:16]}; all in {call.out}"
    )
