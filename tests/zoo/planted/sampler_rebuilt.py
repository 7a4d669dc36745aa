"""Planted: the sampler, which counts all labels when it is made, and its loader are made anew for each epoch."""

from collections import Counter
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset


class BalancedSampler(Sampler[int]):
    """As many samples of each class as of any other."""

    def __init__(self, labels: torch.Tensor) -> None:
        every = [int(label) for label in labels]
        counts = Counter(every)
        self.weights = torch.tensor([1.0 / counts[label] for label in every])

    def __iter__(self) -> Iterator[int]:
        return iter(torch.multinomial(self.weights, len(self.weights), replacement=True).tolist())

    def __len__(self) -> int:
        return len(self.weights)


def main(epochs: int = 1000) -> None:
    torch.manual_seed(0)
    inputs, labels = torch.randn(7680, 128), torch.randint(10, (7680,))
    dataset = TensorDataset(inputs, labels)
    model = torch.nn.Sequential(torch.nn.Linear(128, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(epochs):
        loader = DataLoader(dataset, batch_size=256, sampler=BalancedSampler(labels))
        for batch, target in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()


if __name__ == "__main__":
    main()
