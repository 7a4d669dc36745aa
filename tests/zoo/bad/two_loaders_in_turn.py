"""Has two training loops one after the other, each with a loader of its own."""

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

training, first, second = Training(), loader(), loader(30)
while True:
    for batch in first:
        training.step(batch)
    for batch in second:
        training.step(batch)
