"""The same training with Lightning Fabric."""

from __future__ import annotations

from pathlib import Path

import torch
from common import Net, Slowdown, arguments, datasets
from lightning.fabric import Fabric, seed_everything
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader


def validate(fabric: Fabric, model: torch.nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Mean loss and accuracy."""
    model.eval()
    loss, right, seen = 0.0, 0, 0
    with torch.no_grad():
        for points, labels in loader:
            output = model(points)
            loss += cross_entropy(output, labels, reduction="sum").item()
            right += (output.argmax(1) == labels).sum().item()
            seen += len(labels)
    model.train()
    return loss / seen, right / seen


def main() -> None:
    args = arguments(__doc__).parse_args()
    seed_everything(args.seed)
    fabric = Fabric(accelerator="cpu", devices=1, precision=args.precision)
    fabric.launch()
    training, validation = datasets()
    shuffled = torch.Generator().manual_seed(args.seed)
    train_loader = DataLoader(
        training, args.batch_size, shuffle=True, generator=shuffled, num_workers=args.workers, drop_last=True
    )
    train_loader, val_loader = fabric.setup_dataloaders(train_loader, DataLoader(validation, args.batch_size))
    model = Net()
    model, optimizer = fabric.setup(model, torch.optim.Adam(model.parameters(), lr=args.lr))
    slowdown = Slowdown(args.slow)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for points, labels in train_loader:
            optimizer.zero_grad()
            loss = cross_entropy(model(points), labels, label_smoothing=0.1)
            fabric.backward(loss)
            optimizer.step()
            total += loss.item()
            slowdown()
        val_loss, accuracy = validate(fabric, model, val_loader)
        fabric.print(
            f"epoch {epoch}: loss {total / len(train_loader):.4f}, val_loss {val_loss:.4f}, accuracy {accuracy:.3f}"
        )
        fabric.save(Path(args.out) / "last.ckpt", {"model": model, "optimizer": optimizer, "epoch": epoch})


if __name__ == "__main__":
    main()
