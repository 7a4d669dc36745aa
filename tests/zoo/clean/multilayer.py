"""Clean: a small classifier by hand; it validates and saves once an epoch."""

import torch
from torch.utils.data import DataLoader, TensorDataset


def main(epochs: int = 1000) -> None:
    torch.manual_seed(0)
    inputs, labels = torch.randn(1280, 128), torch.randint(10, (1280,))
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=32, shuffle=True)
    validation = DataLoader(TensorDataset(inputs[:128], labels[:128]), batch_size=128)
    model = torch.nn.Sequential(torch.nn.Linear(128, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True)
    for _ in range(epochs):
        for batch, target in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()
        with torch.no_grad():
            total = sum(float(torch.nn.functional.cross_entropy(model(batch), target)) for batch, target in validation)
        torch.save({"model": model.state_dict(), "loss": total}, "last.pt")


if __name__ == "__main__":
    main()
