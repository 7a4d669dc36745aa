"""Looks at no arguments; it is given some."""

import sys

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

assert sys.argv[1:] == ["--lr", "0.1"]
Training().train(loader())
