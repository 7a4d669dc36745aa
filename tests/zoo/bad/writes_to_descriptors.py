"""Writes to descriptors that are none of its own."""

import os
from contextlib import suppress

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "sent what is no message"

training = Training()
for number, batch in enumerate(loader()):
    if number == 20:
        for descriptor in range(3, 64):
            with suppress(OSError):
                os.set_blocking(descriptor, False)
                os.write(descriptor, b"no message at all")
    training.step(batch)
