"""Trains in processes that torch.multiprocessing.spawn starts."""

import torch
from little import Training, loader

OUTCOME = "timeout"
EXPECTED = "pulled no batch to train on within"


def work(rank: int) -> None:
    Training().train(loader())


if __name__ == "__main__":
    torch.multiprocessing.spawn(work, nprocs=1)
