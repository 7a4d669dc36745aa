"""Forks children that end by sys.exit, by an exception, and at their end; the parent trains."""

import os
import sys

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

for number in range(3):
    if (child := os.fork()) == 0:
        if number == 2:
            raise ValueError("of a child")
        sys.exit(number)
    os.waitpid(child, 0)
Training().train(loader())
