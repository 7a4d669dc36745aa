"""Leaves its work to a child that is nobody's, as daemons do."""

import os

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "exited with status 0 in mid-run; its last words: (none); allowed: a script that trains in the process"

if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
Training().train(loader())
