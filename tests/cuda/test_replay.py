"""The replayed driver is what nvidia-ml-py is: names, arguments, values and errors; and what it plays is marked."""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path

import pytest

from bench.machine.meters import MeterError, RAPLMeter, open_meter
from bench.machine.nvml import NVMLDevice, NVMLError, nvml_driver
from bench.machine.nvml_library import NVMLLibrary

from .replay import DOCUMENTED, RECORDED, RECORDINGS, WORDS, Recording, Replay
from .replay import NVMLError as ReplayedError
from .virtual import UUID, VirtualClock

ASKED = sorted(name for name in vars(NVMLLibrary) if name.startswith("nvml"))


def test_the_replay_and_the_library_have_every_function_that_is_asked_with_the_same_arguments() -> None:
    assert len(ASKED) > 15
    for name in ASKED:
        replayed, library = (inspect.signature(getattr(kind, name)) for kind in (Replay, NVMLLibrary))
        assert len(replayed.parameters) == len(library.parameters), name


@pytest.mark.skipif(importlib.util.find_spec("pynvml") is None, reason="nvidia-ml-py is not installed")
def test_nvidias_own_package_has_them_too_and_its_errors_are_of_the_same_shape() -> None:
    import pynvml

    for name in ASKED:
        own = inspect.signature(getattr(pynvml, name))
        assert len(own.parameters) == len(inspect.signature(getattr(Replay, name)).parameters) - 1, name
    for code in WORDS:
        real, replayed = pynvml.NVMLError(code), ReplayedError(code)
        assert (real.value, type(real).__name__) == (replayed.value, type(replayed).__name__)
        assert str(real) == str(replayed)
        assert isinstance(replayed, ReplayedError)


def test_what_was_written_from_documentation_says_so() -> None:
    paths = sorted(RECORDINGS.glob("*.json"))
    assert len(paths) >= 8
    for path in paths:
        data = json.loads(path.read_text(encoding="utf-8"))
        assert data["source"] in (RECORDED, DOCUMENTED)
        assert data["about"], path.name
        if data["source"] == RECORDED:
            assert data["driver"], path.name
            assert data["recorded"], path.name
        Recording(data, path.name)


@pytest.mark.parametrize(
    "change", [{"source": "somewhere"}, {"devices": [{"answers": {"nvmlDeviceGetFanSpeed": []}}]}], ids=str
)
def test_what_is_no_recording_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        Recording({**Recording.named("steady").data, **change})


def test_a_counter_moves_in_steps_and_by_its_rate() -> None:
    clock = VirtualClock()
    driver = Replay(Recording.named("steady"), clock)
    device = NVMLDevice(UUID, driver)
    began = device.energy()
    clock.sleep(0.05)
    assert device.energy() == began
    clock.sleep(10.0)
    assert device.energy() - began == pytest.approx(1000.0)
    assert device.name() == "NVIDIA H100 80GB HBM3"
    device.close()
    with pytest.raises(NVMLError, match=r"nvmlDeviceGetPowerUsage: Uninitialized \(NVML error 1\)"):
        device.power()


def test_xids_come_once_each_and_where_events_are_not_told_there_are_none() -> None:
    clock = VirtualClock()
    device = NVMLDevice(UUID, Replay(Recording.named("lost"), clock))
    device.heed_faults()
    assert device.faults() == []
    clock.sleep(6.0)
    assert device.faults() == [79]
    assert device.faults() == []
    with pytest.raises(NVMLError, match="GPU is lost") as lost:
        device.power()
    assert lost.value.code == 15
    part = NVMLDevice("MIG-66666666-7777-8888-9999-000000000000", Replay(Recording.named("mig"), clock))
    assert part.part
    with pytest.raises(NVMLError, match="Not Supported"):
        part.heed_faults()


def test_an_old_package_without_a_function_says_which() -> None:
    class Old:
        NVMLError = ReplayedError

    with pytest.raises(NVMLError, match="nvmlInit: this nvidia-ml-py has no such function"):
        NVMLDevice(UUID, Old())


def test_without_the_package_the_drivers_library_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert isinstance(nvml_driver(), NVMLLibrary)
    assert isinstance(nvml_driver("libsomething.so"), NVMLLibrary)
    monkeypatch.setitem(sys.modules, "pynvml", Replay(Recording.named("steady")))  # type: ignore[arg-type]  # as a module
    assert isinstance(nvml_driver(), Replay)


# --- processors


def zone(folder: Path, name: str, word: str, energy: str, most: int = 262143328850) -> Path:
    made = folder / name
    made.mkdir()
    (made / "name").write_text(f"{word}\n")
    (made / "energy_uj").write_text(f"{energy}\n")
    (made / "max_energy_range_uj").write_text(f"{most}\n")
    return made


def test_processor_packages_add_up_and_their_counters_wrap_around(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", "1000000")
    second = zone(tmp_path, "intel-rapl:1", "package-1", "262143328000", most=262143328850)
    zone(tmp_path, "intel-rapl:0:0", "core", "5")  # a part of a package, which is counted there
    zone(tmp_path, "intel-rapl:2", "psys", "7")  # the whole platform
    clock = VirtualClock()
    meter = RAPLMeter(tmp_path, clock)
    assert meter.read().energy == 0.0
    (first / "energy_uj").write_text("3500000\n")
    (second / "energy_uj").write_text("1000\n")  # 850 µJ to the end of the range, and 1000 µJ after it
    reading = meter.read()
    assert reading.energy == pytest.approx(2.5 + 1850e-6)
    assert (reading.power, reading.clock, reading.reasons) == (None, None, None)
    (first / "energy_uj").write_text("rubbish\n")
    assert meter.read().energy is None
    assert "'rubbish' is no number" in meter.failed["energy"]


def test_where_no_package_may_be_read_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"no processor package in .* has an energy counter"):
        RAPLMeter(tmp_path)
    (zone(tmp_path, "intel-rapl:0", "package-0", "1") / "energy_uj").unlink()
    with pytest.raises(MeterError, match="energy_uj: No such file"):
        RAPLMeter(tmp_path)
    with pytest.raises(MeterError, match="nothing is known of a meter 'watts'; allowed: nvml, rapl"):
        open_meter("watts:1")
