"""`bench env --calibrate`: measures what this machine can do at most, so that a share of it can be told.

The parent starts one process with torch for each accelerator, pinned to the cores of the arms, with their environment.
There each kind of work is done at growing sizes until its rate stops rising, and then several times at the best size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from bench.axes.accelerators import accelerator
from bench.axes.accelerators.base import Accelerator
from bench.errors import RunError, SpecError, Unsupported
from bench.machine.calibration import Calibration, Ceiling, fingerprint
from bench.machine.cores import layout, usable_cores
from bench.machine.process_env import PACKAGE_PARENT, arm_environment
from bench.results.run_info import timestamp

if TYPE_CHECKING:
    import torch

CALIBRATION_BUDGET = (
    24.0  # seconds of measuring for one accelerator; importing torch took 3 s more, and 25 s on slow disks
)
CALIBRATION_PATIENCE = 300.0  # seconds beyond the budget before the process is given up: imports, as for fork servers
RISE = 0.03  # a rate that is not at least this much above the best so far has not risen
GROWING = 0.6  # share of the time of one kind of work that finding the size may take
GLIMPSE, SAMPLE = 0.02, 0.15  # seconds of one sample while the size grows, and of one repeat afterwards
GLIMPSES = 3  # samples at each size, of which the best counts
SWEEP_REPEATS = (3, 9)  # fewest and most repeats at the best size
UNSHARED = 0.9  # share of its processors that the best repeat must have had: on a loaded core, half a ceiling was seen

DTYPES = ("float32", "bfloat16", "float16", "float64")
MATRIX_EDGES = tuple(edge for power in range(7, 15) for edge in (2**power, 3 * 2 ** (power - 1)))  # 128, 192, ... 24576
FREE_SHARE = 8  # a buffer takes at most this part of the free memory: 1/8
SMALLEST_COPY = 2**26  # bytes; larger where the last cache is


@dataclass(frozen=True)
class Kernel:
    """One kind of work at one size.

    Attributes:
        run: does it so many times and waits until the device is done.
        work: operations or bytes of one time.
    """

    run: Callable[[int], None]
    work: float


@dataclass(frozen=True)
class CeilingSearch:
    """One ceiling to be found.

    Attributes:
        name, unit: of the ceiling.
        sizes: in growing order.
        prepare: makes the kernel of a size; raises where the machine cannot do it.
        stale: sizes in a row at which the rate has not risen, after which it has stopped rising.
        processors: whose time all of the work needs; 0 where a device does it.
        weight: its part of the time. Fresh memory is slow to get: 1.2 s for the first copy of 480 MiB were seen.
    """

    name: str
    unit: str
    sizes: Sequence[int]
    prepare: Callable[[int], Kernel]
    stale: int = 3
    processors: int = 0
    weight: float = 1.0


class Cannot(Exception):
    """This device cannot do this kind of work, and why."""


def calibrate(kind: str, threads: int, budget: float = CALIBRATION_BUDGET) -> Calibration:
    """Measure the ceilings of one accelerator in a process of its own.

    Raises:
        SpecError: more threads than usable cores.
        Unsupported: torch finds no such device.
        RunError: the process failed.
    """
    usable = len(usable_cores()) or os.cpu_count() or 1
    if threads > usable:
        raise SpecError(f"--threads {threads}: allowed: 1 to {usable}, as many cores as can be used here")
    load, began = os.getloadavg()[0], time.monotonic()
    cores = layout(threads).arms
    request = {"kind": kind, "threads": threads, "cores": cores, "budget": budget}
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from bench.machine.calibrate import main; main()", json.dumps(request)],
            capture_output=True,
            text=True,
            timeout=budget + CALIBRATION_PATIENCE,
            cwd=PACKAGE_PARENT,
            env=arm_environment(threads, 0)[0],
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"calibration of {kind} gave no answer within {budget + CALIBRATION_PATIENCE:.0f} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise RunError(f"calibration of {kind} ended with {done.returncode}: {said[-1]}")
    told = json.loads(done.stdout.splitlines()[-1])
    if "unsupported" in told:
        raise Unsupported(told["unsupported"])
    return Calibration(
        environment=fingerprint(kind, told["device"], threads),
        ceilings=tuple(Ceiling(**ceiling) for ceiling in told["ceilings"]),
        measured=timestamp(),
        seconds=round(time.monotonic() - began, 3),
        load_average=load,
        cores=cores,
    )


def main() -> None:
    """Measure what the argument asks for and print the ceilings as JSON. Runs in a process of its own, with torch."""
    request = json.loads(sys.argv[1])
    if request["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, request["cores"])  # before torch starts threads, which inherit it
    import torch

    torch.set_num_threads(request["threads"])
    here = accelerator(request["kind"])
    try:
        here.prepare()
        device = here.device()
        if reason := here.unsupported_calibration():
            raise Unsupported(reason)
        wanted = list(jobs(here, device))
        share = request["budget"] / sum(job.weight for job in wanted)
        found = [asdict(measure_ceiling(job, share * job.weight)) for job in wanted]
        print(json.dumps({"device": here.describe(), "ceilings": found}))
    except Unsupported as error:
        print(json.dumps({"unsupported": str(error)}))


def measure_ceiling(
    job: CeilingSearch,
    seconds: float,
    clock: Callable[[], float] = perf_counter,
    processor: Callable[[], float] = process_time,
) -> Ceiling:
    """The ceiling of one kind of work, in about that time; a single call that takes longer is not cut short.

    Args:
        clock: wall seconds.
        processor: seconds of processor time of this process, all threads.
    """
    deadline = clock() + GROWING * seconds
    best: tuple[float, int, Kernel] | None = None
    stale, settled, took, work = 0, False, 0.0, 1.0
    reason = f"memory allows no size above {max(job.sizes, default=0)}, and the rate had not stopped rising"
    for size in job.sizes:
        began = clock()
        try:
            kernel = job.prepare(size)
            if best is not None and began + took * kernel.work / work > deadline:
                reason = f"no time for size {size}, and the rate had not stopped rising; give it a longer --budget"
                break
            kernel.run(1)  # brings the libraries' own start-up and fresh pages with it
            rate = max(_rate(kernel, GLIMPSE, clock) for _ in range(GLIMPSES))
        except Cannot as error:
            return Ceiling(job.name, job.unit, reason=str(error))
        except (RuntimeError, TypeError, NotImplementedError, MemoryError) as error:
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            if best is None:
                return Ceiling(job.name, job.unit, reason=said)
            reason = f"size {size} could not be done, and the rate had not stopped rising: {said}"
            break
        took, work = clock() - began, kernel.work
        stale = 0 if best is None or rate > (1 + RISE) * best[0] else stale + 1
        if best is None or rate > best[0]:
            best = rate, size, kernel
        if stale == job.stale:
            settled, reason = True, ""
            break
    if best is None:
        return Ceiling(job.name, job.unit, reason="there is not enough free memory for the smallest size")
    _, size, kernel = best
    fewest, most = SWEEP_REPEATS
    rates: list[tuple[float, float]] = []  # and the share of the processors that it had
    until = clock() + (1 - GROWING) * seconds
    while len(rates) < fewest or (len(rates) < most and clock() < until):
        began, used = clock(), processor()
        rate = _rate(kernel, SAMPLE, clock)
        rates.append((rate, (processor() - used) / max((clock() - began) * job.processors, 1e-9)))
    (value, share), (low, _) = max(rates), min(rates)
    if job.processors and share < UNSHARED:
        settled, reason = False, f"other processes took {1 - share:.0%} of the processor even from the best repeat"
    return Ceiling(job.name, job.unit, value, low, len(rates), size, settled, reason)


def _rate(kernel: Kernel, seconds: float, clock: Callable[[], float]) -> float:
    """Work a second over at least that time, the device drained at both ends."""
    times, spent = 1, 0.0
    while True:
        began = clock()
        kernel.run(times)
        spent = max(clock() - began, 1e-9)
        if spent >= seconds:
            return times * kernel.work / spent
        times = max(times + 1, min(100 * times, int(1.2 * times * seconds / spent)))


def jobs(here: Accelerator, device: torch.device) -> Iterator[CeilingSearch]:
    """What is measured on that device."""
    import torch

    free = free_memory(device)
    processors = torch.get_num_threads() if device.type == "cpu" else 0
    for arithmetic in [*DTYPES[:1], *(["tf32"] if device.type == "cuda" else []), *DTYPES[1:]]:
        width = 8 if arithmetic == "float64" else 4
        edges = [edge for edge in MATRIX_EDGES if edge**2 * width <= free / FREE_SHARE]
        yield CeilingSearch(
            f"matmul_{arithmetic}", "FLOP/s", edges, _Matmul(here, device, arithmetic), processors=processors
        )
    smallest = max(SMALLEST_COPY, last_cache() if device.type == "cpu" else 0)
    sizes = [smallest * 2**power for power in range(8) if smallest * 2**power <= free / FREE_SHARE]
    yield CeilingSearch(
        "copy", "bytes/s", sizes, _Copy(here, device, device), stale=1, processors=processors, weight=3.0
    )
    if device.type not in ("cpu", "mps"):  # those share the host's memory
        yield CeilingSearch(
            "host_to_device", "bytes/s", sizes, _Copy(here, torch.device("cpu"), device), stale=1, weight=3.0
        )


@dataclass(frozen=True)
class _Matmul:
    """Square matrices of random numbers: zeros need less power, and so clocks would stay higher than in training."""

    here: Accelerator
    device: torch.device
    arithmetic: str

    def __call__(self, edge: int) -> Kernel:
        import torch

        if self.arithmetic == "tf32" and torch.cuda.get_device_capability(self.device)[0] < 8:
            raise Cannot("compute capability below 8.0 has no TF32")
        dtype = getattr(torch, "float32" if self.arithmetic == "tf32" else self.arithmetic)
        left, right = (torch.randn(edge, edge, device=self.device).to(dtype) for _ in range(2))
        product = torch.empty_like(left)

        def run(times: int) -> None:
            with _tf32(self.arithmetic == "tf32"):
                for _ in range(times):
                    torch.mm(left, right, out=product)
                self.here.synchronize()

        return Kernel(run, 2.0 * edge**3)


@dataclass(frozen=True)
class _Copy:
    """From one buffer to another; the host's is pinned where the other is a device's."""

    here: Accelerator
    origin: torch.device
    target: torch.device

    def __call__(self, size: int) -> Kernel:
        import torch

        across = self.origin != self.target
        # Filled, since pages that were never written are all the same page of zeros, and that one stays in the cache.
        source = torch.full((size,), 85, dtype=torch.uint8, device=self.origin)
        source = source.pin_memory() if across else source
        target = torch.empty(size, dtype=torch.uint8, device=self.target)

        def run(times: int) -> None:
            for _ in range(times):
                target.copy_(source, non_blocking=True)
            self.here.synchronize()

        return Kernel(run, float(size if across else 2 * size))


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """TF32 on or off for CUDA's matrix products; nothing elsewhere."""
    import torch

    setting: Any = torch.backends.cuda.matmul
    before = setting.fp32_precision
    setting.fp32_precision = "tf32" if allowed else "ieee"
    yield
    setting.fp32_precision = before


def free_memory(device: torch.device) -> int:
    """Bytes that a buffer could be taken from."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def last_cache() -> int:
    """Bytes of the largest cache of the CPU, which a copy through memory must not fit into; 0 where nothing says it."""
    sizes = [0]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        sizes.append(int(text.rstrip("KMG")) * {"K": 2**10, "M": 2**20, "G": 2**30}.get(text[-1], 1))
    return max(sizes)
