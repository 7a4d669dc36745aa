"""Which interpreters the arms of real launches come from, and what their turns hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Bench, Silent

from bench.analysis import frames
from bench.engine.conductor import Conductor
from bench.engine.options import Options
from bench.machine.cores import layout
from bench.plan import discovery, plan
from bench.results import store

PAIR = ("loop=plain", "batch_size=64")


def test_the_twin_is_from_another_interpreter_and_both_change_places(bench: Bench) -> None:
    options = Options(budget=60, launch=0.1, launches=3, fork_servers=1)
    records = bench.run("overhead", *PAIR, options=options)
    seats = {(record.launch, record.twin): record.seat for record in records}
    assert all(seats[launch, False] != seats[launch, True] for launch in range(3))
    assert seats[0, False] != seats[1, False], "drawn, and then the other way round"
    assert {record.fork_server for record in records} == {0}
    pairs = frames.pairs(store.read_run(bench.folder))
    assert pairs["crossed"].all()
    for record in records:
        turns = record.turns
        assert turns is not None
        assert not turns.counted
        assert len(set(turns.taken)) > 1
        # Steps are numbered as the loop numbers them, all of them, those of the warm-up included.
        ends = [began + taken for began, taken in zip(turns.began, turns.taken, strict=True)]
        assert list(turns.began[1:]) == ends[:-1]
        assert turns.began[0] == len(record.warmup)
        assert min(turns.lengths) >= 1
    base, twin = ([record.turns for record in records if record.twin is is_twin] for is_twin in (False, True))
    assert [one and one.taken for one in base] == [other and other.taken for other in twin]


@pytest.mark.long
@pytest.mark.skipif(
    set(layout(1).arms) == set(layout(1).conductor), reason="one core: no set imports while turns are taken"
)
@pytest.mark.usefixtures("processes")
def test_sets_are_replaced_while_launches_go_on(tmp_path: Path) -> None:
    suite, file = discovery.all_suites()["overhead"]
    made = plan.make_plan({"overhead": suite}, ["overhead"], settings=[*PAIR])
    opened = store.create(tmp_path)
    opened.write_info({"run": opened.folder.name, "plan": plan.plan_document(made)})
    Conductor(made, {"overhead": file}, opened, Options(budget=45.0, launch=1.0, precision_goal=1e-9), Silent()).run()
    opened.close()
    records = store.read_run(opened.folder).records
    sets = sorted({record.fork_server for record in records})
    assert sets == list(range(len(sets)))
    assert len(sets) >= 2, "a set of two interpreters imports torch in 6 s, in more beside other work"
    by_launch = {record.launch: record.fork_server for record in records}
    assert [by_launch[launch] for launch in sorted(by_launch)] == sorted(by_launch.values())
