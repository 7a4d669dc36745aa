"""The arm's side of a turn: asks the conductor for leave, keeps the books of what it got, stays on its cores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import bench.protocol as protocol
from bench.arm.audit import Audit
from bench.arm.batch_digest import BatchDigest, has_other_dtype
from bench.arm.own_faults import blame_ourselves
from bench.arm.referee import Referee
from bench.arm.stream import Grant, TurnTimes
from bench.axes.accelerators.base import Accelerator
from bench.machine.memory import resident


class Wire(Protocol):
    """What an arm needs of its connection to the conductor."""

    def send_bytes(self, data: bytes, /) -> None: ...

    def recv_bytes(self) -> bytes: ...


class Watcher(Protocol):
    """What looks at the steps of an instrumented turn, and only at them."""

    def start(self) -> None: ...

    def stop(self, seconds: Sequence[float]) -> None: ...


class Gatekeeper:
    """The arm's side of the gate: asks the conductor, watches audited turns, keeps the books of what was handed out."""

    def __init__(
        self,
        connection: Wire,
        audit: Audit,
        device: Accelerator,
        cores: list[int],
        watcher: Watcher | None = None,
        referee: Referee | None = None,
    ) -> None:
        self._connection = connection
        self._cores = cores
        self._audit = audit
        self._device = device
        self._watcher = watcher
        self._referee = referee
        self._watch = device.watch()
        self._timed = self._judged = False
        self._ready = False
        self.began = perf_counter()
        self.epoch = 0  # batches in an epoch; 0: the loader does not say
        self.workers = 0  # of the loader, and the accelerator, where nobody else could know: of a script
        self.accelerator = ""
        self.ended = False
        self.steps = 0
        self.samples = 0
        self.smallest = 2**53  # batch, in samples; larger than any
        self.largest = 0
        self._digest = BatchDigest()
        self.rounded = False  # batches came back otherwise than they went: in fewer bits, or changed in place

    @property
    def began_steps(self) -> bool:
        """Whether the loop has asked for its first batch."""
        return self._ready

    def wait(self) -> Grant | None:
        if not self._ready:
            self._ready = True
            self._device.reset_peak_memory()
            setup = perf_counter() - self.began
            ready = protocol.Ready(helpers(), setup, self.epoch, self.workers, self.accelerator, self._device.meter())
            self._connection.send_bytes(protocol.encode(ready))
        message = protocol.decode_message(protocol.GRANTS, self._connection.recv_bytes())
        # Not at the start: arms are set up all at once, on all cores.
        pin(list(getattr(message, "cores", ())) or self._cores)
        self._cores = []
        if isinstance(message, protocol.Stop):
            self.ended = True
            return None
        self._timed, self._judged = message.timed, message.judge
        return Grant(message.steps, message.audit, message.instrument)

    def before(self, grant: Grant) -> None:
        if grant.audit:
            self._audit.start()
        if grant.instrument and self._watcher is not None:
            self._watcher.start()
        self._watch.before()

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        if grant.instrument and self._watcher is not None:
            self._watcher.stop(taken.seconds)  # first: by its clock the last step is not over before
        self._watch.after(grant.steps, audited=grant.audit, timed=self._timed)
        if grant.audit:
            self._audit.stop(grant.steps)
        self._audit.switches.read()
        self._audit.updates.settle()
        self.steps += grant.steps
        self.samples += taken.samples
        self.smallest = min(self.smallest, taken.smallest)
        self.largest = max(self.largest, taken.largest)
        self.rounded = self.rounded or taken.touched
        try:
            for batch in batches:
                self._digest.add(batch)
                self.rounded = self.rounded or has_other_dtype(batch, self._device)
        except Exception as error:
            blame_ourselves(error, "reading a batch")
        message = protocol.TurnReport(
            taken.seconds,
            taken.fetching,
            taken.cpu,
            taken.involuntary,
            taken.faults,
            helpers() if grant.audit else 0,  # loader workers start with the first fetch: there were none when ready
            resident() if self._timed else 0,
            self._device.allocated_memory() if self._timed else None,
        )
        if self._judged and self._referee is not None:  # before the answer: then another arm has the core
            self._referee.judge()
        self._connection.send_bytes(protocol.encode(message))

    @property
    def digest(self) -> str:
        """Of the batches; "" where they came back from the device otherwise than they went, or cannot be read."""
        return f"{self._digest.value:08x}" if self._digest.read and not self.rounded else ""

    def effective(self) -> dict[str, Any]:
        """What the device's own counters told."""
        return self._watch.effective()


def helpers() -> int:
    """Threads and processes besides the main thread, which would run on while the arm is held."""
    tasks = list(Path("/proc/self/task").glob("*"))
    children = [task / "children" for task in tasks]
    forked = sum(len(path.read_text().split()) for path in children if path.exists())
    return max(0, len(tasks) - 1) + forked


def pin(cores: list[int]) -> None:
    """Keep every thread of this process on these cores, where the system can (Linux)."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    for task in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(task), cores)
