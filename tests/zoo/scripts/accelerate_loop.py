"""The same training with Hugging Face Accelerate."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from common import Net, Slowdown, arguments, datasets
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader


def main() -> None:
    args = arguments(__doc__).parse_args()
    set_seed(args.seed)
    accelerator = Accelerator(cpu=True, mixed_precision="bf16" if args.precision == "bf16-mixed" else "no")
    training, validation = datasets()
    shuffled = torch.Generator().manual_seed(args.seed)
    train_loader = DataLoader(
        training, args.batch_size, shuffle=True, generator=shuffled, num_workers=args.workers, drop_last=True
    )
    val_loader = DataLoader(validation, args.batch_size)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    model, optimizer, train_loader, val_loader = accelerator.prepare(model, optimizer, train_loader, val_loader)
    slowdown = Slowdown(args.slow)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for points, labels in train_loader:
            optimizer.zero_grad()
            loss = cross_entropy(model(points), labels, label_smoothing=0.1)
            accelerator.backward(loss)
            optimizer.step()
            total += loss.item()
            slowdown()
        model.eval()
        right = []
        for points, labels in val_loader:
            with torch.no_grad():
                output = model(points)
            predicted, labels = accelerator.gather_for_metrics((output.argmax(1), labels))
            right.append((predicted == labels).float().mean())
        accelerator.print(
            f"epoch {epoch}: loss {total / len(train_loader):.4f}, accuracy {torch.stack(right).mean().item():.3f}"
        )
        accelerator.save_state(str(Path(args.out) / "last"))


if __name__ == "__main__":
    main()
