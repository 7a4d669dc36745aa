"""`bench train` as users call it, and callbacks that tests put into it by name."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import ROOT, call
from lightning.pytorch import Callback

HERE = Path(__file__).resolve().parent
QUICKLY = (
    *("--trainer.accelerator", "cpu", "--trainer.enable_model_summary", "false", "--trainer.log_every_n_steps", "4"),
    *("--trainer.enable_progress_bar", "false", "--data.samples", "512"),
)
SMALL = (*QUICKLY, "--model.width", "16", "--model.gamma", "0.9")  # 8 steps an epoch
EPOCHS = 4


def train(*words: str, cwd: Path, ends: int = 0) -> subprocess.CompletedProcess[str]:
    """`bench train WORDS` in a folder."""
    done = call("train", *words, cwd=cwd, timeout=300)
    assert done.returncode == ends, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def own_lines(said: str) -> list[str]:
    """The lines that are ours, without `bench: `."""
    return [line.removeprefix("bench: ") for line in said.splitlines() if line.startswith("bench: ")]


def heed_ctrl_c() -> None:
    """As at a terminal: a job that a shell runs in the background ignores SIGINT, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def signalled(
    *words: str, cwd: Path, when: str, number: signal.Signals = signal.SIGINT, times: int = 1
) -> tuple[int, str]:
    """Train until a line with this text comes, then send the signal; the exit code and standard error."""
    command = [sys.executable, "-m", "bench", "train", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE), str(HERE.parent)])}
    said = ""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if times and (when in line or "stopping after" in line):
                process.send_signal(number)
                times -= 1
    return process.returncode, said


class SlowAtStep(Callback):
    """Says when a step begins, and takes its time with it."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            print("the step begins", file=sys.stderr, flush=True)
            time.sleep(2)


class SlowInValidation(Callback):
    """Says when the validation of an epoch begins, and takes its time with it."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch and not trainer.sanity_checking:
            print("the validation begins", file=sys.stderr, flush=True)
            time.sleep(2)


class FullDisk(Callback):
    """From an epoch on, no file can grow to the size of a checkpoint, as on a full disk."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))


def differences(one: Any, two: Any, place: str = "") -> list[str]:
    """Where two nested values are not the same, to the last bit."""
    import torch

    if type(one) is not type(two):
        return [f"{place}: {type(one)} and {type(two)}"]
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, two) else [place]
    if isinstance(one, dict):
        found = [f"{place}: {set(one) ^ set(two)}"] if set(one) != set(two) else []
        return found + [
            more for key in one.keys() & two.keys() for more in differences(one[key], two[key], f"{place}/{key}")
        ]
    if isinstance(one, list | tuple):
        found = [f"{place}: {len(one)} and {len(two)}"] if len(one) != len(two) else []
        return found + [
            more for at, pair in enumerate(zip(one, two, strict=False)) for more in differences(*pair, f"{place}/{at}")
        ]
    return [] if one == two else [f"{place}: {one!r} and {two!r}"]


def checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint without what names its own folder."""
    import torch

    found: dict[str, Any] = torch.load(path, weights_only=True)
    del found["callbacks"]
    return found


Calling = Callable[..., "subprocess.CompletedProcess[str]"]
