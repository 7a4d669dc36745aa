"""The axes `trainer` and `threads` as they are planned: sets built in, of a suite, of YAML files; no torch."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.axes.accelerators import accelerator
from bench.axes.trainer_sets import (
    BUILT_IN,
    REFUSED_ARGUMENTS,
    asked_by_set,
    known_arguments,
    plain_arguments,
    set_in_words,
    set_mistakes,
)
from bench.errors import SpecError
from bench.plan import plan
from bench.plan.cell import Cell, Plan
from bench.plan.suite import Suite

YAML = """\
mine:
  log_every_n_steps: 1
  callbacks:
    - class_path: my.callbacks.Burn
      init_args: {share: 0.3}
    - LearningRateMonitor
other: {gradient_clip_val: 0.5}
"""


def make_burn() -> Any:
    raise AssertionError("the parent makes no callbacks")


def suite(**changes: Any) -> Suite:
    values: dict[str, Any] = {
        "name": "toy",
        "title": "a toy",
        "axes": {"trainer": ("default", "no-logger"), "loop": ("trainer",)},
        "compare": "trainer",
        "baseline": "default",
        "build": lambda point: None,
    }
    return Suite(**{**values, **changes})


def made(*settings: str, threads: int = 1, **changes: Any) -> Plan:
    return plan.make_plan({"toy": suite(**changes)}, ["toy"], settings=settings, threads=threads)


def cells(found: Plan) -> dict[str, Cell]:
    return {cell.id: cell for cell in found.cells if not cell.twin}


def refused(*settings: str, **changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        made(*settings, **changes)
    return str(caught.value)


def test_what_is_built_in_is_sound_and_says_what_it_sets() -> None:
    assert next(iter(BUILT_IN)) == "default"
    assert set_in_words(plain_arguments(BUILT_IN["default"])) == "nothing"
    for arguments in BUILT_IN.values():
        assert list(set_mistakes(arguments)) == []
    callbacks = [make_burn, "a:B", {"class_path": "c.D", "init_args": {"e": 1}}]
    told = set_in_words(plain_arguments({"callbacks": callbacks}))
    assert told == "callbacks=[make_burn(), B(), D(e=1)]"


def test_the_page_has_every_set_that_is_built_in_and_all_that_is_refused() -> None:
    page = (Path(__file__).parents[2] / "docs" / "trainer-sets.md").read_text(encoding="utf-8")
    for name, arguments in BUILT_IN.items():
        assert f"| `{name}` | {set_in_words(plain_arguments(arguments))} |" in page
    assert ", ".join(f"`{name}`" for name in REFUSED_ARGUMENTS) in page


def test_every_refused_argument_is_one_of_trainers() -> None:
    assert set(REFUSED_ARGUMENTS) <= set(known_arguments())


def test_the_default_is_in_no_id_and_a_set_asks_for_what_it_sets() -> None:
    found = cells(made())
    assert list(found) == ["toy[trainer=default]", "toy[trainer=no-logger]"]
    assert found["toy[trainer=no-logger]"].trainer == {"logger": False}
    assert found["toy[trainer=no-logger]"].asks == {"logger": "none"}
    plain = cells(made(axes={"loop": ("plain", "trainer")}, compare="loop", baseline="plain"))
    assert list(plain) == ["toy[loop=plain]", "toy[loop=trainer]"]
    assert {cell.point["trainer"] for cell in plain.values()} == {"default"}
    assert all(cell.trainer == cell.asks == {} for cell in plain.values())


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({"log_every_n_steps": 1, "gradient_clip_val": 2}, {"log_every_n_steps": 1, "gradient_clip_val": 2}),
        ({"deterministic": "warn", "benchmark": True}, {"deterministic": True, "cudnn_benchmark": True}),
        ({"enable_progress_bar": True, "logger": True, "enable_checkpointing": None}, {}),
        ({"enable_progress_bar": False, "num_sanity_val_steps": 0}, {"progress_bar": "none", "sanity_steps": "0"}),
    ],
)
def test_what_is_asked_for_is_named_as_it_is_read_back(arguments: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    assert asked_by_set(arguments) == asked


def test_a_loop_without_a_trainer_and_barebones_take_no_set_that_they_cannot() -> None:
    loops = ("plain", "fabric", "trainer-barebones", "trainer")
    found = cells(made("trainer=no-logger,log-every-step,clip", f"loop={','.join(loops)}"))
    for loop in ("plain", "fabric"):
        assert found[f"toy[trainer=clip,loop={loop}]"].unsupported == (
            f"{loop} has no Trainer, and trainer=clip is for one; allowed: default, or loop trainer-barebones, trainer"
        )
        assert found[f"toy[trainer=default,loop={loop}]"].unsupported == ""
    told = {name: found[f"toy[trainer={name},loop=trainer-barebones]"].unsupported for name in ("no-logger", "clip")}
    assert told == {"no-logger": "", "clip": ""}
    assert found["toy[trainer=log-every-step,loop=trainer-barebones]"].unsupported == (
        "Trainer(barebones=True) refuses log_every_n_steps=1; allowed there: 0, None"
    )
    assert {cell.unsupported for cell in found.values() if cell.point["loop"] == "trainer"} == {""}


def test_a_file_of_sets_is_read_and_the_baseline_kept(tmp_path: Path) -> None:
    path = tmp_path / "sets.yaml"
    path.write_text(YAML)
    found = cells(made(f"trainer={path}"))
    assert list(found) == ["toy[trainer=default]", "toy[trainer=mine]", "toy[trainer=other]"]
    assert found["toy[trainer=mine]"].trainer == {
        "log_every_n_steps": 1,
        "callbacks": [
            {"class_path": "my.callbacks.Burn", "init_args": {"share": 0.3}},
            {"class_path": "LearningRateMonitor", "init_args": {}},
        ],
    }
    assert list(cells(made(f"trainer=no-logger,{path}:other"))) == [
        "toy[trainer=default]",
        "toy[trainer=no-logger]",
        "toy[trainer=other]",
    ]


def test_a_run_that_is_gone_on_with_has_the_sets_of_a_file_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "sets.yaml"
    path.write_text(YAML)
    own = {"own": {"callbacks": [make_burn]}}
    before = made(f"trainer=own,no-logger,{path}", trainers=own)
    path.unlink()
    document = json.loads(json.dumps(plan.plan_document(before)))
    assert list(document["suites"]["toy"]["trainers"]) == ["own", "no-logger", "mine", "other"]
    assert document["suites"]["toy"]["trainers"]["own"] == {"callbacks": [{"function": "make_burn"}]}
    again = plan.plan_of_document(document, {"toy": suite(trainers=own)})
    assert again.groups == before.groups


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mine: {max_epochs: 3}", ["set 'mine': max_epochs: the stream of batches says", "allowed in a set: logger"]),
        ("mine: {precision: 16-mixed}", ["precision: the axis 'precision' says it: --set precision=..."]),
        ("mine: {devices: 2}", ["devices: the axis 'devices' says it"]),
        ("mine: {barebones: perhaps}", ["barebones: 'perhaps' is not possible; allowed: true, false"]),
        ("mine: {log_every_n_step: 1}", ["'log_every_n_step'; nearest: log_every_n_steps", "; allowed: logger, "]),
        ("mine: {log_every_n_steps: often}", ["log_every_n_steps: 'often' is not possible; allowed: a whole number"]),
        ("mine: {gradient_clip_val: 1e-3}", ["gradient_clip_val: '1e-3' is not possible; allowed: a number from 0"]),
        ("mine: {detect_anomaly: 1}", ["detect_anomaly: 1 is not possible; allowed: true, false"]),
        ("mine: {callbacks: [{class: Timer}]}", ["unknown key 'class'", "callbacks[0]: None names no class"]),
        ("mine: {callbacks: [Timer]}", ["callbacks[0]: Timer trains, or ends the training, by itself"]),
        ("mine: {callbacks: [{class_path: a.B, init_args: [1]}]}", ["init_args [1] is not possible"]),
        ("mine: {callbacks: [2026-01-01]}", ["datetime.date(2026, 1, 1) names no class"]),
        ("mine: 3", ["3 is not possible; allowed: arguments of Trainer by name"]),
        ("clip: {}", ["set 'clip' is built in; choose another name"]),
        ("Mine!: {}", ["the name 'Mine!' of a set is not of the form"]),
        ("mine: [", ["is no YAML: while parsing"]),
        ("mine: 2026-13-45", ["is no YAML: month must be"]),
        ("[" * 5000, ["is no YAML"]),
        ("[1]", ["has no sets; allowed: arguments of Trainer by name"]),
        ("", ["has no sets"]),
        ("mine: {max_epochs: 3}\nother: {profiler: xla}", ["set 'mine': max_epochs", "set 'other': profiler: 'xla'"]),
    ],
)
def test_all_that_is_wrong_with_a_file_is_told_with_what_is_allowed(
    text: str, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "sets.yaml"
    path.write_text(text)
    told = refused(f"trainer={path}")
    assert f"--set trainer={path}: " in told
    for part in words:
        assert part in told, told


def test_files_that_are_not_there_and_names_that_clash_are_told(tmp_path: Path) -> None:
    path, twice = tmp_path / "sets.yml", tmp_path / "twice.yaml"
    path.write_text(YAML)
    twice.write_text("mine: {log_every_n_steps: 2}")
    assert "no-such.yaml cannot be read: No such file" in refused("trainer=no-such.yaml")
    assert f"{tmp_path}/.yaml cannot be read" in refused(f"trainer={tmp_path}/.yaml")
    assert "unknown set 'her'; allowed: mine, other" in refused(f"trainer={path}:her")
    assert "set 'mine' is in another file too" in refused(f"trainer={path},{twice}")
    assert "suite 'toy' has a set of that name" in refused(f"trainer={twice}", trainers={"mine": {}})
    told = refused("trainer=mine")
    assert "unknown value of axis 'trainer' 'mine'; allowed: default, no-logger" in told


def test_without_pyyaml_a_file_is_refused_and_names_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert "a YAML file needs PyYAML: pip install pyyaml" in refused(f"trainer={tmp_path / 'sets.yaml'}")
    assert len(cells(made("trainer=clip"))) == 2


def test_yaml_is_imported_only_for_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken: list[str] = []
    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name, *rest: taken.append(name) or original(name, *rest))
    made("trainer=clip")
    assert "yaml" not in taken
    (tmp_path / "sets.yaml").write_text(YAML)
    made(f"trainer={tmp_path / 'sets.yaml'}")
    assert "yaml" in taken


@pytest.mark.parametrize(
    ("trainers", "words"),
    [
        ({"mine": {"strategy": "ddp"}}, "trainers: set 'mine': strategy: the axis 'strategy' says it"),
        ({"mine": {"callbacks": [3]}}, "callbacks[0]: 3 names no class; allowed: class_path with init_args"),
        ({"mine": {"limit_val_batches": object}}, "limit_val_batches: <class 'object'> is not possible"),
        ({"default": {}}, "set 'default' is built in"),
        ([], "trainers: [] is not possible"),
    ],
)
def test_a_suites_own_sets_are_checked_when_it_is_made(trainers: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        suite(trainers=trainers)
    assert words in str(caught.value)


def test_without_lightning_here_names_are_the_arms_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    known_arguments.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    try:
        assert known_arguments() == ()
        assert list(set_mistakes({"of_another_lightning": 1})) == []
        assert list(set_mistakes({"precision": "16-mixed"}))
    finally:
        monkeypatch.undo()
        known_arguments.cache_clear()
    assert "logger" in known_arguments()


# Threads.


def test_threads_are_an_axis_whose_first_value_is_what_the_option_says() -> None:
    for threads in (1, 2):
        found = cells(made(threads=threads))
        assert list(found) == ["toy[trainer=default]", "toy[trainer=no-logger]"]
        assert {cell.point["threads"] for cell in found.values()} == {threads}
    named = cells(made("threads=1,2", "trainer=default"))
    assert list(named) == ["toy[trainer=default]", "toy[trainer=default,threads=2]"]
    compared = cells(made(axes={"threads": (1, 2)}, compare="threads", baseline=1))
    assert list(compared) == ["toy[threads=1]", "toy[threads=2]"]


def test_threads_without_cores_are_unsupported_unless_the_option_says_them() -> None:
    usable = accelerator("cpu").count()
    found = cells(made(f"threads={usable},{usable + 1}", "trainer=default"))
    assert [cell.unsupported for cell in found.values()] == [
        "",
        f"threads={usable + 1} need {usable + 1} cores, and {usable} are usable; allowed: 1 to {usable}",
    ]
    assert cells(made(threads=usable + 1))["toy[trainer=default]"].unsupported == ""


@pytest.mark.parametrize("values", [(0, 1), ("a",), (True,), (1.5,), (-1,)])
def test_threads_are_whole_numbers_above_zero(values: tuple[Any, ...]) -> None:
    with pytest.raises(SpecError, match=r"axis 'threads': values .* must all be whole numbers above 0"):
        suite(axes={"threads": values}, compare="threads", baseline=values[0])
    assert "axis 'threads'" in refused("threads=0")
    assert "axis 'threads'" in refused("threads=two")


def test_points_of_old_runs_have_the_threads_of_their_run_and_no_set() -> None:
    document = json.loads(json.dumps(plan.plan_document(made(threads=2))))
    for cell in document["cells"]:
        del cell["point"]["threads"]
    for own in document["suites"].values():
        del own["trainers"]
    again = plan.plan_of_document(document, {"toy": suite()}, threads=2)
    assert {cell.point["threads"] for cell in again.cells} == {2}
    assert [cell.id for cell in again.cells] == [cell["id"] for cell in document["cells"]]
    assert replace(again.cells[0], trainer={}) == again.cells[0]
