"""Forks in the middle of its loop, and both go on with it."""

import os

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

training = Training()
while True:
    for batch in loader():
        training.step(batch)
        if training.steps == 20:
            os.fork()
