"""Raises in its third step."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "ValueError: the third step (raises_in_its_third_step.py:"

training = Training()
for number, batch in enumerate(loader()):
    if number == 2:
        raise ValueError("the third step")
    training.step(batch)
