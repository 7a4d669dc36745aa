"""What a search may choose from, over suites and over trainings: values, refusals, races of chosen configurations."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.commands.doctor_target import parse_target
from bench.errors import SpecError
from bench.plan import discovery
from bench.plan.search_plan import CONFIGURATION, SuiteSearch, search_of_suite
from bench.plan.search_space import MOST_CONFIGURATIONS, SearchSpace, search_space, values_refused
from bench.plan.search_training import TrainingSearch, search_of_training

AXES = st.dictionaries(
    st.sampled_from(["batch_size", "threads", "access", "loop"]),
    st.lists(st.integers(1, 9), min_size=2, max_size=4, unique=True).map(tuple),
    min_size=1,
)


def of_suite(*settings: str, epochs: int | None = None) -> SuiteSearch:
    suite, file = discovery.look_for_suites().get("tunable")
    return search_of_suite(suite, file, settings, epochs=epochs)


@given(AXES)
def test_each_configuration_has_a_label_of_its_own_and_the_default_is_the_first(
    axes: dict[str, tuple[int, ...]],
) -> None:
    space = SearchSpace(axes)
    every = list(space.configurations())
    assert len({space.label(one) for one in every}) == len(every) == space.size
    assert every[0] == space.default
    assert space.default not in space.candidates()


@given(AXES, st.data())
def test_what_is_refused_is_no_candidate(axes: dict[str, tuple[int, ...]], data: st.DataObject) -> None:
    whole = SearchSpace(axes)
    refused = data.draw(st.sets(st.sampled_from([whole.label(one) for one in whole.configurations()])))
    refused.discard(whole.label(whole.default))
    left = {whole.label(one) for one in whole.candidates()} - refused
    usable = [one for one in whole.configurations() if whole.label(one) not in refused]
    if any(len({one[axis] for one in usable}) < 2 for axis in axes):
        with pytest.raises(SpecError, match="cannot be tried: no"):
            search_space(axes, lambda one: "no" if whole.label(one) in refused else "", "--set")
        return
    space = search_space(axes, lambda one: "no" if whole.label(one) in refused else "", "--set")
    assert {space.label(one) for one in space.candidates()} == left


def test_the_default_search_is_over_the_suites_own_axes_and_its_baseline_is_the_default() -> None:
    found = of_suite()
    assert list(found.space.axes) == ["batch_size", "learning_rate", "precision", "access"]
    assert found.space.label(found.space.default) == "batch_size=32,learning_rate=0.001,precision=32-true,access=sample"
    assert found.epochs == 8


def test_axes_of_several_values_are_what_is_searched_and_others_are_fixed() -> None:
    found = of_suite("batch_size=128,64", "precision=bf16-mixed", "samples=512")
    assert dict(found.space.axes) == {"batch_size": (128, 64)}
    assert (found.fixed["precision"], found.fixed["samples"], found.fixed["access"]) == ("bf16-mixed", 512, "sample")


def test_a_race_is_one_group_with_the_default_and_its_twin_first() -> None:
    found = of_suite("batch_size=64,128,256", "samples=512")
    plan = found.plan(found.space.candidates(), 3)
    (group,) = plan.groups
    assert [cell.id for cell in group.cells] == [
        "tunable[batch_size=64]",
        "tunable[batch_size=64]#twin",
        "tunable[batch_size=128]",
        "tunable[batch_size=256]",
    ]
    assert {cell.baseline for cell in group.cells} == {"tunable[batch_size=64]"}
    assert [cell.point[CONFIGURATION] for cell in group.cells[1:3]] == ["batch_size=64", "batch_size=128"]
    assert {cell.goal.epochs for cell in group.cells if cell.goal} == {3}
    assert {cell.point["epochs"] for cell in group.cells} == {3}
    suite = plan.suites["tunable"]
    assert (suite.compare, suite.baseline, suite.equal, suite.epochs) == (
        CONFIGURATION,
        "batch_size=64",
        "none",
        "real",
    )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (("nope=1,2",), "unknown axis 'nope'; allowed: loop, batch_size"),
        (("batch_size=a,64",), "axis 'batch_size': 'a' is not of type int"),
        (("batch_size=64,128", "batch_size=32"), "--set batch_size: is there twice"),
        (("epochs=2,3",), "--set 'epochs' has several values"),
        (("accelerator=cpu,cuda",), "cuda cannot be tried: .*; left is cpu alone; allowed: without this axis"),
        (("precision=32-true,nonsense",), "unknown value of axis 'precision'"),
        (("num_workers=0", "persistent_workers=true,false", "batch_size=32"), "the default configuration, .* first: "),
    ],
)
def test_a_search_over_what_cannot_be_is_refused(settings: tuple[str, ...], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        of_suite(*settings)


def test_a_search_over_one_point_has_nothing_to_find() -> None:
    suite, file = discovery.look_for_suites().get("tunable")
    single = ("batch_size=32", "learning_rate=0.001", "precision=32-true", "access=batch")
    with pytest.raises(SpecError, match="a search over one point has nothing to find; allowed: two values"):
        search_of_suite(suite, file, single)


def test_more_configurations_than_a_search_looks_through_are_refused() -> None:
    axes = {f"axis{number}": tuple(range(10)) for number in range(5)}
    with pytest.raises(SpecError, match=f"allowed: up to {MOST_CONFIGURATIONS}"):
        search_space(axes, lambda one: "", "--set")


def test_values_that_cannot_run_are_told_with_those_that_are_left() -> None:
    found = of_suite("threads=1,2,4000", "batch_size=32,64") if _cores() > 1 else None
    if found is not None:
        (told,) = values_refused(found.space)
        assert "threads=4000 need 4000 cores" in told
        assert told.endswith("left are 1, 2")


def _cores() -> int:
    from bench.machine.cores import usable_cores

    return len(usable_cores())


def of_script(tmp_path: Path, **axes: tuple[str, ...]) -> TrainingSearch:
    file = tmp_path / "train.py"
    file.write_text("import torch\n", encoding="utf-8")
    target = parse_target("train.py", ["--epochs", "2"], None, str(tmp_path))
    return search_of_training(target.script, module=False, **axes)


def test_a_scripts_configurations_are_command_lines_and_variables(tmp_path: Path) -> None:
    found = of_script(
        tmp_path, arguments=("batch-size=32,64",), environs=("OMP_NUM_THREADS=1,2",), settings=("num_workers=0,1",)
    )
    one = {"batch-size": "64", "OMP_NUM_THREADS": "2", "num_workers": 1}
    script = found.script_of(one)
    assert script.argv[1:] == ("--epochs", "2", "--batch-size", "64")
    assert (script.environ, script.threads) == ({"OMP_NUM_THREADS": "2"}, 2)
    assert script.changes == {"at": "", "loader": {"num_workers": 1}}


def test_interpreters_of_a_search_are_the_same_in_all_of_its_races(tmp_path: Path) -> None:
    """A fork server that was started for one race serves the next, whichever configurations are in it."""
    found = of_script(tmp_path, environs=("OMP_NUM_THREADS=1,2,3",))
    assert len(found.sides) == 3
    last = found.plan(found.space.candidates()[-1:], 1).groups[0].cells[-1]
    both = {cell.id: cell for cell in found.plan(found.space.candidates(), 1).groups[0].cells}
    assert last.imports == both[last.id].imports
    environs = {name: side.environ for name, side in found.sides.items()}
    assert environs[last.imports[1].removeprefix("@")] == {"OMP_NUM_THREADS": "3"}


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ({"arguments": ("batch-size",)}, "--arg 'batch-size' is not of the form NAME=V1,V2"),
        ({"arguments": ("batch-size=32",)}, "it has one value, which is no choice"),
        ({"arguments": ("a=1,2",), "environs": ("a=1,2",)}, "a is there twice"),
        ({"environs": ("OMP_NUM_THREADS=1,many",)}, "'many' threads"),
        ({"settings": ("precision=32-true,bf16-mixed",)}, "a script has no such axis; allowed: threads, batch_size"),
        ({"settings": ("num_workers=0,x",)}, "'x'; allowed: a whole number from 0 on"),
        ({}, "a search over one point has nothing to find"),
    ],
)
def test_axes_that_a_script_cannot_have_are_refused(
    tmp_path: Path, axes: dict[str, tuple[str, ...]], text: str
) -> None:
    with pytest.raises(SpecError, match=text):
        of_script(tmp_path, **axes)


def test_a_modules_axes_are_its_trainers_and_its_loaders(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Net: ...\n", encoding="utf-8")
    target = parse_target("own.py:Net", [], "own.py:Net", str(tmp_path))
    found = search_of_training(
        target.script, module=True, settings=("precision=32-true,bf16-mixed", "batch_size=32,64", "threads=1,2")
    )
    script = found.script_of({"precision": "bf16-mixed", "batch_size": 64, "threads": 2})
    assert script.argv[-1] == "precision=bf16-mixed"
    assert (script.changes["loader"], script.environ) == ({"batch_size": 64}, {"OMP_NUM_THREADS": "2"})
    with pytest.raises(SpecError, match="a module has no command line"):
        search_of_training(target.script, module=True, arguments=("batch-size=1,2",))
