"""`bench explain` on stored runs: which cells it means, what it refuses, and that it measures nothing it has."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import old_runs
import pytest
import synthetic
from conftest import Silent
from hypothesis import given
from hypothesis import strategies as st
from stacks import MORE, PLAIN, STEP, TRAINER, pair

from bench import cli
from bench.commands import explain as command
from bench.commands.explain import Asking, chosen_pair, explain_cells
from bench.errors import BenchError, RunError, SpecError
from bench.results import store
from bench.results.stacks import LONGEST_FUNCTION, SampledPair, add_stacks, read_stacks
from bench.results.store import StoredRun

BASE, OWN = synthetic.cell_id("plain", 256), synthetic.cell_id("trainer", 256)


def written(tmp_path: Path, *pairs: SampledPair, **changes: Any) -> StoredRun:
    """A synthetic run with these stacks in its folder."""
    run = replace(synthetic.make(**changes), folder=tmp_path)
    for one in pairs:
        add_stacks(tmp_path, one)
    return run


def of(base: str, own: str) -> SampledPair:
    return pair(PLAIN, TRAINER, (base, own))


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be measured."""

    def sampling(*arguments: object) -> SampledPair:
        raise AssertionError("it measures")

    monkeypatch.setattr(command, "sample_again", sampling)


@pytest.mark.parametrize(
    "asked",
    [("plain", "trainer"), ("trainer", "plain"), (BASE, OWN), (OWN, BASE), ("loop=trainer,batch_size=256", BASE)],
)
def test_cells_are_named_by_value_part_or_id(tmp_path: Path, never: None, asked: tuple[str, str]) -> None:
    """Of the groups that have a value, the one whose stacks are there is meant."""
    run = written(tmp_path, of(BASE, OWN))
    if asked == ("loop=trainer,batch_size=256", BASE):
        assert len([cell for cell in run.info["plan"]["cells"] if asked[0] in cell["id"]]) == 1
    found = explain_cells(run, *asked, Silent())
    assert (found.base, found.own) == (BASE, OWN)
    assert found.difference.estimate == pytest.approx(430e-6, rel=0.05)
    assert sum(part.more for part in found.entries) == pytest.approx(found.difference.estimate)


def test_without_stacks_a_value_means_the_first_group() -> None:
    info = synthetic.make().info
    assert chosen_pair(info, ("trainer", "plain")) == (synthetic.cell_id("plain", 32), synthetic.cell_id("trainer", 32))
    assert chosen_pair(info, ("trainer", "fabric"))[0] == synthetic.cell_id("trainer", 32)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("plain", "plain"), "twice"),
        ((BASE, BASE), "twice"),
        ((BASE, synthetic.cell_id("trainer", 32)), "not of one group.*allowed beside the first: .*batch_size=256"),
        (("plain", "traner"), "allowed: plain, fabric, trainer, overhead"),
        (("plain", ""), "allowed: plain"),
        (("plain", "batch_size=256"), "is a part of 3 cells: .*give more of one"),
        (("plain", "x" * 5000), "x\\.\\.\\."),
        (("plain", "<script>\x1b[2J"), "allowed"),
    ],
)
def test_what_names_no_pair_is_refused_with_what_there_is(tmp_path: Path, asked: tuple[str, str], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        explain_cells(written(tmp_path), *asked, Silent())


@given(st.text(), st.text())
def test_any_two_texts_are_two_cells_of_one_group_or_one_message(one: str, other: str) -> None:
    info = synthetic.make(launches=1, rounds=1).info
    try:
        base, own = chosen_pair(info, (one, other))
    except SpecError:
        return
    groups = {cell["id"]: cell["group"] for cell in info["plan"]["cells"]}
    assert groups[base] == groups[own]
    assert base != own


def test_a_cell_that_failed_is_not_explained(tmp_path: Path) -> None:
    failures = {("trainer", 256, launch): ("crashed", "it fell over") for launch in range(8)}
    with pytest.raises(SpecError, match=r"trainer.*: crashed: it fell over: there is no step of it"):
        explain_cells(written(tmp_path, failures=failures), BASE, OWN, Silent())
    unequal = {("trainer", 256, launch): ("unequal-work", "losses differ") for launch in range(8)}
    with pytest.raises(SpecError, match="unequal-work: losses differ"):
        explain_cells(written(tmp_path, of(BASE, OWN), failures=unequal), BASE, OWN, Silent())
    never_started = {("trainer", 256, -1): ("unsupported", "not here")}
    with pytest.raises(SpecError, match="unsupported: not here"):
        explain_cells(written(tmp_path, failures=never_started), BASE, OWN, Silent())


def test_one_launch_has_no_interval_and_says_so(tmp_path: Path, never: None) -> None:
    found = explain_cells(written(tmp_path, of(BASE, OWN), launches=1), BASE, OWN, Silent())
    assert found.difference.low is None


def test_again_samples_although_there_are_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, fresh = written(tmp_path, of(BASE, OWN)), replace(of(BASE, OWN), started="2026-12-01T00:00:00+00:00")
    monkeypatch.setattr(command, "sample_again", lambda *arguments: fresh)
    progress = Silent()
    assert explain_cells(run, BASE, OWN, progress, Asking(again=True)).started == fresh.started
    assert "sampled again" in progress.notes[0]
    assert read_stacks(tmp_path) == (fresh,)


def test_another_machine_is_refused(tmp_path: Path, processes: None) -> None:
    with pytest.raises(RunError, match=r"only where it was measured: .*cpu"):
        explain_cells(written(tmp_path), BASE, OWN, Silent())


def test_a_run_of_an_old_schema_is_refused_in_one_message(tmp_path: Path, processes: None) -> None:
    run = store.read_run(old_runs.write_run(tmp_path))
    cells = [cell["id"] for cell in run.info["plan"]["cells"] if not cell["twin"]][:2]
    with pytest.raises(BenchError, match=r"\S"):
        explain_cells(run, *cells, Silent())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.update(schema=2), "schema"),
        (lambda data: data.pop("pairs"), "pairs"),
        (lambda data: data["pairs"][0]["cells"].pop(), "cells"),
        (lambda data: data["pairs"][0]["cells"][0]["sampled"]["seconds"].pop(), "times"),
        (lambda data: data["pairs"][0]["cells"][0]["sampled"]["stacks"][0].append(10_000), "not in `functions`"),
        (lambda data: data["pairs"][0]["cells"][0]["sampled"].update(steps=0), "no step"),
        (lambda data: data["pairs"][0]["cells"][0]["sampled"]["seconds"].__setitem__(0, -1), "seconds"),
        (
            lambda data: data["pairs"][0]["cells"][0]["sampled"]["functions"].append("x" * LONGEST_FUNCTION * 2),
            "functions",
        ),
        (lambda data: data["pairs"][0]["cells"][1].update(free_step=0), "free_step"),
    ],
)
def test_a_spoiled_file_of_stacks_is_one_message(tmp_path: Path, change: Any, told: str) -> None:
    run = written(tmp_path, of(BASE, OWN))
    data = json.loads((tmp_path / "stacks.json").read_text())
    change(data)
    (tmp_path / "stacks.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match=rf"stacks.json.*{told}"):
        explain_cells(run, BASE, OWN, Silent())


def test_the_command_prints_a_sentence_and_json(
    tmp_path: Path, never: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written(tmp_path, of(BASE, OWN), lengths={256: STEP}, costs={"plain": 0.0, "fabric": 1e-4, "trainer": MORE})
    monkeypatch.setattr("bench.cli.explaining.choose_run", lambda which, out: run)
    assert cli.exit_code(["explain", "plain", "trainer"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("100 % of +1.4")
    assert re.search("(68|69|70) % callbacks", said)
    assert "planted:burn" in said
    assert cli.exit_code(["explain", "plain", "trainer", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["explained"] == pytest.approx(1.0, abs=0.02)
    assert found["sentence"].startswith("100 % of +1.4")
    assert {part["name"] for part in found["groups"]} == {
        "callbacks",
        "progress bar",
        "calling hooks",
        "loop's own lines",
    }
    assert cli.exit_code(["explain", "plain", "nothing"]) == 2
    assert "allowed: plain, fabric, trainer" in capsys.readouterr().err
