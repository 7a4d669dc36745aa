"""Device statistics against a libnvidia-ml that the test compiles: real names, real ABI, no GPU."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from watching import Attention, Batch, fit, hand_written, loader

from bench.callbacks import DeviceStats
from bench.errors import SpecError
from bench.machine.nvml import NVMLDevice, NVMLError, nvml_driver

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]  # Trainer advises a lot

UUID = "12345678-9abc-def0-1234-56789abcdef0"
SOURCE = Path(__file__).parent / "fake_nvml.c"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Compiles the library; each set of options once, as a library that is loaded is not loaded again."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler (cc, gcc, clang) to make a libnvidia-ml with")
    folder = tmp_path_factory.mktemp("nvml")

    def make(*options: str, uuid: str = f"GPU-{UUID}") -> str:
        path = folder / f"libnvidia-ml{''.join(options)}{uuid[:3]}.so.1"
        if not path.exists():
            command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", *options, f'-DUUID="{uuid}"', "-o", str(path)]
            subprocess.run([*command, str(SOURCE)], check=True, capture_output=True, text=True)
        return str(path)

    return make


def told(path: str, what: str) -> int:
    return int(getattr(ctypes.CDLL(path), what)())


class Ticking:
    """A clock that goes on by `seconds` whenever it is asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 100.0

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


@pytest.mark.parametrize("loop", ["trainer", "barebones", "plain"])
def test_what_the_driver_tells_becomes_metrics_in_si_units(loop: str, library: Callable[..., str]) -> None:
    path = library()
    stats = DeviceStats(uuid=UUID, library=path, clock=Ticking(0.5))
    if loop == "plain":
        hand_written([stats], 12)
    else:
        fit(Attention(), loader(12), stats, barebones=loop == "barebones")
    assert stats.samples == 12
    assert stats.metrics == {
        "device_utilization": 0.75,
        "device_clock": 1.41e9,
        "device_memory_clock": 1.593e9,
        "device_power": pytest.approx(250.5),
        "device_throttled": 0.5,  # power cap, and heat with power cap; neither idling nor clocks that somebody set
        "energy_per_step": pytest.approx(12 / 12),
    }
    assert set(stats.metrics) == {metric.name for metric in DeviceStats.METRICS}
    assert stats.reasons == {
        "power_cap": 0.5, "idle": 0.25, "hardware_thermal_slowdown": 0.25, "application_clocks": 0.25
    }  # fmt: skip
    assert stats.notes == ()
    assert told(path, "fake_started") == 0  # given back


@pytest.mark.parametrize(("tick", "expected"), [(0.001, 0), (0.01, 1), (0.125, 24), (0.3, 49), (0.5, 99), (2.0, 99)])
def test_never_more_than_two_samples_a_second(tick: float, expected: int, library: Callable[..., str]) -> None:
    """99 steps by a clock that is asked once a step: the sample is taken at the first step after half a second."""
    path, clock = library(), Ticking(tick)
    stats = DeviceStats(uuid=UUID, library=path, clock=clock)
    hand_written([stats], 99)
    assert stats.samples == expected
    assert stats.samples <= 2 * (clock.now - 100)
    assert told(path, "fake_calls") == 5 * expected + 2  # utilisation, two clocks, power, reasons; energy at the ends
    if not expected:
        assert stats.notes == ("no sample: training ended within 0.5 s",)


def test_sampling_more_often_is_refused() -> None:
    for every in (0.49, 0.0, -1.0, float("nan")):
        with pytest.raises(SpecError, match=r"allowed: 0\.5 or more seconds"):
            DeviceStats(every=every)


def test_the_energy_of_validation_is_left_out(library: Callable[..., str]) -> None:
    stats = DeviceStats(uuid=UUID, library=library(), clock=Ticking(0.1))
    fit(Attention(), loader(12), stats, validation=loader(1), val_check_interval=6)
    # Each reading of the counter is 12 J more: three stretches of training, of which the last is after validation.
    assert stats.metrics["energy_per_step"] == pytest.approx(3 * 12 / 12)


def test_one_quantity_that_fails_does_not_take_the_others_along(library: Callable[..., str]) -> None:
    stats = DeviceStats(uuid=UUID, library=library("-DNO_POWER"), clock=Ticking(0.5))
    fit(Attention(), loader(4), stats)
    assert set(stats.metrics) == {metric.name for metric in DeviceStats.METRICS} - {"device_power"}
    assert stats.notes == ("device_power: nvmlDeviceGetPowerUsage: Not Supported (NVML error 3)",)


def test_an_older_driver_has_the_reasons_by_their_former_name(library: Callable[..., str]) -> None:
    stats = DeviceStats(uuid=UUID, library=library("-DOLD"), clock=Ticking(0.5))
    fit(Attention(), loader(4), stats)
    assert stats.metrics["device_throttled"] == 0.5
    assert stats.notes == ()


def test_a_part_of_a_device_is_found_by_its_own_uuid(library: Callable[..., str]) -> None:
    device = NVMLDevice(UUID, nvml_driver(library(uuid=f"MIG-{UUID}")))
    assert device.power() == pytest.approx(250.5)
    device.close()


def nothing_there(library: Callable[..., str]) -> Iterator[tuple[DeviceStats, str]]:
    yield DeviceStats(), "NVML knows NVIDIA's devices, and this module is on cpu"
    yield DeviceStats(uuid=UUID, library="libnothing-ml.so.1"), "libnothing-ml.so.1 cannot be loaded"
    yield DeviceStats(uuid=UUID, library=library("-DNO_DRIVER")), "nvmlInit: Driver Not Loaded (NVML error 9)"
    other = DeviceStats(uuid="GPU-0", library=library())
    yield other, "nvmlDeviceGetHandleByUUID: Not Found (NVML error 6)"


def test_without_nvml_there_are_no_values_and_one_says_why(library: Callable[..., str]) -> None:
    for stats, why in nothing_there(library):
        fit(Attention(), loader(4), stats)
        assert stats.metrics == {}
        assert stats.reasons == {}
        assert len(stats.notes) == 1
        assert why in stats.notes[0]
    assert told(library(), "fake_started") == 0  # given back although the device was not found


def test_a_function_that_a_library_lacks_is_named(tmp_path: Path) -> None:
    import ctypes.util

    libm = ctypes.util.find_library("m")
    if libm is None:
        pytest.skip("no libm to take for a libnvidia-ml")
    with pytest.raises(NVMLError, match="nvmlInit: this driver's library has no such function"):
        NVMLDevice(UUID, nvml_driver(libm))


def test_after_an_exception_the_library_is_given_back_and_there_is_no_energy(library: Callable[..., str]) -> None:
    class Fails(Attention):
        def training_step(self, batch: Batch, index: int) -> torch.Tensor:
            if index == 2:
                raise ZeroDivisionError("in the step")
            return super().training_step(batch, index)

    path = library()
    stats = DeviceStats(uuid=UUID, library=path, clock=Ticking(0.5))
    with pytest.raises(ZeroDivisionError):
        fit(Fails(), loader(4), stats)
    assert stats.metrics["device_clock"] == 1.41e9
    assert "energy_per_step" not in stats.metrics
    assert "energy_per_step: training ended with an exception" in stats.notes
    assert told(path, "fake_started") == 0


def test_a_second_fit_begins_anew(library: Callable[..., str]) -> None:
    stats = DeviceStats(uuid=UUID, library=library(), clock=Ticking(0.5))
    for _ in range(2):
        fit(Attention(), loader(4), stats)
        assert stats.samples == 4
        assert stats.metrics["energy_per_step"] == pytest.approx(12 / 4)


class Ahead:
    """An accelerator that runs ahead, and counts how often it is waited for."""

    asynchronous = True

    def __init__(self) -> None:
        self.waits = 0

    def synchronize(self) -> None:
        self.waits += 1


def test_the_device_is_waited_for_at_the_ends_only(
    library: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    device: Any = Ahead()
    monkeypatch.setattr("bench.callbacks.device_stats.accelerator_of", lambda module: device)
    fit(Attention(), loader(20), DeviceStats(uuid=UUID, library=library(), clock=Ticking(0.5)))
    assert device.waits == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: NVML's real library was not asked")
def test_a_real_device() -> None:
    stats = DeviceStats()
    fit(Attention(forward_sleep=0.05), loader(60), stats, accelerator="cuda", devices=1)
    assert stats.metrics["device_clock"] > 1e8
    assert 0 <= stats.metrics["device_utilization"] <= 1
    assert stats.metrics["energy_per_step"] > 0
