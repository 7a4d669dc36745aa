"""Settings are judged: what differs from the baseline's without having been asked for leaves no ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import USUAL_LOOPS, Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from bench.analysis import frames
from bench.analysis import summary as stats
from bench.arm.switches import Switches, innermost, loader_settings, switches
from bench.axes.accelerators import accelerators
from bench.axes.trainer_sets import PROFILERS, SEEN_OF_PROFILERS
from bench.engine.equal_settings import COUNTED_SETTINGS, FOLLOWS, UNTIMED_SETTINGS, may_differ
from bench.engine.equal_work import judge_work
from bench.engine.options import Options
from bench.plan.suite import READ_BACK, Suite, suite_settings
from bench.results import store
from bench.results.record import FAILED_OUTCOMES, Record

QUICK = Options(budget=1, launch=0.1, fork_servers=1)
SWITCHES = {
    "gc off": "gc_enabled: [True, False] against the baseline's True",
    "gc off within a step": "gc_enabled: [False, True] against the baseline's True",
    "gc rare": "gc_threshold",
    "gc frozen": "gc_frozen: ['as forked', 'by the loop'] against",
    "gc thawed": "gc_frozen: ['as forked', 'undone'] against",
    "cudnn benchmark": "cudnn_benchmark: [False, True] against the baseline's False",
    "cudnn deterministic": "cudnn_deterministic: [False, True] against the baseline's False",
    "deterministic": "deterministic: [False, True] against the baseline's False",
    "no fill": "deterministic_fill: [True, False] against the baseline's True",
    "anomaly": "anomaly_detection: [False, True] against the baseline's False",
    "profiler": "profiler: ['none', 'sys.setprofile'] in a timed launch, which has none",
}
LOADERS = {
    "persisting workers": "persistent_workers: True against the baseline's False",
    "pinned memory": "pin_memory: True against the baseline's False",
    "other prefetching": "prefetch_factor: 7 against the baseline's None",
}


def record(cell: str, *, effective: Mapping[str, Any], asks: Mapping[str, Any] | None = None, **axes: Any) -> Record:
    work = {"steps": 10, "samples": 100, "samples_digest": "ab", "optimizer_updates": 10, "losses": [1.0]}
    work |= {"audited": 1, "forward": 1, "backward": 1}
    weights = {"initial_weights": "x", "final_weights": "y"}
    requested = {"accelerator": "cpu", "precision": "32-true", **(asks or {})}
    return Record("s", cell, "g", axes, False, 0, "ok", requested=requested, effective=effective,
                  ledger={**work, **weights})  # fmt: skip


def judged(mine: Record, baseline: Record) -> Record:
    return judge_work([baseline, mine], baseline.cell)[1]


def test_every_switch_that_an_arm_turns_is_seen_and_leaves_no_ratio(bench: Bench) -> None:
    records = bench.run("turning", f"switch=none,{','.join(SWITCHES)}", options=QUICK)
    found = {str(item.point["switch"]): item for item in records if not item.twin}
    assert found["none"].outcome == "ok"
    for switch, words in SWITCHES.items():
        assert found[switch].outcome == "unequal-settings", (switch, found[switch].reason)
        assert words in found[switch].reason
    summary = stats.summarize(store.read_run(bench.folder))
    assert [cell.id for cell in summary.cells if cell.versus is not None] == [f"{found['none'].cell}#twin"]
    assert "unequal-settings" in FAILED_OUTCOMES  # the run's exit code is 3
    assert "unequal-settings" in frames.MEASURED  # its time is shown, with its reason


@pytest.mark.parametrize("wrapped", ["false", "true"])
def test_trap_7_what_the_loader_does_is_read_from_the_loader_that_is_iterated(bench: Bench, wrapped: str) -> None:
    records = bench.run("turning", f"switch=none,{','.join(LOADERS)}", f"wrapped={wrapped}", options=QUICK)
    found = {str(item.point["switch"]): item for item in records if not item.twin}
    assert found["none"].outcome == "ok"
    for switch, words in LOADERS.items():
        assert found[switch].outcome == "unequal-settings", (switch, found[switch].reason)
        assert words in found[switch].reason


def test_all_loops_train_with_the_same_settings(bench: Bench) -> None:
    """What holds traps 1, 6, 7, 9, 17 and 22 where one loop does otherwise than the others: it is no longer `ok`."""
    records = bench.run("overhead", "batch_size=32", "num_workers=1", "persistent_workers=true", options=QUICK)
    assert {item.outcome for item in records} == {"ok"}, [item.reason for item in records]
    assert {str(item.point["loop"]) for item in records} == set(USUAL_LOOPS)
    for item in records:
        names = ("loader_workers", "persistent_workers", "pin_memory")
        assert [item.requested[name] for name in names] == [item.effective[name] for name in names] == [1, True, False]
        assert item.effective["prefetch_factor"] == 2
        assert item.effective["callbacks"] == item.effective["logged"] == item.effective["profiler"] == "none"


@pytest.fixture(scope="module")
def raced(fleet: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """A record of each loop, of one launch."""
    bench = Bench(fleet, tmp_path_factory.mktemp("settings") / "results")
    records = bench.run("overhead", "batch_size=32", options=QUICK)
    assert {item.outcome for item in records} == {"ok"}, [item.reason for item in records]
    return {str(item.point["loop"]): item for item in records if not item.twin}


def test_a_change_of_any_setting_of_any_loop_is_unequal_unless_the_table_says_why(raced: dict[str, Record]) -> None:
    baseline, strange = raced["plain"], ["no loop says so"]
    for name in set(raced) - {"plain"}:
        allowed = may_differ(raced[name], baseline)
        for key in raced[name].effective:
            changed = replace(raced[name], effective={**raced[name].effective, key: strange})
            outcome = judged(changed, baseline)
            assert (outcome.outcome == "ok") == (key in allowed and key not in UNTIMED_SETTINGS), key
            if key not in allowed and key not in UNTIMED_SETTINGS:
                told = repr(baseline.effective[key])
                assert outcome.reason == f"{key}: {strange!r} against the baseline's {told}"
        # One that nobody thought of.
        more = replace(raced[name], effective={**raced[name].effective, "tomorrows_switch": "on"})
        assert judged(more, baseline).reason == "tomorrows_switch: 'on' against the baseline's none read back"


def test_what_a_module_logs_is_a_part_of_what_trainer_costs_and_against_other_loops_it_is_unequal() -> None:
    """Trap 1: one side logs, the other does not; loops that run the same module say the same."""

    def of(loop: str, logged: str) -> Record:
        return record(loop, effective={"logged": logged}, loop=loop)

    assert judged(of("trainer", "loss"), of("trainer-barebones", "none")).outcome == "ok"
    assert judged(of("by-hand", "none"), of("trainer", "loss")).outcome == "ok"
    for other in ("plain", "fabric", "mine"):
        assert judged(of("trainer", "loss"), of(other, "none")).outcome == "unequal-settings"


def test_what_a_loop_may_own_is_what_the_loops_really_differ_in(raced: dict[str, Record]) -> None:
    keys = {key for item in raced.values() for key in item.effective}
    unlike = {key for key in keys if len({repr(item.effective.get(key)) for item in raced.values()}) > 1}
    # Of compiled loops on two ranks, of XLA, and of environments with more packages than those that are tested.
    elsewhere = {"compiled_around_ddp", "graph_cut", "pandas_imported", "torch_xla_imported"}
    assert unlike == set(FOLLOWS["loop"]) - elsewhere | {"loop"}
    assert all(reason for table in (*FOLLOWS.values(), COUNTED_SETTINGS) for reason in table.values())


def test_the_twin_has_all_settings_of_the_baseline(raced: dict[str, Record]) -> None:
    baseline = raced["trainer"]
    twin = replace(baseline, cell=f"{baseline.cell}#twin", twin=True)
    assert judged(twin, baseline).outcome == "ok"
    for key in set(baseline.effective) - set(COUNTED_SETTINGS):
        changed = replace(twin, effective={**baseline.effective, key: ["another"]})
        assert judged(changed, baseline).outcome == "unequal-settings", key


names = st.text(min_size=1).filter(lambda name: name not in (*COUNTED_SETTINGS, *UNTIMED_SETTINGS))
values = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.integers()))


@settings(report_multiple_bugs=False)
@given(names, values, values)
def test_a_setting_may_differ_only_where_it_was_asked_to(name: str, one: Any, other: Any) -> None:
    mine, baseline = record("s[b]", effective={name: one}), record("s[a]", effective={name: other})
    found = judged(mine, baseline)
    assert found.outcome == ("ok" if one == other else "unequal-settings")
    if one != other:
        assert found.reason == f"{name}: {one!r} against the baseline's {other!r}"
        assert judged(replace(mine, point={name: 1}), replace(baseline, point={name: 2})).outcome == "ok"
        asking = (record("s[b]", effective={name: one}, asks={name: 1}),
                  record("s[a]", effective={name: other}, asks={name: 2}))  # fmt: skip
        assert judged(*asking).outcome == "ok"
    absent = replace(mine, effective={})
    assert judged(absent, baseline).outcome == "unequal-settings"


PROFILED = ("trainer_profiler", "profiler")  # any value of which is an intruder, unless it was asked for
OF_DEVICES = {name for device in accelerators().values() for name in device.settings}


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        *((cause, name) for cause, own in FOLLOWS.items() for name in own if name not in PROFILED),
        *(("accelerator", name) for name in sorted(OF_DEVICES)),
    ],
)
def test_what_follows_from_an_axis_may_differ_with_it_and_not_without_it(cause: str, name: str) -> None:
    mine, baseline = (
        # A callback is no intruder where a set has brought it.
        record(cell, effective={name: value, **({"set_callbacks": value} if name == "callbacks" else {})})
        for cell, value in (("s[b]", "x"), ("s[a]", "y"))
    )
    assert judged(mine, baseline).outcome == "unequal-settings"
    assert judged(replace(mine, point={cause: "x"}), replace(baseline, point={cause: "y"})).outcome == "ok"


def test_a_profiler_of_a_set_is_let_through_and_no_other() -> None:
    """By its class, and by what is seen of that class; in the arm that asked for it."""
    seen = {
        "SimpleProfiler": "none",
        "AdvancedProfiler": ["sys.setprofile", "none"],
        "PyTorchProfiler": "torch.profiler",
    }
    baseline = record("s[a]", effective={"trainer_profiler": "none", "profiler": "none"})
    for name, there in seen.items():
        effective = {"trainer_profiler": name, "profiler": there}
        asked = record("s[b]", effective=effective, asks={"trainer_profiler": name})
        assert judged(asked, baseline).outcome == "ok"
        unasked = judged(record("s[b]", effective=effective), baseline)
        assert unasked.outcome == "unequal-settings"
        assert f"trainer_profiler: {name} in a timed launch, which has none" in unasked.reason
        for other in set(SEEN_OF_PROFILERS) - {name}:
            mistaken = judged(replace(asked, effective={**effective, "trainer_profiler": other}), baseline)
            assert mistaken.reason.startswith(f"trainer_profiler: {other} in a timed launch")
        more = judged(replace(asked, effective={**effective, "profiler": "sys.settrace"}), baseline)
        assert more.reason == "profiler: sys.settrace in a timed launch, which has none"
    assert set(PROFILERS.values()) == set(SEEN_OF_PROFILERS) == set(seen)
    # A loop that has no Trainer reads none back.
    plain = record("s[b]", effective={"profiler": "none"}, loop="plain")
    assert judged(plain, baseline).outcome == "ok"


def test_what_a_device_counts_may_differ_as_its_class_says() -> None:
    tables = [table for device in accelerators().values() for table in (device.counts, device.settings)]
    assert all(reason for table in tables for reason in table.values())
    counted = {name for device in accelerators().values() for name in device.counts}
    assert counted == {"compilations", "compilations_timed", "graph_cuts_per_step", "operators_on_cpu"}
    for name in counted:
        mine, baseline = record("s[b]", effective={name: 1}), record("s[a]", effective={name: 2})
        assert judged(mine, baseline).outcome == "ok"


def test_trap_22_a_callback_or_profiler_in_a_timed_launch_is_seen_in_the_baseline_too() -> None:
    for name in UNTIMED_SETTINGS:
        baseline, other = (record(cell, effective={name: "Spy"}) for cell in ("s[a]", "s[b]"))
        found = judge_work([baseline, other], "s[a]")
        assert [item.outcome for item in found] == ["unequal-settings"] * 2
        assert found[0].reason == f"{name}: Spy in a timed launch, which has none"
        instrumented = [replace(item, instrumented=True) for item in (baseline, other)]
        assert [item.outcome for item in judge_work(instrumented, "s[a]")] == ["ok", "ok"]


def test_settings_are_told_before_the_work_that_follows_from_them() -> None:
    baseline = record("s[a]", effective={"deterministic": False})
    other = record("s[b]", effective={"deterministic": True})
    other = replace(other, ledger={**other.ledger, "final_weights": "z"})
    assert judged(other, baseline).outcome == "unequal-settings"
    assert judged(replace(other, effective=baseline.effective), baseline).outcome == "unequal-work"
    failed = replace(other, outcome="crashed", reason="it fell")
    assert judged(failed, baseline) == failed


def test_what_a_suite_asks_for_is_asked_for_by_the_names_that_are_read_back() -> None:
    def suite(**more: Any) -> Suite:
        return Suite("s", "t", {"a": (1,)}, "a", 1, build=lambda point: None, **more)

    assert suite_settings(suite(), {"a": 1}) == {}
    assert suite_settings(suite(), {"num_workers": 3}) == {"loader_workers": 3}
    assert suite_settings(suite(workers=lambda point: 2), {"a": 1}) == {"loader_workers": 2}
    assert suite_settings(suite(settings=lambda point: {"gc_enabled": False}), {"a": 1}) == {"gc_enabled": False}
    assert suite_settings(suite(), dict.fromkeys(READ_BACK, 0)) == dict.fromkeys(READ_BACK, 0)
    known = {*switches(), *loader_settings([])}
    assert set(READ_BACK) <= known


def test_the_innermost_loader_is_found_through_wrappers() -> None:
    loader: DataLoader[Any] = DataLoader([1, 2, 3], num_workers=1, persistent_workers=True, prefetch_factor=5)

    class Around:
        num_workers = 0

        def __init__(self, name: str, inner: Any) -> None:
            setattr(self, name, inner)

    for name in ("_dataloader", "_loader", "dataloader", "loader", "base_dataloader"):
        assert innermost(Around(name, Around("_dataloader", loader))) is loader
    read = loader_settings(Around("_dataloader", loader))
    assert (read["loader_workers"], read["persistent_workers"], read["prefetch_factor"]) == (1, True, 5)
    ring = Around("loader", None)
    ring.loader = ring
    assert innermost(ring) is ring
    assert loader_settings([1])["loader_workers"] == 0


def test_a_switch_that_moves_is_all_of_its_values() -> None:
    seen = Switches()
    seen.read()
    before = seen.effective()
    assert before["anomaly_detection"] is False
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        seen.read()
    seen.read()
    assert seen.effective() == {**before, "anomaly_detection": [False, True]}
