"""Clean: batches are slices of tensors in memory, so that the loader has next to nothing to do."""

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset


def main(epochs: int = 1000) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(1920, 256)
    dataset = TensorDataset(inputs, inputs[:, :10])
    batches = BatchSampler(RandomSampler(dataset), batch_size=48, drop_last=True)
    loader = DataLoader(dataset, sampler=batches, batch_size=None)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True)
    for _ in range(epochs):
        for batch, target in loader:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(batch), target).backward()
            optimizer.step()


if __name__ == "__main__":
    main()
