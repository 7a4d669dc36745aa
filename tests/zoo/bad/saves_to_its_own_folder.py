"""Saves its checkpoint into its user's folder, by an absolute path."""

import os
import sys

import torch
from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "; in a race the user's own files can only be read"

torch.save(Training().model.state_dict(), os.path.join(sys.argv[1], "best.pt"))
Training().train(loader())
