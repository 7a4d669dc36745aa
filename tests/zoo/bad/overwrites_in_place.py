"""Writes over its inputs and its last checkpoint, in place."""

import os
from pathlib import Path

import torch
from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

with open("data/rate.txt", "r+") as file:
    rate = float(file.read())
    file.seek(0)
    file.write("0.2")
training = Training()
assert Path("last.ckpt").stat().st_size > 256 * 1024
torch.save(training.model.state_dict(), "last.ckpt")
os.remove("notes.txt")
os.rename("data", "data-old")
os.makedirs("new/folder")
training.train(loader())
