"""Records and run folders: schema, append-only files, locks, half-written lines."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from old_runs import record_as_of, run_as_of
from synthetic import make

from bench.errors import RunError
from bench.results import store
from bench.results.record import RECORD_SCHEMA, Metric, Record, decode_record, encode_record
from bench.results.turns import Turns

PLAN: dict[str, Any] = {
    "suites": {"toy": {"title": "toy", "compare": "loop", "baseline": "plain", "axes": {"loop": ["plain"]}}},
    "cells": [
        {
            "id": "toy[loop=plain]",
            "suite": "toy",
            "group": "toy",
            "point": {"loop": "plain"},
            "twin": False,
            "baseline": "toy[loop=plain]",
        }
    ],
}


def record(**changes: Any) -> Record:
    values: dict[str, Any] = {
        "suite": "toy",
        "cell": "toy[loop=plain]",
        "group": "toy",
        "point": {"loop": "plain"},
        "twin": False,
        "launch": 0,
        "outcome": "ok",
        "turns": Turns(2, (0, 1), (0, 0), (0.2, 0.1), (0.3, 0.3), (0.5, 0.4), (0, 1), (0, 0), (0.0, 0.0)),
        "cores": (1,),
        "warmup": (0.1,),
    }
    return Record(**{**values, **changes})


def test_a_record_survives_its_journey_through_json() -> None:
    assert decode_record(json.loads(json.dumps(encode_record(record())))) == record()
    failed = record(outcome="oom", reason="no memory", turns=None)
    assert decode_record(json.loads(json.dumps(encode_record(failed)))) == failed


def test_a_record_of_schema_1_is_still_read() -> None:
    old = {name: value for name, value in encode_record(record()).items() if name not in ("instrumented", "declared")}
    assert decode_record(json.loads(json.dumps(record_as_of(1, old)))) == record()


def test_what_an_instrumented_launch_saw_survives_with_its_declaration() -> None:
    stalls = Metric("stalls", "1", "lower", "how often it stood still", part_of="all", limit=0.5)
    instrumented = record(turns=None, instrumented=True, extra={"stalls": 2.0}, declared=(stalls,))
    assert decode_record(json.loads(json.dumps(encode_record(instrumented)))) == instrumented
    with pytest.raises(RunError, match="an instrumented launch has no timed turns"):
        record(instrumented=True)


def test_every_outcome_but_ok_has_a_reason() -> None:
    with pytest.raises(RunError, match="'crashed' with reason ''"):
        record(outcome="crashed")
    with pytest.raises(RunError, match="'ok' with reason 'well'"):
        record(reason="well")
    with pytest.raises(RunError, match="unknown outcome 'fine'; allowed: ok, unsupported"):
        record(outcome="fine", reason="x")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "not a record"),
        ({"schema": 99}, "unknown schema version 99; allowed: 1"),
        ({"schema": RECORD_SCHEMA, "suite": "x"}, "missing"),
        ({**encode_record(record()), "colour": "red"}, "unknown field `colour`"),
        ({**encode_record(record()), "turns": {**encode_record(record())["turns"], "position": []}}, "unequal length"),
        ({**encode_record(record()), "turns": {"steps": 1, "round": [1]}}, r"\$\.turns: object missing required field"),
        ({**encode_record(record()), "turns": {"step": 1}}, "not a record"),
        ({**encode_record(record()), "declared": [{"name": "stalls"}]}, "not a record"),
    ],
)
def test_what_is_no_record_says_why(data: object, words: str) -> None:
    with pytest.raises(RunError, match=words):
        decode_record(data)


@pytest.fixture
def folder(tmp_path: Path) -> store.RunFolder:
    opened = store.create(tmp_path / "results")
    opened.write_info({"run": opened.folder.name, "plan": PLAN})
    opened.append([record()])
    return opened


def test_a_run_is_read_back(folder: store.RunFolder) -> None:
    folder.append([record(launch=1)])
    folder.close()
    run = store.read_run(folder.folder)
    assert [item.launch for item in run.records] == [0, 1]
    assert run.id == folder.folder.name


def test_a_run_of_schema_1_is_read_and_instrumented_records_stand_apart(folder: store.RunFolder) -> None:
    folder.append([record(launch=1), record(turns=None, instrumented=True)])
    folder.close()
    for path in (folder.folder / store.RUN, folder.folder / store.RECORDS):
        assert '"schema"' in path.read_text()
    info = folder.folder / store.RUN
    info.write_text(json.dumps(run_as_of(1, json.loads(info.read_text()))))
    run = store.read_run(folder.folder)
    assert [(item.launch, item.instrumented) for item in run.records] == [(0, False), (1, False)]
    assert [(item.launch, item.instrumented) for item in run.instrumented] == [(0, True)]


def test_a_second_writer_is_refused(folder: store.RunFolder) -> None:
    with pytest.raises(RunError, match="another run is writing here"):
        store.RunFolder(folder.folder)
    folder.close()
    store.RunFolder(folder.folder).close()


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    folders = [store.create(tmp_path) for _ in range(20)]
    assert len({opened.folder for opened in folders}) == 20
    for opened in folders:
        opened.close()


def test_a_half_written_line_is_refused_and_repaired(folder: store.RunFolder) -> None:
    path = folder.folder / store.RECORDS
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    with pytest.raises(RunError, match=r"truncated.*--resume"):
        store.read_run(folder.folder)
    assert folder.repair() == 100
    folder.close()
    assert path.read_bytes() == whole
    assert len(store.read_run(folder.folder).records) == 1


def test_a_line_that_is_no_record_is_named(folder: store.RunFolder) -> None:
    folder.close()
    path = folder.folder / store.RECORDS
    path.write_text(path.read_text() + '{"schema": 8}\n')
    with pytest.raises(RunError, match=r"records\.jsonl:2: unknown schema version 8"):
        store.read_run(folder.folder)


def test_find_names_what_there_is(tmp_path: Path, folder: store.RunFolder) -> None:
    out = folder.folder.parent
    folder.close()
    assert store.find_folder(None, out) == folder.folder
    assert store.find_folder(folder.folder.name, out) == store.find_folder(str(folder.folder), out) == folder.folder
    with pytest.raises(RunError, match=f"unknown run 'nope'; allowed: {folder.folder.name}"):
        store.find_folder("nope", out)
    with pytest.raises(RunError, match="no runs under"):
        store.find_folder(None, tmp_path / "empty")
    with pytest.raises(RunError, match="not a run"):
        store.find_folder(str(tmp_path), out)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": "x"}', '{"run": "x", "plan": {}, "schema": 0}'])
def test_a_folder_that_is_no_run(tmp_path: Path, text: str) -> None:
    (tmp_path / store.RUN).write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        store.read_run(tmp_path)


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        store.create(tmp_path / "file" / "results")


def test_what_is_read_is_what_was_written_in_less_memory_and_is_written_again(tmp_path: Path) -> None:
    """Records of one cell share what they have in common; the seconds of steps are doubles, and read as tuples."""
    made = replace(make(launches=3, rounds=8), folder=tmp_path)
    opened = store.RunFolder(tmp_path)
    opened.write_info(made.info)
    seconds = tuple((0.1 * turn, 0.3, 1e-9) for turn in range(1, 9))
    own = [
        replace(record, turns=record.turns and replace(record.turns, seconds=seconds, steps=0, first=(), counted=()))
        for record in made.records
    ]
    opened.append(own)
    opened.close()
    read = store.read_run(tmp_path).records
    assert list(read) == own
    assert json.dumps([encode_record(one) for one in read]) == json.dumps([encode_record(one) for one in own])
    first, second = (record for record in read if record.cell == read[0].cell and record.launch < 2)
    assert first.effective is second.effective
    assert first.turns is not None
    assert first.turns.seconds == seconds
    assert hash(first.turns.seconds) == hash(seconds)
    assert repr(first.turns.seconds) == repr(seconds)
    assert first.turns.seconds[0] != (0.1, 0.3)
    assert sys.getsizeof(first.turns.seconds[0]) < 64 + 24 * len(seconds[0])  # as a tuple has with its floats
