"""Asks its user for a password."""

import getpass

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "EOFError"

getpass.getpass()
Training().train(loader())
