"""Trains on one batch, and ends."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "it ended by itself before its first turn"

Training().step(next(iter(loader())))
