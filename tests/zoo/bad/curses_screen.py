"""Draws on its terminal by curses; what it draws is in its log."""

import curses

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

curses.initscr()
Training().train(loader())
