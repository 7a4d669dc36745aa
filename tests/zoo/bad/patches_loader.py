"""Replaces DataLoader's own __iter__ by one that it has written, so that nobody sees its batches."""

from little import Training, loader
from torch.utils.data import DataLoader

OUTCOME = "timeout"
EXPECTED = "pulled no batch to train on within"

DataLoader.__iter__ = lambda self: iter([self.collate_fn([self.dataset[i] for i in range(8)])] * 40)
Training().train(loader())
