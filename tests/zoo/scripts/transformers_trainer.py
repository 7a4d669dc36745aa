"""The same training with transformers.Trainer: a model that gives its loss, and samples that are dictionaries."""

from __future__ import annotations

from typing import Any

import torch
from common import Net, Slowdown, arguments, datasets
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset
from transformers import Trainer, TrainerCallback, TrainingArguments


class Classifier(torch.nn.Module):
    """A model as transformers' are: it takes labels and gives the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, points: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.net(points)
        return {"loss": cross_entropy(logits, labels, label_smoothing=0.1), "logits": logits}


class Named(Dataset):
    """The same samples as dictionaries."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        points, labels = self.data[index]
        return {"points": points, "labels": labels}


class Slow(TrainerCallback):
    """Makes each step longer."""

    def __init__(self, percent: float) -> None:
        self.slowdown = Slowdown(percent)

    def on_step_end(self, *arguments: Any, **more: Any) -> None:
        self.slowdown()


def accuracy(prediction: Any) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


def main() -> None:
    args = arguments(__doc__).parse_args()
    training, validation = datasets()
    settings = TrainingArguments(
        output_dir=args.out,
        num_train_epochs=args.epochs,
        per_device_train_batch_size=args.batch_size,
        per_device_eval_batch_size=args.batch_size,
        learning_rate=args.lr,
        dataloader_num_workers=args.workers,
        dataloader_drop_last=True,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=20,
        report_to="none",
        bf16=args.precision == "bf16-mixed",
        use_cpu=True,
        seed=args.seed,
    )
    torch.manual_seed(args.seed)
    trainer = Trainer(
        model=Classifier(),
        args=settings,
        train_dataset=Named(training),
        eval_dataset=Named(validation),
        compute_metrics=accuracy,
        callbacks=[Slow(args.slow)],
    )
    trainer.train()
    print(trainer.evaluate())


if __name__ == "__main__":
    main()
