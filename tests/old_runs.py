"""A run's folder as the program wrote it when records were of schema 3, word for word; nothing of `bench` is used here.

Then instrumented launches were called looking ones, fork servers zygotes, and the precision goal a target.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUN_ID = "20260105-120000-03ab"
GROUP = "toy[length=32]"
STEPS = {"toy[loop=plain,length=32]": 1e-3, "toy[loop=fabric,length=32]": 1.2e-3}
BASELINE = "toy[loop=plain,length=32]"
TWIN = f"{BASELINE}#twin"
OPTIONS: dict[str, Any] = {
    "budget": 60.0,
    "target": 0.01,
    "timeout": 60.0,
    "seed": 0,
    "threads": 1,
    "zygotes": 2,
    "turn": 0.003,
    "launch": None,
    "memory_limit": None,
    "looks": 2,
    "launches": None,
}
_SETTINGS = {"accelerator": "cpu", "precision": "32-true", "devices": 1, "threads": 1, "cores": [0]}
_DECLARED = [
    {"name": name, "unit": unit, "better": "lower", "description": text, "part_of": whole, "limit": limit}
    for name, unit, text, whole, limit in (
        ("looked_step_time", "s", "a step with callbacks on, pull to pull by the stream's clock", "", None),
        ("phases_gap", "1", "share of looked_step_time by which the sum of phases misses it", "", 0.05),
        ("phase_data", "s", "the fetch", "phase_step", None),
        ("phase_rest", "s", "all else", "phase_step", None),
        ("phase_step", "s", "the whole step", "", None),
    )
]


_RECORD = {"instrumented": "looking", "fork_server": "zygote"}
_RUN = {
    "options": {"instrument": "looks", "precision_goal": "target", "fork_servers": "zygotes"},
    "timing": {"instrumented": "looks", "fork_servers": "zygotes"},
}


def record_as_of(schema: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """A record's JSON of today as schemas 1 to 6 have it: 1 to 3 under other names, all without later columns."""
    since_5, since_6 = ("began", "resident", "allocated", "end", "real"), ("seconds", "cold", "behind")
    since_7 = ("sm_clock", "reasons", "power", "energy", "integrated", "metering", "meter", "idle_power", "meter_step")
    later: tuple[str, ...] = (*since_5, *since_6) if schema < 5 else since_6 if schema < 6 else ()
    later += since_7 if schema < 7 else ()
    kept = data["turns"] and {name: column for name, column in data["turns"].items() if name not in later}
    of_record = {name: value for name, value in data.items() if name != "nodes" and (schema > 5 or name != "seat")}
    return {**_renamed(of_record, _RECORD if schema < 4 else {}), "turns": kept, "schema": schema}


def run_as_of(schema: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """The same of run.json."""
    parts = {part: _renamed(data[part], names) for part, names in _RUN.items() if part in data}
    return {**data, **parts, "schema": schema}


def _renamed(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in data.items()}


def _text(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, separators=None if indent else (",", ":"))


def _record(cell: str, launch: int, order: int) -> dict[str, Any]:
    loop = "fabric" if "fabric" in cell else "plain"
    return {
        "schema": 3,
        "suite": "toy",
        "cell": cell,
        "group": GROUP,
        "point": {"loop": loop, "length": 32},
        "twin": cell == TWIN,
        "launch": launch,
        "outcome": "ok",
        "reason": "",
        "requested": {"loop": loop, **_SETTINGS},
        "effective": {"loop": loop, **_SETTINGS},
        "ledger": {
            **{"steps": 24, "samples": 768, "samples_digest": "d1", "audited": 8, "forward": 8, "backward": 8},
            **{"optimizer_updates": 24, "initial_weights": "aa", "final_weights": "bb", "losses": [0.25, 0.2]},
            "nonzero_gradients": 8,
        },
        "turns": None,
        "warmup": [0.002, 0.001],
        "samples_per_step": 32,
        "memory": {"peak_memory_host": 2**28, "start_memory_host": 2**27},
        "extra": {},
        "zygote": launch % 2,
        "order": order,
        "ready": 0.1,
        "launch_seconds": 3.0,
        "cores": [0],
        "started": "2026-01-05T12:00:00+00:00",
        "log": f"logs/{cell}-{launch}.log",
        "looking": False,
        "declared": [],
    }


def _timed(cell: str, launch: int, order: int) -> dict[str, Any]:
    # Of the fabric loop and the twin, each launch is off by something, so that there is an interval.
    off = {TWIN: 1 + 0.002 * (-1) ** launch, BASELINE: 1.0}.get(cell, 1 + 0.001 * launch)
    step = STEPS.get(cell, STEPS[BASELINE]) * off
    rounds = 8
    turns: dict[str, Any] = {"steps": 2, "round": list(range(rounds)), "position": [order] * rounds}
    turns |= {"first": [1.2 * step] * rounds, "counted": [2 * step] * rounds, "cpu": [3 * step] * rounds}
    turns |= {"involuntary": [0] * rounds, "faults": [1] * rounds, "stolen": [0.0] * rounds}
    turns |= {"spread": [], "fetching": [], "gap": [], "whole": False}
    return {**_record(cell, launch, order), "turns": turns}


def _looking(cell: str, launch: int, order: int) -> dict[str, Any]:
    step = STEPS[cell] * (1.1 + 0.01 * launch)
    values = {"looked_step_time": step, "phases_gap": 0.01 * (1 + launch), "phase_data": step / 4}
    values |= {"phase_rest": 3 * step / 4, "phase_step": step}
    own = {"extra": values, "looking": True, "declared": _DECLARED, "zygote": 0}
    return {**_record(cell, launch, order), **own, "log": f"logs/{cell}-look-{launch}.log"}


def records() -> list[dict[str, Any]]:
    """The records, without their chain."""
    timed = [_timed(cell, launch, order) for launch in range(4) for order, cell in enumerate((*STEPS, TWIN))]
    return [*timed, *(_looking(cell, launch, order) for launch in range(2) for order, cell in enumerate(STEPS))]


def run_json(**changes: Any) -> dict[str, Any]:
    """run.json but for where the chain of the records stood; `changes` are of its keys."""
    cells = [
        {
            "outcome": "ok",
            "reason": "",
            "id": cell,
            "suite": "toy",
            "group": GROUP,
            "point": {"loop": "fabric" if "fabric" in cell else "plain", "length": 32},
            "twin": cell == TWIN,
            "baseline": BASELINE,
        }
        for cell in (*STEPS, TWIN)
    ]
    axes = {"loop": ["plain", "fabric"], "length": [32]}
    suite = {"title": "a toy", "compare": "loop", "baseline": "plain", "axes": axes, "length_axis": "length"}
    whole = {
        "started": "2026-01-05T12:00:00+00:00",
        "finished": "2026-01-05T12:01:00+00:00",
        "loopmark": "0.1.0",
        "argv": ["bench", "run", "toy", "--look", "2", "--target", "1%"],
        "options": OPTIONS,
        "files": {"toy": "suites/toy.py"},
        "environment": {"cpu": "Example CPU", "cores": 2, "python": "3.11.9", "torch": "2.9.0", "threads": 1},
        "sides": [],
        "stops": {GROUP: {"reason": "target", "launches": 4}},
        "timing": {"wall": 60.0, "zygotes": 20.0, "launches": 12.0, "turns": 9.0, "looks": 6.0, "conductor_cpu": 1.0},
        "warnings": [],
        "run": RUN_ID,
        "plan": {"suites": {"toy": suite}, "cells": cells, "groups": [GROUP]},
        "schema": 3,
    }
    whole |= changes
    ordered = {name: whole["options"][name] for name in sorted(whole["options"])}
    digest = hashlib.sha256(_text(ordered).encode()).hexdigest()
    return {"digests": {"options": digest, "files": {}}, **whole}


def write_run(out: Path, **changes: Any) -> Path:
    """The run's folder under `out`: run.json, records.jsonl, records.anchor, logs/."""
    info = run_json(**changes)
    folder = out / info["run"]
    (folder / "logs").mkdir(parents=True)
    chain, lines = "", []
    for record in records():
        body = _text(record)
        chain = hashlib.sha256(chain.encode() + b"\n" + body.encode()).hexdigest()
        lines.append(f'{body[:-1]},"chain":"{chain}"}}\n')
    anchor = {"count": len(lines), "chain": chain}
    (folder / "records.jsonl").write_text("".join(lines))
    (folder / "records.anchor").write_text(_text(anchor) + "\n")
    (folder / "run.json").write_text(_text({**info, "records": anchor}, 1) + "\n")
    return folder
