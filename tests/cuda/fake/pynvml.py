"""Stands in for nvidia-ml-py in a process of its own: plays the recording that BENCH_REPLAY names."""

from __future__ import annotations

import os
from typing import Any

from tests.cuda.replay import Recording, Replay

_replay = Replay(Recording.named(os.environ["BENCH_REPLAY"]))


def __getattr__(name: str) -> Any:
    return getattr(_replay, name)
