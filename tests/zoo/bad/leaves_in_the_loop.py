"""Calls sys.exit in its loop."""

import sys

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "called sys.exit(3)"

training = Training()
for number, batch in enumerate(loader()):
    if number == 30:
        sys.exit(3)
    training.step(batch)
