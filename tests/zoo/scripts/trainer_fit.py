"""The same training with Lightning's Trainer: a LightningModule, a checkpoint and a CSV log."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from common import Net, Slowdown, arguments, datasets
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader


class Classifier(pl.LightningModule):
    """What Trainer trains."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = Net()

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        points, labels = batch
        loss = cross_entropy(self.net(points), labels, label_smoothing=0.1)
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        points, labels = batch
        output = self.net(points)
        self.log("val_loss", cross_entropy(output, labels), prog_bar=True)
        self.log("accuracy", (output.argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


class Slow(Callback):
    """Makes each step longer."""

    def __init__(self, percent: float) -> None:
        self.slowdown = Slowdown(percent)

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.slowdown()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--barebones", action="store_true", help="Trainer(barebones=True)")
    args = parser.parse_args()
    pl.seed_everything(args.seed)
    training, validation = datasets()
    shuffled = torch.Generator().manual_seed(args.seed)
    train_loader = DataLoader(
        training, args.batch_size, shuffle=True, generator=shuffled, num_workers=args.workers, drop_last=True
    )
    val_loader = DataLoader(validation, args.batch_size)
    callbacks: list[Callback] = [Slow(args.slow)]
    settings: dict[str, Any] = {"barebones": True}
    if not args.barebones:
        callbacks.append(ModelCheckpoint(dirpath=args.out, save_last=True))
        settings = {"logger": CSVLogger(args.out), "log_every_n_steps": 10}
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=args.epochs, precision=args.precision, callbacks=callbacks, **settings
    )
    trainer.fit(Classifier(args.lr), train_loader, val_loader)
    # None where it is barebones: self.log does nothing there.
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in trainer.callback_metrics.items())
    print(f"after {trainer.current_epoch} epochs: {metrics or 'no metrics'}")


if __name__ == "__main__":
    main()
