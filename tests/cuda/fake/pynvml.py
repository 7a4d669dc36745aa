"""Stands in for nvidia-ml-py in a process of its own: plays the recording whose path BENCH_REPLAY is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.cuda.replay import Recording, Replay

_replay = Replay(Recording.of_file(Path(os.environ["BENCH_REPLAY"])))


def __getattr__(name: str) -> Any:
    return getattr(_replay, name)
