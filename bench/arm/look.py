"""A look at a training as it is: `python -m bench.arm.look`, with what to look at as JSON on standard input.

The script runs as `__main__` with its arguments, free and untimed, and is observed; after so many seconds of steps, and
a whole epoch where these come soon, the process ends in the middle of a pull. What it saw is written to a file as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch.utils.data import dataloader as torch_loaders

from bench.arm.changes import make_changes
from bench.arm.import_hooks import put_in_place
from bench.arm.loader_changes import SITE
from bench.arm.script_arm import ScratchPlace, failure_of, run_as_main, seed_everything
from bench.results import files

WHOLE_EPOCHS = 3  # that are waited for, as long as `most` seconds allow


def main() -> None:
    """Look, as standard input says, and leave with 0; 3 where the training ended or failed before that."""
    request = json.loads(sys.stdin.readline())
    out = Path(request["out"])
    name, *arguments = request["argv"]
    os.mkdir(request["scratch"])
    os.chdir(request["scratch"])
    place = ScratchPlace(Path(request["folder"]), out.parent / "cache")
    file = name if request["module"] else place.of_script(Path(name))
    torch.set_num_threads(request["threads"])
    seed_everything(0)
    observation = make_changes({"observe": True}, place.folder_of(file, module=request["module"]))
    end_after(request["least"], request["most"], lambda: _leave(out, observation(), 0))
    try:
        run_as_main([file, *arguments], folder=place.folder, module=request["module"])
        ended = "it ended by itself"
    except SystemExit as left:
        ended = f"it called sys.exit({left.code!r})" if left.code else "it ended by itself"
    except BaseException as error:
        traceback.print_exc()
        ended = failure_of(error, place.folder).reason
    _leave(out, {**observation(), "ended": ended}, 3)


def end_after(least: float, most: float, leave: Any) -> None:
    """Call `leave` in a pull, `least` seconds after the first one and after whole epochs, or after `most` seconds."""
    first_pull = torch_loaders._BaseDataLoaderIter.__next__
    began: list[float] = []
    epochs: Counter[str] = Counter()

    def pull(iterator: Any) -> Any:
        now = perf_counter()
        if not began:
            began.append(now)
        spent = now - began[0]
        if not iterator._num_yielded:
            epochs[getattr(iterator, SITE, "")] += 1
        if spent > most or (spent > least and max(epochs.values()) > WHOLE_EPOCHS):
            leave()
        return first_pull(iterator)

    put_in_place(torch_loaders._BaseDataLoaderIter, "__next__", pull)


def _leave(out: Path, seen: Mapping[str, Any], code: int) -> None:
    files.write_aside(out, json.dumps(seen, allow_nan=False))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the training's own threads, workers and exit handlers have no say in it


if __name__ == "__main__":
    main()
