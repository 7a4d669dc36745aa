"""The same autoencoder with Lightning's Trainer: there is no loop any more.

    python examples/trainer.py --epochs 3

`LitAutoEncoder` says what is specific to this model: its training, validation, test and predict step, its optimizer and
scheduler. `MNISTDataModule` says where digits come from. Not here any more, compared with fabric.py: both loops, train
and eval mode, gradients off and on, zeroing, backward and step, the scheduler's step, the mean over samples, what is
logged when, what is in a checkpoint and which is the best, counting epochs of patience, and putting all that back when
a training is gone on with.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `suites` is, if it is not installed

from examples.task import Call, read_call, tell_outcome, weights_digest
from suites.autoencoder import LitAutoEncoder, MNISTDataModule
from suites.autoencoder_pictures import draw_latents, draw_reconstructions


def main(call: Call) -> None:
    task, out = call.task, call.out

    # --- model and data
    seed_everything(task.seed, verbose=False)
    module = LitAutoEncoder("mlp", task.width, task.latent, task.learning_rate, task.gamma, log=True)
    data = MNISTDataModule(source=task.source, batch_size=task.batch_size, samples=task.samples, seed=task.seed)

    # --- what is the same for any model is a callback: keep the best and the last checkpoint, stop early
    best = ModelCheckpoint(out, "best", monitor="val_loss", save_last=True, enable_version_counter=False)
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        precision="32-true",
        max_epochs=task.epochs,
        callbacks=[best, EarlyStopping("val_loss", patience=task.patience)],
        logger=CSVLogger(out, name="logs"),
        enable_progress_bar=False,
        enable_model_summary=False,
    )

    # --- train, or go on where an earlier training ended; then test with the best epoch's weights
    trainer.fit(module, data, ckpt_path=out / "last.ckpt" if call.resume else None)
    weights = weights_digest(module)
    test_loss = trainer.test(module, data, ckpt_path="best", verbose=False)[0]["test_loss"]
    tell_outcome(call, weights, test_loss)

    # --- reconstructions: input above output, and where the digits lie in latent space
    parts: list[Any] = trainer.predict(module, data) or []
    images, outputs, latents, labels = (
        torch.cat([part[name] for part in parts]) for name in ("images", "reconstructions", "latents", "labels")
    )
    draw_reconstructions(images, outputs, labels, out)
    draw_latents(latents, labels, out)


if __name__ == "__main__":
    main(read_call(__doc__, "trainer"))
