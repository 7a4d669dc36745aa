"""Calls sys.exit after its loop."""

import sys

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "called sys.exit('done')"

training = Training()
for number, batch in enumerate(loader()):
    training.step(batch)
    if number == 30:
        break
sys.exit("done")
