"""What is written for asv, and what asv itself makes of it: load, publish, show, compare."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, call
from histories import ENVIRONMENT, git, repository, run_of, save
from synthetic import FABRIC, PLAIN, TRAINER, cell_id

from bench.analysis import comparability
from bench.analysis import summary as stats
from bench.errors import RunError
from bench.machine import git as commits
from bench.machine.git import Commit
from bench.report import asv
from bench.results.record import RECORD_SCHEMA
from bench.results.store import StoredRun

needs_asv = pytest.mark.skipif(
    importlib.util.find_spec("asv") is None, reason="asv is not installed (the extra `history`)"
)
HASH = "ab" * 20
SHORT = {"rounds": 8, "launches": 4}


def exported(folder: Path, *runs: StoredRun, date: int = 1_750_000_000) -> dict[str, Any]:
    """The one result file of these runs at one commit."""
    done = asv.export([(run, Commit(HASH, date)) for run in runs], folder)
    (path,) = done.files
    return dict(json.loads(path.read_text()))


def values(data: Mapping[str, Any], name: str, column: str = "result") -> dict[tuple[str, str], Any]:
    """One column of a benchmark with the two params of synthetic runs, by their values."""
    row = dict(zip(data["result_columns"], data["results"][name], strict=False))
    keys = [(loop, batch) for loop in row["params"][0] for batch in row["params"][1]]
    return dict(zip(keys, row[column] or [None] * len(keys), strict=True))


def test_only_seconds_and_bytes_and_nothing_of_which_more_is_better(tmp_path: Path) -> None:
    run = run_of(0, HASH, instrument=2, **SHORT)
    data = exported(tmp_path, run)
    known = json.loads((tmp_path / "benchmarks.json").read_text())
    units = {name: entry["unit"] for name, entry in known.items() if name != "version"}
    assert units == {
        "overhead.step_time": "seconds",
        "overhead.typical_step_time": "seconds",
        "overhead.step_time_p95": "seconds",
        "overhead.step_time_p99": "seconds",
        "overhead.throughput_inverse": "seconds",
        "overhead.cpu_time": "seconds",
        "overhead.first_step_time": "seconds",
        "overhead.peak_memory_host": "bytes",
    }
    assert set(data["results"]) == set(units)  # no page faults, nothing of the instrumented launches
    steps, inverse = values(data, "overhead.step_time"), values(data, "overhead.throughput_inverse")
    for key, step in steps.items():
        assert inverse[key] == pytest.approx(step / int(key[1]))


def test_figures_are_those_of_the_summary_and_the_statistics_those_of_launches(tmp_path: Path) -> None:
    run = run_of(0, HASH, rounds=8, launches=9)
    data = exported(tmp_path, run)
    cells = {cell.id: cell for cell in stats.summarize(run).cells}
    for (loop, batch), value in values(data, "overhead.step_time").items():
        cell = cells[cell_id(loop.strip("'"), int(batch))]
        step = cell.metrics["step_time"]
        assert value == step.estimate
        low, high = (
            values(data, "overhead.step_time", f"stats_{name}")[loop, batch] for name in ("ci_99_a", "ci_99_b")
        )
        # 99 % holds more than 95 %: nine launches have 8 degrees.
        assert low < step.low < value < step.high < high
        assert math.log(high / low) / math.log(step.high / step.low) == pytest.approx(3.3554 / 2.3060, rel=1e-4)
        assert len(values(data, "overhead.step_time", "samples")[loop, batch]) == 9
        assert values(data, "overhead.step_time", "stats_repeat")[loop, batch] == 9
    assert data["date"] == 1_750_000_000_000
    assert data["commit_hash"] == HASH


def test_a_single_launch_has_no_statistics_and_few_have_no_samples(tmp_path: Path) -> None:
    one = exported(tmp_path / "1", run_of(0, HASH, rounds=8, launches=1))
    row = dict(zip(one["result_columns"], one["results"]["overhead.step_time"], strict=True))
    assert [row[f"stats_{name}"] for name in asv.STATS] == [None] * 6
    six = exported(tmp_path / "6", run_of(0, HASH, rounds=8, launches=6))
    row = dict(zip(six["result_columns"], six["results"]["overhead.step_time"], strict=True))
    assert row["samples"] is None  # with six on each side asv's test can never fire
    assert all(None not in row[f"stats_{name}"] for name in asv.STATS)


def test_failed_is_null_and_unsupported_is_nan(tmp_path: Path) -> None:
    run = run_of(
        0,
        HASH,
        failures={
            (TRAINER, 32, 1): ("crashed", "it fell"),
            (FABRIC, 256, -1): ("unsupported", "no"),
            (FABRIC, 32, 0): ("downgraded", "other threads"),
        },
        **SHORT,
    )
    data = exported(tmp_path, run)
    steps = values(data, "overhead.step_time")
    assert steps[repr(TRAINER), "32"] is None
    assert math.isnan(steps[repr(FABRIC), "256"])
    assert math.isnan(steps[repr(FABRIC), "32"])  # its time is not one of these settings
    assert steps[repr(PLAIN), "32"] > 0
    assert values(data, "overhead.step_time", "stats_repeat")[repr(TRAINER), "32"] is None


def test_versions_are_of_the_definition_and_not_of_titles_or_values_tried() -> None:
    run = run_of(0, HASH, **SHORT)
    cells = {cell["id"]: cell for cell in run.info["plan"]["cells"]}
    cell = cells[cell_id(PLAIN, 32)]

    def version(cell: Mapping[str, Any] = cell, **changes: Any) -> str:
        suites = {"overhead": {**run.info["plan"]["suites"]["overhead"], **changes}}
        return comparability.workload(replace(run, info={**run.info, "plan": {"suites": suites}}), cell).version

    axes = run.info["plan"]["suites"]["overhead"]["axes"]
    assert version() == version(cells[cell_id(TRAINER, 256)]) == version(title="otherwise")
    assert version(axes={**axes, "batch_size": [32, 64, 4096]}) == version()
    more = {**cell, "point": {**cell["point"], "data": "mnist"}}
    assert version(more, axes={**axes, "data": ["mnist"]}) != version()
    # An axis that the engine gets later stands at its first value in all that went before.
    assert version({**cell, "point": {**cell["point"], "precision": "32-true"}}) == version()


def test_a_value_that_the_suite_does_not_have_by_default_gets_a_benchmark_of_its_own() -> None:
    run = run_of(0, HASH, **SHORT)
    cell = run.info["plan"]["cells"][0]
    odd = comparability.workload(run, {**cell, "point": {**cell["point"], "data": "mnist", "precision": "bf16-mixed"}})
    assert odd.name == "overhead[data=mnist,precision=bf16-mixed]"
    assert list(odd.params) == ["loop", "batch_size"]
    assert odd.version != comparability.workload(run, cell).version


def test_runs_of_one_commit_share_a_file_and_the_newer_stands(tmp_path: Path) -> None:
    old, new = run_of(0, HASH, **SHORT), run_of(1, HASH, factor=2.0, costs={PLAIN: 0.0, FABRIC: 0.0}, **SHORT)
    data = exported(tmp_path, new, old)
    again = exported(tmp_path, new)
    assert data == again  # written twice, it is the same
    steps = values(data, "overhead.step_time")
    assert steps[repr(PLAIN), "32"] == pytest.approx(1.6e-3, rel=0.02)
    assert steps[repr(TRAINER), "32"] == pytest.approx(1.23e-3, rel=0.02)  # only the older run has it


def test_params_grow_without_losing_what_is_there(tmp_path: Path) -> None:
    exported(tmp_path, run_of(0, HASH, **SHORT))
    exported(tmp_path, run_of(1, HASH, lengths={64: 1e-3, 32: 1e-3}, costs={PLAIN: 0.0, TRAINER: 0.0}, **SHORT))
    known = json.loads((tmp_path / "benchmarks.json").read_text())["overhead.step_time"]
    assert known["params"] == [["'plain'", "'fabric'", "'trainer'"], ["32", "256", "64"]]


def test_volatile_facts_do_not_part_series_and_others_do() -> None:
    def told(**environment: Any) -> tuple[dict[str, str], str]:
        params = asv.parameters(run_of(0, HASH, environment=environment, launches=1), "box")
        return params, asv.environment_name(params)

    assert told() == told(
        torch="2.13.1+cpu", python="3.11.14", kernel="6.2.1", load_average=7.0, memory=ENVIRONMENT["memory"] + 3_000_000
    )
    for change in ({"torch": "2.14.0"}, {"python": "3.12.1"}, {"threads": 2}, {"lightning": "2.7.0"}):
        params, name = told(**change)
        assert params != told()[0]
        assert name != told()[1]  # else both would go into one file
    assert told()[1] == "py3.11-torch2.13-lightning2.6-threads1"
    assert comparability.machine_name(run_of(0, HASH, launches=1)) == "example-cpu-2-00ghz-2c"


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not readable as asv's"), ('{"version": 1}', "not asv's version 2"), ("[]", "not asv's version 2")],
)
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "benchmarks.json").write_text(text)
    with pytest.raises(RunError, match=words):
        exported(tmp_path, run_of(0, HASH, launches=1))
    assert [path.name for path in tmp_path.iterdir()] == ["benchmarks.json"]
    assert (tmp_path / "benchmarks.json").read_text() == text


def test_bad_input_of_the_command_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    hashes = repository(tmp_path / "code", 1)
    out = tmp_path / "results"
    dirty, none, clean, elsewhere = (
        save(run_of(number, commit, launches=1, rounds=8), out).name
        for number, commit in enumerate([f"{hashes[0]}-dirty", "none", hashes[0], HASH])
    )
    compared = run_of(9, hashes[0], launches=1)
    compared.info["plan"]["suites"]["overhead"]["axes"]["environment"] = ["git:a", "git:b"]
    save(compared, out)
    broken = out / clean / "run.json"
    other_schema = out / "20260102-000000-ffff"
    other_schema.mkdir()
    (other_schema / "run.json").write_text(broken.read_text().replace(f'"schema": {RECORD_SCHEMA}', '"schema": 99'))

    def refused(*arguments: str, words: str) -> None:
        done = call(
            "export",
            "asv",
            *arguments,
            "--out",
            str(out),
            "--results-dir",
            str(tmp_path / "asv"),
            cwd=tmp_path / "code",
        )
        assert done.returncode == 2, done.stdout
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "asv").exists()

    refused(dirty, words=f"it measured files that differ from commit {hashes[0][:8]}")
    refused(none, words="no commit is known of it (commit: 'none')")
    refused(elsewhere, words=f"commit '{HASH}' is not in the git repository")
    refused(clean, "--commit", "--all", words="expected one argument")
    refused(clean, "--commit=-all", words="commit '-all' is not in the git repository")
    refused(clean, "--machine", "../up", words="is no name for a folder")
    refused(compared.id, words="it compared environments")
    refused(other_schema.name, words="unknown schema version 99")
    refused("nowhere", words="unknown run 'nowhere'")
    done = call(
        "export",
        "asv",
        dirty,
        none,
        clean,
        "--commit",
        "HEAD",
        "--machine",
        "box",
        "--out",
        str(out),
        "--results-dir",
        str(tmp_path / "asv"),
        cwd=tmp_path / "code",
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).name == f"{hashes[0][:8]}-py3.11-torch2.13-lightning2.6-threads1.json"
    records = out / clean / "records.jsonl"
    records.write_text(records.read_text().replace('"counted":[0.', '"counted":[-0.', 1))
    (tmp_path / "asv").rename(tmp_path / "before")
    refused(clean, words="records.jsonl:1: $.turns.counted[0]: expected `float` >= 1e-12")


def asv_says(folder: Path, *arguments: str) -> str:
    """What asv prints, in a folder with an asv.conf.json."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "asv", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[StoredRun]]:
    """Six commits, a run of each, exported; the fourth made all steps 20 % slower. With a cell that always failed."""
    folder = tmp_path_factory.mktemp("asv") / "code"
    hashes = repository(folder, 6)
    failures = {(FABRIC, 256, 0): ("crashed", "it fell"), (FABRIC, 32, -1): ("unsupported", "not here")}
    runs = [
        run_of(number, hash_, factor=1.2 if number >= 3 else 1.0, launches=8, rounds=8, failures=failures)
        for number, hash_ in enumerate(hashes)
    ]
    done = asv.export(
        [(run, commits.resolve_commit(hash_, folder)) for run, hash_ in zip(runs, hashes, strict=True)],
        folder / ".asv" / "results",
    )
    assert len(done.files) == 6
    # As in this repository, comments and all.
    (folder / "asv.conf.json").write_text((ROOT / "asv.conf.json").read_text())
    return folder, hashes, runs


@needs_asv
def test_asv_loads_our_files(published: tuple[Path, list[str], list[StoredRun]]) -> None:
    from asv.benchmarks import Benchmarks
    from asv.config import Config
    from asv.results import Results

    folder, hashes, runs = published
    results = folder / ".asv" / "results"
    (machine,) = [path.parent for path in results.glob("*/machine.json")]
    assert json.loads((machine / "machine.json").read_text())["machine"] == machine.name == "example-cpu-2-00ghz-2c"
    known = Benchmarks.load(Config.from_json({"repo": ".", "results_dir": str(results)}))
    for hash_, run in zip(hashes, runs, strict=True):
        (path,) = machine.glob(f"{hash_[:8]}-*.json")
        loaded = Results.load(str(path), machine_name=machine.name)
        assert loaded.commit_hash == hash_
        assert "overhead.step_time" in loaded.get_result_keys(known)
        params = known["overhead.step_time"]["params"]
        cells = {cell.id: cell for cell in stats.summarize(run).cells}
        found = loaded.get_result_value("overhead.step_time", params)
        statistics = loaded.get_result_stats("overhead.step_time", params)
        keys = [(loop, batch) for loop in params[0] for batch in params[1]]
        for (loop, batch), value, told in zip(keys, found, statistics, strict=True):
            cell = cells[cell_id(loop.strip("'"), int(batch))]
            if cell.outcome == "ok":
                assert value == cell.metrics["step_time"].estimate
                assert told["repeat"] == 8
            else:
                assert value is None if cell.outcome == "crashed" else math.isnan(value)


@needs_asv
def test_asv_publishes_our_numbers(published: tuple[Path, list[str], list[StoredRun]]) -> None:
    folder, _, runs = published
    asv_says(folder, "publish", "--no-pull")
    html = folder / ".asv" / "html"
    index = json.loads((html / "index.json").read_text())
    assert set(index["params"]["torch"]) == {"2.13"}
    graphs = [path for path in html.glob("graphs/**/overhead.step_time.json") if "summary" not in path.parts]
    (graph,) = graphs
    points = json.loads(graph.read_text())
    assert len(points) == 6
    loops, batches = index["benchmarks"]["overhead.step_time"]["params"]
    for (_, drawn), run in zip(points, runs, strict=True):
        cells = {cell.id: cell for cell in stats.summarize(run).cells}
        for place, value in enumerate(drawn):
            loop, batch = loops[place // len(batches)], batches[place % len(batches)]
            cell = cells[cell_id(loop.strip("'"), int(batch))]
            if cell.outcome == "ok":
                assert value == pytest.approx(cell.metrics["step_time"].estimate, rel=1e-6)
            else:
                assert value is None or math.isnan(value)


@needs_asv
def test_asv_shows_and_compares(published: tuple[Path, list[str], list[StoredRun]]) -> None:
    folder, hashes, _ = published
    assert "overhead.step_time" in asv_says(folder, "show", hashes[0], "--details")

    def marks(before: str, after: str) -> dict[str, str]:
        told = asv_says(folder, "compare", before, after)
        rows = re.findall(r"^\| (.?) +\|.*\| (overhead\.step_time\(.*\)) +\|$", told, flags=re.MULTILINE)
        return {name: mark.strip() for mark, name in rows}

    slower, same = marks(hashes[2], hashes[3]), marks(hashes[1], hashes[2])
    measured = {name for name in slower if "'fabric'" not in name}
    assert len(measured) == 4
    assert {slower[name] for name in measured} == {"+"}
    assert {same[name] for name in measured} == {""}


@needs_asv
def test_asv_finds_the_benchmarks_of_the_suites_folder(tmp_path: Path) -> None:
    """Plain `asv run`, as far as it goes without measuring: its own process imports and checks the file."""
    folder = tmp_path / "code"
    repository(folder, 1)
    (folder / "asv.conf.json").write_text((ROOT / "asv.conf.json").read_text())
    (folder / "suites" / "asv").mkdir(parents=True)
    for path in (ROOT / "suites" / "asv").glob("*.py"):
        (folder / "suites" / "asv" / path.name).write_text(path.read_text())
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "suites")
    assert "No problems found" in asv_says(folder, "check", "-E", f"existing:{sys.executable}")


def test_what_asv_tracks_is_the_summary() -> None:
    spec = importlib.util.spec_from_file_location("asv_cells", ROOT / "suites" / "asv" / "cells.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    summary = stats.summarize(
        run_of(
            0,
            HASH,
            failures={(TRAINER, 32, 0): ("crashed", "it fell"), (FABRIC, 256, -1): ("unsupported", "no")},
            **SHORT,
        )
    ).to_json()
    cells = {cell["id"]: cell for cell in summary["cells"] if not cell["twin"]}
    benchmark = module.Overhead()
    assert benchmark.track_step_time(cells, PLAIN, 32) == cells[cell_id(PLAIN, 32)]["metrics"]["step_time"]["estimate"]
    assert benchmark.track_peak_memory_host(cells, PLAIN, 32) == pytest.approx(300 * 2**20)
    assert math.isnan(benchmark.track_step_time(cells, FABRIC, 256))
    with pytest.raises(RuntimeError, match="it fell"):
        benchmark.track_step_time(cells, TRAINER, 32)
