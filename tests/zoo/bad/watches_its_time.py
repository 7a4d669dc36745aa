"""Gives up when a step takes too long by the clock, as it does while others take their turns."""

import signal

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "TimeoutError: a step took too long"


def ring(number: int, frame: object) -> None:
    raise TimeoutError("a step took too long")


signal.signal(signal.SIGALRM, ring)
training = Training()
while True:
    for batch in loader():
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        training.step(batch)
