"""Imports what is not installed."""

import no_such_module_anywhere  # noqa: F401  # it is not there
from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "ModuleNotFoundError: No module named 'no_such_module_anywhere' (misses_a_module.py:"

Training().train(loader())
