"""The profiler in an arm: a loader that turns it on for some steps of the loop that pulls from it.

Loops and the timed stream know nothing of it. The stream pulls from this loader in place of the workload's, and a pull
is where one step ends and the next begins; so that is where the profiler is told to step.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from bench.axes.loops.batches import forever


class TracedLoader:
    """An endless pass over a loader, with a stretch of pulls under `torch.profiler.profile`.

    Args:
        loader: iterated again each time it is exhausted.
        request: `skip` pulls go by first; after `warmup` more, during which the profiler starts up and records nothing,
            come `steps` recorded ones. The pull after the last of them writes the trace into `folder`.
        rank: of this process; it is a part of the file's name.
    """

    def __init__(self, loader: Any, request: Mapping[str, Any], rank: int) -> None:
        self._loader = loader
        self._skip, self._warmup, self._steps = (int(request[key]) for key in ("skip", "warmup", "steps"))
        self._path = Path(request["folder"]) / trace_file(str(request["name"]), rank)

    def __iter__(self) -> Iterator[Any]:
        batches = forever(self._loader)
        for _ in range(self._skip):
            yield next(batches)
        # No shapes, stacks or memory: shapes keep inputs alive, which can make operators copy that otherwise would not
        # (torch.profiler's documentation), stacks and memory lengthen each step further.
        profiler = profile(
            activities=activities(),
            schedule=schedule(wait=0, warmup=self._warmup, active=self._steps, repeat=1),
            on_trace_ready=self._write,
        )
        # Not as a context: that would write a loop's last steps when it fails, as if they were all.
        profiler.start()
        for _ in range(self._warmup + self._steps):
            yield next(batches)
            profiler.step()  # the loop is back for its next batch
        profiler.stop()
        yield from batches

    def _write(self, profiler: profile) -> None:
        # TensorBoard's plugin takes whatever ends in .pt.trace.json.gz: the name comes when the file is whole.
        partial = self._path.with_name(f"partial-{os.getpid()}.json.gz")
        profiler.export_chrome_trace(str(partial))
        os.replace(partial, self._path)


def activities() -> list[ProfilerActivity]:
    """The host, and CUDA where there is one."""
    return [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]


def trace_file(name: str, rank: int) -> str:
    """The file of one rank. torch-tb-profiler 0.4.3 takes `.digits` before the ending for a time stamp, and `_digits`
    for the process of a node."""
    return f"{name}.rank_{rank}.pt.trace.json.gz"
