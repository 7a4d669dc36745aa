"""Ladders by the real conductor: rungs of known cost are read back; the suite `features` as its page tells it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import SUITES, Bench, call

from bench.analysis.ladder import RungPrice
from bench.analysis.summary import summarize
from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.engine.options import Options
from bench.errors import SpecError
from bench.plan import plan
from bench.plan.suite import Suite
from bench.plan.trainer_ladder import ladder_suite
from bench.report import console
from bench.results import report_places, store

BATCHES, STEP, END = 24, 2e-3, 150e-3  # as tests/suites/climbing.py has them


@pytest.mark.alone
def test_planted_costs_of_a_step_and_of_an_epoch_are_told_apart(bench: Bench) -> None:
    """Bounds that a shared machine keeps: burning is of processor time, which takes its time or more."""
    records = bench.run("climbing", options=Options(budget=600, launch=0.1, fork_servers=1, launches=3))
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    summary = summarize(store.read_run(bench.folder))
    found: dict[str, RungPrice] = {price.value: price for price in summary.ladder if not price.twin}
    assert {name: price.over for name, price in found.items()} == {
        "least": "",
        "steps": "least",
        "both": "steps",
        "nothing": "least",
    }
    prices = {
        name: (price.step.estimate, price.epoch.estimate)
        for name, price in found.items()
        if price.step is not None and price.epoch is not None
    }
    assert prices["steps"][0] > 0.8 * STEP
    assert prices["both"][1] > 0.8 * END
    # Each is in one figure. Were an epoch's 150 ms in its 24 steps, a step of `both` would cost 6 ms more.
    assert abs(prices["both"][0]) < 0.5 * END / BATCHES
    assert abs(prices["steps"][1]) < 0.9 * BATCHES * STEP
    assert abs(prices["nothing"][0]) < 0.8 * STEP
    assert "both" in console.render(summary)
    stored = json.loads((bench.folder / "run.json").read_bytes())["plan"]["suites"]["climbing"]["ladder"]
    assert stored == {"steps": "least", "both": "steps", "nothing": "least"}


@pytest.mark.long
def test_the_documented_command_prices_the_rungs_that_it_names(tmp_path: Path) -> None:
    """As docs/trainer-sets.md has it, with a budget that is less than there is to do."""
    command = 'bench run features -k "lean or checkpoint or validation"'
    page = (Path(__file__).parents[2] / "docs" / "trainer-sets.md").read_text(encoding="utf-8")
    assert command in page
    done = call(
        "run", "features", "-k", "lean or checkpoint or validation", "--budget", "60s", "--no-instrument",
        "--out", str(tmp_path), timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "What each rung costs over the one below:" in done.stdout
    (folder,) = [path for path in tmp_path.iterdir() if (path / "run.json").exists()]
    summary = summarize(store.read_run(folder))
    over = {price.value: price.over for price in summary.ladder if price.step is not None and not price.twin}
    assert over["lean"] == "barebones"
    assert over["checkpoint"] == "lean"  # the nearest below that was run
    assert over["validation"] == "checkpoint"
    prices = {price.value: price for price in summary.ladder if not price.twin}
    for name in ("checkpoint", "validation"):
        epoch = prices[name].epoch
        assert epoch is not None
        assert epoch.estimate > 1e-3  # six batches of validation; a file of a model and its optimizer
    for arguments in (("report", str(folder)), ("verify", str(folder))):
        done = call(*arguments, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
    assert "What each rung costs" in report_places.page_of_folder(folder).read_text(encoding="utf-8")


def test_a_ladder_of_ones_own_module_is_planned_with_every_rung() -> None:
    def build(point: Point) -> Workload:
        raise AssertionError("the parent builds nothing")

    suite = ladder_suite(name="mine", title="mine", build=build, axes={"width": (1, 2)})
    made = plan.make_plan({"mine": suite}, ["mine"])
    assert len(made.groups) == 2
    names = [str(cell.point["trainer"]) for cell in made.groups[0].cells]
    assert names[:3] == ["barebones", "barebones", "lean"]
    document = plan.plan_document(made)["suites"]["mine"]
    assert document["ladder"]["lean"] == "barebones"
    assert document["trainers"]["barebones"] == {"barebones": True, "limit_val_batches": 0}


@pytest.mark.parametrize(
    ("ladder", "words"),
    [
        ({"b": "a", "a": "b"}, "ladder: b over a over b: a value is below itself"),
        ({"b": "b"}, "ladder: b over b: a value is below itself"),
        ({"c": "a"}, "ladder: unknown value of 'x' 'c'; allowed: a, b"),
        ({"b": "c"}, "ladder: unknown value of 'x' 'c'; allowed: a, b"),
        (["b"], "ladder: ['b'] is not possible"),
    ],
)
def test_what_a_ladder_may_be(ladder: object, words: str) -> None:
    def made(epochs: bool | str) -> Suite:
        return Suite(name="s", title="t", axes={"x": ("a", "b")}, compare="x", baseline="a", build=print,
                     epochs=epochs, ladder=ladder)  # type: ignore[arg-type]  # what users may write  # fmt: skip

    with pytest.raises(SpecError) as error:
        made("real")
    assert words in str(error.value)
    if isinstance(ladder, dict):
        with pytest.raises(SpecError, match="prices an epoch are of real ones; allowed: epochs='real'"):
            made(False)


def test_what_traces_or_counts_refuses_a_set_with_a_profiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bench.arm.debug import train_here
    from bench.errors import Unsupported

    monkeypatch.chdir(tmp_path)
    settings = {"loop": "trainer", "accelerator": "cpu", "precision": "32-true", "devices": 1}
    point = {"trainer": "least", "loop": "trainer"}
    request = {"suite": "climbing", "file": str(SUITES / "climbing.py"), "point": point, "seed": 0, "padding": 0}
    request |= {"requested": settings, "trainer": {"profiler": "simple"}}
    with pytest.raises(Unsupported, match="profiler=simple; what traces or counts cannot be beside it"):
        train_here({**request, "trace": str(tmp_path / "trace.json")}, 8)
    assert os.listdir(tmp_path) == []
