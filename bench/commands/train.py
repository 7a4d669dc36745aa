"""`bench train`: this process becomes the training. No torch here.

By exec(2), and not as a child: the terminal's signals, job control, exit codes and the process that a supervisor
watches are then the training's own, and nothing has to be passed on, twice or too late. What the parent promises, not
to import torch, it keeps: by then it is no more.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from bench.errors import BenchError
from bench.plan.discovery import suites_folder

TRAINING_PROGRAM = "bench.train"
# What lightning.pytorch.cli needs: jsonargparse, and what its extra `signatures` brings.
PACKAGES_OF_TRAINING = ("jsonargparse", "docstring_parser", "typeshed_client")


def become_training(words: Sequence[str]) -> NoReturn:
    """Let LightningCLI have these words, in the caller's folder, in the place of this process.

    Raises:
        BenchError: packages that it needs are missing.
    """
    if missing := [name for name in PACKAGES_OF_TRAINING if importlib.util.find_spec(name) is None]:
        raise BenchError(
            f'`bench train` needs {", ".join(missing)}, which is not installed; run: pip install "loopmark[train]"'
        )
    command = training_command(words)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os.execve(command[0], command, training_environment())


def training_command(words: Sequence[str]) -> list[str]:
    """The program and its words. `-P`: a folder `bench` where the user stands is not taken for ours."""
    return [sys.executable, "-P", "-m", TRAINING_PROGRAM, *words]


def training_environment() -> dict[str, str]:
    """The caller's; of a checkout with its place on the path, which `-P` leaves out.

    Of an installed package not: its folder has others' packages, and what is on PYTHONPATH goes before Python's own.
    """
    folder = suites_folder().parent
    if not (folder / "bench").is_dir():
        return dict(os.environ)
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys([*known, str(folder)]))}
