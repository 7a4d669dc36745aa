"""Trains one epoch of two batches, which goes on while it is raced; with --epochs it ends before its first turn."""

from little import Training, loader

OUTCOME = "unequal-work"
EXPECTED = "samples_digest"

Training().train(loader(2), epochs=1)
