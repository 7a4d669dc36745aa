"""Takes a batch of each of two loaders in every step, the shorter of which ends the epoch."""

from little import Training, loader

OUTCOME = "unequal-work"
EXPECTED = "optimizer updates in"

training, first, second = Training(), loader(), loader(30)
while True:
    for one, _ in zip(first, second, strict=False):
        training.step(one)
