"""Never comes to its first batch."""

import time

from little import Training, loader

OUTCOME = "timeout"
EXPECTED = "pulled no batch to train on within"

time.sleep(100_000)
Training().train(loader())
