"""What a forked arm does: build the workload, run one loop over the stream, tell the conductor. Without pandas."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from bench import compiling, discovery, protocol
from bench.accelerators import Accelerator, accelerator
from bench.audit import Audit, batch_digest, distributed, rounded, weights_digest
from bench.errors import BenchError
from bench.looking import Look
from bench.loops import registry
from bench.memory import peak_resident, resident
from bench.precision import PRECISIONS
from bench.stream import Batches, BatchStream, Grant, Taken
from bench.switches import loader_settings

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from bench.spec import Workload


@dataclass(frozen=True)
class Job:
    """All that a loop function gets.

    Attributes:
        workload: model, loss, optimizer, batches.
        stream: `stream(loader)` is what the loop iterates, one pull a step.
        device: for loops that move things themselves.
        accelerator, precision, devices: as Lightning spells them.
        dtype: of the weights.
        note: takes settings that only the loop can see, for the record's effective settings.
        strategy: `single_device`, `ddp` or `fsdp`; where it is not the first, RANK and the like are set as by torchrun.
        compile: torch's name of a compile mode, or `off`.
        callbacks: for a Trainer's `callbacks=`; none in a launch that is timed.
    """

    workload: Workload
    stream: Callable[[Any], Batches]
    device: torch.device
    accelerator: str
    precision: Any
    devices: int
    dtype: torch.dtype
    note: Callable[[Mapping[str, Any]], None]
    strategy: str = "single_device"
    compile: str = "off"
    callbacks: tuple[Callback, ...] = ()

    def compiled(self, model: Any) -> Any:
        """The model as torch.compile gives it in the mode that was asked for, or as it is."""
        return model if self.compile == "off" else torch.compile(model, mode=self.compile)

    def to_device(self, batch: Any) -> Any:
        """The batch with its tensors on the device, moved without waiting, and numbers in the dtype of the weights."""
        if isinstance(batch, torch.Tensor):
            if self.dtype is not torch.float32 and batch.is_floating_point():
                return batch.to(self.device, self.dtype, non_blocking=True)
            return batch.to(self.device, non_blocking=True)
        if isinstance(batch, tuple | list):
            return type(batch)(self.to_device(part) for part in batch)
        if isinstance(batch, Mapping):
            return {key: self.to_device(part) for key, part in batch.items()}
        return batch


class Gatekeeper:
    """The arm's side of the gate: asks the conductor, watches audited turns, keeps the books of what was handed out."""

    def __init__(
        self, connection: Connection, audit: Audit, device: Accelerator, cores: list[int], look: Look | None = None
    ) -> None:
        self._connection = connection
        self._cores = cores
        self._audit = audit
        self._device = device
        self._look = look
        self._watch = device.watch()
        self._timed = False
        self._ready = False
        self.began = perf_counter()
        self.epoch = 0  # batches in an epoch; 0: the loader does not say
        self.ended = False
        self.steps = 0
        self.samples = 0
        self.digest = 0
        self.rounded = False  # batches came back from the device in fewer bits than they have on the CPU

    def wait(self) -> Grant | None:
        if not self._ready:
            self._ready = True
            self._device.reset_peak_memory()
            setup = perf_counter() - self.began
            self._connection.send_bytes(protocol.encode(protocol.Ready(helpers(), setup, self.epoch)))
        message = protocol.decode(protocol.GRANTS, self._connection.recv_bytes())
        # Not at the start: arms are set up all at once, on all cores.
        pin(self._cores)
        self._cores = []
        if isinstance(message, protocol.Stop):
            self.ended = True
            return None
        self._timed = message.timed
        return Grant(message.steps, message.audit, message.look)

    def before(self, grant: Grant) -> None:
        if grant.audit:
            self._audit.start()
        if grant.look and self._look is not None:
            self._look.start()
        self._watch.before()

    def after(self, grant: Grant, taken: Taken, batches: list[Any]) -> None:
        if grant.look and self._look is not None:
            self._look.stop(taken.seconds)  # first: by its clock the last step is not over before
        self._watch.after(grant.steps, audited=grant.audit, timed=self._timed)
        if grant.audit:
            self._audit.stop(grant.steps)
        self._audit.switches.look()
        self.steps += grant.steps
        self.samples += taken.samples
        for batch in batches:
            self.digest = batch_digest(batch, self.digest)
            self.rounded = self.rounded or rounded(batch)
        message = protocol.Taken(
            taken.seconds,
            taken.fetching,
            taken.cpu,
            taken.involuntary,
            taken.faults,
            helpers() if grant.audit else 0,  # loader workers start with the first fetch: there were none when ready
        )
        self._connection.send_bytes(protocol.encode(message))

    def effective(self) -> dict[str, Any]:
        """What the device's own counters told."""
        return self._watch.effective()


def run(request: Mapping[str, Any], connection: Connection) -> None:
    """Run one arm to its end and send its result, or why there is none; the traceback goes to the log.

    Args:
        request: suite file, suite, point, seed, requested settings; as the conductor wrote it.
        connection: to the conductor, authenticated.
    """
    try:
        answer: protocol.Message = _train(request, connection)
    except EOFError:
        raise  # the conductor is gone; nobody to tell
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        answer = _failure(error)
    connection.send_bytes(protocol.encode(answer))


def _train(request: Mapping[str, Any], connection: Connection) -> protocol.Result:
    settings = request["requested"]
    loop = registry()[settings["loop"]]
    device = accelerator(settings["accelerator"], lightning="lightning" in loop.preload)
    device.prepare()
    torch.set_float32_matmul_precision(settings.get("matmul_precision", "highest"))
    mode = settings.get("compile", "off")
    kept = (Path(request["compile_cache"]), Path(request["temporary"])) if mode != "off" else None
    watch = compiling.CompileWatch(*kept) if kept else None
    if request.get("alone"):
        pin(request["cores"])
    start_memory = resident()
    padding = bytearray(request["padding"])  # held until the end: a layout of the arm's own, see bench.race
    torch.manual_seed(request["seed"])
    suite = discovery.load_suite(Path(request["file"])) if request["file"] else discovery.named(request["suite"])
    workload = suite.build(request["point"])
    initial = weights_digest(workload.model)
    audit = Audit(workload.model, watch)
    look = Look(workload, device.device(request["rank"]), Job) if request.get("look") else None
    gate = Gatekeeper(connection, audit, device, request.get("cores", []), look)
    stream = BatchStream(gate, device.synchronize if device.asynchronous else None)
    notes: dict[str, Any] = {}

    def watched_stream(loader: Any) -> Batches:
        notes.update(loader_settings(loader))
        gate.epoch = batches_in(loader)
        if "trace" in request:  # imported here: a timed arm has no profiler in it
            from bench.trace_arm import Traced

            loader = Traced(loader, request["trace"], request["rank"])
        return stream(loader if look is None else look.watch(loader))

    job = Job(
        workload=workload if look is None else look.workload,
        stream=watched_stream,
        device=device.device(request["rank"]),
        accelerator=device.lightning,
        precision=settings["precision"],
        devices=settings["devices"],
        dtype=PRECISIONS[settings["precision"]].dtype(),
        note=notes.update,
        strategy=settings.get("strategy", "single_device"),
        compile=mode,
        callbacks=() if look is None else look.callbacks,
    )
    gate.began = perf_counter()
    if look is not None:
        look.begin()
    loop.run(job)
    if not gate.ended:
        raise RuntimeError(
            f"the loop {loop.name!r} ended by itself after {gate.steps} steps; it must run as the stream does"
        )
    watched = audit.ledger()
    result = protocol.Result(
        ledger=protocol.Ledger(
            steps=gate.steps,
            samples=gate.samples,
            samples_digest="" if gate.rounded else f"{gate.digest:08x}",
            initial_weights=initial,
            final_weights=weights_digest(workload.model),
            audited=watched["audited"],
            forward=watched["forward"],
            backward=watched["backward"],
            optimizer_updates=watched["optimizer_updates"],
            losses=tuple(protocol.loss(loss) for loss in watched["losses"]),
            nonzero_gradients=watched["nonzero_gradients"],
        ),
        effective={
            "loop": loop.name,
            **audit.effective(),
            **gate.effective(),
            "torch": str(torch.__version__),
            "lightning": str(getattr(sys.modules.get("lightning"), "__version__", "not imported")),
            "lightning_imported": "lightning" in sys.modules,
            "pandas_imported": "pandas" in sys.modules,
            "torch_xla_imported": "torch_xla" in sys.modules,
            "device": device.describe(),
            **notes,
            **({} if look is None else {"callbacks": look.names}),
        },
        memory={
            "peak_memory_host": peak_resident(),
            "start_memory_host": start_memory,
            "heap_padding": len(padding),
            **device.peak_memory(),
        },
        samples_per_step=workload.samples,
        looked=protocol.Looked() if look is None else look.result(),
    )
    if distributed():
        torch.distributed.destroy_process_group()
    return result


def batches_in(loader: Any) -> int:
    """Batches in an epoch, or 0 where the loader does not say.

    A DataLoader over an IterableDataset has a `__len__` that raises TypeError, unless the dataset has a length.
    """
    try:
        return len(loader)
    except TypeError:
        return 0


def _failure(error: BaseException) -> protocol.Failed:
    text = _text(error)
    if isinstance(error, BenchError):  # what was asked for cannot be done here, or its data are not to be had
        return protocol.Failed("unsupported", protocol.shortened(text))
    named = f"{type(error).__name__}: {text}".strip().splitlines()[0][:300]
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in text:
        return protocol.Failed("oom", protocol.shortened(named))
    return protocol.Failed("crashed", protocol.shortened(named))


def _text(error: BaseException) -> str:
    """What an exception says; one that cannot say it is no reason to fail otherwise."""
    try:
        return str(error)
    except Exception as another:
        return f"(its text cannot be had: {type(another).__name__})"


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
