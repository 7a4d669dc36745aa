"""The cores of this machine: which we may use, who runs where, what a hypervisor took from them. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Layout:
    """Where things run on a node: the cores of an arm of one process, the conductor's own, and all there are.

    Attributes:
        others: the layouts of further nodes, which an arm of several nodes is on as well.
    """

    arms: tuple[int, ...]
    conductor: tuple[int, ...]
    usable: tuple[int, ...] = ()
    others: tuple[Layout, ...] = ()

    def ranks(self, count: int, workers: int = 0, threads: int = 0, nodes: int = 1) -> list[list[int]]:
        """Cores for each of `count` ranks on each of so many nodes, as far as there are as many.

        The first rank of a node has the cores of an arm of one process, the others the next ones. With loader workers
        all have all cores: workers that share their loop's core cannot run beside it.

        Args:
            threads: of each rank, where they are not as many as the layout was made for.
        """
        there = (self, *self.others)[:nodes]
        # An arm of more nodes than there are is never started; that it would be like the first one says what it asks.
        there += (self,) * (nodes - len(there))
        return [cores for node in there for cores in node._own_ranks(count, workers, threads)]

    def _own_ranks(self, count: int, workers: int, threads: int) -> list[list[int]]:
        if workers:
            return [list(self.usable)] * count
        own = self.usable[-threads:] if threads else self.arms
        threads, there = len(own), len(self.usable)
        if not there or threads * count > there:  # ranks of a device that share the cores there are
            return [list(own)] * count
        return [list(self.usable[there - threads * (rank + 1) : there - threads * rank]) for rank in range(count)]


def layout(threads: int, cores: Sequence[int] | None = None) -> Layout:
    """The last `threads` usable cores for the arms (the first one serves most interrupts), the others for us.

    Args:
        cores: the usable ones of another machine; None: those of this one.
    """
    cores = usable_cores() if cores is None else cores
    arms = cores[-threads:] if threads < len(cores) else cores
    return Layout(tuple(arms), tuple(core for core in cores if core not in arms) or tuple(cores), tuple(cores))


def usable_cores() -> list[int]:
    """The cores that this process may run on, or nothing where the system does not say (macOS)."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextmanager
def own_cores(layout: Layout) -> Iterator[None]:
    """Keep the conductor off the arms' cores while it conducts, where there are others."""
    if not layout.conductor:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, layout.conductor)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stolen(cores: Sequence[int]) -> float:
    """Seconds that the hypervisor has taken from these cores since boot (Linux, proc(5)); 0.0 elsewhere.

    Asked after every turn, so the file stays open and only its head is read.
    """
    descriptor = _proc_stat()
    if descriptor is None:
        return 0.0
    ticks = 0
    for line in os.pread(descriptor, 160 * (max(cores, default=0) + 2), 0).split(b"\n"):
        name, _, numbers = line.partition(b" ")
        if name.startswith(b"cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            ticks += int(numbers.split()[7])
    return ticks / os.sysconf("SC_CLK_TCK")


@cache
def _proc_stat() -> int | None:
    return os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC) if os.path.exists("/proc/stat") else None
