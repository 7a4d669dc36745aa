"""Its loader starts its worker by `spawn`, which imports this file again. Must work."""

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

if __name__ == "__main__":
    Training().train(loader(num_workers=1, multiprocessing_context="spawn", persistent_workers=True))
