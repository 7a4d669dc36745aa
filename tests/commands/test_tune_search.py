"""A search on a simulated machine whose best configuration is known, with Optuna's real study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tiers import Choice
from tuned_machine import TunedMachine

from bench.analysis.tuning import TuneLimits
from bench.commands.tune_search import RACED_AT_ONCE, SEEDS, HalvingSearch, SearchResult, SearchRules, rungs_of
from bench.commands.tune_study import SAMPLERS, SearchStudy, open_study
from bench.errors import RunError
from bench.plan.search_space import SearchSpace

pytest.importorskip("optuna")

AXES = {"batch_size": (32, 64, 128, 256), "precision": ("32-true", "bf16-mixed"), "access": ("sample", "batch")}
SPACE = SearchSpace({**AXES, "threads": (1, 2), "num_workers": (0, 1)})
SMALL = SearchSpace({"batch_size": (32, 64), "threads": (1, 2)})
RUNGS = rungs_of(8)


def searched(
    machine: TunedMachine, study: SearchStudy | None = None, *, trials: int = 1000, budget: float = 1e9, **limits: Any
) -> SearchResult:
    study = study or open_study(None, "search", machine.space, sampler="tpe", seed=0)
    machine.budget = budget
    rules = SearchRules(RUNGS, min(trials, len(machine.space.candidates())), budget, TuneLimits(**limits))
    return HalvingSearch(study, machine, rules).run()


def test_it_finds_one_of_the_best_within_a_quarter_of_the_grids_cost(repeats: Choice) -> None:
    """Within 5 % of the best that there is, in 95 % of searches; each configuration of the grid raced as finalists."""
    number = repeats(4, 100)
    good = 0
    for seed in range(number):
        machine = TunedMachine(SPACE, seed)
        found = searched(machine, open_study(None, "search", SPACE, sampler="tpe", seed=seed))
        assert machine.seconds <= machine.grid_cost(RUNGS[-1], SEEDS, RACED_AT_ONCE) / 4
        speed = machine.truth[found.winner.label] if found.winner else 1.0
        good += speed >= 0.95 * max(1.0, machine.best())
    assert good >= 0.95 * number - (number < 20)


def test_where_nothing_is_better_it_claims_nothing(repeats: Choice) -> None:
    """Two searches of a hundred, at most, take noise for a better configuration: 5 in 100 is what they may."""
    number = repeats(8, 200)
    claims = 0
    for seed in range(number):
        machine = TunedMachine(SMALL, seed, speeds=dict.fromkeys(map(SMALL.label, SMALL.configurations()), 1.0))
        claims += searched(machine).winner is not None
    assert claims <= max(1, 0.05 * number)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_tries_each_configuration_once(sampler: Any) -> None:
    study = open_study(None, "search", SPACE, sampler=sampler, seed=3)
    found = searched(TunedMachine(SPACE, 3), study)
    labels = [row.label for row in found.rows]
    assert sorted(labels) == sorted(SPACE.label(one) for one in SPACE.candidates())
    assert {row.word for row in found.rows} == {"complete", "pruned"}


def speeds(**factors: float) -> dict[str, float]:
    """By label, the product of these factors, named `batch_size_64` and the like."""
    found = {}
    for one in SMALL.configurations():
        found[SMALL.label(one)] = math.prod(factors.get(f"{axis}_{value}", 1.0) for axis, value in one.items())
    return found


FAST = speeds(batch_size_64=2.0, threads_2=1.5)
BEST = "batch_size=64,threads=2"


def test_the_fastest_wins_where_it_breaks_no_limit() -> None:
    found = searched(TunedMachine(SMALL, speeds=FAST))
    assert found.winner is not None
    assert (found.winner.label, found.ended) == (BEST, "finished")
    ratio = found.winner.ratio
    assert ratio is not None
    assert ratio.low is not None
    assert 1.0 < ratio.low < 3.0 < 1.3 * ratio.estimate


def test_a_loss_that_is_worse_at_the_end_is_no_winner_and_others_get_a_second_look() -> None:
    """Both that lead break the margin, which shows at the last rung only; slower ones that were given up come back."""
    truth = {SPACE.label(one): 1.0 + 0.01 * number for number, one in enumerate(SPACE.configurations())}
    leaders = sorted(truth, key=lambda label: -truth[label])[:12]
    machine = TunedMachine(SPACE, speeds={**truth, **dict.fromkeys(leaders, 3.0)}, lags=dict.fromkeys(leaders, 0.03))
    found = searched(machine, loss_margin=0.02)
    assert found.winner is not None
    assert found.winner.label not in leaders
    assert {row.label: row.reason for row in found.rows}[leaders[0]].startswith("its validation loss is 3 % above")


def test_what_needs_too_much_memory_is_told_with_the_limit() -> None:
    machine = TunedMachine(SMALL, speeds=FAST, memory={BEST: 2 * 10**9})
    found = searched(machine, memory=15 * 10**8)
    assert found.winner is not None
    assert found.winner.label == "batch_size=64,threads=1"
    (row,) = (row for row in found.rows if row.label == BEST)
    assert (row.word, row.reason, round(row.broken, 3)) == (
        "pruned",
        "needs 2000000000 bytes, over the limit of 1500000000",
        0.333,
    )


def test_candidates_that_fail_are_results_with_a_reason() -> None:
    faults = {BEST: ("oom", "RuntimeError: not enough memory"), "batch_size=64,threads=1": ("crashed", "exit code 1")}
    found = searched(TunedMachine(SMALL, speeds=FAST, faults=faults))
    told = {row.label: (row.word, row.reason) for row in found.rows}
    assert told[BEST] == ("pruned", "out of memory: RuntimeError: not enough memory")
    assert told["batch_size=64,threads=1"] == ("failed", "crashed: exit code 1")
    assert found.winner is not None
    assert found.winner.label == "batch_size=32,threads=2"


def test_where_all_fail_nothing_is_claimed() -> None:
    labels = [SMALL.label(one) for one in SMALL.candidates()]
    found = searched(TunedMachine(SMALL, faults=dict.fromkeys(labels, ("crashed", "exit code 1"))))
    assert (found.winner, found.finalists, found.ended) == (None, (), "finished")


@pytest.mark.parametrize(
    ("machine", "limits", "text"),
    [
        (
            {"faults": {"batch_size=32,threads=1": ("crashed", "exit code 1")}},
            {},
            "was not raced: crashed: exit code 1",
        ),
        ({}, {"memory": 5 * 10**8}, "needs 1000000000 bytes at its peak, more than the memory limit of 500000000"),
        ({}, {"budget": 3.0}, "the budget of 3 s has no room for a single race"),
    ],
)
def test_a_default_that_cannot_be_raced_ends_the_search(
    machine: dict[str, Any], limits: dict[str, Any], text: str
) -> None:
    with pytest.raises(RunError, match=text):
        searched(TunedMachine(SMALL, **machine), **limits)


def test_a_budget_that_ends_before_the_final_race_claims_nothing_and_says_so() -> None:
    machine = TunedMachine(SMALL, speeds=FAST)
    found = searched(machine, budget=machine.cost(list(FAST)[1:], 2, 1) * 3.2)
    assert (found.winner, found.ended) == (None, "budget")
    later = TunedMachine(SMALL, speeds=FAST)
    assert searched(later).winner is not None


@pytest.mark.parametrize("before", range(4))
def test_an_interrupted_search_keeps_what_it_has_and_goes_on(tmp_path: Path, before: int) -> None:
    """Whatever race is the one that somebody stops: no race is made twice, and the end is that of one that ran on."""
    path = tmp_path / "study.db"
    first = TunedMachine(SMALL, 1, speeds=FAST)
    first.stop_before = before
    found = searched(first, open_study(path, "search", SMALL, sampler="tpe", seed=0))
    assert found.ended == ("interrupted" if before < 4 else "finished")
    second = TunedMachine(SMALL, 2, speeds=FAST)
    done = searched(second, open_study(path, "search", SMALL, sampler="tpe", seed=0, resume=True))
    assert done.winner is not None
    assert done.winner.label == BEST
    assert not {one for one in first.raced if one[2] == 1} & {one for one in second.raced if one[2] == 1}
    assert len({row.label for row in done.rows}) == len(done.rows) == 3
