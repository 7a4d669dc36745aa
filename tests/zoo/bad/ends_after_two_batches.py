"""Trains on two batches, and ends."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "it ended by itself after 0 steps of its turns"

training, batches = Training(), iter(loader())
for _ in range(2):
    training.step(next(batches))
