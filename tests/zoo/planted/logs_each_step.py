"""Planted: each step takes its loss to the host, shows it in a bar that is drawn again, and logs it."""

import logging

import torch
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

logger = logging.getLogger("train")


def main(epochs: int = 1000) -> None:
    logging.basicConfig(filename="train.log", level=logging.INFO)
    torch.manual_seed(0)
    inputs = torch.randn(1280, 256)
    loader = DataLoader(TensorDataset(inputs, inputs[:, :10]), batch_size=32, shuffle=True)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for epoch in range(epochs):
        bar = tqdm(loader, desc=f"epoch {epoch}")
        for step, (batch, target) in enumerate(bar):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(batch), target)
            loss.backward()
            optimizer.step()
            bar.set_postfix(loss=loss.item())
            logger.info("epoch %d step %d loss %.4f", epoch, step, loss.item())


if __name__ == "__main__":
    main()
