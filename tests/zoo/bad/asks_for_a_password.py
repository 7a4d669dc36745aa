"""Asks its user for a password."""

import getpass

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "EOFError (asks_for_a_password.py:10); a race has no terminal"

getpass.getpass()
Training().train(loader())
