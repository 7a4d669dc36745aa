"""The zoo's modules, as they are and without a suite: raced as trainings of a Trainer, and looked at by the doctor."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Silent
from zoo_modules import MODULES, NAMES

from bench.commands.doctor_look import look
from bench.commands.doctor_target import parse_target
from bench.commands.race import RaceRules, race_scripts
from bench.plan.script import Script

QUICK = ("gan", "several_loaders")


def script_of(name: str, folder: Path) -> Script:
    """A module of the zoo in a folder of its own, as the doctor would train it."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(MODULES / f"{name}.py", folder / f"{name}.py")
    kind = "".join(part.capitalize() for part in name.split("_"))
    script = parse_target(f"{name}.py:{kind}", (), f"{name}.py:loaders", str(folder)).script
    return replace(script, label=name)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in NAMES])
def test_the_doctor_can_look_at_every_module(name: str, tmp_path: Path, processes: None) -> None:
    seen, failed = look(script_of(name, tmp_path / "own"), tmp_path, {}, 120.0)
    assert failed == ""
    assert seen.steps > 20
    assert seen.step_seconds > 0


@pytest.mark.long
def test_every_module_is_raced_and_its_twin_does_equal_work(tmp_path: Path, processes: None) -> None:
    """Each against itself: manual optimization, several loaders, none with a length, sparse, packed, nested batches."""
    outcomes = {}
    for name in NAMES:
        script = script_of(name, tmp_path / "own")
        given = {"budget": 60.0, "launches": 1, "launch": 0.1, "fork_servers": 1}
        run = race_scripts([script], given, tmp_path / "out", Silent(), rules=RaceRules())
        outcomes |= {(name, record.twin): (record.outcome, record.reason) for record in run.records}
    assert {key: told for key, told in outcomes.items() if told != ("ok", "")} == {}
