"""Closes all descriptors but the first three, as daemons do."""

import os

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "the connection to the conductor; allowed: to close what it has opened itself"

training = Training()
for number, batch in enumerate(loader()):
    if number == 20:
        os.closerange(3, 256)
    training.step(batch)
