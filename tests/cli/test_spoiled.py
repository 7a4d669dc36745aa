"""Every command that reads runs, on runs of which something is wrong: one message, code 2, and the others go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
from conftest import SUITES
from histories import repository, run_of, save
from old_runs import run_as_of

from bench import cli
from bench.engine.options import Options
from bench.machine import environment
from bench.plan import discovery, plan
from bench.results import identity, run_info, store
from bench.results.record import RECORD_SCHEMA

READERS = {
    "show": ["show", "RUN"],
    "show json": ["show", "RUN", "--format", "json"],
    "show csv": ["show", "RUN", "--format", "csv"],
    "show md": ["show", "RUN", "--format", "md"],
    "report": ["report", "RUN"],
    "verify": ["verify", "RUN"],
    "compare": ["compare", "RUN", "GOOD"],
    "compare, the other way": ["compare", "GOOD", "RUN"],
    "merge": ["merge", "GOOD", "RUN"],
    "baseline": ["baseline", "save", "main", "RUN"],
    "resume": ["run", "--resume", "RUN"],
    "export": ["export", "asv", "RUN", "--results-dir", "ASV"],
}


def made() -> store.StoredRun:
    return synthetic.make(costs={"plain": 0.0, "fabric": 60e-6}, lengths={32: 0.01})


def edited(name: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    """Changes the JSON in a file of a run, of records the first line."""

    def spoil(folder: Path) -> None:
        first, *rest = (
            (folder / name).read_text().splitlines() if name == store.RECORDS else [(folder / name).read_text()]
        )
        data = json.loads(first)
        change(data)
        (folder / name).write_text("\n".join([json.dumps(data), *rest]) + "\n")

    return spoil


SPOILED = {
    "a record's type": edited(store.RECORDS, lambda data: data["turns"].update(steps="two")),
    "a record's metric": edited(store.RECORDS, lambda data: data["extra"].update(grip=float("nan"))),
    "a record's memory": edited(store.RECORDS, lambda data: data["memory"].update(peak_memory_host=[])),
    "a cell nobody planned": edited(store.RECORDS, lambda data: data.update(cell="other")),
    "a plan's suite": edited(store.RUN, lambda data: data["plan"]["suites"]["overhead"].pop("compare")),
    "an environment": edited(store.RUN, lambda data: data.update(environment=[1])),
    "a time": edited(store.RUN, lambda data: data.update(started="yesterday")),
    "brackets": lambda folder: (folder / store.RUN).write_text("[" * 200_000),
    "no records but a folder": lambda folder: [(folder / store.RECORDS).unlink(), (folder / store.RECORDS).mkdir()],
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    for name in ("GOOD", "RUN"):
        save(replace(made(), info={**made().info, "run": name}), folder)
    return folder


@pytest.fixture
def out(saved: Path, tmp_path: Path) -> Path:
    """Two runs: GOOD, and RUN, to be spoiled."""
    return Path(shutil.copytree(saved, tmp_path, dirs_exist_ok=True))


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_run_that_cannot_be_read_is_one_message_of_every_command(
    out: Path, spoil: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(out / "RUN")
    before = sorted(path.name for path in out.iterdir())
    for name, words in READERS.items():
        arguments = [str(out / "ASV") if word == "ASV" else word for word in words]
        assert cli.exit_code([*arguments, "--out", str(out)]) == 2, name
        said = capsys.readouterr()
        assert said.out == ""
        assert len(said.err.splitlines()) == 1, name
        assert str(out / "RUN" / "r") in said.err, name  # run.json or records.jsonl
    assert sorted(path.name for path in out.iterdir()) == before, "nothing was written"


def test_one_bad_run_takes_nobody_down_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes = repository(tmp_path / "code", 1)
    monkeypatch.chdir(tmp_path / "code")
    results = tmp_path / "results"
    folders = [save(run_of(number, hashes[0], launches=1, rounds=8), results) for number in range(4)]
    SPOILED["a record's type"](folders[0])
    SPOILED["an environment"](folders[1])
    (folders[2] / store.RECORDS).write_text("".join((folders[2] / store.RECORDS).read_text().splitlines(True)[:-1]))
    assert cli.exit_code(["history", "--out", str(results)]) == 0
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 3
    for folder in folders[:3]:
        assert f"left out: {folder}" in said.err
    assert "1 points" in said.out
    asked = ["export", "asv", *(folder.name for folder in folders), "--out", str(results)]
    assert cli.exit_code([*asked, "--results-dir", str(tmp_path / "asv")]) == 0
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 3
    assert len(said.out.splitlines()) == 1
    for folder in folders:
        SPOILED["brackets"](folder)
    assert cli.exit_code([*asked, "--results-dir", str(tmp_path / "asv")]) == 2
    assert cli.exit_code(["history", "--out", str(results)]) == 2


# What a run was made from.


def interrupted(tmp_path: Path) -> tuple[Path, Path]:
    """A run that could be gone on with, and the folder of its suite, with a helper beside it."""
    suites = tmp_path / "suites"
    suites.mkdir()
    text = (SUITES / "laziness.py").read_text().replace('name="laziness"', 'name="mine"')
    (suites / "mine.py").write_text(text + "\n\ndef unused() -> None:\n    from . import helper  # noqa\n")
    (suites / "helper.py").write_text("import json\nfrom .deeper import x\n")
    (suites / "deeper.py").write_text("x = 1\n")
    (suites / "stranger.py").write_text("y = 1\n")
    found = discovery.all_suites([suites])
    suite, file = found["mine"]
    planned = plan.make_plan({"mine": suite}, ["mine"])
    opened = store.create(tmp_path / "results")
    options = vars(Options(budget=1.0, seed=3))
    digests = {"options": run_info.options_digest(options), "files": identity.digests({"mine": file})}
    assert sorted(digests["files"]["mine"]) == ["deeper.py", "helper.py", "mine.py"]
    opened.write_info(
        {
            "run": opened.folder.name,
            "plan": plan.plan_document(planned),
            "options": options,
            "files": {"mine": file},
            "environment": environment.environment(1),
            "digests": digests,
        }
    )
    opened.append([])
    opened.close()
    return opened.folder, suites


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("name", ["mine.py", "helper.py", "deeper.py"])
def test_a_run_whose_suite_was_edited_is_not_gone_on_with(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, suites = interrupted(tmp_path)
    (suites / "stranger.py").write_text("y = 2\n")  # nobody imports it
    asked = ["run", "--resume", str(folder), "--suites", str(suites)]
    assert cli.exit_code(asked) == 0, capsys.readouterr()
    (suites / name).write_text((suites / name).read_text() + "# edited\n")
    whole = (folder / store.RUN).read_bytes()
    assert cli.exit_code(asked) == 2
    assert f"{name} of suite mine" in capsys.readouterr().err
    assert (folder / store.RUN).read_bytes() == whole


@pytest.mark.usefixtures("processes")
def test_only_how_long_and_how_exactly_may_be_said_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, suites = interrupted(tmp_path)
    asked = ["run", "--resume", str(folder), "--suites", str(suites)]
    for other in (["--seed", "4"], ["--threads", "2"], ["--memory-limit", "1GiB"]):
        assert cli.exit_code([*asked, *other]) == 2
        said = capsys.readouterr().err
        assert (
            "was asked for: that is another experiment; allowed to change: budget, precision_goal, timeout, instrument"
            in said
        )
    assert cli.exit_code([*asked, "--seed", "3", "--budget", "2s"]) == 0
    run = store.read_run(folder)
    assert (run.info["options"]["budget"], run.info["options"]["seed"]) == (2.0, 3)
    assert run.broken == ()


@pytest.mark.usefixtures("processes")
def test_a_run_that_an_older_version_began_is_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, suites = interrupted(tmp_path)
    path = folder / store.RUN
    info = run_as_of(3, json.loads(path.read_text()))
    options = run_info.options_digest(json.loads(path.read_text())["options"], 3)
    path.write_text(json.dumps({**info, "digests": {**info["digests"], "options": options}}))
    assert store.read_run(folder).broken == ()
    asked = ["run", "--resume", str(folder), "--suites", str(suites), "--target", "5%", "--no-look"]
    assert cli.exit_code(asked) == 0, capsys.readouterr()
    assert capsys.readouterr().err.count("an older version began it (schema 3)") == 1
    run = store.read_run(folder)
    assert (run.info["schema"], run.broken, len(run.records) > 0) == (RECORD_SCHEMA, (), True)
    assert (run.info["options"]["precision_goal"], run.info["options"]["instrument"]) == (0.05, 0)
    assert not {"target", "looks", "zygotes"} & run.info["options"].keys()


def test_a_run_with_lost_records_and_a_baseline_are_not_gone_on_with(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.exit_code(["baseline", "save", "main", "GOOD", "--out", str(out)]) == 0
    assert cli.exit_code(["run", "--resume", str(out / "baselines" / "main")]) == 2
    assert "a baseline is not gone on with" in capsys.readouterr().err
    records = out / "RUN" / store.RECORDS
    records.write_text("".join(records.read_text().splitlines(True)[:-1]))
    for words in (["run", "--resume", "RUN"], ["baseline", "save", "other", "RUN"], ["export", "asv", "RUN"]):
        assert cli.exit_code([*words, "--out", str(out)]) == 2
        assert "the last 1 are gone" in capsys.readouterr().err
    assert cli.exit_code(["compare", "GOOD", "RUN", "--out", str(out)]) == 3
    assert cli.exit_code(["show", "RUN", "--out", str(out)]) == 0
    assert "the last 1 are gone" in " ".join(capsys.readouterr().out.split())


def test_runs_of_other_suite_files_are_told_apart(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, digest in (("GOOD", "a" * 64), ("RUN", "b" * 64)):
        path = out / name / store.RUN
        info = json.loads(path.read_text())
        info["digests"]["files"] = {"overhead": {"overhead.py": digest, "digits.py": "c" * 64}}
        path.write_text(json.dumps(info))
    assert cli.exit_code(["compare", "GOOD", "RUN", "--out", str(out)]) == 0
    assert "files of suite overhead are not the same: overhead.py" in " ".join(capsys.readouterr().out.split())
