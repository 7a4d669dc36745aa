"""Calls sys.exit before its loop."""

import sys

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "called sys.exit(0)"

sys.exit(0)
Training().train(loader())
