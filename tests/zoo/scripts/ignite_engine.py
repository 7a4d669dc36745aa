"""The same training with Ignite: engines, metrics, a checkpoint at the end of each epoch."""

from __future__ import annotations

import torch
from common import Net, Slowdown, arguments, datasets
from ignite.engine import Engine, Events, create_supervised_evaluator
from ignite.handlers import Checkpoint, DiskSaver
from ignite.metrics import Accuracy, Loss, RunningAverage
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader


def main() -> None:
    args = arguments(__doc__).parse_args()
    torch.manual_seed(args.seed)
    training, validation = datasets()
    shuffled = torch.Generator().manual_seed(args.seed)
    train_loader = DataLoader(
        training, args.batch_size, shuffle=True, generator=shuffled, num_workers=args.workers, drop_last=True
    )
    val_loader = DataLoader(validation, args.batch_size)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    slowdown = Slowdown(args.slow)

    def update(engine: Engine, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
        model.train()
        points, labels = batch
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16-mixed"):
            loss = cross_entropy(model(points), labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        return loss.item()

    trainer = Engine(update)
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy(), "loss": Loss(cross_entropy)})
    RunningAverage(output_transform=float).attach(trainer, "loss")

    @trainer.on(Events.ITERATION_COMPLETED)
    def slow() -> None:
        slowdown()

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine: Engine) -> None:
        metrics = evaluator.run(val_loader).metrics
        print(
            f"epoch {engine.state.epoch}: loss {engine.state.metrics['loss']:.4f}, val_loss {metrics['loss']:.4f}, "
            f"accuracy {metrics['accuracy']:.3f}"
        )

    saved = {"model": model, "optimizer": optimizer, "trainer": trainer}
    trainer.add_event_handler(
        Events.EPOCH_COMPLETED, Checkpoint(saved, DiskSaver(args.out, create_dir=True, require_empty=False), n_saved=1)
    )
    trainer.run(train_loader, max_epochs=args.epochs)


if __name__ == "__main__":
    main()
