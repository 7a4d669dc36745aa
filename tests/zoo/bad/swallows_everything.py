"""Goes on whatever is raised in its loop."""

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

training, batches = Training(), iter(loader())
while True:
    try:
        training.step(next(batches))
    except BaseException:
        batches = iter(loader())
