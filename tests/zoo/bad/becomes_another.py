"""Starts itself anew in its own process, as launchers do."""

import os
import sys

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "closed its connection and goes on without it"

if "again" not in sys.argv:
    os.execv(sys.executable, [sys.executable, __file__, "again"])
Training().train(loader())
