"""Closes all descriptors but the first three before it begins."""

import os

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = ""

os.closerange(3, 256)
Training().train(loader())
