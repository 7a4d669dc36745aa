"""Where a training leaves its files: a folder of its own each, `fit-0`, `fit-1`, under one that the user names."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from bench.errors import BenchError
from bench.results.files import unwritable

ROOT = "trainings"  # where none is named, beside where the user stands
OF_ALL_RANKS = "BENCH_TRAINING_FOLDER"  # the first process makes the folder, and tells those that it starts


def new_training_folder(root: Path, subcommand: str) -> Path:
    """Make the next folder of a subcommand. Processes that ask at the same time get different ones.

    Raises:
        BenchError: it cannot be made.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0" and OF_ALL_RANKS in os.environ:
        return Path(os.environ[OF_ALL_RANKS])
    for number in itertools.count():
        folder = root / f"{subcommand}-{number}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError as error:
            if root.is_dir():
                continue
            raise BenchError(f"{root}: is a file; allowed: a folder for trainings") from error
        except OSError as error:
            raise unwritable(folder, error) from None
        os.environ[OF_ALL_RANKS] = str(folder)
        return folder
    raise AssertionError  # counting has no end
