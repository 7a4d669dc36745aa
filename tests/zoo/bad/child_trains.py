"""Forks: the child trains, and the parent waits for it."""

import os

from little import Training, loader

OUTCOME = "timeout"
EXPECTED = "pulled no batch to train on within"

if (child := os.fork()) == 0:
    Training().train(loader())
os.waitpid(child, 0)
