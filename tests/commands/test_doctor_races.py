"""The doctor's races: few, of what tells, and each change is really in its arm."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Silent, call
from test_remedies import LOADER, seen

from bench.commands.doctor import (
    CONTROL,
    DOCTOR_FILE,
    LONGEST_EPOCH,
    MOST_ARMS,
    diagnose_target,
    labelled,
    planned_races,
)
from bench.commands.doctor_features import LOWEST_RUNG, feature_scripts
from bench.commands.doctor_look import look
from bench.commands.doctor_target import BASELINE, parse_target
from bench.commands.remedies import Trial, trials_of
from bench.results import store
from bench.results.observed import Observed, observed_of

ZOO = Path(__file__).resolve().parent.parent / "zoo"


def races_of(found: Observed) -> list[tuple[bool, list[str]]]:
    races = planned_races(list(labelled(trials_of(found, 2))), found)
    return [(race.epochs, [trial.name for _, trial in race.trials]) for race in races]


def test_where_nothing_pays_between_epochs_there_is_one_race_of_steps() -> None:
    assert races_of(seen()) == [(False, ["loader", "optimizer", "batch"])]


def test_what_pays_between_epochs_is_told_by_whole_ones_with_its_bound() -> None:
    found = seen({"num_workers": 1, "persistent_workers": False})
    assert races_of(found) == [
        (True, ["persistent-workers", "num-workers", "loader"]),
        (False, ["optimizer", "batch"]),
    ]


@pytest.mark.parametrize(
    "change", [{"step_seconds": LONGEST_EPOCH / 40}, {"between_seconds": 2.0}, {"epochs": 1}, {"ended": True}]
)
def test_long_epochs_are_not_raced(change: dict[str, float]) -> None:
    found = replace(seen({"num_workers": 1, "persistent_workers": False}), **change)
    assert races_of(found) == [(False, ["num-workers", "loader", "optimizer", "batch"])]


def test_a_race_has_a_dozen_arms_at_most_and_all_trials_are_in_one() -> None:
    many = [(str(number), Trial(str(number), str(number), "", {})) for number in range(25)]
    races = list(planned_races(many, seen()))
    assert [len(race.trials) for race in races] == [MOST_ARMS, MOST_ARMS, 5]
    assert [label for race in races for label in race.labels] == [label for label, _ in many]


def test_labels_differ_and_the_training_as_it_is_comes_first(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("x = 1\n")
    script = parse_target("train.py", ("--lr", "1"), None, str(tmp_path)).script
    twice = [Trial("a", "same", "", {"skip": ["log"]}), Trial("b", "same", "", {"skip": ["print"]})]
    (race,) = planned_races(list(labelled(twice)), replace(seen(), loader=LOADER))
    arms = race.scripts(script)
    assert [arm.label for arm in arms] == [BASELINE, "same", "same (2)"]
    assert [arm.changes for arm in arms] == [{}, {"skip": ["log"]}, {"skip": ["print"]}]
    assert {arm.argv for arm in arms} == {script.argv}


@pytest.mark.parametrize("trials", range(1, 10))
def test_with_the_twin_a_race_has_an_even_number_of_arms_as_its_blocks_are_short_then(
    trials: int, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("x = 1\n")
    script = parse_target("train.py", (), None, str(tmp_path)).script
    many = [(str(number), Trial(str(number), str(number), "", {})) for number in range(trials)]
    (race,) = planned_races(many, seen())
    arms = race.scripts(script)
    assert len(arms) % 2 or trials == 1
    assert [arm.changes for arm in arms if arm.label == CONTROL] == [{}] * (len(arms) - trials - 1)


def own_folder(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.copyfile(ZOO / "planted" / f"{name}.py", folder / f"{name}.py")
    return folder


@pytest.mark.alone
@pytest.mark.long
def test_a_checkpoint_in_each_step_is_found_raced_and_told(tmp_path: Path, processes: None) -> None:
    """It takes a third of the step and more, which no noise hides."""
    folder = own_folder(tmp_path, "saves_each_step")
    target = parse_target("saves_each_step.py", (), None, str(folder))
    found = diagnose_target(target, {"budget": 60.0}, tmp_path / "results", Silent())
    assert found.failed == ""
    best = found.advice[0]
    assert (best.trial.name, best.saving.per) == ("checkpoint-seldom", "step")
    assert best.saving.share.low is not None
    assert best.saving.share.low > 0.1
    (trap,) = found.traps
    assert trap.trap.name == "saves-each-step"
    assert trap.price is not None
    assert trap.price.saving.is_known
    assert found.bounds[0].trial.name == "checkpoints"
    assert [path.name for path in folder.iterdir()] == ["saves_each_step.py"]
    (kept,) = (tmp_path / "results").glob(f"*/{DOCTOR_FILE}")
    assert json.loads(kept.read_text())["advice"][0]["trial"]["name"] == "checkpoint-seldom"
    assert all(Path(run).parent == kept.parent for run in found.runs)


@pytest.mark.alone
@pytest.mark.long
def test_workers_that_are_too_many_are_told_by_whole_epochs(tmp_path: Path, processes: None) -> None:
    """Without them an epoch takes less than half of its time, on two cores."""
    folder = own_folder(tmp_path, "too_many_workers")
    target = parse_target("too_many_workers.py", (), None, str(folder))
    found = diagnose_target(target, {"budget": 150.0}, tmp_path / "results", Silent())
    assert found.failed == ""
    best = found.advice[0]
    assert (best.trial.title, best.saving.per) == ("num_workers=0", "epoch")
    patch = found.patch({name: (folder / name).read_text() for name in found.edited_files()})
    assert "+        TensorDataset(inputs, inputs[:, :10]), batch_size=32, shuffle=True, num_workers=0\n" in patch.diff
    assert "persistent_workers=True" not in "".join(line for line in patch.diff.splitlines() if line.startswith("+"))


@pytest.mark.long
def test_a_change_is_in_its_arm_and_nowhere_else(tmp_path: Path, processes: None) -> None:
    from bench.commands.race import RaceRules, race_scripts

    folder = own_folder(tmp_path, "too_many_workers")
    script = parse_target("too_many_workers.py", (), None, str(folder)).script
    at = "too_many_workers.py:10 < too_many_workers.py:23"
    changes = {"observe": True, "at": at, "loader": {"num_workers": 0}}
    arms = [script, replace(script, label="none", changes=changes)]
    given = {"budget": 20.0, "launches": 1, "launch": 0.1}
    run = race_scripts(arms, given, tmp_path / "results", Silent(), rules=RaceRules(equal="counts"))
    records = {str(one.point["script"]): one for one in run.records if not one.twin}
    assert {name: one.outcome for name, one in records.items()} == {BASELINE: "ok", "none": "ok"}
    assert records[BASELINE].effective["loader_workers"] == 8
    assert records["none"].effective["loader_workers"] == 0
    observed = observed_of(records["none"].effective, "an arm")
    assert observed.loader is not None
    assert (observed.loader.at, observed.loader.arguments["num_workers"]) == (at, 0)
    assert observed_of(records[BASELINE].effective, "an arm") == Observed()
    assert store.read_run(run.folder).records


@pytest.mark.long
def test_the_command_says_in_one_line_what_it_cannot_look_at(tmp_path: Path, processes: None) -> None:
    (tmp_path / "train.py").write_text("import torch\nprint('nothing')\n")
    done = call("doctor", "train.py", cwd=tmp_path)
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last.startswith("bench: train.py: it ended by itself; its log: results/")
    assert (tmp_path / last.partition("its log: ")[2]).read_text() == "nothing\n"
    assert done.stdout == ""
    assert call("doctor", "gone.py", cwd=tmp_path).returncode == 2


def test_a_script_elsewhere_has_its_files_where_it_is(tmp_path: Path, processes: None) -> None:
    folder, here = own_folder(tmp_path, "sampler_rebuilt"), tmp_path / "here"
    here.mkdir()
    script = parse_target(str(folder / "sampler_rebuilt.py"), (), None, str(here)).script
    assert script.own_folder == str(folder)
    found, failed = look(script, tmp_path, {}, 60.0)
    assert failed == ""
    assert found.loader is not None
    assert found.loader.at.startswith("sampler_rebuilt.py:")
    inside = parse_target("sampler_rebuilt.py", (), None, str(folder)).script
    assert inside.own_folder == str(folder)


def test_the_ladder_is_the_trainings_own_trainer_with_the_rungs_arguments(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("x = 1\n")
    script = parse_target("train.py", ("--lr", "1"), None, str(tmp_path)).script
    scripts, ladder = feature_scripts(script)
    assert scripts[0].label == LOWEST_RUNG
    assert scripts[-1] == script
    assert set(ladder) == {own.label for own in scripts[1:]}
    assert set(ladder.values()) < {own.label for own in scripts}
    assert ladder[BASELINE] == LOWEST_RUNG
    assert {own.argv for own in scripts} == {script.argv}
    by_label = {own.label: own.changes["trainer"] for own in scripts[:-1]}
    assert by_label[LOWEST_RUNG]["logger"] is False
    assert by_label[LOWEST_RUNG]["callbacks"] == []
    assert by_label["logger-each-step"]["log_every_n_steps"] == 1
    assert len(by_label["log-each-step"]["callbacks"]) == 1
