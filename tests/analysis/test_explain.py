"""Where extra time is spent: a known truth comes back by name, whatever sampling costs, and what is naive misses it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from stacks import BAR, HOOKS, MORE, PLAIN, PLANTED, STEP, TRAINER, TRAINER_TOP, Stack, pair

from bench.analysis.estimates import StepDifference
from bench.analysis.explain import SLOWER_WORK, Explanation, explain, timed_difference
from bench.analysis.stack_owners import OWNERS, owner_of
from bench.analysis.summary import summarize
from bench.results.stacks import SampledPair


def timed(seconds: float) -> StepDifference:
    return StepDifference("s", seconds, 0.98 * seconds, 1.02 * seconds, 8)


def function(found: Explanation, name: str) -> float:
    """Seconds a step that a function takes more; it is there once."""
    (one,) = [part for part in found.functions if part.name == name]
    return one.more


def group(found: Explanation, name: str) -> float:
    return next((part.more for part in found.groups if part.name == name), 0.0)


@pytest.mark.parametrize("costs", [(0.0, 0.0), (0.15, 0.15), (0.4, 0.4), (0.1, 0.2)])
@pytest.mark.parametrize("held", [(0.0, 0.0), (3e-3, 0.0), (2e-3, 5e-3)])
def test_a_planted_millisecond_comes_back_by_name(costs: tuple[float, float], held: tuple[float, float]) -> None:
    """Whatever sampling costs, and however long the arms were held: all of it is nobody's."""
    found = explain(STEP, timed(MORE), pair(costs=costs, held=held))
    assert function(found, "mine.planted:burn") == pytest.approx(1.0e-3)
    assert group(found, "callbacks") == pytest.approx(1.0e-3)
    assert group(found, "progress bar") == pytest.approx(0.3e-3)
    assert group(found, "calling hooks") == pytest.approx(0.2e-3)
    assert group(found, "loop's own lines") == pytest.approx(-0.05e-3)
    assert found.same_work.more == pytest.approx(0.0, abs=1e-12)
    assert all(part.more == pytest.approx(0.0, abs=1e-12) for part in found.work)
    assert found.explained == pytest.approx(1.0)


def naive_shares(pair: SampledPair) -> float:
    """Seconds of the planted function by its share of its own profile, of a step as sampled."""
    own = pair.cells[1].sampled
    return sum(seconds for stack, seconds, _ in own if "mine.planted:burn" in stack) / own.steps


def naive_by_stack(pair: SampledPair) -> float:
    """What whole stacks take more, as a flame graph tool subtracts them."""
    base, own = ({stack: seconds / cell.sampled.steps for stack, seconds, _ in cell.sampled} for cell in pair.cells)
    return sum(max(0.0, own.get(stack, 0.0) - base.get(stack, 0.0)) for stack in {*base, *own})


def test_what_is_naive_misses_the_truth() -> None:
    costly, waiting = pair(costs=(0.4, 0.4)), pair(held=(0.0, 3e-3))
    assert naive_shares(costly) == pytest.approx(1.4e-3)  # what sampling costs is read as the function's
    shared = sum(seconds for stack, seconds in TRAINER.items() if stack not in (HOOKS, BAR, PLANTED))
    assert naive_by_stack(pair()) == pytest.approx(1.5e-3 + shared)  # forward and backward are all Trainer's
    assert naive_by_stack(waiting) > naive_by_stack(pair()) + 2.9e-3  # and held time too


def test_the_same_work_that_is_slower_is_one_entry() -> None:
    slower = {stack: seconds * (1 if stack in (HOOKS, BAR, PLANTED) else 1.2) for stack, seconds in TRAINER.items()}
    more = sum(slower.values()) - STEP
    found = explain(STEP, timed(more), pair(own=slower))
    assert found.same_work.more == pytest.approx(0.2 * 1.35e-3)
    assert {part.name: pytest.approx(part.more / part.base) for part in found.work} == dict.fromkeys(
        ("forward pass", "backward pass", "optimizer step", "data loading"), 0.2
    )
    assert [part.name for part in found.entries].count(SLOWER_WORK) == 1
    assert function(found, "mine.planted:burn") == pytest.approx(1.0e-3)


def test_noise_of_samples_is_told_as_such() -> None:
    """Of 400 draws nearly all lie within three standard errors, and what nothing was planted in is seldom told."""
    errors, wrong = [], 0
    for seed in range(200):
        found = explain(STEP, timed(MORE), pair(seed=2 * seed))
        (one,) = [part for part in found.functions if part.name == "mine.planted:burn"]
        errors.append((one.more - 1.0e-3) / one.error)
        wrong += found.same_work.told
    assert sum(abs(error) < 3 for error in errors) >= 195
    assert wrong <= 30
    assert max(map(abs, errors)) > 1.0


def test_the_cheaper_loop_first_is_the_same_explanation() -> None:
    forwards = explain(STEP, timed(MORE), pair())
    backwards = explain(
        STEP + MORE,
        StepDifference("s", -MORE, -1.02 * MORE, -0.98 * MORE, 8),
        pair(TRAINER, PLAIN, ("trainer", "plain")),
    )
    assert (backwards.base, backwards.own) == ("plain", "trainer")
    assert backwards.difference == forwards.difference
    assert {part.name: pytest.approx(part.more) for part in backwards.entries} == {
        part.name: part.more for part in forwards.entries
    }


FRAMES = st.sampled_from(
    [*OWNERS, "mine.model:Net.forward", "mine.planted:burn", "contextlib:ContextManager.__exit__", "?:?"]
)
TIMES = st.dictionaries(
    st.lists(FRAMES, min_size=1, max_size=6).map(tuple), st.floats(1e-6, 1e-2), min_size=1, max_size=12
)


@given(TIMES, TIMES, st.floats(1e-6, 1e-2))
def test_all_parts_add_up_to_the_timed_difference(
    base: Mapping[Stack, float], own: Mapping[Stack, float], more: float
) -> None:
    """Unless nothing of a cell was seen but the stream: nothing is lost, and nothing is counted twice."""
    seen = [any(owner_of(stack).kind != "ours" for stack in side) for side in (base, own)]
    found = explain(1e-3, timed(more), pair(base, own))
    whole = sum(part.more for part in found.groups) + found.same_work.more + found.unnamed
    assert whole == pytest.approx((1e-3 + more) * seen[1] - 1e-3 * seen[0], rel=1e-6, abs=1e-12)
    for part in (*found.groups, *found.work):
        assert sum(one.more for one in part.functions) == pytest.approx(part.more, abs=1e-12)
    assert sum(node.own for node in found.tree.inside) == pytest.approx((1e-3 + more) * seen[1], abs=1e-12)


@given(st.lists(FRAMES, min_size=1, max_size=8), st.lists(FRAMES, max_size=4))
def test_who_calls_from_further_out_does_not_matter(stack: list[str], outside: list[str]) -> None:
    """Once the innermost frames say whose the time is, more frames around them change nothing."""
    owner = owner_of(stack)
    if owner.kind in ("own", "ours") or (owner.kind == "work" and owner.function in OWNERS):
        assert owner_of([*outside, *stack]) == owner


@pytest.mark.parametrize(
    ("inner", "group"),
    [
        (["torch.nn.modules.module:Module.__setattr__"], "loops"),
        (["lightning.pytorch.utilities.signature_utils:is_param_in_hook_signature", "inspect:signature"], "loops"),
        (["torch.optim.optimizer:Optimizer.zero_grad"], "optimizer step"),
        (["torch.optim.adam:Adam.step", "torch.accelerator:x", "torch.cuda:is_available", "os:x"], "looking for a GPU"),
        (["lightning.pytorch.trainer.connectors.logger_connector.result:_ResultCollection.log"], "logger connector"),
        (["lightning.fabric.utilities.apply_func:move_data_to_device", "torch:x"], "moving batches"),
        (["lightning.pytorch.loops.fetchers:_PrefetchDataFetcher.__next__"], "data fetching"),
        (["lightning.pytorch.loops.fetchers:x", "torch.utils.data:x", "mine:Rows.get"], "data loading"),
        (["lightning.pytorch.trainer.call:_call_lightning_module_hook", "mine:Net.training_step"], "forward pass"),
        (["lightning.pytorch.trainer.call:_call_callback_hooks", "mine:Own.on_end", "math:sin"], "callbacks"),
        (["lightning.pytorch.plugins.precision.precision:Precision.optimizer_step"], "precision plugin"),
        (["bench.axes.loops.batch_tree:moved"], "loops"),
        (["lightning.pytorch.trainer.connectors.logger_connector:x", "mine:burn"], "logger connector"),
        (["torch.autograd:backward", "mine:Own.backward", "torch:sin"], "backward pass"),
        (["torch.optim.optimizer:wrapper", "mine:Lion.step"], "optimizer step"),
        (["bench.arm.stream:BatchStream.turns"], ""),
    ],
)  # fmt: skip
def test_the_table_says_whose_a_stack_is(inner: list[str], group: str) -> None:
    assert owner_of([*TRAINER_TOP, *inner]).group == group


def test_the_timed_difference_is_the_summarys() -> None:
    run = synthetic.make(noise="gaussian")
    summary = {cell.id: cell for cell in summarize(run).cells}
    base, own = synthetic.cell_id("plain", 256), synthetic.cell_id("trainer", 256)
    step, difference = timed_difference(run, base, own)
    versus = summary[own].versus
    assert versus is not None
    assert (difference.estimate, difference.low, difference.high) == pytest.approx(
        (versus.difference.estimate, versus.difference.low, versus.difference.high)
    )
    assert step == pytest.approx(summary[base].metrics["step_time"].estimate, rel=1e-3)


def test_two_cells_that_are_no_baseline_are_compared_too() -> None:
    run = synthetic.make(noise="none", launch_sd=0.0, turn_sd=0.0, drift_sd=0.0)
    _, difference = timed_difference(run, synthetic.cell_id("fabric", 256), synthetic.cell_id("trainer", 256))
    assert difference.estimate == pytest.approx(370e-6, rel=1e-3)


def test_sampling_that_costs_loops_unlike_is_told() -> None:
    assert explain(STEP, timed(MORE), pair(costs=(0.1, 0.2))).notes == ()
    (note,) = explain(STEP, timed(MORE), pair(costs=(0.1, 0.4))).notes
    assert "1.10 and 1.40 times as long" in note
