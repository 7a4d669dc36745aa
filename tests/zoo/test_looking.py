"""The doctor looks at planted trainings and at clean ones: which traps they fall into, before anything is raced."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.commands.doctor_look import look
from bench.commands.doctor_target import parse_target
from bench.commands.remedies import traps_of, trials_of
from bench.results.observed import Observed

ZOO = Path(__file__).parent
CORES = 2
# By planted training: the trap, and what is raced against it.
PLANTED: Mapping[str, tuple[str, str]] = {
    "workers_restarted": ("workers-restarted", "persistent-workers"),
    "module_workers_restarted": ("workers-restarted", "persistent-workers"),
    "logs_each_step": ("logs-each-step", "log-seldom"),
    "module_logs_each_step": ("logs-each-step", "log-seldom"),
    "saves_each_step": ("saves-each-step", "checkpoint-seldom"),
    "module_saves_each_step": ("saves-each-step", "checkpoint-seldom"),
    "sampler_rebuilt": ("rebuilt-each-epoch", "made-once"),
    "trainer_rebuilds_loaders": ("rebuilt-each-epoch", "reload"),
    "too_many_workers": ("too-many-workers", "num-workers"),
    "module_too_many_workers": ("too-many-workers", "num-workers"),
    "pins_without_device": ("pins-without-device", ""),
    "module_pins_without_device": ("pins-without-device", ""),
}
CLEAN = tuple(sorted(path.stem for path in (ZOO / "clean").glob("*.py")))


def some_quick(names: Iterable[str], *quick: str) -> list[Any]:
    """All of them as parameters, of which some are tried always, and all of them by `long` ones."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.long) for name in names]


def looked_at(kind: str, name: str, folder: Path) -> tuple[Observed, str]:
    """What was seen of a training of the zoo, which lies in a folder of its own."""
    (folder / "own").mkdir()
    shutil.copyfile(ZOO / kind / f"{name}.py", folder / "own" / f"{name}.py")
    source = (folder / "own" / f"{name}.py").read_text()
    target, data = f"{name}.py", None
    if name.startswith("module_"):
        own = "Classifier" if "class Classifier" in source else "Regression"
        target = f"{name}.py:{own}"
        names = [word for word in ("Data", "loaders") if f" {word}(" in source]
        data = f"{name}.py:{names[0]}" if names else None
    found = look(parse_target(target, (), data, str(folder / "own")).script, folder, {}, 120.0)
    assert sorted(path.name for path in (folder / "own").iterdir()) == [f"{name}.py"], "it wrote into the user's folder"
    return found


def test_the_zoo_has_ten_of_each() -> None:
    assert len(CLEAN) >= 10
    assert len(PLANTED) >= 10
    assert {path.stem for path in (ZOO / "planted").glob("*.py")} == set(PLANTED)


@pytest.mark.parametrize("name", some_quick(PLANTED, "sampler_rebuilt", "module_logs_each_step"))
def test_a_planted_trap_is_found_and_no_other(name: str, tmp_path: Path, processes: None) -> None:
    seen, failed = looked_at("planted", name, tmp_path)
    assert failed == ""
    trap, remedy = PLANTED[name]
    found = {one.name for one in traps_of(seen, CORES)}
    assert found == {trap}
    assert not remedy or remedy in {one.name for one in trials_of(seen, CORES)}


@pytest.mark.parametrize("name", some_quick(CLEAN, "multilayer", "module_validates"))
def test_a_clean_training_falls_into_no_trap(name: str, tmp_path: Path, processes: None) -> None:
    seen, failed = looked_at("clean", name, tmp_path)
    assert failed == ""
    assert traps_of(seen, CORES) == ()
    # What else is tried costs some share of a step; on a busy machine that may be a bar that is hardly drawn.
    assert {one.name for one in trials_of(seen, CORES) if not one.bound} <= {"num-workers", "log-seldom"}
