"""Has no such argument as it is given."""

import argparse

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "it called sys.exit(2) (its last words: refuses_arguments.py: error: unrecognized arguments: --lr 0.1)"

argparse.ArgumentParser().parse_args()
Training().train(loader())
