"""A training loop in plain PyTorch, as the tutorials write it."""

from __future__ import annotations

from pathlib import Path

import torch
from common import Net, Slowdown, arguments, datasets
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader


def validate(model: torch.nn.Module, loader: DataLoader) -> tuple[float, float]:
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
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for points, labels in train_loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16-mixed"):
                loss = cross_entropy(model(points), labels, label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            total += loss.item()
            slowdown()
        val_loss, accuracy = validate(model, val_loader)
        print(f"epoch {epoch}: loss {total / len(train_loader):.4f}, val_loss {val_loss:.4f}, accuracy {accuracy:.3f}")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, out / "last.pt")


if __name__ == "__main__":
    main()
