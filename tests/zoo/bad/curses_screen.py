"""Draws on its terminal by curses."""

import curses

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "error: "

curses.initscr()
Training().train(loader())
