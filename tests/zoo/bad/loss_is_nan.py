"""Its loss is NaN from the first step on."""

from little import Training, loader

OUTCOME = "unequal-work"
EXPECTED = "nan"

training = Training()
while True:
    for points, wanted in loader():
        training.step([points, wanted * float("nan")])
