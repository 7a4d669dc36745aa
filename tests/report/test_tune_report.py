"""What a search found, as text, Markdown, CSV, JSON, a page and a YAML: of a search on the simulated machine."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tuned_machine import TunedMachine

from bench.analysis.tuning import TuneLimits
from bench.commands.tune import Tuned
from bench.commands.tune_config import TunedConfig, config_of
from bench.commands.tune_request import TuneRequest, subject_of
from bench.commands.tune_search import HalvingSearch, SearchRules, rungs_of
from bench.commands.tune_study import open_study
from bench.report.tune import TUNE_FORMATS, claim_sentence
from bench.report.tune_page import draw_tuned, render_tune_page, tried_points

pytest.importorskip("optuna")

SETTINGS = ("batch_size=32,64", "precision=32-true,bf16-mixed", "threads=1", "access=batch", "learning_rate=0.001")
BEST = "batch_size=64,precision=32-true"


def found_by_search(folder: Path, seed: int = 1, **speeds: float) -> Tuned:
    """A search over a suite; a factor for each batch size, and bf16-mixed at a third with a loss that diverges."""
    subject = subject_of(TuneRequest("tunable", settings=SETTINGS).checked())
    space = subject.space
    truth = {
        space.label(one): speeds.get(f"batch_{one['batch_size']}", 1.0) / (1 + 2 * (one["precision"] != "32-true"))
        for one in space.configurations()
    }
    wrong = {label: float("inf") for label in truth if "bf16" in label}
    machine = TunedMachine(space, seed, speeds=truth, lags=wrong, memory={BEST: 2 * 10**9})
    limits = TuneLimits()
    rules = SearchRules(rungs_of(8), 10, 1e9, limits)
    study = open_study(None, "one", space, sampler="tpe", seed=0)
    result = HalvingSearch(study, machine, rules).run()
    config = None
    if result.winner is not None:
        chosen = next(row.configuration for row in result.rows if row.label == result.winner.label)
        config = config_of(subject, chosen, "tunable", 3, ["found by bench tune\nevil: true"])
    default = space.label(space.default)
    axes = SETTINGS[:2]
    return Tuned(folder, "tunable", axes, default, 3, True, limits, 8, result, config, 61.0, "s.db", "one")


@pytest.fixture
def found(tmp_path: Path) -> Tuned:
    return found_by_search(tmp_path, batch_64=2.0)


def test_the_claim_names_speed_memory_loss_and_the_command(found: Tuned) -> None:
    assert re.fullmatch(
        rf"{BEST} trains (2|1\.9\d|2\.0\d)x \[\d.*\] the samples/s of the default \(batch_size=32,precision=32-true\) "
        r"at 2x its peak memory, validation loss after 8 epochs within 2 % of the default's \(0 % here\): "
        r"`bench train fit --config .*/tuned\.yaml`",
        claim_sentence(found),
    )


def test_where_nothing_is_better_the_sentence_says_so_and_there_is_no_command(tmp_path: Path) -> None:
    same = found_by_search(tmp_path, 2)
    assert claim_sentence(same).startswith("nothing that was tried is known to be better than the default")
    assert (same.winner, same.command, same.config_path) == (None, "", None)


def test_the_yaml_is_what_bench_train_takes_and_comments_stay_comments(found: Tuned) -> None:
    yaml = pytest.importorskip("yaml")
    assert found.config is not None
    read = yaml.safe_load(found.config.yaml)
    assert read["trainer"] == {
        "max_epochs": 8, "precision": "32-true", "accelerator": "cpu", "devices": 1, "strategy": "auto"
    }  # fmt: skip
    assert read["data"] == {"batch_size": 64, "samples": 2048, "source": "synthetic", "num_workers": 0, "seed": 3}
    assert read["model"] == {"learning_rate": 0.001, "width": 64, "latent": 3, "variant": "mlp"}
    assert set(read) == {"seed_everything", "trainer", "data", "model"}
    assert found.config.unsaid == ()


def test_axes_that_the_yaml_has_no_place_for_are_said() -> None:
    settings = ("access=batch,sample", "batch_size=32", "loop=trainer-barebones", "precision=32-true", "threads=1")
    subject = subject_of(TuneRequest("tunable", settings=(*settings, "learning_rate=0.001")).checked())
    made = config_of(subject, {"access": "sample"}, "tunable", 0, [])
    assert made.unsaid == ("loop=trainer-barebones", "access=sample")
    assert "# access=sample: no argument of bench train" in made.yaml


def test_csv_has_a_line_a_trial_and_losses_that_are_none_are_words(found: Tuned) -> None:
    rows = list(csv.DictReader(io.StringIO(TUNE_FORMATS["csv"](found))))
    assert len(rows) == 3
    told = {row["configuration"]: row for row in rows}
    assert told[BEST]["state"] == "complete"
    assert told["batch_size=64,precision=bf16-mixed"]["loss_lag"] == "inf"
    assert told["batch_size=64,precision=bf16-mixed"]["reason"] == (
        "its validation loss is not finite after 25 % of the epochs"
    )


def test_json_markdown_and_table_tell_the_same_trials(found: Tuned) -> None:
    data = json.loads(TUNE_FORMATS["json"](found))
    labels = {row["label"] for row in data["result"]["rows"]}
    assert len(labels) == 3
    for text in (TUNE_FORMATS["md"](found), TUNE_FORMATS["table"](found)):
        assert all(label in text for label in labels)
        assert "not finite" in text


def test_the_page_fetches_nothing_and_names_of_foreign_origin_are_text(found: Tuned) -> None:
    evil = replace(found, target="<script>alert(1)</script>", config=TunedConfig("a: <b>\n", "x"))
    page = render_tune_page(evil)
    assert "<script>" not in page
    assert "<b>" not in page
    assert re.search(r'<svg[^>]* viewBox="0 0 36\d ', page)  # as a telephone shows it
    assert not re.search(r'(src|href)="https?:', page)


def test_the_picture_has_the_default_and_every_trial_that_was_raced(found: Tuned) -> None:
    points = {point.label: point for point in tried_points(found)}
    assert len(points) == 4
    assert points[found.default].speed == 1.0
    assert points[BEST].memory == 2 * 10**9
    assert not points["batch_size=64,precision=bf16-mixed"].kept
    assert draw_tuned(replace(found, result=replace(found.result, rows=()))) is None
