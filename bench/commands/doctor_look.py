"""A look at a training as it is, in a process of its own: the parent's side of `bench.arm.look`. No torch."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.borders import json_text, one_line
from bench.engine.logs import shorten
from bench.machine import strays
from bench.machine.process_env import PACKAGE_PARENT, arm_environment
from bench.machine.scratch import scratch_folder
from bench.plan.script import Script
from bench.results.observed import Observed, observed_of

LOOK_LEAST, LOOK_MOST = 2.0, 15.0  # seconds of steps that are looked at: three epochs, where they are that short
LOOK_LOG = "look.log"
ENDED = "it ended by itself"  # what a look says of a training that came to its own end
STEPS_THAT_TELL = 20  # that tell what a training does in each step


def look(script: Script, folder: Path, given: Mapping[str, Any], patience: float) -> tuple[Observed, str]:
    """What a training does as it is, in a process of its own; and why that could not be seen, or "".

    Args:
        folder: that gets the log.
        patience: seconds until the first step, and after it, that it may take.

    Raises:
        BenchError: the interpreter does not start, or the folder cannot be written.
    """
    threads = script.threads or int(given.get("threads") or 1)
    environment, _ = arm_environment(threads, 0)
    log, mark = folder / LOOK_LOG, secrets.token_hex(8)
    with scratch_folder("look-") as home:
        seen = home / "seen.json"
        request = {
            "argv": script.argv,
            "module": script.module,
            "folder": script.folder,
            "scratch": str(home / "scratch"),
            "out": str(seen),
            "threads": threads,
            "least": LOOK_LEAST,
            "most": LOOK_MOST,
        }
        path = os.pathsep.join([str(PACKAGE_PARENT), *filter(None, [environment.get("PYTHONPATH")])])
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bench.arm.look"],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**environment, **script.environ, "PYTHONPATH": path, "TMPDIR": str(home), strays.MARK: mark},
                start_new_session=True,
            )
            try:
                process.communicate(json_text(request).encode() + b"\n", timeout=patience + LOOK_MOST)
            except subprocess.TimeoutExpired:
                within = f"within {patience + LOOK_MOST:g} s"
                return (
                    Observed(),
                    f"it took no batch, or waited for one step, {within}; allowed: a training that begins",
                )
            finally:
                process.kill()
                process.wait()
                strays.end_strays(lambda: strays.marked_processes(mark))
                shorten(log)
        if not seen.exists():
            return Observed(), f"it ended with status {process.returncode} and said nothing"
        data = json.loads(seen.read_text(encoding="utf-8"))
    return judged_look(observed_of(data, "what was observed"), str(data.get("ended", "")))


def judged_look(seen: Observed, ended: str) -> tuple[Observed, str]:
    """What was observed, and why it cannot be raced, or ""."""
    if ended:
        after = f" after {seen.steps} steps" if seen.steps else ""
        if ended == ENDED and seen.steps >= STEPS_THAT_TELL:
            return judged_look(replace(seen, ended=True), "")
        if ended == ENDED and seen.updates:
            return seen, f"{ended}{after}; allowed: a training of {STEPS_THAT_TELL} steps or more"
        return seen, one_line(ended) + after
    if not seen.updates:
        return (
            seen,
            "no optimizer stepped; allowed: a training whose optimizer steps between two batches of one DataLoader",
        )
    if seen.trainer and not seen.loss:
        return (
            seen,
            f"nothing was handed to backward in {seen.steps} steps; allowed: a training_step that gives its loss",
        )
    if seen.loss in ("nan", "inf"):
        return seen, f"its loss is {seen.loss} after {seen.steps} steps; allowed: a training with finite losses"
    if seen.loader is None or not seen.step_seconds:
        return seen, "no step of a DataLoader was seen; allowed: a training that pulls its batches from one"
    return seen, ""
