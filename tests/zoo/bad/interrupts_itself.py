"""Raises KeyboardInterrupt in its loop."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "KeyboardInterrupt (interrupts_itself.py:"

training = Training()
for number, batch in enumerate(loader()):
    if number == 30:
        raise KeyboardInterrupt
    training.step(batch)
