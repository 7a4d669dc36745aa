"""Asks its user something."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "EOFError: EOF when reading a line (asks.py:8); a race has no terminal"

rate = float(input("learning rate? "))
Training().train(loader())
