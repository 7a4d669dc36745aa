"""Calls sys.exit before its loop."""

import sys

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "it ended by itself and iterated no torch DataLoader"

sys.exit(0)
Training().train(loader())
