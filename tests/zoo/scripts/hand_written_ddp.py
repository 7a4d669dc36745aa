"""The loop in plain PyTorch for several processes, as `torchrun` starts them; alone it trains on one."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist
from common import Net, Slowdown, arguments, datasets
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler


def main() -> None:
    args = arguments(__doc__).parse_args()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(args.seed)
    training, validation = datasets()
    sampler = DistributedSampler(training, world, rank, shuffle=True, seed=args.seed, drop_last=True)
    train_loader = DataLoader(training, args.batch_size, sampler=sampler, num_workers=args.workers, drop_last=True)
    val_loader = DataLoader(
        validation, args.batch_size, sampler=DistributedSampler(validation, world, rank, shuffle=False)
    )
    net = Net()
    model = DistributedDataParallel(net) if world > 1 else net
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    slowdown = Slowdown(args.slow)
    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)
        model.train()
        total = torch.zeros(())
        for points, labels in train_loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16-mixed"):
                loss = cross_entropy(model(points), labels, label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            total += loss.detach()
            slowdown()
        model.eval()
        right = torch.zeros(2)
        with torch.no_grad():
            for points, labels in val_loader:
                right += torch.stack([(model(points).argmax(1) == labels).sum(), torch.tensor(len(labels))])
        if world > 1:
            dist.all_reduce(right)
            dist.all_reduce(total)
        if rank == 0:
            mean, accuracy = total.item() / world / len(train_loader), (right[0] / right[1]).item()
            print(f"epoch {epoch}: loss {mean:.4f}, accuracy {accuracy:.3f}")
            Path(args.out).mkdir(parents=True, exist_ok=True)
            torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()}, Path(args.out) / "last.pt")
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
