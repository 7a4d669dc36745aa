"""Ceilings: found on a machine whose speed is known; where they are kept; the command that measures them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from bench.axes.accelerators import accelerator
from bench.errors import RunError, SpecError, Unsupported
from bench.machine import calibrate, calibration, environment
from bench.machine.calibrate import Cannot, CeilingSearch, Kernel, measure_ceiling
from bench.machine.calibration import Calibration, Ceiling, fingerprint
from bench.report import calibration as calibration_report


class Machine:
    """Does work by a clock of its own, at a rate that depends on the size; slower now and then, as machines are."""

    def __init__(self, rates: dict[int, float], slow: Callable[[int], bool] = lambda call: False) -> None:
        self.rates = rates
        self.slow = slow
        self.now = 0.0
        self.calls = 0
        self.prepared: list[int] = []

    def clock(self) -> float:
        return self.now

    def prepare(self, size: int) -> Kernel:
        self.prepared.append(size)
        work = float(size) ** 3

        def run(times: int) -> None:
            self.calls += 1
            self.now += times * work / self.rates[size] * (2.0 if self.slow(self.calls) else 1.0)

        return Kernel(run, work)

    def measure(self, seconds: float = 1000.0, share: float = 1.0, **options: Any) -> Ceiling:
        job = CeilingSearch("matmul_float32", "FLOP/s", tuple(self.rates), self.prepare, **options)
        return measure_ceiling(job, seconds, self.clock, lambda: share * self.now)


RISING = {64: 1e8, 128: 3e8, 256: 5e8, 512: 5.1e8, 1024: 5e8, 2048: 4.9e8}


def test_sizes_grow_until_the_rate_stops_rising() -> None:
    machine = Machine(RISING)
    found = machine.measure()
    assert machine.prepared == [64, 128, 256, 512, 1024, 2048]
    assert found.settled
    assert found.reason == ""
    assert found.size == 512  # the best, although it was no rise
    assert found.value == found.low == pytest.approx(5.1e8)
    fewer = Machine(RISING)
    assert fewer.measure(stale=1).size == 512
    assert fewer.prepared == [64, 128, 256, 512]


def test_the_best_repeat_counts_and_the_spread_is_kept() -> None:
    machine = Machine(RISING, slow=lambda call: call % 2 == 0)
    found = machine.measure()
    assert found.value == pytest.approx(5.1e8)
    assert found.low == pytest.approx(5.1e8 / 2, rel=0.01)
    assert found.repeats >= 3


def test_a_rate_that_still_rises_when_sizes_or_time_are_up_has_not_settled() -> None:
    ever = {size: float(size) * 1e6 for size in (64, 128, 256, 512)}
    found = Machine(ever).measure()
    assert not found.settled
    assert "memory allows no size above 512" in found.reason
    machine = Machine(RISING)
    hasty = machine.measure(seconds=0.5)
    assert not hasty.settled
    assert "no time for size" in hasty.reason
    assert hasty.value == pytest.approx(RISING[hasty.size])
    assert machine.now < 3  # beyond its time by what three repeats need at least


def test_a_ceiling_of_a_processor_that_others_use_has_not_settled() -> None:
    assert Machine(RISING).measure(share=0.95, processors=1).settled
    assert Machine(RISING).measure(share=1.9, processors=2).settled
    for share, processors in ((0.6, 1), (1.2, 2)):
        shared = Machine(RISING).measure(share=share, processors=processors)
        assert not shared.settled
        assert shared.reason == "other processes took 40% of the processor even from the best repeat"
    assert Machine(RISING).measure(share=0.01).settled  # a device does it, and the host waits


def test_a_size_that_would_take_too_long_is_not_begun() -> None:
    slow = {64: 1e6, 128: 1e6, 256: 1e6, 512: 1e6}  # as half precision is where no instruction does it
    machine = Machine(slow)
    machine.measure(seconds=4.0)
    assert machine.now < 16  # 512 alone would take 134 s
    assert 512 not in machine.prepared


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotImplementedError("no Half here"), "NotImplementedError: no Half here"),
        (TypeError("MPS has no float64\nmore"), "TypeError: MPS has no float64"),
        (Cannot("compute capability below 8.0 has no TF32"), "compute capability below 8.0 has no TF32"),
    ],
)
def test_what_the_machine_cannot_do_has_a_reason_and_no_figure(error: Exception, reason: str) -> None:
    def prepare(size: int) -> Kernel:
        raise error

    found = measure_ceiling(CeilingSearch("matmul_float16", "FLOP/s", (64, 128), prepare), 1.0)
    assert (found.value, found.low, found.settled, found.reason) == (None, None, False, reason)


def test_a_size_that_does_not_fit_ends_the_growth() -> None:
    machine = Machine({64: 1e8, 128: 4e8, 256: 8e8})

    def prepare(size: int) -> Kernel:
        if size > 128:
            raise RuntimeError("CUDA out of memory")
        return machine.prepare(size)

    found = measure_ceiling(CeilingSearch("matmul_float16", "FLOP/s", (64, 128, 256), prepare), 100.0, machine.clock)
    assert found.value == pytest.approx(4e8)
    assert not found.settled
    assert "size 256 could not be done" in found.reason
    assert "out of memory" in found.reason


def test_no_size_at_all_is_said() -> None:
    assert (
        "not enough free memory"
        in measure_ceiling(CeilingSearch("copy", "bytes/s", (), Machine({}).prepare), 1.0).reason
    )


def test_kernels_do_the_work_they_say_in_the_dtype_they_say() -> None:
    import torch

    here = accelerator("cpu")
    made = {job.name: job for job in calibrate.jobs(here, torch.device("cpu"))}
    assert list(made) == [f"matmul_{name}" for name in calibrate.DTYPES] + ["copy"]
    from torch.utils._python_dispatch import TorchDispatchMode

    class Seen(TorchDispatchMode):
        products: list[tuple[str, ...]]

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten.mm.out:
                self.products.append((str(args[0].dtype), str(args[1].dtype), str(kwargs["out"].dtype)))
            return func(*args, **(kwargs or {}))

    for name in calibrate.DTYPES:
        kernel = made[f"matmul_{name}"].prepare(16)
        with Seen() as seen:
            seen.products = []
            kernel.run(3)
        assert seen.products == 3 * [(f"torch.{name}",) * 3]
        assert kernel.work == 2 * 16**3
    assert made["copy"].prepare(1024).work == 2048  # read and written


def test_a_copy_goes_through_memory_and_not_through_the_cache() -> None:
    import torch

    (copy,) = [job for job in calibrate.jobs(accelerator("cpu"), torch.device("cpu")) if job.name == "copy"]
    assert all(size >= max(calibrate.SMALLEST_COPY, calibrate.last_cache()) for size in copy.sizes)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "loopmark" / "calibrations"


def made(threads: int = 1, **changed: Any) -> Calibration:
    ceiling = Ceiling("matmul_float32", "FLOP/s", 2e11, 1.9e11, 5, 1024, True)
    missing = Ceiling("matmul_float16", "FLOP/s", reason="not here")
    values = {**fingerprint("cpu", "", threads), **changed}
    return Calibration(values, (ceiling, missing), "2026-11-23T00:00:00+00:00", 20.0, 0.1, (1,))


def test_a_calibration_that_was_kept_is_found_again(home: Path) -> None:
    wanted = fingerprint("cpu", "", 1)
    assert calibration.find_calibration(wanted) == (
        None,
        "no calibration of this environment; `bench env --calibrate --threads 1` makes one",
    )
    path = calibration.save_calibration(made())
    assert path.parent == home
    assert calibration.find_calibration(wanted) == (made(), "")
    newer = replace(made(), seconds=30.0)
    calibration.save_calibration(newer)
    assert calibration.find_calibration(wanted) == (newer, "")
    assert list(home.iterdir()) == [path]


def test_that_of_another_environment_is_not_used_and_one_says_why(home: Path) -> None:
    calibration.save_calibration(made(threads=2))
    calibration.save_calibration(made(threads=4, torch="2.0.0"))
    found, why = calibration.find_calibration(fingerprint("cpu", "", 1))
    assert found is None
    assert "--threads 1` makes one" in why
    assert "is not used: the calibration is of another environment (threads: 2 there, 1 here)" in why  # the nearest


def test_a_calibration_moved_to_another_environments_name_is_refused(home: Path) -> None:
    path = calibration.save_calibration(made())
    path.write_text(path.read_text().replace(environment.cpu(), "Another processor"))
    found, why = calibration.find_calibration(fingerprint("cpu", "", 1))
    assert found is None
    assert "device: 'Another processor' there" in why


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 99}', '{"schema": 1, "ceilings": [{}], "cores": []}', "[1"])
def test_a_file_that_is_no_calibration_is_a_reason_and_not_a_crash(home: Path, text: str) -> None:
    calibration.save_calibration(made()).write_text(text)
    found, why = calibration.find_calibration(fingerprint("cpu", "", 1))
    assert found is None
    assert "not readable as a calibration" in why


def test_threads_matter_on_the_cpu_only() -> None:
    assert fingerprint("cpu", "", 1) != fingerprint("cpu", "", 2)
    assert fingerprint("cuda", "NVIDIA H100", 1) == fingerprint("cuda", "NVIDIA H100", 2)
    assert fingerprint("cuda", "NVIDIA H100", 1) != fingerprint("cuda", "NVIDIA H200", 1)


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert calibration.calibrations_folder() == Path.home() / ".cache" / "loopmark" / "calibrations"


def test_a_home_that_cannot_be_written_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loopmark").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RunError, match="cannot be written"):
        calibration.save_calibration(made())


def test_more_threads_than_cores_are_refused() -> None:
    with pytest.raises(SpecError, match=r"--threads 9999: allowed: 1 to \d+"):
        calibrate.calibrate("cpu", 9999)


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(accelerator("cuda").unavailable() is None, reason="there is a CUDA device here")
def test_a_device_that_torch_does_not_find_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="finds no CUDA device"):
        calibrate.calibrate("cuda", 1, 1.0)


CALIBRATING = """
import sys
from bench import cli
try: cli.main(["env", "--calibrate", "--budget", "1s", "--format", "json"])
finally: print("IMPORTED", *{"torch", "numpy", "pandas"} & set(sys.modules), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The command, and where it keeps what it measured: once, as it imports torch."""
    cache = tmp_path_factory.mktemp("cache")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-c", CALIBRATING]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done, cache


def test_the_command_measures_prints_and_keeps(
    measured: tuple[subprocess.CompletedProcess[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    done, cache = measured
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (shown,) = [one for one in json.loads(done.stdout)["calibrations"] if one["environment"]["accelerator"] == "cpu"]
    names = [ceiling["name"] for ceiling in shown["ceilings"]]
    assert names == ["matmul_float32", "matmul_bfloat16", "matmul_float16", "matmul_float64", "copy"]
    assert all(ceiling["value"] or ceiling["reason"] for ceiling in shown["ceilings"])
    assert all(ceiling["value"] > 0 for ceiling in shown["ceilings"] if ceiling["name"] == "matmul_float32")
    if hasattr(os, "sched_getaffinity"):
        assert len(shown["cores"]) == 1
    kept, why = calibration.find_calibration(fingerprint("cpu", "", 1))
    assert kept is not None, why
    assert [ceiling.value for ceiling in kept.ceilings] == [ceiling["value"] for ceiling in shown["ceilings"]]
    text = calibration_report.table(kept)
    assert "matmul_float32" in text
    assert "FLOP/s" in text
    assert "nan" not in text.lower()


def test_the_table_tells_reasons_and_what_had_not_settled() -> None:
    hasty = Ceiling("matmul_bfloat16", "FLOP/s", 1.234e12, 1.2e12, 3, 512, False, "no time for size 768")
    memory = Ceiling("copy", "bytes/s", 13.4e9, 12e9, 5, 2**26, True)
    text = calibration_report.table(replace(made(), ceilings=(*made().ceilings, hasty, memory)))
    assert "200 GFLOP/s  (5.0% below it at worst in 5 repeats, 1024 x 1024)" in text
    assert "matmul_float16    no figure: not here" in text
    assert "1.23 TFLOP/s" in text
    assert "NOT SETTLED: no time for size 768" in text
    assert "13.4 GB/s" in text
    assert "64.0 MiB" in text


@pytest.mark.usefixtures("processes")
def test_a_process_that_fails_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RunError, match="calibration of cpu ended with 1"):
        calibrate.calibrate("cpu", 1, 1.0)


def test_measuring_leaves_the_parent_without_torch(
    measured: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, cache = measured
    assert "IMPORTED\n" in done.stderr
    assert list((cache / "loopmark" / "calibrations").iterdir())
