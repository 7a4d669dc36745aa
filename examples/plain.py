"""An autoencoder in plain PyTorch: all that a training needs is written down here.

    python examples/plain.py --epochs 3

What Fabric takes over of it is not in fabric.py any more, and what Trainer takes over is not in trainer.py.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `suites` is, if it is not installed

from examples.task import Call, read_call, tell_outcome, weights_digest
from suites.autoencoder import AutoEncoder, make_modules, make_optimizer, reconstruction_loss
from suites.autoencoder_pictures import draw_latents, draw_reconstructions
from suites.digits import Split, load_digits, make_loader


def main(call: Call) -> None:
    task, out = call.task, call.out
    device = torch.device("cpu")  # every tensor has to be brought there, model and batches alike

    # --- model, optimizer, data. The seed comes first: the weights are drawn from it.
    torch.manual_seed(task.seed)
    model = AutoEncoder(*make_modules("mlp", task.width, task.latent)).to(device)
    optimizer = make_optimizer(model.parameters(), task.learning_rate)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, task.gamma)

    def loader(split: Split) -> torch.utils.data.DataLoader[Any]:
        digits = load_digits(task.source, split, task.samples, task.seed)
        return make_loader(digits, task.batch_size, task.seed, train=split == "train")

    training, validation = loader("train"), loader("validation")

    # --- go on where an earlier training ended: with its weights, its moments, its learning rate, its patience
    first, best, waited = 0, float("inf"), 0
    if call.resume:
        saved = torch.load(out / "last.ckpt", map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        scheduler.load_state_dict(saved["scheduler"])
        first, best, waited = saved["epoch"] + 1, saved["best"], saved["waited"]

    with open(out / "metrics.csv", "a" if call.resume else "w", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        if not call.resume:
            log.writerow(["epoch", "train_loss", "val_loss", "lr"])

        for epoch in range(first, task.epochs):
            # --- training
            training.sampler.set_epoch(epoch)  # type: ignore[attr-defined]  # the sampler of `make_loader` has it
            model.train()
            for batch in training:
                images = batch[0].to(device)
                loss = reconstruction_loss(model, images)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            rate = scheduler.get_last_lr()[0]
            scheduler.step()

            # --- validation, and what follows from it
            found = mean_loss(model, validation, device)
            log.writerow([epoch, loss.item(), found, rate])
            file.flush()
            better = found < best
            best, waited = (found, 0) if better else (best, waited + 1)
            checkpoint = {
                "hyperparameters": asdict(task),
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "epoch": epoch,
                "best": best,
                "waited": waited,
            }
            torch.save(checkpoint, out / "last.ckpt")
            if better:
                torch.save(checkpoint, out / "best.ckpt")
            if waited >= task.patience:
                break
    weights = weights_digest(model)

    # --- test with the best epoch's weights, into a model that the checkpoint's own hyperparameters tell how to build
    saved = torch.load(out / "best.ckpt", map_location=device, weights_only=True)
    size = saved["hyperparameters"]
    model = AutoEncoder(*make_modules("mlp", size["width"], size["latent"])).to(device)
    model.load_state_dict(saved["model"])
    test = loader("test")
    tell_outcome(call, weights, mean_loss(model, test, device))

    # --- reconstructions: input above output, and where the digits lie in latent space
    model.eval()
    with torch.no_grad():
        parts = [
            (images, model(images.to(device)), model.encoder(images.to(device)), labels) for images, labels in test
        ]
    images, outputs, latents, labels = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    draw_reconstructions(images, outputs, labels, out)
    draw_latents(latents, labels, out)


def mean_loss(model: torch.nn.Module, batches: torch.utils.data.DataLoader[Any], device: torch.device) -> float:
    """The mean over all samples: the last batch may be smaller, and weighs less."""
    model.eval()
    total, count = torch.zeros((), device=device), 0
    with torch.no_grad():
        for batch in batches:
            images = batch[0].to(device)
            total += reconstruction_loss(model, images) * len(images)
            count += len(images)
    return (total / count).item()


if __name__ == "__main__":
    main(read_call(__doc__, "plain"))
