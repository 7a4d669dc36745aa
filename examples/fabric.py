"""The same autoencoder in Fabric: the loop is still ours, where it runs is not.

    python examples/fabric.py --epochs 3

Not here any more, compared with plain.py: the device, that model and batches are brought there, reading a checkpoint
for it, the file that is logged to, the epoch of the shuffling. Not to be written, should it be wanted: half precision,
and more than one process (each its share of the batches, gradients averaged, one that logs and saves). It is a word in
`Fabric(...)`.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers.csv_logs import CSVLogger

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `suites` is, if it is not installed

from examples.task import Call, read_call, tell_outcome, weights_digest
from suites.autoencoder import AutoEncoder, make_modules, make_optimizer, reconstruction_loss
from suites.autoencoder_pictures import draw_latents, draw_reconstructions
from suites.digits import Split, load_digits, make_loader


def main(call: Call) -> None:
    task, out = call.task, call.out
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true", loggers=CSVLogger(out, name="logs"))

    # --- model, optimizer, data
    fabric.seed_everything(task.seed, verbose=False)
    model = AutoEncoder(*make_modules("mlp", task.width, task.latent))
    optimizer = make_optimizer(model.parameters(), task.learning_rate)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, task.gamma)
    model, optimizer = fabric.setup(model, optimizer)

    def loader(split: Split) -> Any:
        digits = load_digits(task.source, split, task.samples, task.seed)
        return fabric.setup_dataloaders(make_loader(digits, task.batch_size, task.seed, train=split == "train"))

    training, validation = loader("train"), loader("validation")

    # --- go on where an earlier training ended
    state: dict[str, Any] = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    state |= {"hyperparameters": asdict(task), "epoch": -1, "best": float("inf"), "waited": 0}
    if call.resume:
        kept = state["hyperparameters"]
        fabric.load(out / "last.ckpt", state, weights_only=True)
        state["hyperparameters"] = kept  # this training's: it may be longer than the one it goes on with
        for _ in range(state["epoch"] + 1):  # Fabric tells the sampler its epoch by the passes that it has counted
            next(iter(training))

    for epoch in range(state["epoch"] + 1, task.epochs):
        # --- training
        model.train()
        for batch in training:
            loss = reconstruction_loss(model, batch)
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
        rate = scheduler.get_last_lr()[0]
        scheduler.step()

        # --- validation, and what follows from it
        found = mean_loss(model, validation)
        fabric.log_dict({"epoch": epoch, "train_loss": loss, "val_loss": found, "lr": rate}, step=epoch)
        better = found < state["best"]
        state["epoch"] = epoch
        state["best"], state["waited"] = (found, 0) if better else (state["best"], state["waited"] + 1)
        fabric.save(out / "last.ckpt", state)
        if better:
            fabric.save(out / "best.ckpt", state)
        if state["waited"] >= task.patience:
            break
    fabric.logger.finalize("success")
    weights = weights_digest(model)

    # --- test with the best epoch's weights
    fabric.load(out / "best.ckpt", {"model": model}, strict=False, weights_only=True)
    test = loader("test")
    tell_outcome(call, weights, mean_loss(model, test))

    # --- reconstructions: input above output, and where the digits lie in latent space
    model.eval()
    with torch.no_grad():
        parts = [(images, model(images), model.encoder(images), labels) for images, labels in test]
    images, outputs, latents, labels = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    draw_reconstructions(images, outputs, labels, out)
    draw_latents(latents, labels, out)


def mean_loss(model: torch.nn.Module, batches: Any) -> float:
    """The mean over all samples: the last batch may be smaller, and weighs less."""
    model.eval()
    total, count = torch.zeros((), device=next(model.parameters()).device), 0
    with torch.no_grad():
        for batch in batches:
            total += reconstruction_loss(model, batch) * len(batch[0])
            count += len(batch[0])
    return (total / count).item()


if __name__ == "__main__":
    main(read_call(__doc__, "fabric"))
