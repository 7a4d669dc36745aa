"""Draws on its terminal, or leaves."""

import sys

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "sys.exit('this needs a terminal')"

if not (sys.stdin.isatty() and sys.stdout.isatty()):
    sys.exit("this needs a terminal")
Training().train(loader())
