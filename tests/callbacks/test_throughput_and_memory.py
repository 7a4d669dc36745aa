"""Throughput and peak memory, against a stopwatch, real allocations, real workers and two real ranks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader
from watching import (
    MIB,
    Attention,
    Batch,
    Sequences,
    Stopwatch,
    fit,
    hand_written,
    loader,
)

from bench.callbacks import PeakMemory, Throughput
from bench.callbacks.peak_memory import children_resident

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]  # Trainer advises a lot


@pytest.mark.parametrize("loop", ["trainer", "barebones", "plain"])
def test_throughput_agrees_with_a_stopwatch(loop: str) -> None:
    throughput, watch = Throughput(window=5), Stopwatch()
    if loop == "plain":
        hand_written([throughput, watch], batches=20, forward_sleep=0.02)
    else:
        fit(Attention(0.02), loader(20), throughput, watch, barebones=loop == "barebones")
    seconds = watch.per_step(skip=5)
    assert throughput.metrics["steps_per_second"] == pytest.approx(1 / seconds, rel=0.1)
    assert throughput.metrics["samples_per_second"] == pytest.approx(4 / seconds, rel=0.1)
    assert throughput.metrics["samples_per_second_global"] == pytest.approx(throughput.metrics["samples_per_second"])


def test_samples_are_counted_from_the_batches() -> None:
    throughput = Throughput(window=2)
    data: DataLoader[Batch] = DataLoader(Sequences(22), batch_size=4)  # five batches of 4 and one of 2
    fit(Attention(), data, throughput)
    assert [window.samples for window in throughput.windows] == [8, 8, 6]
    assert [window.warmup for window in throughput.windows] == [True, False, False]


def test_the_first_window_is_kept_apart() -> None:
    class SlowStart(Attention):
        def training_step(self, batch: Batch, index: int) -> torch.Tensor:
            time.sleep(0.3 if index == 0 else 0.0)
            return super().training_step(batch, index)

    throughput = Throughput(window=5)
    fit(SlowStart(0.005), loader(20), throughput)
    assert throughput.windows[0].seconds > 0.3
    assert throughput.metrics["steps_per_second_warmup"] < 0.7 * throughput.metrics["steps_per_second"]


def test_a_run_of_one_window_has_only_the_figures_of_the_warmup() -> None:
    throughput = Throughput(window=50)
    fit(Attention(), loader(4), throughput)
    assert set(throughput.metrics) == {"samples_per_second_warmup", "steps_per_second_warmup"}
    assert [window.steps for window in throughput.windows] == [4]


def test_validation_is_not_in_the_windows() -> None:
    class Clock(Callback):
        training = validation = 0.0

        def on_train_start(self, *args: Any) -> None:
            self.training -= time.perf_counter()

        def on_train_end(self, *args: Any) -> None:
            self.training += time.perf_counter()

        def on_validation_start(self, trainer: Trainer, *args: Any) -> None:
            self.validation -= 0 if trainer.sanity_checking else time.perf_counter()

        def on_validation_end(self, trainer: Trainer, *args: Any) -> None:
            self.validation += 0 if trainer.sanity_checking else time.perf_counter()

    throughput, clock = Throughput(window=4), Clock()
    fit(Attention(0.01), loader(22), throughput, clock, validation=loader(4), val_check_interval=6)  # 4 x 50 ms a time
    seconds = sum(window.seconds for window in throughput.windows)
    assert sum(window.steps for window in throughput.windows) == 22
    assert clock.validation > 0.6
    assert 0.22 < seconds < clock.training - clock.validation + 0.01


class Counting:
    """An accelerator that runs ahead, and counts how often it is waited for."""

    asynchronous = True

    def __init__(self) -> None:
        self.waits = 0

    def synchronize(self) -> None:
        self.waits += 1


def test_the_device_is_waited_for_at_the_edges_of_windows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Counting()
    monkeypatch.setattr("bench.callbacks.throughput.accelerator_of", lambda module: device)
    fit(Attention(), loader(40), Throughput(window=10))
    assert device.waits == 1 + 4 + 1  # the start, four windows, the end of the epoch


def test_throughput_logs_at_the_end_of_each_window(tmp_path: Path) -> None:
    throughput = Throughput(window=5)
    fit(Attention(), loader(20), throughput, logger=CSVLogger(tmp_path), log_every_n_steps=1000)
    (written,) = tmp_path.rglob("metrics.csv")
    header, *rows = written.read_text().splitlines()
    assert "samples_per_second_window" in header
    assert len(rows) == 4


# Rank 1 takes batches of twice the size, so that twice what one rank does is not what both do.
RANKS = """
import os, sys
import torch.distributed
sys.path[:0] = [{root!r}, {tests!r}, {tests!r} + "/callbacks"]
from test_callbacks import Attention, fit, loader
from bench.callbacks import Throughput
throughput = Throughput(window=4)
fit(Attention(0.01), loader(24, size=4 + 4 * int(os.environ["RANK"])), throughput, devices=2, strategy="ddp")
assert torch.distributed.get_world_size() == 2
print("RATES", throughput.metrics["samples_per_second"], throughput.metrics["samples_per_second_global"], flush=True)
torch.distributed.barrier()
torch.distributed.destroy_process_group()  # else a thread of gloo's may abort a rank that exits
"""


def test_global_throughput_is_gathered_from_the_ranks_and_not_extrapolated(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "ranks.py"
    script.write_text(RANKS.format(root=str(ROOT), tests=str(ROOT / "tests")))
    common = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "test",
        "OMP_NUM_THREADS": "1",
    }
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        told = [process.communicate(timeout=150) for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    assert [process.returncode for process in ranks] == [0, 0], told
    rates = [[float(rate) for rate in out.split("RATES")[1].split()[:2]] for out, _ in told]
    assert rates[0][1] == pytest.approx(rates[0][0] + rates[1][0], rel=1e-4)
    assert rates[0][1] == pytest.approx(rates[1][1])
    assert rates[1][0] == pytest.approx(2 * rates[0][0], rel=0.2)


@pytest.mark.parametrize("loop", ["trainer", "barebones"])
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "passing"])
def test_an_allocation_shows_in_host_growth(loop: str, keep: bool) -> None:
    fit(Attention(), loader(2))  # what the first fit of a process loads is not this allocation
    memory = PeakMemory()
    fit(Attention(allocate=64 * MIB, keep=keep), loader(4), memory, barebones=loop == "barebones")
    lag = 0 if keep else MIB  # of the kernel's counters, see PeakMemory
    assert 64 * MIB - lag <= memory.metrics["peak_memory_host_growth"] < 128 * MIB


def test_a_peak_from_before_the_fit_does_not_show() -> None:
    fit(Attention(), loader(2))
    torch.ones(256 * MIB, dtype=torch.uint8)
    memory = PeakMemory()
    fit(Attention(), loader(4), memory)
    assert memory.metrics["peak_memory_host_growth"] < 64 * MIB


def test_the_memory_of_loader_workers_is_sampled() -> None:
    before = children_resident()
    without, with_workers = PeakMemory(every=1), PeakMemory(every=1)
    fit(Attention(), loader(4), without)
    fit(Attention(), loader(8, sleep=0.01, num_workers=2), with_workers)
    assert without.metrics["peak_memory_workers"] <= before + MIB
    assert with_workers.metrics["peak_memory_workers"] > before + 20 * MIB
    metrics = with_workers.metrics
    assert metrics["peak_memory_host_all"] == metrics["peak_memory_host_growth"] + metrics["peak_memory_workers"]


def test_the_cpu_has_no_device_memory_of_its_own() -> None:
    memory = PeakMemory()
    fit(Attention(), loader(2), memory)
    assert not [name for name in memory.metrics if "device" in name]


def test_memory_is_told_after_an_exception() -> None:
    class Fails(Attention):
        def training_step(self, batch: Batch, index: int) -> torch.Tensor:
            self.loss(batch)
            raise MemoryError("no more")

    memory = PeakMemory()
    with pytest.raises(MemoryError, match="no more"):
        fit(Fails(allocate=64 * MIB), loader(4), memory)
    assert memory.metrics["peak_memory_host_growth"] >= 63 * MIB
