"""Ends the process that started it."""

import os
import signal

from little import Training, loader

OUTCOME = "void"
EXPECTED = ""

os.kill(os.getppid(), signal.SIGKILL)
Training().train(loader())
