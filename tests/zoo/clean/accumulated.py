"""Clean: gradients of four batches are accumulated, and every 50th step is logged."""

import logging

import torch
from torch.utils.data import DataLoader, TensorDataset

logger = logging.getLogger("train")


def main(epochs: int = 1000) -> None:
    logging.basicConfig(filename="train.log", level=logging.INFO)
    torch.manual_seed(0)
    inputs = torch.randn(1280, 256)
    loader = DataLoader(TensorDataset(inputs, inputs[:, :10]), batch_size=32, shuffle=True)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True)
    for _ in range(epochs):
        for step, (batch, target) in enumerate(loader):
            loss = torch.nn.functional.mse_loss(model(batch), target) / 4
            loss.backward()
            if step % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
            if step % 50 == 0:
                logger.info("loss %.4f", loss.item())


if __name__ == "__main__":
    main()
