"""Nothing is wrong with it: what the others are raced against."""

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

Training().train(loader())
