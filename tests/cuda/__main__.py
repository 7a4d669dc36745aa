"""`python -m tests.cuda`: every check on a machine with CUDA devices, within a budget; writes a dated page.

Exit codes: 0 all passed; 3 one failed; 4 there was no time for some; 77 there is no CUDA device, and nothing was done.
A page is never written over another.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.axes.accelerators import accelerator
from bench.machine.git import commit_here
from bench.machine.nvml import nvml_driver
from bench.plan.quantities import duration

from .checks import CHECKS, ROOT, START_UP, Bed, Check
from .page import Checked, free_path, page

PASSED, FAILED, NO_TIME, NO_DEVICE = 0, 3, 4, 77
SPARE = 15.0  # seconds of the budget that are left for the page and for ending what was begun


def devices_of(driver: Any) -> list[str]:
    """The UUIDs of all devices.

    Raises:
        RuntimeError: the driver does not answer; says why.
    """
    try:
        driver.nvmlInit()
        try:
            handles = [driver.nvmlDeviceGetHandleByIndex(index) for index in range(driver.nvmlDeviceGetCount())]
            return [str(driver.nvmlDeviceGetUUID(handle)) for handle in handles]
        finally:
            driver.nvmlShutdown()
    except driver.NVMLError as error:
        raise RuntimeError(str(error)) from None


def machine_of(driver: Any, uuids: Sequence[str]) -> dict[str, str]:
    """What a reader must know of the machine."""
    driver.nvmlInit()
    names = [str(driver.nvmlDeviceGetName(driver.nvmlDeviceGetHandleByUUID(uuid))) for uuid in uuids]
    version = str(driver.nvmlSystemGetDriverVersion())
    driver.nvmlShutdown()
    packages = {name: _version(name) for name in ("torch", "lightning", "nvidia-ml-py")}
    told = {f"{names.count(name)} of": name for name in dict.fromkeys(names)}
    return {**told, "driver": version, "python": platform.python_version(), **packages, "commit": commit_here() or "?"}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def run_checks(
    checks: Sequence[Check],
    bed_of: Callable[[float], Bed],
    budget: float,
    devices: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = print,
) -> list[Checked]:
    """Each check in its order, as long as there is time for it.

    Args:
        bed_of: makes the bed of a check that may take so many seconds.
        budget: seconds for all of them.
    """
    began, done = clock(), list[Checked]()
    for check in checks:
        left = budget - SPARE - (clock() - began)
        if check.devices > devices:
            why = f"it needs {check.devices} devices, and there {'is' if devices == 1 else 'are'} {devices}"
            done.append(Checked(check.name, check.what, "not run", 0.0, (), (why,)))
        elif left < check.seconds:
            why = f"it takes {check.seconds:.0f} s, and {max(0.0, left):.0f} s of the budget were left"
            done.append(Checked(check.name, check.what, "not run", 0.0, (), (why,)))
        else:
            done.append(_one(check, bed_of(min(left, check.seconds + START_UP)), clock))
        say(f"{done[-1].name:12} {done[-1].verdict}{''.join(f'; {text}' for text in done[-1].wrong)}")
    return done


def _one(check: Check, bed: Bed, clock: Callable[[], float]) -> Checked:
    began = clock()
    try:
        found = check.look(bed)
    except Exception as error:  # whatever is wrong with one check, the others tell what they see
        return Checked(
            check.name, check.what, "failed", clock() - began, (), (f"{type(error).__name__}: {str(error)[:800]}",)
        )
    return Checked(
        check.name, check.what, "failed" if found.wrong else "passed", clock() - began, found.seen, found.wrong
    )


def ending(done: Sequence[Checked], machine: Mapping[str, str] | None = None) -> int:
    """The exit code. A check that needs more devices than there are is none that was left out."""
    verdicts = {one.verdict for one in done if not any("devices, and there" in why for why in one.wrong)}
    return FAILED if "failed" in verdicts else NO_TIME if "not run" in verdicts else PASSED


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cuda", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=duration, default=600.0, metavar="TIME", help="for all of it; default: 10m")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "measurements", help="the page's folder")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where runs, logs and the recording stay")
    parser.add_argument("-k", dest="select", action="append", metavar="CHECK", help="only this check; repeatable")
    parser.add_argument("--list", action="store_true", help="the checks, and what each takes")
    given = parser.parse_args(arguments)
    known = {check.name: check for check in CHECKS}
    if unknown := set(given.select or ()) - known.keys():
        parser.error(f"unknown check {', '.join(sorted(unknown))}; allowed: {', '.join(known)}")
    checks = [check for check in CHECKS if not given.select or check.name in given.select]
    if given.list:
        for check in checks:
            needs = f", {check.devices} devices" if check.devices > 1 else ""
            print(f"{check.name:12} {check.seconds:4.0f} s{needs:11} {check.what}")
        return PASSED
    driver = nvml_driver()
    missing = accelerator("cuda").unavailable()
    try:
        uuids = devices_of(driver)
    except RuntimeError as error:
        missing, uuids = missing or f"no driver answers: {error}", []
    if missing or not uuids:
        print(f"nothing is checked: {missing or 'the driver knows no device'}", file=sys.stderr)
        return NO_DEVICE
    began = time.monotonic()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="loopmark-cuda-"))
    machine = machine_of(driver, uuids)
    devices = accelerator("cuda").count()
    done = run_checks(checks, lambda limit: Bed(folder, driver, uuids, limit), given.budget, devices)
    today = datetime.date.today().isoformat()
    command = " ".join(["python -m tests.cuda", *(sys.argv[1:] if arguments is None else arguments)])
    given.out.mkdir(parents=True, exist_ok=True)
    path = free_path(given.out, today)
    with path.open("x", encoding="utf-8") as file:
        file.write(page(today, machine, done, command, time.monotonic() - began))
    if given.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    print(path)
    return ending(done)


if __name__ == "__main__":
    sys.exit(main())
