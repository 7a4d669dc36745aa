"""Removes the folder that it is in, and goes on."""

import shutil
from pathlib import Path

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

batches = loader()
shutil.rmtree(Path(__file__).resolve().parent)
Training().train(batches)
