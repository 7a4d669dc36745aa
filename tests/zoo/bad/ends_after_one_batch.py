"""Trains once, on one batch."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "before its first turn"

Training().train(loader(1), epochs=1)
