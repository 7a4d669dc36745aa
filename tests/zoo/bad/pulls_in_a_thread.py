"""Pulls its batches in a thread, ahead of the loop, which takes them from a queue."""

import queue
import threading

from little import Training, loader

OUTCOME = "unsupported"
EXPECTED = "pulled in a thread of its own"

ahead: queue.Queue = queue.Queue(maxsize=2)


def pull() -> None:
    while True:
        for batch in loader():
            ahead.put(batch)


threading.Thread(target=pull, daemon=True).start()
training = Training()
while True:
    training.step(ahead.get())
