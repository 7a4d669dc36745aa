"""Closes all descriptors but the first three before it begins."""

import os

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "the connection to the conductor; allowed: to close what it has opened itself"

os.closerange(3, 256)
Training().train(loader())
