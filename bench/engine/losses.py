"""Why a process is lost, in a sentence: by its exit status, by what it sent, by what came from outside. No torch."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from bench.borders import encodable, one_line
from bench.engine.logs import end_of, last_words
from bench.engine.processes import ArmLost

# What is added where a script is lost before its first turn.
PULLS_WANTED = (
    "; allowed: a script that trains in the process that it is started in, on batches of a torch DataLoader or of "
    "`bench.watch(batches)`"
)

# What NCCL's watchdog writes before it ends its process (torch 2.13, ProcessGroupNCCL.cpp).
_WATCHDOG = re.compile(r"collective operation timeout: Work\w+\(SeqNum=(\d+), OpType=(\w+),.*?Timeout\(ms\)=(\d+)\)")


def garbled_answer(what: str) -> ArmLost:
    """The loss of an arm that sent something else than it had to."""
    return ArmLost("crashed", f"sent what is no message: {what}")


def ended_process(status: int, log: Path, *, out_of_memory: bool) -> ArmLost:
    """The loss of an arm of which a process ended with this status, less than 0 for a signal.

    Args:
        out_of_memory: whether the kernel has killed processes for want of memory since the arm began.
    """
    if not log.exists():
        return ArmLost("void", f"its log {one_line(log.name)} was removed while it ran")
    if -status == signal.SIGKILL and out_of_memory:
        return ArmLost("oom", "killed by SIGKILL while the kernel ran out of memory")
    if -status == signal.SIGABRT and (found := _WATCHDOG.findall(end_of(log))):
        number, operation, limit = found[-1]
        waited = f"waited {int(limit) / 1000:g} s for the others in {operation}, its collective {number}"
        return ArmLost("timeout", f"{waited}: nccl's watchdog ended it")
    how = f"killed by {signal_name(-status)}" if status < 0 else f"exited with status {status} in mid-run"
    return ArmLost("crashed", f"{how}; its last words: {said(log)}")


def said(log: Path) -> str:
    """The last words in a log, as a part of a sentence."""
    return encodable(last_words(log)) or "(none)"


def signal_name(number: int) -> str:
    """The name of a signal, as SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names of their own
        return f"signal {number}"


def reason(error: OSError) -> str:
    """The system's reason for an error."""
    return error.strerror or (os.strerror(error.errno) if error.errno else "") or str(error) or type(error).__name__
