"""A suite's own file: loops that are its alone, names that workers find, neighbours that are broken, odd names."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import bench
from bench import cli
from bench.analysis.run import Run
from bench.axes import loops
from bench.commands.selection import Selection, plan_everything, plan_selection
from bench.errors import SpecError
from bench.plan import discovery, suite_files
from bench.plan.suite import Suite

TRAINING = """
def build(point):
    import torch

    return Workload(
        model=torch.nn.Linear(8, 8),
        loss=lambda model, batch: (model(batch) - batch).square().mean(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, 0.1),
        batches=torch.utils.data.DataLoader(torch.randn(64, 8), batch_size=8),
        samples=8,
    )
"""
LOOP = '''
def {name}(job):
    """Plain, under the name {name}, of {where}"""
    workload = job.workload
    optimizer = workload.optimizer(workload.model.parameters())
    for batch in job.stream(workload.batches):
        optimizer.zero_grad()
        workload.loss(workload.model, batch).backward()
        optimizer.step()
    print("trained by {where}")
'''
SUITE = """
suite = Suite(
    name="{name}", title="t", compare="loop", baseline="plain", build=build, axes={{"loop": ({loops})}}{more}
)
"""
REGISTER = '@register("{0}", preload=("torch",))'


def suite_text(name: str, *, own: str = "", before: str = "", more: str = "") -> str:
    named = "".join(f'"{loop}", ' for loop in ("plain", *own.split()))
    head = f"from bench import Job, Loop, Suite, Workload, register\n{before}"
    return head + TRAINING + SUITE.format(name=name, loops=named, more=more)


def registered(name: str, where: str) -> str:
    return REGISTER.format(name) + LOOP.format(name=name, where=where)


@pytest.fixture
def folder(tmp_path: Path, processes: None) -> Path:
    """Where the suite files of this test lie; importing one of another's starts a process."""
    made = tmp_path / "suites"
    made.mkdir()
    return made


def listed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert cli.exit_code(["list", *words]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.err


# --- loops


def test_two_suites_of_a_folder_have_each_a_loop_of_one_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "one.py").write_text(suite_text("one", own="mine", before=registered("mine", "one")))
    (folder / "two.py").write_text(suite_text("two", own="mine", before=LOOP.format(name="other", where="two"),
                                              more=', loops={"mine": other}'))  # fmt: skip
    (folder / "three.py").write_text(suite_text("three"))
    found = discovery.all_suites([folder])
    assert {"one", "two", "three"} <= found.keys()
    titles = {name: [(loop.name, loop.title) for loop in found[name][0].own_loops] for name in ("one", "two", "three")}
    assert titles == {
        "one": [("mine", "Plain, under the name mine, of one")],
        "two": [("mine", "Plain, under the name other, of two")],
        "three": [],
    }
    assert "mine" not in loops.registry()
    told = listed(capsys, "one", "two", "--suites", str(folder), "--set", "loop=mine")
    assert "  one[loop=mine]\n" in told
    assert "  its own loop mine: Plain, under the name other, of two\n" in told
    assert "unknown value of axis 'loop' 'mine'; allowed: plain, fabric" in listed(
        capsys, "three", "--suites", str(folder), "--set", "loop=mine", code=2
    )


def test_a_loop_of_a_helper_is_that_of_every_suite_that_imports_it(folder: Path) -> None:
    (folder / "helpers.py").write_text("from bench import register\n" + registered("helped", "helpers"))
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(suite_text(name, own="helped", before="from .helpers import helped\n"))
    (folder / "three.py").write_text(suite_text("three"))
    found = discovery.all_suites([folder])
    assert [[loop.name for loop in found[name][0].own_loops] for name in ("one", "two", "three")] == [
        ["helped"],
        ["helped"],
        [],
    ]


def test_a_helper_by_its_absolute_name_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(loops, "_beside", {})
    (folder / "absolute_helpers.py").write_text("from bench import register\n" + registered("helped", "helpers"))
    how = ("from absolute_helpers import helped\n", "import absolute_helpers\n", "")
    for name, before in zip(("one", "two", "three"), how, strict=True):
        (folder / f"{name}.py").write_text(suite_text(name, own="helped" if before else "", before=before))
    found = discovery.all_suites([folder])
    assert [bool(found[name][0].own_loops) for name in ("one", "two", "three")] == [True, True, False]
    sys.modules.pop("absolute_helpers")


def test_a_loop_that_is_registered_below_the_suite_can_be_asked_for(folder: Path) -> None:
    (folder / "late.py").write_text(suite_text("late") + registered("late", "late"))
    plan, _ = plan_selection(Selection(("late",), ("loop=late",), folders=(folder,)))
    assert plan.cells[-1].id == "late[loop=late]"


def test_what_a_loop_imports_first_is_planned(folder: Path) -> None:
    (folder / "one.py").write_text(
        suite_text(
            "one",
            own="mine absent",
            before=LOOP.format(name="run", where="one"),
            more=', loops={"mine": Loop(run, ("torch", "lightning")), "absent": Loop(run, ("torch", "no.such"))}',
        )
    )
    cells = {str(cell.point["loop"]): cell for cell in plan_selection(Selection(("one",), folders=(folder,)))[0].cells}
    assert cells["plain"].preload == ("torch",)
    assert cells["mine"].preload == ("torch", "lightning")
    assert cells["absent"].unsupported == "the package 'no.such' is not installed"


@pytest.mark.parametrize(
    ("before", "more", "words"),
    [
        (registered("plain", "x"), "", "loop 'plain' is one that every suite has; one of its own needs another name"),
        ("", ', loops={"trainer": print}', "loop 'trainer' is one that every suite has"),
        (registered("a", "x") * 2, "", "loop 'a' is registered twice"),
        ("", ', loops={"My loop": print}', "loops: name 'My loop' is not of the form"),
        ("", ', loops={"mine": 3}', "loops: 'mine': 3 is no function; allowed: a function of a job, bench.Loop"),
        ("", ', loops={"mine": Loop}', "is no function"),
        ("", ", loops=[print]", "is no mapping; allowed: functions of a job, or bench.Loop, by name"),
        ("", ', loops={"mine": Loop(print, "torch")}', "preload 'torch' is not possible; allowed: names of modules"),
        ("", ', loops={"mine": Loop(print, ("lightning",))}', "does not begin with torch"),
        ("", ', loops={"mine": Loop(print, ("torch", "@side"))}', "allowed: names of modules, torch first"),
        ("register('b', preload=('numpy',))(print)\n", "", "loops: 'b': preload ('numpy',) does not begin with torch"),
    ],
)
def test_a_loop_that_is_none_is_one_message_of_its_suite(folder: Path, before: str, more: str, words: str) -> None:
    path = folder / "wrong.py"
    path.write_text(suite_text("wrong", before=before, more=more))
    for _ in range(2):  # what a file left behind that did not import is no mistake of the next time
        with pytest.raises(SpecError) as caught:
            discovery.suite_of_file(str(path))
        assert words in str(caught.value)
        assert len(caught.value.mistakes) == 1
    path.write_text(suite_text("wrong"))
    assert discovery.suite_of_file(str(path))[0].own_loops == ()


# --- names


def test_a_file_is_found_by_its_name_in_a_process_that_knows_nothing(tmp_path: Path) -> None:
    made = tmp_path / "a folder-of.suites"
    made.mkdir()
    (made / "helpers.py").write_text("class Helper:\n    pass\n")
    (made / "my suite.v2.py").write_text("from .helpers import Helper\nclass Rows:\n    pass\nsuite = 3\n")
    (tmp_path / "link.py").symlink_to(made / "my suite.v2.py")
    loaded = suite_files.import_file(tmp_path / "link.py")
    code = "import pickle, sys; print(sorted(one.__name__ for one in pickle.load(sys.stdin.buffer)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps([loaded.Rows, loaded.Helper]),
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=False,
        cwd="/",
    )
    assert done.stdout.decode() == "['Helper', 'Rows']\n", done.stderr.decode()


@pytest.mark.parametrize("name", ["plain.py", "with space.py", "da-sh.py", "two.dots.py", "ünïcode.py", "class.py"])
def test_a_file_of_any_name_is_a_suite(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "__init__.py").write_text("raise SystemExit('the package of a suite is not imported for it')\n")
    (folder / "helpers.py").write_text('TITLE = "a helper\'s"\n')
    text = "\ufeff" + suite_text("odd", before="from .helpers import TITLE\n").replace('title="t"', "title=TITLE")
    (folder / name).write_text(text, encoding="utf-8")
    assert "odd: a helper's\n" in listed(capsys, str(folder / name))
    assert "odd: a helper's\n" in listed(capsys, "odd", "--suites", str(folder))


def test_a_suite_may_be_made_by_a_function_or_be_that_of_another_file(folder: Path) -> None:
    (folder / "made.py").write_text(
        suite_text("made", before=registered("mine", "made")).replace("suite = ", "def make():\n    return ")
        + "suite = make()\n"
    )
    (folder / "other.py").write_text(
        "from dataclasses import replace\nfrom .made import suite as base\nsuite = replace(base, name='other')\n"
    )
    found = discovery.all_suites([folder])
    assert [loop.name for name in ("made", "other") for loop in found[name][0].own_loops] == ["mine", "mine"]


def test_a_file_or_a_helper_that_was_edited_is_read_again(folder: Path) -> None:
    """As arms do, which are new processes: a plan of the file as it was would be of another workload."""
    (folder / "helpers.py").write_text('TITLE = "old"\n')
    text = suite_text("mine", own="mine", before="from .helpers import TITLE\n" + registered("mine", "one"))
    path = folder / "mine.py"
    path.write_text(text.replace('title="t"', "title=TITLE"))
    first = discovery.suite_of_file(str(path))[0]
    assert discovery.suite_of_file(str(path))[0] is first
    (folder / "helpers.py").write_text('TITLE = "newer"\n')
    assert discovery.suite_of_file(str(path))[0].title == "newer"
    path.write_text(text.replace("mine", "yours"))
    suite, _ = discovery.suite_of_file(str(path))
    assert (suite.name, [loop.name for loop in suite.own_loops]) == ("yours", ["yours"])


# --- neighbours


def neighbours(folder: Path) -> None:
    """A sound suite among others of which something is wrong."""
    (folder / "sound.py").write_text(suite_text("sound"))
    (folder / "syntax.py").write_text("suite = 1 +")
    (folder / "number.py").write_text("suite = 3\n")
    (folder / "leaves.py").write_text("import os\nos._exit(0)\nsuite = 3\n")
    (folder / "folder.py").mkdir()
    (folder / "nowhere.py").symlink_to("not/there.py")
    (folder / "jax.py").write_text(suite_text("jax", own="jax torchrun"))
    (folder / "twin1.py").write_text(suite_text("twin"))
    (folder / "twin2.py").write_text(suite_text("twin"))
    (folder / "planned.py").write_text(suite_text("planned", more=", workers=lambda point: -1"))
    (folder / "helper.py").write_text("raise RuntimeError('nobody imports it')\n")


REFUSED = ("syntax", "number", "leaves", "folder", "nowhere", "jax", "twin1")


def test_a_mistake_in_one_file_stops_nobody_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    neighbours(folder)
    assert cli.exit_code(["list", "--suites", str(folder)]) == 0
    said = capsys.readouterr()
    assert "sound: t\n" in said.out
    assert "overhead[loop=plain" in said.out
    lines = said.err.splitlines()
    assert len(lines) == len(REFUSED) + 1  # a line each; `planned` is refused when it is planned
    for name in (*REFUSED, "twin2", "planned"):
        assert sum(f"left out: {folder}/{name}.py" in line or f"and {folder}/{name}.py" in line for line in lines) == 1
    assert "unknown value of axis 'loop' 'jax'" in said.err
    assert "unknown value of axis 'loop' 'torchrun'" in said.err
    assert "its `workers`: TypeError: gave -1" in said.err
    assert "all have suite 'twin'; rename one of them" in said.err


def test_a_name_that_is_not_found_may_be_among_the_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    neighbours(folder)
    for name in ("jax", "twin", "number"):
        told = listed(capsys, name, "--suites", str(folder), code=2)
        assert f"unknown suite '{name}'; allowed: " in told
        assert "sound" in told.splitlines()[0]
        assert len(told.splitlines()) == len(REFUSED) + 1
    notes: list[str] = []
    plan, _ = plan_selection(Selection(("sound",), folders=(folder,)), tell=notes.append)
    assert [cell.id for cell in plan.cells] == ["sound", "sound#twin"]
    assert len(notes) == len(REFUSED)
    with pytest.warns(UserWarning, match="left out: ") as warned:
        assert "sound" in bench.suites([folder])
    assert len(warned) == len(REFUSED)


def test_a_suite_of_a_name_that_ours_has_stops_only_those_two(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.py").write_text(suite_text("overhead"))
    assert "all have suite 'overhead'" in listed(capsys, "overhead", "--suites", str(folder), code=2)
    assert "precision: " in listed(capsys, "precision", "--suites", str(folder))
    assert "overhead: t\n" in listed(capsys, str(folder / "mine.py"), "--suites", str(folder))
    assert capsys.readouterr().err == ""


def test_of_two_suites_in_a_file_one_counts_and_that_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = suite_text("first")
    (folder / "two.py").write_text(text + 'second = Suite(name="second", title="t", compare="loop", baseline="plain", '
                                   'build=build, axes={"loop": ("plain",)})\n')  # fmt: skip
    told = listed(capsys, "second", "--suites", str(folder), code=2)
    assert "two.py: suite 'second' is assigned to `second`, and only `suite` counts" in told
    (folder / "two.py").write_text(text.replace("suite = ", "third = "))
    told = listed(capsys, str(folder / "two.py"), code=2)
    assert "two.py: assigns no `suite` at its top level; suite 'first' is assigned to `third`" in told


# --- paths


def test_a_file_is_named_by_its_path(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbours(folder)
    monkeypatch.chdir(folder)
    for name in ("sound.py", "./sound.py", str(folder / "sound.py"), "../suites/sound.py"):
        assert "  sound\n" in listed(capsys, name)
    assert capsys.readouterr().err == ""  # its neighbours were not looked at
    (folder / "more.py").write_text(suite_text("more"))
    assert "  more[loop=fabric]\n" in listed(capsys, "sound.py", "more.py", "--set", "loop=plain,fabric", "-k", "more")
    assert "  sound\n" in listed(capsys, "sound.py", "sound", "--suites", ".")  # the same file twice
    with pytest.raises(bench.SpecError, match=r"nowhere\.py: no such suite file"):
        bench.run(Path("nowhere.py"))
    with pytest.raises(bench.SpecError, match=r"\./sound: no such suite file"):
        bench.run(Path("sound"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.py", "gone.py: no such suite file"),
        ("./gone", "./gone: no such suite file"),
        ("nowhere.py", "nowhere.py: no such suite file"),
        ("./", "./: a folder, not a suite file; name a file of it, or say --suites ./"),
        ("folder.py", "folder.py: a folder, not a suite file"),
        ("helper.py", "helper.py: this suite file does not import: RuntimeError: nobody imports it"),
        ("syntax.py", "syntax.py: this suite file does not import: SyntaxError"),
        ("leaves.py", "leaves.py: this suite file does not import: left the program (status 0)"),
        ("number.py", "number.py: `suite` is int, not a bench.Suite"),
        ("./notes.txt", "./notes.txt: not a suite file; allowed: a file of Python, *.py"),
        ("empty.py", "empty.py: assigns no `suite` at its top level; allowed: `suite = Suite(...)`"),
        ("/dev/null", "/dev/null: not a file that could be a suite"),
        ("a\0b.py", "no such suite file"),
        ("x" * 5000 + ".py", "no such suite file"),
    ],
)
def test_a_path_that_gives_no_suite_is_one_message(
    folder: Path, name: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbours(folder)
    monkeypatch.chdir(folder)
    (folder / "notes.txt").write_text("suite = 1")
    (folder / "empty.py").write_text("")
    told = listed(capsys, name, code=2)
    assert words in told
    assert len(told.splitlines()) == 1


def test_two_files_of_one_suite_name_cannot_be_one_plan(folder: Path) -> None:
    neighbours(folder)
    with pytest.raises(SpecError, match=r"twin2\.py: suite 'twin' is in .*twin1\.py, too; rename one of them"):
        plan_selection(Selection((str(folder / "twin1.py"), str(folder / "twin2.py"))))
    with pytest.raises(SpecError, match="suite 'twin': a file that is named has one of that name, too"):
        plan_selection(Selection(("twin", str(folder / "twin1.py")), folders=(folder,)))


def test_everything_is_planned_but_what_cannot_be(folder: Path) -> None:
    neighbours(folder)
    notes: list[str] = []
    plan = plan_everything(Selection(folders=(folder,), settings=("loop=fabric",)), notes.append)
    assert "sound" in plan.suites
    assert not {"planned", "twin", "jax"} & plan.suites.keys()
    assert any("planned" in note for note in notes)


# --- in arms


def outcomes(run: Run) -> dict[str, set[str]]:
    return {record.cell: {record.outcome, record.reason} - {""} for record in run.stored.records}


@pytest.mark.long
def test_own_loops_train_in_arms_and_the_run_is_gone_on_with(folder: Path, tmp_path: Path) -> None:
    (folder / "helpers.py").write_text("from bench import register\n" + registered("helped", "helpers"))
    before = "from .helpers import helped\n" + registered("mine", "one") + LOOP.format(name="run", where="loops")
    more = ', loops={"given": Loop(run, ("torch",))}'
    (folder / "one.py").write_text(suite_text("one", own="mine helped given", before=before, more=more))
    (folder / "broken.py").write_text("suite = 1 +")
    out = tmp_path / "results"
    run = bench.run(folder / "one.py", budget=3, instrument=0, out=out)
    assert set().union(*outcomes(run).values()) == {"ok"}, outcomes(run)
    for loop, where in (("mine", "one"), ("helped", "helpers"), ("given", "loops")):
        (log, *_) = [record.log for record in run.stored.records if record.point["loop"] == loop]
        assert f"trained by {where}\n" in (run.folder / log).read_text()
    assert cli.exit_code(["run", "--resume", str(run.folder), "--budget", "40s", "--precision-goal", "99%"]) == 0
    assert len(bench.load(run).stored.records) > len(run.stored.records)
    (folder / "helpers.py").write_text((folder / "helpers.py").read_text() + "# edited\n")
    with pytest.raises(bench.RunError, match=r"helpers\.py of suite one"):
        bench.resume(run, budget=9, out=out)


WORKERS = """
class Rows:
    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return TIMES * self.values[index]


def loader(point):
    import torch

    rows = Rows(torch.randn(32, 8)) if point["where"] == "file" else HelpersRows(torch.randn(32, 8))
    how = str(point["context"])
    return torch.utils.data.DataLoader(
        rows, batch_size=8, num_workers=1, persistent_workers=True, multiprocessing_context=how
    )
"""


@pytest.mark.long
def test_workers_of_every_kind_find_what_the_suite_file_defines(folder: Path, tmp_path: Path) -> None:
    """Also under a name that is no name of a module; the loop of the file is registered in the worker, too."""
    (folder / "helpers.py").write_text("from bench import register\nTIMES = 1\n" + WORKERS.split("def loader")[0])
    before = "from .helpers import TIMES, Rows as HelpersRows\n" + registered("mine", "one") + WORKERS
    text = suite_text(
        "workers", before=before, more=", epochs=True, workers=lambda point: int(point['context'] != 'none')"
    )
    text = text.replace("torch.utils.data.DataLoader(torch.randn(64, 8), batch_size=8)", "loader(point)")
    axes = '"context": ("fork", "spawn", "forkserver"), "where": ("file", "helper"), "loop": ("mine",)'
    text = text.replace('axes={"loop": ("plain", )}', f"axes={{{axes}}}")
    text = text.replace('compare="loop", baseline="plain"', 'compare="context", baseline="fork"')
    (folder / "with-workers.v1.py").write_text(text)
    run = bench.run(str(folder / "with-workers.v1.py"), budget=5, instrument=0, out=tmp_path / "results")
    assert set().union(*outcomes(run).values()) == {"ok"}, outcomes(run)
    assert len(outcomes(run)) == 8  # three contexts and a twin, of classes in two places


def test_a_run_of_a_sound_suite_tells_of_the_refused_and_ends_as_it_does(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sound.py").write_text(suite_text("sound"))
    (folder / "broken.py").write_text("suite = 1 +")
    words = ["--budget", "2s", "--no-instrument", "--out", str(tmp_path / "results")]
    assert cli.exit_code(["run", "sound", "--suites", str(folder), *words]) == 0
    said = capsys.readouterr()
    assert said.err.count("left out: ") == 1
    assert f"{folder}/broken.py: this suite file does not import: SyntaxError" in said.err
    (file,) = (tmp_path / "results").glob("*/run.json")
    assert json.loads(file.read_text())["files"] == {"sound": str(folder / "sound.py")}


def test_a_suite_that_is_made_outside_of_any_file_has_the_loops_that_it_is_given() -> None:
    def mine(job: bench.Job) -> None:
        """Mine"""

    suite = Suite(
        "a", "t", {"loop": ("plain", "mine")}, "loop", "plain", build=lambda point: None, loops={"mine": mine}
    )
    assert [(loop.name, loop.title, loop.preload) for loop in suite.own_loops] == [("mine", "Mine", ("torch",))]
