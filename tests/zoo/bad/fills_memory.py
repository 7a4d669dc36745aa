"""Keeps all that it ever had."""

from little import Training, loader

OUTCOME = "oom"
EXPECTED = "MemoryError"

training, kept = Training(), []
while True:
    for batch in loader():
        training.step(batch)
        kept.append(bytearray(64 * 2**20))
