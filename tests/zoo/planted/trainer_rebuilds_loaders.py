"""Planted: Trainer asks for new loaders after each epoch, and the sampler counts all labels when it is made."""

from collections import Counter
from collections.abc import Iterator

import lightning.pytorch as pl
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


class Classifier(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Sequential(torch.nn.Linear(128, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
        self.inputs, self.labels = torch.randn(15360, 128), torch.randint(10, (15360,))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        dataset = TensorDataset(self.inputs, self.labels)
        return DataLoader(dataset, batch_size=256, sampler=BalancedSampler(self.labels))


if __name__ == "__main__":
    torch.manual_seed(0)
    pl.Trainer(
        max_epochs=1000,
        reload_dataloaders_every_n_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    ).fit(Classifier())
