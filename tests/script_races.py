"""Races scripts on the warm fleet that all tests share: imports are in its interpreters, or arms make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import Silent

from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.options import Options
from bench.plan.cell import Cell, Group, Plan
from bench.plan.plan import plan_document
from bench.plan.scripts import RACE, parse_scripts, race_plan
from bench.results import store
from bench.results.record import Record
from bench.results.store import StoredRun

ZOO = Path(__file__).resolve().parent / "zoo"
SCRIPTS = ZOO / "scripts"
ONCE = Options(budget=120, launch=0.05, launches=1, fork_servers=1, timeout=60)


def _on_the_fleet(cell: Cell) -> Cell:
    assert cell.script is not None
    file = Path(cell.script.argv[0])
    lightning = cell.script.module or "lightning" in file.read_text(encoding="utf-8")
    return replace(cell, imports=("torch", "lightning") if lightning else ("torch",))


def race_on(
    fleet: Fleet,
    out: Path,
    commands: Sequence[str],
    *,
    folder: Path,
    options: Options = ONCE,
    environs: Sequence[str] = (),
    **rules: Any,
) -> StoredRun:
    """A run of these scripts, as `bench race` makes it in this folder."""
    scripts = parse_scripts(commands, environs, str(folder))
    made, _ = race_plan(scripts, threads=options.threads, **rules)
    (group,) = made.groups
    made = Plan(made.suites, (Group(group.id, group.suite, tuple(map(_on_the_fleet, group.cells))),))
    opened = store.create(out)
    opened.write_info({"run": opened.folder.name, "plan": plan_document(made)})
    Conductor(made, {RACE: ""}, opened, options, Silent()).run(fleet)
    opened.close()
    return store.read_run(opened.folder)


def by_script(run: StoredRun) -> dict[str, Record]:
    """The last record of each script by its label, the twin's with `#twin` at the end."""
    return {str(record.point["script"]) + "#twin" * record.twin: record for record in run.records}
