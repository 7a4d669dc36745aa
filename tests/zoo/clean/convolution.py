"""Clean: a small convolutional network, whose loss is taken to the host once an epoch."""

import torch
from torch.utils.data import DataLoader, TensorDataset


def main(epochs: int = 1000) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(480, 1, 16, 16), torch.randint(10, (480,))
    loader = DataLoader(TensorDataset(images, labels), batch_size=16, shuffle=True)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 14 * 14, 10)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for epoch in range(epochs):
        total = torch.zeros(())
        for batch, target in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(batch), target)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        print(epoch, total.item() / len(loader))


if __name__ == "__main__":
    main()
