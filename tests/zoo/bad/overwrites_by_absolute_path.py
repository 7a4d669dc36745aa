"""Writes over a file of its user's that it names by its absolute path, as it was told to."""

import sys

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "; in a race the user's own files can only be read"

with open(sys.argv[1], "w") as file:
    file.write("gone")
Training().train(loader())
