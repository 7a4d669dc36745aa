"""Words of devices, libraries and ranks that wait in vain: which outcome an arm has, and what its reason says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.arm.cuda_graphs import cuda_graphs, recorded_graphs
from bench.arm.device_faults import device_outcome, device_words
from bench.axes.accelerators import accelerator
from bench.axes.accelerators.cuda import visible_devices
from bench.engine.arm_request import downgrades, requested_settings
from bench.engine.losses import ended_process
from bench.engine.merge_ranks import blame
from bench.machine.cores import layout
from bench.plan.cell import Cell
from bench.protocol import NOT_SEEN

# As torch 2.13 writes them (c10/cuda/CUDAException.cpp, ProcessGroupNCCL.cpp, gloo, c10d's store).
ASSERTION = (
    "AcceleratorError: CUDA error: device-side assert triggered\n"
    "Search for `cudaErrorAssert' in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html\n"
    "CUDA kernel errors might be asynchronously reported at some other API call.\n"
)
WATCHDOG = (
    "[rank1]:[E1126 16:00:00.1 ProcessGroupNCCL.cpp:683] [Rank 1] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=17, OpType=ALLREDUCE, NumelIn=1024, NumelOut=1024, Timeout(ms)=600000) ran for 600029 "
    "milliseconds before timing out.\n"
    "terminate called after throwing an instance of 'c10::DistBackendError'\n"
)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.11 GiB", "oom"),
        ("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in ...", "oom"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "oom"),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "oom"),
        ("NCCL error: unhandled cuda error, Last error: Cuda failure 2 'out of memory'", "oom"),
        ("MPS backend out of memory (MPS allocated: 18.1 GB, max allowed: 18.13 GB)", "oom"),
        ("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate", "oom"),
        (WATCHDOG, "timeout"),
        ("[../third_party/gloo/gloo/transport/tcp/unbound_buffer.cc] Timed out waiting 1800000ms for recv operation to "
         "complete", "timeout"),
        ("wait timeout after 300000ms, keys: /default_pg/0//cuda//0", "timeout"),
        (ASSERTION, "crashed"),
        ("CUDA error: unspecified launch failure", "crashed"),
        ("CUDA error: an illegal memory access was encountered", "crashed"),
        ("CUDA error: operation not permitted\nSearch for `cudaErrorNotPermitted' in ...", "crashed"),
        ("the request timed out; the user's own download", "crashed"),
    ],
)  # fmt: skip
def test_the_outcome_by_the_words(text: str, outcome: str) -> None:
    assert device_outcome(text) == outcome


def test_the_reason_has_cudas_name_of_the_error() -> None:
    assert device_words(ASSERTION) == "AcceleratorError: CUDA error: device-side assert triggered (cudaErrorAssert)"
    assert device_words("ValueError: no\nmore") == "ValueError: no"
    assert device_words("") == ""


def test_a_rank_that_nccls_watchdog_ended_timed_out_and_is_named(tmp_path: Path) -> None:
    log = tmp_path / "arm-rank1.log"
    log.write_text(f"before\n{WATCHDOG}Fatal Python error: Aborted\n")
    loss = ended_process(-6, log, out_of_memory=False)
    assert loss.outcome == "timeout"
    assert loss.reason == "waited 600 s for the others in ALLREDUCE, its collective 17: nccl's watchdog ended it"
    assert blame({1: (loss.outcome, loss.reason)}, 2) == ("timeout", f"rank 1 of 2: {loss.reason}")
    # Another rank that failed says more than one that waited for it.
    assert blame({0: ("crashed", "ValueError: no"), 1: (loss.outcome, loss.reason)}, 2)[0] == "crashed"
    log.write_text("Fatal Python error: Aborted\n")
    assert ended_process(-6, log, out_of_memory=False).outcome == "crashed"


@pytest.mark.parametrize(
    ("named", "there", "seen"),
    [
        (None, 4, 4),
        ("0,1", 4, 2),
        ("2", 4, 1),
        ("", 4, 0),
        ("-1", 4, 0),
        ("0,-1,1", 4, 1),  # up to the first that is none
        ("0,7,1", 4, 1),
        ("1,1", 4, 0),
        ("NoDevFiles", 4, 0),
        (" 0 , 1 ", 2, 2),
        ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,1", 4, 2),
        ("MIG-1,MIG-2", 4, 1),  # a process gets one part
    ],
)
def test_devices_are_counted_as_cuda_counts_them(named: str | None, there: int, seen: int) -> None:
    assert visible_devices(named, there) == seen


def test_variables_that_hide_every_device_are_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.axes.accelerators.cuda._devices_there", lambda: 2)
    cuda = accelerator("cuda")
    assert cuda.unavailable() is None
    assert cuda.too_many(2, 1) is None
    assert cuda.too_many(3, 1) == "devices=3: there are fewer cuda devices; allowed: 1 to 2"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert cuda.unavailable() == "CUDA_VISIBLE_DEVICES='-1' hides every CUDA device"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert cuda.unavailable() is None
    assert cuda.too_many(2, 1) == "devices=2: there are fewer cuda devices; allowed: 1 to 1"
    monkeypatch.setattr("bench.axes.accelerators.cuda._devices_there", lambda: 0)
    assert "no NVIDIA device on this machine" in str(cuda.unavailable())


GRAPHS = {"triton.cudagraphs": True}


@pytest.mark.parametrize(
    ("options", "skips", "recorded", "reasons", "said"),
    [
        (None, 0, 0, (), "off"),
        ({"max_autotune": True}, 0, 3, (), "off"),
        (GRAPHS, 0, 2, (), "yes"),
        (GRAPHS, 0, 0, (), "no: inductor recorded none"),
        (GRAPHS, 0, None, (), NOT_SEEN),
        (GRAPHS, 1, 0, ("", "skipping cudagraphs due to cpu device (arg0_1)\nFound from"), "no: cpu device (arg0_1)"),
        (GRAPHS, 1, 2, ("skipping cudagraphs due to mutated inputs (1 instances)",) * 2,
         "in part: mutated inputs (1 instances)"),
        (GRAPHS, 2, None, (), "no"),
    ],
)  # fmt: skip
def test_graphs_that_were_left_out_are_not_called_graphs(
    options: dict[str, bool] | None, skips: int, recorded: int | None, reasons: tuple[str, ...], said: str
) -> None:
    assert cuda_graphs(options, skips, recorded, reasons) == said


def test_a_mode_whose_graphs_were_left_out_is_downgraded() -> None:
    point = {"loop": "plain", "accelerator": "cuda", "precision": "32-true", "matmul_precision": "highest"}
    point |= {"devices": "1", "compile": "reduce-overhead"}
    cell = Cell("c", "s", "g", point, twin=False, baseline="c")
    asked = requested_settings(cell, layout(1), 1)
    assert asked["cuda_graphs"] == "yes"
    told = downgrades({"cuda_graphs": "yes"}, {"cuda_graphs": "no: cpu device (arg0_1)"})
    assert told == "cuda_graphs: asked for yes, got no: cpu device (arg0_1)"
    for accelerator_name, mode in (("cuda", "default"), ("cuda", "off"), ("cpu", "max-autotune")):
        other = Cell(
            "c", "s", "g", {**point, "accelerator": accelerator_name, "compile": mode}, twin=False, baseline="c"
        )
        assert "cuda_graphs" not in requested_settings(other, layout(1), 1)


def test_where_inductor_has_no_trees_none_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    import itertools
    import sys
    from types import SimpleNamespace

    name = "torch._inductor.cudagraph_trees"
    monkeypatch.setitem(sys.modules, name, None)
    assert recorded_graphs() == 0
    managers = [
        SimpleNamespace(tree_manager=SimpleNamespace(graph_counter=itertools.count(number))) for number in (2, 3)
    ]
    containers = dict(enumerate([*managers, SimpleNamespace(tree_manager=None)]))
    trees = SimpleNamespace(local=None, get_obj=lambda local, name: containers)
    monkeypatch.setitem(sys.modules, name, trees)
    assert recorded_graphs() == 5
    monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    assert recorded_graphs() is None
