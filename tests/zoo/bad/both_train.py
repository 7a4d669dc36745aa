"""Forks, and both train."""

import os

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

os.fork()
Training().train(loader())
