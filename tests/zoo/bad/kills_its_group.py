"""Ends its process group, itself among it."""

import os
import signal

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "killed by SIGKILL"

training = Training()
for number, batch in enumerate(loader()):
    if number == 20:
        os.killpg(0, signal.SIGKILL)
    training.step(batch)
