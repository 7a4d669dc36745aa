"""The checks of `python -m tests.cuda`, one test each: `pytest -m cuda` on a machine with a device."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.axes.accelerators import accelerator
from bench.machine.nvml import nvml_driver

from .__main__ import devices_of
from .checks import CHECKS, START_UP, Bed, Check

MISSING = accelerator("cuda").unavailable()


def needing(check: Check) -> object:
    few = MISSING is None and accelerator("cuda").count() < check.devices
    return pytest.param(
        check,
        id=check.name,
        marks=[
            *(pytest.mark.cuda, pytest.mark.long, pytest.mark.gpus(check.devices)),
            pytest.mark.skipif(MISSING is not None or few, reason=MISSING or f"it needs {check.devices} devices"),
        ],
    )


@pytest.mark.parametrize("check", [needing(check) for check in CHECKS])
def test_a_check_of_the_device(check: Check, processes: None, tmp_path: Path) -> None:
    driver = nvml_driver()
    found = check.look(Bed(tmp_path, driver, devices_of(driver), check.seconds + START_UP))
    assert list(found.wrong) == [], "\n".join(found.seen)
