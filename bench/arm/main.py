"""What a forked arm does: build the workload, run one loop over the stream, tell the conductor. Without pandas."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

import bench.protocol as protocol
from bench.arm import compile_watch
from bench.arm.arm_result import effective_settings, ledger_of, memory_of
from bench.arm.audit import Audit, in_process_group, weights_digest
from bench.arm.device_faults import device_outcome, device_words
from bench.arm.instrument import Instruments
from bench.arm.own_faults import OwnFault, exception_text, is_lightnings_refusal, is_own_fault
from bench.arm.referee import Referee
from bench.arm.stream import Batches, BatchStream
from bench.arm.switches import callback_names, loader_settings
from bench.arm.turn_gate import Gatekeeper, Wire, pin
from bench.arm.validation import ValidationCount
from bench.axes.accelerators import accelerator
from bench.axes.loops.batches import as_trainers_see, batches_in, counter, refuse_one_pass
from bench.axes.loops.job import Job
from bench.axes.loops.workload import complete_workload
from bench.axes.precision import PRECISIONS
from bench.axes.trainer_arguments import made_arguments
from bench.errors import BenchError, Unsupported
from bench.machine.memory import resident
from bench.plan import discovery
from bench.plan.suite import suite_loop


def run_arm(request: Mapping[str, Any], connection: Connection) -> None:
    """Run one arm to its end and send its result, or why there is none; the traceback goes to the log.

    Args:
        request: suite file, suite, point, seed, requested settings; as the conductor wrote it.
        connection: to the conductor, authenticated.
    """
    if "script" in request:  # imported here: other arms have nothing of it
        from bench.arm.script_arm import race_script

        return race_script(request, connection)
    try:
        answer: protocol.Message = train(request, connection)
    except EOFError:
        raise  # the conductor is gone; nobody to tell
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        answer = _failure(error)
    connection.send_bytes(protocol.encode(answer))


def train(request: Mapping[str, Any], connection: Wire) -> protocol.Result:
    """Build the workload, run the loop over the stream until the other end stops it; what it was. Raises as they do."""
    settings = request["requested"]
    start_memory = resident()
    # Before any operation: OpenMP makes its threads at the first one, so that a fork server has none to lose, and its
    # arms may have others than it was started for.
    if (threads := settings.get("threads")) and threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    torch.manual_seed(request["seed"])  # for what the suite's file draws at its top level, in each arm the same
    suite = discovery.load_suite(Path(request["file"])) if request["file"] else discovery.find_suite(request["suite"])
    loop = suite_loop(suite, settings["loop"])  # which may be in that file
    device = accelerator(settings["accelerator"], lightning="lightning" in loop.preload)
    device.prepare()
    torch.set_float32_matmul_precision(settings.get("matmul_precision", "highest"))
    mode = settings.get("compile", "off")
    kept = (Path(request["compile_cache"]), Path(request["temporary"])) if mode != "off" else None
    watch = compile_watch.CompileWatch(*kept) if kept else None
    if request.get("alone"):
        pin(request["cores"])
    padding = bytearray(request["padding"])  # held until the end: a layout of the arm's own, see bench.engine.launch
    torch.manual_seed(request["seed"])
    workload = complete_workload(suite.build(request["point"]), lightning="lightning" in loop.preload)
    initial = weights_digest(workload.model)
    size = counter(workload.samples)
    refuse_one_pass(workload.batches)
    audit = Audit(workload.model, device, watch)
    own_device = device.device(request.get("local_rank", request["rank"]))
    instruments = Instruments(workload, own_device, Job) if request.get("instrument") else None
    referee = Referee(workload, size, settings.get("strategy", "")) if request.get("judged") else None
    sampler = None
    if "stacks" in request:  # imported here: a timed arm has no profiler in it
        from bench.arm.stack_sampler import StackSampler

        sampler = StackSampler(request["stacks"]["interval"])
    gate = Gatekeeper(connection, audit, device, request.get("cores", []), instruments or sampler, referee)
    # Callbacks and profilers look at steps.
    looked_at = {"trace", "counts", "stacks"} & {*request}
    real_epochs = bool(request.get("real_epochs")) and instruments is None and not looked_at
    counts = None
    if "counts" in request:  # imported here: a timed arm has no counters in it
        from bench.arm.step_counts import StepCounter

        counts = StepCounter(request["counts"], compiled=mode != "off")
        size = counts.uncounted(size)
    stream = BatchStream(gate, device.synchronize if device.asynchronous else None, size, real_epochs=real_epochs)
    validation = ValidationCount(workload.validation, lambda: gate.began_steps and not gate.ended)
    notes: dict[str, Any] = {}
    name = str(request["point"].get("trainer", ""))
    own, beside = suite.trainers.get(name, {}), suite.build.__module__.rpartition(".")[0]
    trainer = made_arguments(name, request.get("trainer", {}), own, beside)
    if trainer.get("profiler") and looked_at:
        raise Unsupported(f"trainer={name}: profiler={trainer['profiler']}; what traces or counts cannot be beside it")

    def watched_stream(loader: Any) -> Batches:
        notes.update(loader_settings(loader))
        loader = as_trainers_see(loader)
        gate.epoch = batches_in(loader)
        if "trace" in request:  # imported here: a timed arm has no profiler in it
            from bench.arm.profile import TracedLoader

            loader = TracedLoader(loader, request["trace"], request["rank"])
        loader = loader if counts is None else counts.watch(loader)
        return stream(loader if instruments is None else instruments.watch(loader))

    job = Job(
        workload=replace(workload if instruments is None else instruments.workload, validation=validation.batches),
        stream=watched_stream,
        device=own_device,
        accelerator=device.lightning,
        precision=settings["precision"],
        devices=settings["devices"],
        num_nodes=settings.get("num_nodes", 1),
        dtype=PRECISIONS[settings["precision"]].dtype(),
        note=notes.update,
        strategy=settings.get("strategy", "single_device"),
        compile=mode,
        callbacks=() if instruments is None else instruments.callbacks,
        trainer=trainer,
        real_epochs=real_epochs,
        ending=stream.ending,
    )
    gate.began = perf_counter()
    if instruments is not None:
        instruments.begin()
    loop.run(job)
    if not gate.ended and real_epochs:
        raise Unsupported(
            f"turns are the loop's own epochs, and the loop {loop.name!r} ended by itself; it must go on to its next "
            "epoch until job.ending.over"
        )
    if not gate.ended:
        raise RuntimeError(
            f"the loop {loop.name!r} ended by itself after {gate.steps} steps; it must run as the stream does"
        )
    result = protocol.Result(
        ledger=ledger_of(
            gate,
            audit,
            workload.model,
            initial,
            declared=workload.samples if isinstance(workload.samples, int) else None,
            validation=(validation.declared, validation.taken),
            judged=() if referee is None else referee.losses,
        ),
        effective={
            "loop": loop.name,
            **per_node(effective_settings(audit, gate, device), settings.get("num_nodes", 1)),
            **notes,
            **({"set_callbacks": callback_names(trainer["callbacks"])} if trainer.get("callbacks") else {}),
            **({} if instruments is None else {"callbacks": instruments.names}),
        },
        memory=memory_of(start_memory, len(padding), device),
        instrumented=protocol.CallbackMetrics() if instruments is None else instruments.result(),
        counts=None if counts is None else counts.result(),
        stacks=None if sampler is None else sampler.result(),
    )
    if in_process_group():
        torch.distributed.destroy_process_group()
    return result


def per_node(effective: Mapping[str, Any], nodes: int) -> dict[str, Any]:
    """Effective settings with the devices of one node, where the ranks there are can be shared out among so many."""
    ranks = effective["devices"]
    shared = isinstance(ranks, int) and ranks % nodes == 0
    return {**effective, **({"devices": ranks // nodes, "num_nodes": nodes} if shared else {"num_nodes": 1})}


def _failure(error: BaseException) -> protocol.ArmFailure:
    text = exception_text(error)
    if isinstance(error, BenchError):  # what was asked for cannot be done here, or its data are not to be had
        return protocol.ArmFailure("unsupported", protocol.short_reason(text))
    named = device_words(f"{type(error).__name__}: {text}")[:300]
    if is_lightnings_refusal(error):
        return protocol.ArmFailure("unsupported", protocol.short_reason(f"Lightning refuses it: {named}"))
    if is_own_fault(error):
        ours = f"a fault of loopmark's own, not of the training: {text if isinstance(error, OwnFault) else named}"
        return protocol.ArmFailure("internal", protocol.short_reason(ours))
    own = "oom" if isinstance(error, MemoryError | torch.OutOfMemoryError) else device_outcome(text)
    return protocol.ArmFailure(own, protocol.short_reason(named))
