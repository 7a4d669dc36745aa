"""Runs that end when what they were asked is decided: which groups need a launch, through real arms, and bad input."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
from conftest import Bench, call

from bench.analysis.until import until_answers
from bench.engine.options import Options
from bench.engine.until import Until
from bench.plan import discovery
from bench.plan.cell import Cell, Group, Plan
from bench.results import store
from bench.results.record import Record

GOAL = 0.01
# Steps of 1 ms and of 10 ms; the trainer costs 50 us, which is 5 % and 0.5 %.
TRUTH: dict[str, Any] = {
    "costs": {"plain": 0.0, "fabric": 20e-6, "trainer": 50e-6},
    "lengths": {32: 1e-3, 256: 10e-3},
    "launches": 8,
}
SMALL, LARGE = synthetic.group_id(32), synthetic.group_id(256)


def planned(**changes: Any) -> tuple[Plan, list[list[Record]]]:
    """The plan of a synthetic run, and the records of its launches in order, each from interpreters of its own."""
    run = synthetic.make(**{**TRUTH, **changes})
    groups = []
    for name in (SMALL, LARGE):
        own = [one for one in run.info["plan"]["cells"] if one["group"] == name]
        own.sort(key=lambda one: (one["id"] != one["baseline"], not one["twin"]))
        cells = [
            Cell(
                one["id"],
                one["suite"],
                name,
                {"trainer": "default", **one["point"]},
                one["twin"],
                one["baseline"],
                one["reason"],
            )
            for one in own
        ]
        groups.append(Group(name, "overhead", tuple(cells)))
    launches: dict[tuple[str, int], list[Record]] = {}
    for record in run.records:
        if record.launch >= 0:
            launches.setdefault((record.group, record.launch), []).append(replace(record, fork_server=record.launch))
    return Plan({"overhead": discovery.all_suites()["overhead"][0]}, tuple(groups)), list(launches.values())


def reasons(text: str | None, half_width: float | None = 0.02, **changes: Any) -> list[tuple[str, str]]:
    """Why each group stops, launch by launch."""
    plan, launches = planned(**changes)
    until, found = Until(text, plan), []
    for launch in launches:
        until.take(launch)
        widths = [half_width] * (launch[0].launch + 1)
        found.append(tuple(until.stop_reason(group, widths, GOAL) for group in (SMALL, LARGE)))
    return found[1::2]


def test_a_group_ends_when_all_that_is_asked_of_it_is_answered() -> None:
    """In the group of long steps at the first look; in the other one the truth is the bound, and it goes on."""
    found = reasons("trainer < 5%")
    assert found[2] == ("", "")
    assert found[3] == ("", "answered")
    assert {small for small, _ in found} == {""}


def test_a_group_of_which_nothing_is_asked_ends_with_the_last_answer() -> None:
    text = f"{synthetic.cell_id('trainer', 256)} < 5%"
    assert reasons(text)[2:4] == [("", ""), ("answered", "answered")]


def test_what_cannot_be_answered_holds_up_nothing() -> None:
    failures = {("trainer", 32, 1): ("crashed", "out of mood")}
    assert reasons("trainer < 5%", failures=failures)[:4] == [
        ("", ""),
        ("answered", ""),
        ("answered", ""),
        ("answered", "answered"),
    ]
    unsupported = {("trainer", 32, -1): ("unsupported", "no lightning here")}
    assert reasons("trainer < 5%", failures=unsupported)[0] == ("answered", "")


def test_precision_ends_only_runs_that_are_asked_nothing() -> None:
    assert reasons("trainer < 5%", half_width=0.001)[-1][0] == ""
    assert reasons(None, half_width=0.001)[-1] == ("precision-goal", "precision-goal")
    assert reasons(None)[3] == ("", "")


def test_a_run_through_real_arms_ends_when_its_question_is_answered(bench: Bench) -> None:
    """A doubled step costs more than 5 %, which four launches tell."""
    options = Options(budget=60.0, launch=0.1, fork_servers=1, until="100 > 5%")
    records = bench.run("power", "slowdown=100", "batch_size=16", options=options)
    (stop,) = bench.stops.values()
    assert stop["reason"] == "answered"
    assert 4 <= int(str(stop["launches"])) < 20
    info = {**store.read_run(bench.folder).info, "options": {"until": "100 > 5%"}}
    (answer,) = until_answers(info, records)
    assert (answer.word, answer.launches) == ("yes", stop["launches"])
    # Gone on with, it needs no more.
    bench.run("power", "slowdown=100", "batch_size=16", options=options, done=records)
    assert [stop["reason"] for stop in bench.stops.values()] == ["answered"]


@pytest.mark.long
def test_a_run_says_and_keeps_what_was_asked(tmp_path: Path) -> None:
    """The answer is no failure: the exit code is that of the run."""
    command = [
        "run",
        "power",
        "--set",
        "slowdown=100",
        "--set",
        "batch_size=16",
        "--budget",
        "60s",
        "--out",
        str(tmp_path),
    ]
    done = call(*command, "--until", "100 < 5%")
    assert done.returncode == 0, done.stderr
    assert re.search(r"100 < 5 %: no, at least \+\d+", done.stdout)
    (folder,) = tmp_path.iterdir()
    info = json.loads((folder / "run.json").read_text())
    assert [(one["condition"], one["word"]) for one in info["answers"]] == [("100 < 5 %", "no")]
    assert (info["options"]["until"], info["options"]["instrument"]) == ("100 < 5%", 0)
    shown = json.loads(call("show", str(folder), "--format", "json").stdout)
    assert shown["conditions"] == info["answers"]
    other = call("run", "--resume", str(folder), "--until", "100 < 6%", "--out", str(tmp_path))
    assert other.returncode == 2
    assert "until is 100 < 5% in the run, and 100 < 6% was asked for: that is another experiment" in other.stderr
