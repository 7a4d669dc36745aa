"""Writes over data that are too large to be copied."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "PermissionError: [Errno 13] Permission denied: "

with open("data/large.bin.gz", "r+b") as file:
    file.write(b"gone")
Training().train(loader())
