"""Writes over data that are too large to be copied."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "; in a race the user's own files can only be read"

with open("data/large.bin.gz", "r+b") as file:
    file.write(b"gone")
Training().train(loader())
