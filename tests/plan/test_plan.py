"""Spec and plan: pure, so no torch here."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import SpecError
from bench.plan import plan, select
from bench.plan.cell import Plan
from bench.plan.suite import Suite


def build(point: Any) -> Any:
    raise AssertionError("planning builds nothing")


def suite(**changes: Any) -> Suite:
    values: dict[str, Any] = {
        "name": "toy",
        "title": "a toy",
        "axes": {"loop": ("plain", "fabric"), "batch_size": (8, 16)},
        "compare": "loop",
        "baseline": "plain",
        "build": build,
        "length_axis": "batch_size",
    }
    return Suite(**{**values, **changes})


def made(*names: str, **options: Any) -> Plan:
    return plan.make_plan({"toy": suite()}, names or ["toy"], **options)


def test_groups_hold_cells_that_differ_along_the_compared_axis_with_a_twin_of_the_baseline() -> None:
    groups = made().groups
    assert [group.id for group in groups] == ["toy[batch_size=8]", "toy[batch_size=16]"]
    assert [cell.id for cell in groups[0].cells] == [
        "toy[loop=plain,batch_size=8]",
        "toy[loop=plain,batch_size=8]#twin",
        "toy[loop=fabric,batch_size=8]",
    ]
    assert [cell.twin for cell in groups[0].cells] == [False, True, False]
    assert groups[0].cells[1].point == groups[0].cells[0].point
    assert groups[0].cells[0].point["accelerator"] == "cpu"


def test_all_mistakes_of_a_suite_come_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        suite(name="Toy!", axes={"loop": ("plain", "plain"), "batch_size": (), "mixed": (1, "a")}, baseline="jax")
    text = str(caught.value)
    for part in ("'Toy!'", "repeat", "'batch_size' has no values", "'mixed'", "unknown value of 'loop' 'jax'"):
        assert part in text, text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compare": "loops"}, "unknown axis 'loops'; allowed: loop, batch_size"),
        ({"length_axis": "size"}, "unknown axis 'size'; allowed: loop, batch_size"),
        ({"axes": {"loop": ("plain", "jax")}, "length_axis": None}, "'jax'; allowed: plain, fabric"),
        ({"choices": {"dta": ("a",)}}, "unknown axis 'dta'"),
        ({"axes": {"loop": "plain"}, "length_axis": None}, "not a list of values"),
        (
            {"equal": "wieghts"},
            "'wieghts'; allowed: weights, loss, samples, counts, none (did you mean 'weights'?); or leave",
        ),
        ({"tolerance": 3}, "tolerance: 3; allowed: a number above 0 and below 1"),
        ({"tolerance": True}, "tolerance: True; allowed"),
        ({"equal": "counts", "tolerance": 0.1}, "of losses, which equal='counts' does not compare"),
    ],
)
def test_a_mistake_names_the_thing_the_value_and_what_is_allowed(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match="suite 'toy'") as caught:
        suite(**changes)
    assert words in str(caught.value)


def test_set_replaces_an_axis_and_keeps_the_baseline() -> None:
    cells = made(settings=["loop=fabric", "batch_size=32"]).cells
    expected = ["toy[loop=plain,batch_size=32]", "toy[loop=fabric,batch_size=32]"]
    assert [cell.id for cell in cells if not cell.twin] == expected


def test_set_reaches_an_engine_axis_and_shows_it_in_the_id() -> None:
    cells = made(settings=["accelerator=tpu", "batch_size=8"]).cells
    assert cells[0].id == "toy[loop=plain,batch_size=8,accelerator=tpu]"
    assert "TPU" in cells[0].unsupported


def test_an_id_depends_on_the_point_alone() -> None:
    short = suite(axes={"loop": ("plain", "fabric"), "width": (64,)}, length_axis=None)
    for settings in ([], ["width=64,128"], ["accelerator=cpu,cuda"], ["loop=fabric"]):
        cells = plan.make_plan({"toy": short}, ["toy"], settings=settings).cells
        ids = {cell.id for cell in cells if cell.point["width"] == 64 and cell.point["accelerator"] == "cpu"}
        assert ids == {"toy[loop=plain]", "toy[loop=plain]#twin", "toy[loop=fabric]"}
        assert len({cell.id for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("batch=8", "unknown axis 'batch'; allowed: loop, batch_size, accelerator, precision, matmul_precision"),
        ("batch_size=x", "'x' is not of type int"),
        ("batch_size=0", "0 is not positive; allowed: any int above 0"),
        ("batch_size=-8", "-8 is not positive"),
        ("batch_size", "not of the form axis=value"),
        ("loop=jax", "unknown value of axis 'loop' 'jax'; allowed: plain, fabric, trainer-barebones, trainer"),
        ("accelerator=gpu", "allowed: cpu, cuda, mps, tpu"),
    ],
)
def test_a_wrong_setting_is_one_sentence(setting: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        made(settings=[setting])
    assert words in str(caught.value)


def test_unknown_suite_and_wrong_setting_come_together() -> None:
    with pytest.raises(SpecError) as caught:
        made("toy", "toi", settings=["batch_size=x"])
    assert "unknown suite 'toi'; allowed: toy" in str(caught.value)
    assert "not of type int" in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("fabric", {"fabric 8", "fabric 16"}),
        ("loop=fabric and not batch_size=8", {"fabric 16"}),
        ("batch_size=8", {"plain 8", "fabric 8"}),
        ("batch_size=1", set()),
        ("(fabric or plain) and batch_size=16", {"plain 16", "fabric 16"}),
        ("not not fabric and batch_size=8", {"fabric 8"}),
        ("accelerator=cpu and plain", {"plain 8", "plain 16"}),  # an axis that the id does not show
        ("colour=red", set()),
    ],
)
def test_selection(expression: str, expected: set[str]) -> None:
    test = select.selector(expression)
    cells = [cell for cell in made().cells if not cell.twin]
    assert {f"{cell.point['loop']} {cell.point['batch_size']}" for cell in cells if test(cell)} == expected


def test_selection_keeps_the_baseline_that_a_ratio_needs() -> None:
    groups = made(select="loop=fabric and batch_size=8").groups
    assert len(groups) == 1
    assert [cell.point["loop"] for cell in groups[0].cells] == ["plain", "plain", "fabric"]


@pytest.mark.parametrize("expression", ["", "and", "fabric and", "(fabric", "fabric)", "not"])
def test_an_expression_that_does_not_parse(expression: str) -> None:
    with pytest.raises(SpecError, match="allowed: words of cell ids"):
        select.selector(expression)


def test_no_cell_left_says_which_there_are() -> None:
    with pytest.raises(SpecError, match=r"selects no cell; there are: toy\[loop=plain,batch_size=8\]"):
        made(select="trainer")


def test_a_plan_survives_its_journey_through_json() -> None:
    before = made()
    assert plan.plan_of_document(plan.plan_document(before), {"toy": suite()}).groups == before.groups
