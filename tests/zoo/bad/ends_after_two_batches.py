"""Trains once, on two batches."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "before its first turn"

Training().train(loader(2), epochs=1)
