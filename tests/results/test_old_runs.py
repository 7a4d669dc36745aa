"""Runs that earlier versions wrote: read under the names of today, shown, compared, checked, and gone on with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from histories import repository
from old_runs import OPTIONS, STEPS, record_as_of, records, run_json, write_run

from bench import cli
from bench.analysis import frames
from bench.analysis.summary import summarize
from bench.engine.options import Options
from bench.errors import RunError
from bench.results import old_names, run_info, store
from bench.results.decoding import convert
from bench.results.record import RECORD_SCHEMA, decode_line, decode_record, encode_record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "results")


def test_a_run_of_schema_3_is_whole_and_has_the_names_of_today(folder: Path) -> None:
    run = store.intact(store.read_run(folder))
    assert (run.covered, run.info["schema"]) == (True, 3)
    assert (len(run.records), len(run.instrumented)) == (12, 4)
    assert {record.fork_server for record in run.records} == {0, 1}
    assert all(record.instrumented and record.turns is None for record in run.instrumented)
    (first, *_) = run.instrumented
    assert list(first.extra)[:2] == ["instrumented_step_time", "phases_gap"]
    assert [metric.name for metric in first.declared][:2] == ["instrumented_step_time", "phases_gap"]
    assert "share of instrumented_step_time" in first.declared[1].description
    options = convert(Options, run.info["options"], "options")
    assert (options.instrument, options.precision_goal, options.fork_servers) == (2, 0.01, 2)
    assert (run.info["timing"]["fork_servers"], run.info["timing"]["instrumented"]) == (20.0, 6.0)
    assert {stop["reason"] for stop in run.info["stops"].values()} == {"precision-goal"}


def test_an_old_record_is_the_same_record(folder: Path) -> None:
    lines = (folder / store.RECORDS).read_bytes().splitlines()
    for data, line, one in zip(records(), lines, store.read_run(folder).records, strict=False):
        assert decode_record(data) == one
        assert decode_record(json.loads(json.dumps(encode_record(one)))) == one
        assert encode_record(one)["schema"] == RECORD_SCHEMA
        assert b'"looking":false' in line


@pytest.mark.parametrize("name", ["instrumented", "fork_server"])
def test_a_name_of_today_is_unknown_to_an_old_record(name: str) -> None:
    data = {**records()[0], name: 0}
    with pytest.raises(RunError, match=rf"^file:1: \$: object contains unknown field `{name}`$"):
        decode_line(json.dumps(data), "file:1")


def test_a_record_of_schema_6_is_of_no_node_and_keeps_its_seat(folder: Path) -> None:
    one = replace(store.read_run(folder).records[0], seat=1, nodes=())
    old = record_as_of(6, json.loads(json.dumps(encode_record(one))))
    assert "nodes" not in old
    assert decode_line(json.dumps(old), "file:1") == one
    with pytest.raises(RunError, match=r"^file:1: \$: object contains unknown field `nodes`$"):
        decode_line(json.dumps({**old, "nodes": ["a"]}), "file:1")


@pytest.mark.parametrize("schema", [1, 2, 3, 4, 5])
def test_turns_of_older_records_are_read_without_later_columns(schema: int, folder: Path) -> None:
    one = store.read_run(folder).records[0]
    today = json.loads(json.dumps(encode_record(one)))
    assert {name: today["turns"][name] for name in old_names.COLUMNS_SINCE_5} == {
        name: [] for name in old_names.COLUMNS_SINCE_5
    }
    old = record_as_of(schema, today)
    assert decode_line(json.dumps(old), "file:1") == one
    for name, value in (("resident", [1] * 8), ("seconds", [[1.0]] * 8)):
        if schema < 5 or name == "seconds":
            later = {**old, "turns": {**old["turns"], name: value}}
            with pytest.raises(RunError, match=rf"^file:1: \$\.turns: object contains unknown field `{name}`$"):
                decode_line(json.dumps(later), "file:1")
    with pytest.raises(RunError, match=r"^file:1: \$: object contains unknown field `seat`$"):
        decode_line(json.dumps({**old, "seat": 1}), "file:1")
    del today["turns"]["resident"]
    with pytest.raises(RunError, match=r"^file:1: \$\.turns: object missing required field `resident`$"):
        decode_line(json.dumps(today), "file:1")


@pytest.mark.parametrize("name", old_names.RECORD_NAMES)
def test_an_old_name_is_unknown_to_a_record_of_today(name: str, folder: Path) -> None:
    data = json.loads(json.dumps(encode_record(store.read_run(folder).records[0])))
    with pytest.raises(RunError, match=f"unknown field `{name}`"):
        decode_record({**data, name: data[old_names.RECORD_NAMES[name]]}, "file:1")


def test_a_spoiled_old_file_is_one_message(folder: Path, tmp_path: Path) -> None:
    for change in ({"extra": [1]}, {"declared": [{"name": "x"}]}, {"declared": "x"}, {"looking": 1}, {"zygote": True}):
        with pytest.raises(RunError, match=r"^file:7: \$"):
            decode_line(json.dumps({**records()[-1], **change}), "file:7")
    info = json.loads((folder / store.RUN).read_text())
    wrong: tuple[dict[str, Any], ...] = (
        {"options": []},
        {"options": {**OPTIONS, "looks": -1}},
        {"options": {**OPTIONS, "instrument": 1}},
        {"timing": {"zygotes": "long"}},
        {"stops": {"toy": 1}},
        {"stops": []},
    )
    for change in wrong:
        with pytest.raises(RunError, match=r"^run: \$"):
            run_info.check_run_info({**info, **change}, Path("run"))


def test_options_that_were_edited_are_told_of_an_old_run_too(folder: Path) -> None:
    path = folder / store.RUN
    path.write_text(path.read_text().replace('"target": 0.01', '"target": 0.02'))
    assert "the options are not those that the run was made with" in store.damage(store.read_run(folder))


def test_old_figures_are_in_frame_and_summary(folder: Path) -> None:
    run = store.read_run(folder)
    rows = frames.launches(run)
    assert set(rows[rows["metric"] == "instrumented_step_time"]["instrumented"]) == {True}
    cells = {cell.id: cell for cell in summarize(run).cells}
    for cell, step in STEPS.items():
        assert cells[cell].instrumented["instrumented_step_time"].estimate == pytest.approx(1.105 * step, rel=1e-3)


def test_every_command_reads_an_old_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (commit,) = repository(tmp_path / "git", 1)
    out = tmp_path / "results"
    write_run(out)
    other = write_run(
        out,
        run="20260106-120000-03ac",
        started="2026-01-06T12:00:00+00:00",
        environment={**run_json()["environment"], "commit": commit},
    )

    def said(*words: str) -> str:
        assert cli.exit_code([*words, "--out", str(out)]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    assert "fabric" in said("show")
    shown = json.loads(said("show", "--format", "json"))
    assert "instrumented_step_time" in shown["cells"][0]["instrumented"]
    assert "instrumented_step_time_estimate" in said("show", "--format", "csv")
    assert "instrumented step time" in said("show", "--format", "md")
    assert f"reports/{other.name}/index.html" in said("report")
    assert "outcomes were not judged again" in said("verify")  # by the rules of their time they are what they are
    assert '"a": "20260105-120000-03ab"' in said(
        "compare", "20260105-120000-03ab", "20260106-120000-03ac", "--format", "json", "--allow-environment-mismatch"
    )
    repo = ("--repo", str(tmp_path / "git"))
    assert commit in said("history", "--format", "json", *repo)
    assert commit[:8] in said("export", "asv", "--results-dir", str(tmp_path / "asv"), *repo)
    said("baseline", "save", "old")
    assert "fabric" in said("compare", "old", "20260105-120000-03ab", "--allow-environment-mismatch")
