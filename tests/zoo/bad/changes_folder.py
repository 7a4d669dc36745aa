"""Changes its folder, and takes its data from there."""

import os
from pathlib import Path

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

os.chdir("data")
assert float(Path("rate.txt").read_text()) == 0.1
Training().train(loader())
