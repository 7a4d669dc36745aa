"""What fits into a budget: the arithmetic, and real runs that do not begin what would end after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import synthetic
from conftest import Bench, Silent
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.summary import summarize
from bench.engine import budget
from bench.engine.budget import Work
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.options import Options
from bench.plan import discovery, plan
from bench.results import store

SECONDS = st.floats(min_value=0.01, max_value=5000.0)
PRELOADS = st.lists(
    st.sampled_from([("torch",), ("torch", "lightning"), ("torch", "@old"), ("torch", "lightning", "@old")]),
    min_size=1,
    max_size=4,
    unique=True,
).map(tuple)


@st.composite
def works(draw: st.DrawFn) -> Work:
    groups = draw(st.integers(min_value=1, max_value=6))

    def column(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=groups, max_size=groups)))

    return Work(draw(PRELOADS), column(2, 6), column(0, 2), column(1, 2))


@given(wanted=st.integers(1, 4), prices=st.lists(SECONDS, min_size=3, max_size=3), left=SECONDS, launches=SECONDS)
def test_further_interpreters_are_started_only_while_launches_fit_beside_them(
    wanted: int, prices: list[float], left: float, launches: float
) -> None:
    used = budget.sets(wanted, prices, left, launches)
    assert 1 <= used <= wanted
    started = sum(prices[: used - 1])
    assert used == 1 or started + launches <= left + 1e-9
    # No more would have fitted, and more time never means fewer.
    assert used == wanted or started + prices[used - 1] + launches > left - 1e-9
    assert budget.sets(wanted, prices, left + 1, launches) >= used


def test_interpreters_that_are_there_cost_nothing() -> None:
    assert budget.sets(3, [0.0, 0.0], -5.0, 100.0) == 3


@given(left=SECONDS, start_up=SECONDS, made=st.integers(0, 20), least=st.integers(1, 2))
def test_launches_that_are_expected_fit(left: float, start_up: float, made: int, least: int) -> None:
    assert budget.SHORTEST_LAUNCH <= budget.seconds_of_turns(left, made, start_up) <= budget.LONGEST_LAUNCH
    number = budget.expected_launches(left, start_up, least)
    assert number >= least
    if number > least:
        assert number * (start_up + budget.SHORTEST_LAUNCH) <= left + 1e-9
    assert (number + 1) * (start_up + budget.LONGEST_LAUNCH) > left


@given(preloads=PRELOADS, cores=st.integers(1, 8), slower=st.floats(0.1, 20.0))
def test_interpreters_are_priced_as_those_that_are_there(
    preloads: tuple[tuple[str, ...], ...], cores: int, slower: float
) -> None:
    each = [budget.imports(preload) for preload in preloads]
    prior = budget.seconds_of_imports(preloads, {}, cores)
    assert prior == budget.interpreters(preloads, cores)
    assert max(each) <= prior <= sum(each)
    seen = {preload: slower * budget.imports(preload) for preload in preloads}
    assert budget.seconds_of_imports(preloads, seen, cores) == max(seen.values())
    other = ("torch", "lightning", "another")
    assert budget.seconds_of_imports([other], seen, cores) == pytest.approx(slower * budget.imports(other))
    assert budget.seconds_of_imports([], seen, cores) == 0.0


@given(work=works(), seconds=SECONDS, cores=st.integers(1, 8), wanted=st.integers(1, 3))
def test_a_forecast_says_what_fits_or_that_the_least_does_not(
    work: Work, seconds: float, cores: int, wanted: int
) -> None:
    told = budget.forecast(work, seconds, 0.0, cores, wanted)
    least = budget.interpreters(work.preloads, cores) + work.launches()
    assert told.fits == (least <= seconds)
    assert ("less than the least" in told.sentence()) == (least > seconds)
    assert told.launches >= min(work.least)
    assert ("no interval" in told.sentence()) == (told.fits and told.launches < 2)
    assert budget.forecast(work, seconds + 100, 0.0, cores, 1).launches >= (told.launches if wanted == 1 else 1)
    # More launches take longer, and no number of them is less than the least.
    assert work.launches(3) > work.launches(2) >= work.launches() == work.launches(1)


def test_groups_that_have_their_launches_take_no_more() -> None:
    """As in a run that is gone on with."""
    assert Work((("torch",),), (3, 3), (1, 0), (0, 0)).launches() == 0.0


def test_what_the_budget_had_no_room_for_stands_among_the_warnings() -> None:
    run = synthetic.make(launches=2)
    told = "no instrumented launches: they would not fit into the budget of 20 s"
    assert told in summarize(replace(run, info={**run.info, "warnings": [told]})).warnings


def test_what_everybody_sees_first() -> None:
    """The default run on two cores: three minutes hold intervals, twenty seconds do not hold the least."""
    work = Work((("torch",), ("torch", "lightning")), (5, 5, 5), (0, 0, 0), (1, 1, 1))
    assert budget.forecast(work, 180.0, 13.0, 2, 2).launches >= 3
    assert not budget.forecast(work, 20.0, 0.0, 2, 2).fits


def seconds_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


GROUPS = ("loop=plain", "batch_size=16,64")


def test_instrumented_and_further_launches_do_not_begin_when_the_budget_is_spent(bench: Bench) -> None:
    options = Options(budget=0.2, launch=0.1, fork_servers=1, instrument=3)
    bench.run("overhead", *GROUPS, options=options)
    run = store.read_run(bench.folder)
    assert not run.instrumented
    assert {(record.group, record.launch) for record in run.records} == {(group, 0) for group in bench.stops}
    assert {stop["reason"] for stop in bench.stops.values()} == {"budget"}
    assert {record.outcome for record in run.records} == {"ok"}
    assert [text for text in bench.warnings if "no instrumented launches: they would not fit" in text]
    assert [text for text in bench.warnings if "were left; 1 launch of each group, about" in text]


def test_nothing_begins_after_the_deadline_but_the_least(bench: Bench) -> None:
    began = datetime.now(UTC)
    options = Options(budget=10.0, launch=0.1, fork_servers=1, instrument=50, launches=1)
    bench.run("overhead", *GROUPS, options=options)
    run = store.read_run(bench.folder)
    # Ten seconds have room for instrumented launches of two plain arms, but where a busy machine has taken them all.
    assert run.instrumented or [text for text in bench.warnings if "no instrumented launches" in text]
    # Records tell whole seconds.
    deadline = began + timedelta(seconds=options.budget + 1)
    for record in (*run.records, *run.instrumented):
        assert seconds_of(record.started) <= deadline or (record.launch == 0 and not record.instrumented)
    # And what has begun was expected to end.
    for record in run.instrumented:
        longest = timedelta(seconds=max(other.launch_seconds for other in run.instrumented))
        assert seconds_of(record.started) + timedelta(seconds=record.launch_seconds) <= deadline + longest


@pytest.mark.usefixtures("processes")
def test_interpreters_that_do_not_fit_are_not_started(tmp_path: Path) -> None:
    """Neither a second set, nor those that only instrumented launches would use."""
    suite, file = discovery.all_suites()["overhead"]
    made = plan.make_plan({"overhead": suite}, ["overhead"], settings=["loop=plain", "batch_size=16"])
    opened, silent = store.create(tmp_path), Silent()
    opened.write_info({"run": opened.folder.name, "plan": plan.plan_document(made)})
    options = Options(budget=3.0, launch=0.1, fork_servers=3, instrument=1)
    with Fleet(1, opened.logs) as own:
        conductor = Conductor(made, {"overhead": file}, opened, options, silent)
        conductor.run(own)
        assert set(own.fork_servers) == {"torch-0", "torch-1"}
    opened.close()
    assert silent.notes[0] == conductor.warnings[0]
    assert "a budget of 3 s is less than the least there is to do" in silent.notes[0]
    assert {record.fork_server for record in store.read_run(opened.folder).records} == {0}


def test_a_run_that_is_done_starts_no_interpreters(fleet: Fleet, tmp_path: Path) -> None:
    suite, file = discovery.all_suites()["overhead"]
    made = plan.make_plan({"overhead": suite}, ["overhead"], settings=["loop=plain", "batch_size=16"])
    opened = store.create(tmp_path)
    options = Options(budget=60.0, launch=0.1, fork_servers=1, launches=1)
    Conductor(made, {"overhead": file}, opened, options, Silent()).run(fleet)
    opened.write_info({"run": opened.folder.name, "plan": plan.plan_document(made)})
    done = store.read_run(opened.folder).records
    with Fleet(1, opened.logs) as own:
        again = Conductor(made, {"overhead": file}, opened, replace(options, fork_servers=2), Silent(), done)
        assert {stop["reason"] for stop in again.run(own).values()} == {"launches"}
        assert not own.fork_servers
    opened.close()
