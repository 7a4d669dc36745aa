"""Reads where no memory is."""

import ctypes

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "killed by SIGSEGV; its last words: Segmentation fault File "

training = Training()
for number, batch in enumerate(loader()):
    if number == 20:
        ctypes.string_at(0)
    training.step(batch)
