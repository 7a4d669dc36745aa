"""Writes over its inputs and its last checkpoint, in place."""

import os

import torch
from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

with open("data/rate.txt", "r+") as file:
    rate = float(file.read())
    file.seek(0)
    file.write("0.2")
training = Training()
state = torch.load("last.ckpt")
torch.save({"more": torch.zeros(10), **state}, "last.ckpt")
os.remove("notes.txt")
os.rename("data", "data-old")
os.makedirs("new/folder")
training.train(loader())
