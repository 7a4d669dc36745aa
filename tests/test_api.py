"""The Python API: docs/api.md is true of it, and it does what the command line does. A real run throughout."""

from __future__ import annotations

import ast
import inspect
import json
import math
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from conftest import ROOT
from histories import save
from synthetic import FABRIC, PLAIN, TRAINER, make

import bench
from bench import cli
from bench.analysis.columns import (
    CELL_COLUMNS,
    CURVE_COLUMNS,
    KEY_COLUMNS,
    LADDER_COLUMNS,
    LAUNCH_COLUMNS,
    PAIR_COLUMNS,
    TURN_COLUMNS,
    Column,
)
from bench.analysis.run import Run
from bench.plan.public_names import HOMES
from bench.report.plots import PLOT_KINDS
from bench.results import report_places
from bench.results.store import StoredRun
from bench.stats.step_times import LEAST_ROUNDS

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
TABLES = {
    "cells": (*KEY_COLUMNS, *CELL_COLUMNS),
    "launches": LAUNCH_COLUMNS,
    "turns": TURN_COLUMNS,
    "pairs": PAIR_COLUMNS,
    "ladder": LADDER_COLUMNS,
    "curves": CURVE_COLUMNS,
}
AXES = ("loop", "batch_size", "data")  # of synthetic runs
FUNCTIONS = [name for name in bench.__all__ if inspect.isfunction(getattr(bench, name)) and name != "register"]
BUDGET = 4.0  # BENCH_BUDGET of all real runs


# --- the page


def rows_of(table: str) -> list[Column]:
    """A table of the page."""
    section = PAGE.partition(f"### run.{table}\n")[2].partition("\n#")[0]
    lines = [[cell.strip() for cell in line.strip("|").split(" |")] for line in section.splitlines() if line[:1] == "|"]
    return [Column(name.strip("`"), dtype, unit, meaning) for name, dtype, unit, meaning in lines[2:]]


@pytest.mark.parametrize("table", TABLES)
def test_the_page_has_the_columns_of_the_code(table: str) -> None:
    assert rows_of(table) == list(TABLES[table])


def test_the_page_names_all_that_is_public() -> None:
    named = set(re.findall(r"`bench\.(\w+)", PAGE))
    assert set(bench.__all__) - {"__version__"} <= named
    assert f"measured {LEAST_ROUNDS} rounds at least" in PAGE


def without_axis(run: StoredRun) -> StoredRun:
    """The run, with cells of a second suite, which has no batch size."""
    cells = []
    for cell in run.info["plan"]["cells"]:
        point = {axis: value for axis, value in cell["point"].items() if axis != "batch_size"}
        names = {name: cell[name].replace("overhead", "other") for name in ("id", "group", "baseline")}
        cells.append({**cell, "suite": "other", "point": point, **names})
    plan = run.info["plan"]
    other = {**plan["suites"]["overhead"], "length_axis": None, "axes": {"loop": [PLAIN], "data": ["synthetic"]}}
    both = {"suites": {**plan["suites"], "other": other}, "cells": [*plan["cells"], *cells]}
    return replace(run, info={**run.info, "plan": both})


FAILURES: dict[Any, Any] = {
    **{(loop, 32, launch): ("crashed", "no mood") for loop in (FABRIC, TRAINER) for launch in range(2)},
    (PLAIN, 256, -1): ("unsupported", "no device"),
}
RUNS = {
    "a run": make(launches=2),
    "one launch": make(launches=1),
    "instrumented": make(launches=2, instrument=2),
    "failures": make(launches=2, failures=FAILURES),
    "nothing measured": replace(make(launches=1), records=()),
    "no cells": replace(make(lengths={}), records=()),
    "an axis that one suite lacks": without_axis(make(launches=2)),
}


def dtypes(table: pd.DataFrame, axes: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(str(name), str(dtype)) for name, dtype in table.dtypes.items() if name not in axes]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("table", TABLES)
def test_tables_have_these_columns_and_dtypes_whatever_is_in_them(table: str, name: str) -> None:
    frame = getattr(Run(RUNS[name]), table)
    assert dtypes(frame, AXES) == [(column.name, column.dtype) for column in TABLES[table]]
    if table not in ("pairs", "ladder", "curves") and name not in ("nothing measured", "no cells"):
        kind = "object" if name == "an axis that one suite lacks" and table == "cells" else "int64"
        assert [str(frame[axis].dtype) for axis in AXES] == ["object", kind, "object"]


def test_axes_stand_where_the_page_says_and_one_that_a_suite_lacks_is_none() -> None:
    run = Run(RUNS["an axis that one suite lacks"])
    assert list(run.cells.columns[: len(KEY_COLUMNS) + 3]) == [*(column.name for column in KEY_COLUMNS), *AXES]
    assert list(run.turns.columns[-3:]) == list(run.launches.columns[-3:]) == list(AXES)
    assert set(run.cells["batch_size"]) == {32, 256, 2048, None}
    assert {type(value) for value in run.cells["batch_size"]} == {int, type(None)}


def test_an_axis_that_is_called_like_a_column_has_another_name() -> None:
    made = make(launches=2)
    cells = [{**cell, "point": {**cell["point"], "ratio": 0.5}} for cell in made.info["plan"]["cells"]]
    run = Run(replace(made, info={**made.info, "plan": {**made.info["plan"], "cells": cells}}))
    assert run.cells["axis_ratio"].dtype == "float64"
    assert set(run.cells["axis_ratio"]) == {0.5}
    assert "ratio" in run.cells.columns


# --- what is public


def test_all_that_is_imported_or_defined_for_others_is_public() -> None:
    tree = ast.parse(Path(bench.__file__).read_text(encoding="utf-8"))
    types = [node for node in tree.body if isinstance(node, ast.If)]
    assert set(HOMES) <= {one.name for node in types for line in ast.walk(node) for one in getattr(line, "names", ())}
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench.")
        for alias in node.names
    }
    inside = {"old_modules", "public_name", "__getattr__"}
    assert defined | imported | set(HOMES) == {*bench.__all__, *inside}
    assert len(bench.__all__) == len(set(bench.__all__))


@pytest.mark.parametrize("name", [name for name in bench.__all__ if name not in ("__version__", "AxisValue", "Point")])
def test_everything_public_says_what_it_is(name: str) -> None:
    text = inspect.getdoc(getattr(bench, name)) or ""
    assert len(text.splitlines()[0]) > 20
    if name in FUNCTIONS:
        assert "\nRaises:\n" in text
        told = text if name == "run" or "Args, besides those of `run`:" not in text else f"{text}\n{bench.run.__doc__}"
        for parameter in inspect.signature(getattr(bench, name)).parameters:
            assert re.search(rf"\b{parameter}\b", told), parameter


def test_importing_it_imports_nothing_heavy_and_importing_more_hides_nothing() -> None:
    code = (
        "import sys, bench\n"
        "heavy = {'torch', 'lightning', 'pandas', 'numpy', 'scipy', 'seaborn'} & set(sys.modules)\n"
        "before = {name: getattr(bench, name) for name in bench.__all__}\n"
        "import bench.report.html, bench.commands.gate, bench.cli, bench.machine.environment, bench.report.trace\n"
        "hidden = [name for name, value in before.items() if getattr(bench, name) is not value]\n"
        "print(sorted(heavy), hidden)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


def test_the_page_s_figures_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(make(launches=2), tmp_path / "results")
    exec(next(block for block in CODE if "run.plot(" in block), {})
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "cell.svg").read_text(encoding="utf-8")
    kinds = re.findall(r"^\| `(\w+)` \| an? \w+ \| (.+) \|$", PAGE, flags=re.MULTILINE)
    assert kinds == [(name, kind.shows.partition("; of a suite")[0]) for name, kind in PLOT_KINDS.items()]


# --- a real run


class Measured(NamedTuple):
    """The page's first block, done: the run as it was, and as it was gone on with, and where."""

    first: Run
    resumed: Run
    page: Path
    where: Path


@pytest.fixture(scope="module")
def measured(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    where = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_BUDGET", f"{BUDGET:g}s")
        patch.chdir(where)
        names: dict[str, Any] = {}
        runs: list[Run] = []
        for statement in ast.parse(CODE[0]).body:
            exec(compile(ast.Module([statement], []), "docs/api.md", "exec"), names)
            if isinstance(statement, ast.Assign):
                runs.append(names["run"])
                assert len(runs[0].cells) == 3  # reads them now: the second run is in the same folder
        first, resumed = runs
        yield Measured(first, resumed, report_places.page_of_folder(first.folder), where)


@pytest.fixture
def there(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """The real run, from the folder in which it was made."""
    monkeypatch.setenv("BENCH_BUDGET", f"{BUDGET:g}s")
    monkeypatch.chdir(measured.where)
    return measured


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code of the command line, and what it says."""
    capsys.readouterr()
    code = cli.exit_code(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("table", TABLES)
def test_a_real_run_has_the_columns_of_the_page(there: Measured, table: str) -> None:
    documented = [(column.name, column.dtype) for column in TABLES[table]]
    names = [name for name, _ in documented]
    point = there.first.info["plan"]["cells"][0]["point"]
    kinds = {str: "object", int: "int64", bool: "bool"}
    axes = {f"axis_{axis}" if axis in names else axis: kinds[type(value)] for axis, value in point.items()}
    frame = getattr(there.first, table)
    assert dtypes(frame, tuple(axes)) == documented
    if table not in ("pairs", "ladder", "curves"):
        assert {axis: str(frame[axis].dtype) for axis in axes} == axes


def test_its_figures_are_those_of_show(there: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "show", str(there.resumed.folder), "--format", "json")
    assert code == 0
    shown = {cell["id"]: cell for cell in json.loads(out)["cells"]}
    cells = there.resumed.cells
    assert list(cells["cell"]) == list(shown)
    for row in cells.to_dict("records"):
        cell = shown[row["cell"]]
        versus = cell["versus"] or {"ratio": None, "difference": None}
        for name, told in {**cell["metrics"], **versus}.items():
            if name in ("step_time", "throughput", "ratio", "difference"):
                for column, part in ((name, "estimate"), (f"{name}_low", "low"), (f"{name}_high", "high")):
                    value = None if told is None else told[part]
                    assert row[column] == value or (value is None and math.isnan(row[column])), (row["cell"], column)
        assert (row["outcome"], row["reason"], row["twin"]) == (cell["outcome"], cell["reason"], cell["twin"])
        assert {axis: row[axis] for axis in cell["point"]} == cell["point"]
        assert row["launches"] == max(record.launch for record in there.resumed.stored.records) + 1


def test_the_budget_is_at_most_that_of_the_variable(there: Measured) -> None:
    assert there.first.info["options"]["budget"] == there.resumed.info["options"]["budget"] == BUDGET


def test_it_is_gone_on_with(there: Measured) -> None:
    assert there.resumed.id == there.first.id
    before, after = there.first.stored.records, there.resumed.stored.records
    assert after[: len(before)] == before
    assert there.resumed.info["timing"]["wall"] > there.first.info["timing"]["wall"]
    assert there.resumed.info["argv"] == there.first.info["argv"] == ["bench.run"]


def test_it_is_loaded_by_id_folder_and_as_the_newest(there: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    for which in (there.first.id, there.first.folder, str(there.first.folder), there.first, None):
        run = bench.load(which)
        assert (run.id, run.finished) == (there.first.id, True)
        assert run.cells.equals(there.resumed.cells)
    assert bench.load(step="40ms").reference_step == bench.load(step=0.04).reference_step == 0.04
    assert command(capsys, "baseline", "save", "before")[0] == 0
    assert bench.load("before").id == there.first.id
    exec(CODE[1], {})


def test_its_page_is_written_and_verified_as_often_as_one_likes(there: Measured, tmp_path: Path) -> None:
    assert there.page.exists()
    path = bench.write_report(there.resumed, tmp_path / "page.html")
    assert bench.write_report(there.resumed, str(path)) == path
    assert not bench.verify(there.resumed, path).differences
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("overhead", "underfoot", 1), encoding="utf-8")
    assert bench.verify(there.resumed, path).differences
    # That of the run is of the time before it was gone on with, and does not pass for its page.
    assert bench.verify(there.resumed).differences


def test_it_is_compared(there: Measured) -> None:
    done = bench.compare(there.first.id, there.first.folder)
    assert not done.invalid
    assert (done.a, done.b) == (there.first.id, there.first.id)
    assert {cell.cell for cell in done.cells} <= set(there.first.cells["cell"])
    assert (done.only_a, done.only_b, done.mismatches) == ((), (), ())


def newer(run: Run, out: Path, name: str) -> Path:
    """A run of somebody else's, in the same folder, which is the newest there."""
    when = datetime.now(UTC) + timedelta(hours=1)
    folder = out / f"{when:%Y%m%d-%H%M%S}-{name}"
    shutil.copytree(run.folder, folder)
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**info, "run": folder.name}))
    return folder


def test_a_run_in_a_thread_is_its_own_whatever_is_newer(there: Measured, tmp_path: Path) -> None:
    """From a thread no signal is touched; and the newest run in the folder is somebody else's."""
    other = newer(there.first, tmp_path, "ffff")
    runs: list[Run] = []
    values = {"loop": "plain", "batch_size": range(32, 33), "samples": [512]}
    thread = threading.Thread(
        target=lambda: runs.append(bench.run("overhead", set=values, budget="1h", instrument=0, seed=3, out=tmp_path))
    )
    thread.start()
    thread.join()
    (run,) = runs
    assert bench.load(out=tmp_path).folder == other
    assert run.folder != other
    assert run.info["options"] | {"budget": BUDGET, "seed": 3, "instrument": 0} == run.info["options"]
    assert list(run.cells["batch_size"]) == [32, 32]
    assert set(run.cells["outcome"]) <= {"ok", "noisy"}, run.cells["reason"].tolist()


def test_a_gate_gives_what_it_writes(processes: None, tmp_path: Path) -> None:
    gate = bench.gate("power", select="slowdown=again", set={"samples": 512}, budget=BUDGET, out=tmp_path)
    written = json.loads((tmp_path / gate.gate / "gate.json").read_text())
    assert written == json.loads(json.dumps(gate.to_json()))
    assert (written["verdict"], written["exit_code"]) == (gate.verdict, gate.exit_code)
    assert [decision.cell for decision in gate.decisions if "again" in decision.cell]
    assert gate.budget == BUDGET
