"""Closes what it would print to."""

import os
import sys

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

sys.stdout.close()
sys.stderr = None
os.close(1)
Training().train(loader())
