"""Closes all descriptors, and opens files that get their numbers."""

import os

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "the connection to the conductor; allowed: to close what it has opened itself"

training = Training()
for number, batch in enumerate(loader()):
    if number == 20:
        os.closerange(3, 256)
        files = [open(f"{each}.txt", "w") for each in range(20)]  # noqa: SIM115  # they stay open
    training.step(batch)
