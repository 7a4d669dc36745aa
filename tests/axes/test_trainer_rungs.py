"""The ladder of Trainer's features: what the declarations say, in plan, Trainer and arm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Bench

from bench.axes.trainer_rungs import LOGGED, RUNGS, rung_arguments, rung_refusal, rungs_below
from bench.axes.trainer_sets import BAREBONES, set_mistakes
from bench.engine.options import Options
from bench.plan.discovery import find_suite
from bench.plan.trainer_ladder import LOWEST
from bench.results.record import Record

QUICK = Options(budget=1, launch=0.1, fork_servers=1, launches=1)
BATCHES, VALIDATION = 24, 3  # an epoch's, of the suite at these sizes
SIZES = ("batch_size=16", "samples=384", "width=16")


def test_every_rung_stands_on_another_and_is_plain_json_that_a_set_may_have() -> None:
    assert [name for name, rung in RUNGS.items() if not rung.over] == [LOWEST] == [next(iter(RUNGS))]
    for name, rung in RUNGS.items():
        assert rung.name == name
        assert rung.title
        known = list(RUNGS)
        assert not rung.over or known.index(rung.over) < known.index(name), "a rung is declared above the one below"
        arguments = rung_arguments(name)
        assert json.loads(json.dumps(arguments)) == arguments
        assert list(set_mistakes(arguments)) == []
    assert set(rungs_below()) == set(RUNGS) - {LOWEST}


def test_a_rung_has_what_is_below_it_and_its_own() -> None:
    """One feature more than the rung below: its own arguments, and no other is changed."""
    for name, rung in RUNGS.items():
        arguments, below = rung_arguments(name), rung_arguments(rung.over) if rung.over and not rung.alone else {}
        changed = {key for key in {*arguments, *below} if arguments.get(key) != below.get(key)}
        assert changed == set(rung.arguments), name
        if "callbacks" in rung.arguments:
            kept = below.get("callbacks", [])
            assert arguments["callbacks"] == [*kept, *rung.arguments["callbacks"]]
    paths = [part["class_path"].rpartition(".")[2] for part in rung_arguments("early-stopping")["callbacks"]]
    assert paths == ["LogEachStep", "TQDMProgressBar", "EarlyStopping"]
    assert rung_arguments("defaults") == {}


def test_lean_switches_off_all_that_barebones_does() -> None:
    """So that the two differ in nothing that a user can switch off by hand."""
    lean = rung_arguments("lean")
    switched = {key for key in BAREBONES if key not in ("detect_anomaly", "profiler", "log_every_n_steps")}
    assert {key: lean[key] for key in switched} == {
        key: 0 if key == "num_sanity_val_steps" else False for key in switched
    }
    assert lean["limit_val_batches"] == rung_arguments("barebones")["limit_val_batches"] == 0


def test_a_rung_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    needing = {name for name in RUNGS if rung_refusal(name)}
    assert needing == {"bar-rich", "logger-tensorboard"}
    assert rung_refusal("bar-rich") == "the package 'rich' is not installed, and bar-rich needs it"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert not any(map(rung_refusal, (*RUNGS, "somebody's own set")))


def test_the_suite_has_the_rungs_and_the_ladder() -> None:
    suite = find_suite("features")
    assert (suite.compare, suite.baseline, suite.epochs, suite.equal) == ("trainer", LOWEST, "real", "samples")
    assert tuple(suite.axes["trainer"]) == tuple(RUNGS) == tuple(suite.trainers)
    assert dict(suite.ladder) == rungs_below()
    page = (Path(__file__).parents[2] / "docs" / "trainer-sets.md").read_text(encoding="utf-8")
    for rung in RUNGS.values():
        assert f"| `{rung.name}` | {f'`{rung.over}`' if rung.over else ''} | {rung.title} |" in page


@pytest.fixture(scope="module")
def climbed(fleet: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """A record of every rung that can be made here, of one launch in which all of them were alive."""
    bench = Bench(fleet, tmp_path_factory.mktemp("rungs") / "results")
    records = bench.run("features", *SIZES, options=QUICK)
    return {str(item.point["trainer"]): item for item in records if not item.twin}


@pytest.mark.long
def test_every_rung_is_what_it_says_read_back_from_its_trainer(climbed: dict[str, Record]) -> None:
    there = {name for name in RUNGS if not rung_refusal(name)}
    ran = {name: item for name, item in climbed.items() if item.outcome != "unsupported"}
    assert set(ran) == there
    assert {name: (item.outcome, item.reason) for name, item in ran.items()} == dict.fromkeys(there, ("ok", ""))
    names = ("logger", "progress_bar", "checkpoint", "sanity_steps", "log_every_n_steps", "limit_val_batches")
    names += ("logging", "logged", "accumulate_grad_batches", "gradient_clip_val", "trainer_profiler", "callbacks")
    lowest: dict[str, Any] = {
        **dict.fromkeys(("logger", "progress_bar", "checkpoint", "logged", "gradient_clip_val"), "none"),
        **dict.fromkeys(("trainer_profiler", "callbacks"), "none"),
        **{"sanity_steps": "0", "log_every_n_steps": 0, "limit_val_batches": 0, "logging": "off"},
        "accumulate_grad_batches": 1,
    }
    # What each rung changes of what was read back on the rung below, and nothing else.
    more: dict[str, dict[str, Any]] = {
        "barebones": {},
        "lean": {"log_every_n_steps": 50, "logging": "the module's own"},
        "logger": {"logger": "CSVLogger"},
        "logger-tensorboard": {"logger": "TensorBoardLogger"},
        "log-each-step": {"logging": "each step", "logged": LOGGED, "callbacks": "LogEachStep"},
        "logger-each-step": {"log_every_n_steps": 1},
        "bar-tqdm": {"progress_bar": "TQDMProgressBar"},
        "bar-rich": {"progress_bar": "RichProgressBar"},
        "checkpoint": {"checkpoint": "ModelCheckpoint"},
        "validation": {"limit_val_batches": 1.0},
        "sanity-check": {"sanity_steps": "2"},
        "model-summary": {},
        "clipping": {"gradient_clip_val": 1.0},
        "accumulation": {"accumulate_grad_batches": 4},
        "profiler-simple": {"trainer_profiler": "SimpleProfiler"},
        "profiler-advanced": {"trainer_profiler": "AdvancedProfiler"},
        "profiler-pytorch": {"trainer_profiler": "PyTorchProfiler"},
        "learning-rate-monitor": {
            "callbacks": "LearningRateMonitor, LogEachStep",
            "logged": f"lr-Adam, {LOGGED}",
        },
        "early-stopping": {"callbacks": "EarlyStopping, LogEachStep"},
        "checkpoint-by-steps": {},
    }
    effective: dict[str, dict[str, Any]] = {}
    for name, rung in RUNGS.items():
        if name == "defaults":
            continue
        effective[name] = {**(effective[rung.over] if rung.over else lowest), **more[name]}
        if name in ran:
            assert {key: ran[name].effective[key] for key in names} == effective[name], name
    defaults = ran["defaults"].effective
    expected = {"checkpoint": "ModelCheckpoint", "sanity_steps": "2", "log_every_n_steps": 50, "limit_val_batches": 1.0}
    expected |= {"logging": "the module's own", "callbacks": "none"}
    assert {key: defaults[key] for key in expected} == expected
    assert "none" not in (defaults["logger"], defaults["progress_bar"])


def test_callbacks_that_lightning_adds_itself_are_there_where_a_rung_says_so(climbed: dict[str, Record]) -> None:
    found = {name: item.effective.get("trainer_callbacks", "").split(", ") for name, item in climbed.items()}
    summaries = {name for name, callbacks in found.items() if any("ModelSummary" in one for one in callbacks)}
    above = {name for name in RUNGS if name not in _up_to("sanity-check") and not rung_refusal(name)}
    assert summaries == {name for name in above if rung_arguments(name).get("enable_model_summary", True)}
    assert found["checkpoint-by-steps"].count("ModelCheckpoint") == 2
    assert found["model-summary"].count("ModelCheckpoint") == 1


def _up_to(name: str) -> set[str]:
    names = list(RUNGS)
    return set(names[: names.index(name) + 1])


def test_rungs_do_the_work_that_they_say(climbed: dict[str, Record]) -> None:
    """Validation, updates and clipped gradients are seen in the ledger, where no setting could claim them."""
    for name, item in climbed.items():
        if item.outcome == "unsupported":
            continue
        assert item.turns is not None
        assert set(item.turns.lengths) == {BATCHES}
        epochs = 2 + len(item.turns.round)
        validates = rung_arguments(name).get("limit_val_batches", 1.0) != 0
        assert item.ledger["validation_batches"] == (epochs * VALIDATION if validates else 0), name
        every = rung_arguments(name).get("accumulate_grad_batches", 1)
        assert item.ledger["optimizer_updates"] == (epochs * BATCHES + 4) // every, name
    weights = {name: item.ledger.get("final_weights") for name, item in climbed.items() if item.outcome == "ok"}
    changing = {"clipping", "accumulation"}
    assert len({weights[name] for name in weights if name not in changing}) == 1, "no other rung changes the training"
    assert weights["accumulation"] != weights["lean"]
