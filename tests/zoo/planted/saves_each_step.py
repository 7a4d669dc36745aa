"""Planted: a checkpoint at each step."""

import torch
from torch.utils.data import DataLoader, TensorDataset


def main(epochs: int = 1000) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(1280, 256)
    loader = DataLoader(TensorDataset(inputs, inputs[:, :10]), batch_size=32, shuffle=True)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(epochs):
        for batch, target in loader:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(batch), target).backward()
            optimizer.step()
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "last.pt")


if __name__ == "__main__":
    main()
