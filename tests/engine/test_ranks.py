"""Several ranks an arm: real DDP over gloo in every loop, what is read back, and what becomes of a rank that fails."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import SUITES, USUAL_LOOPS, Bench, call
from hypothesis import given
from hypothesis import strategies as st

from bench.axes.accelerators import accelerator
from bench.axes.strategy import resolve_strategy
from bench.engine.arm_request import downgrades
from bench.engine.fleet import Fleet
from bench.engine.merge_ranks import Turn, arm_result, blame, turn
from bench.engine.options import Options
from bench.machine.cores import layout
from bench.plan import discovery, plan
from bench.protocol import CallbackMetrics, Go, Ledger, Result, TurnReport
from bench.results.record import Record

QUICK = Options(budget=1, launch=0.1, fork_servers=1)
SMALL = ("batch_size=32", "width=16", "samples=256")

two_cores = pytest.mark.skipif(
    len(layout(1).usable) < 2, reason="two ranks need two cores, as bench itself says of such cells"
)


def of_two(records: tuple[Record, ...]) -> dict[str, Record]:
    return {str(record.point["loop"]): record for record in records if record.point["devices"] == 2}


@pytest.fixture(scope="module")
def scaled(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Record, ...]]:
    """All loops on one rank and on two, once for all tests that only read."""
    return {
        scaling: Bench(fleet, tmp_path_factory.mktemp(scaling)).run(
            "scaling", *SMALL, f"scaling={scaling}", options=QUICK
        )
        for scaling in ("weak", "strong")
    }


@two_cores
@pytest.mark.parametrize("scaling", ["weak", "strong"])
def test_all_loops_do_the_same_work_on_two_ranks(scaled: Mapping[str, tuple[Record, ...]], scaling: str) -> None:
    records = scaled[scaling]
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    found = of_two(records)
    assert set(found) == set(USUAL_LOOPS)
    for record in found.values():
        assert {key: record.effective[key] for key in record.requested} == record.requested
        assert record.ledger["rank_differences"] == []
        # Each rank has a batch of its own: losses differ, and yet both have the same weights at the end.
        one, other = record.ledger["rank_losses"]
        assert one != other
        assert record.turns is not None
        assert len(record.turns.spread) == len(record.turns.round)
        pairs = zip(record.turns.spread, record.turns.settled, strict=True)
        assert all(0 <= spread <= counted for spread, counted in pairs)
    # Launches differ in their number of steps, so bits are compared over the watched ones.
    losses = {tuple(record.ledger["losses"][:4]) for record in found.values()}
    assert len(losses) == 1


@two_cores
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_loops_that_race_on_two_ranks_have_equal_ledgers(bench: Bench, precision: str) -> None:
    """The contract of all loops: raced on two ranks they end with the same bits, or in bf16-mixed with equal losses."""
    options = Options(budget=1, launch=0.2, fork_servers=1)
    records = bench.run("overhead", *SMALL, "devices=2", f"precision={precision}", options=options)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    assert {record.effective["precision"] for record in records} == {precision}
    if precision != "32-true":
        return
    # In what they are equal to the baseline's stands in all ledgers but the baseline's.
    ledgers = [{**record.ledger, "equal": ""} for record in records]
    assert all(ledger == ledgers[0] for ledger in ledgers)
    assert ledgers[0]["optimizer_updates"] == ledgers[0]["steps"] > 20


@two_cores
def test_trap_6_threads_are_those_asked_for_under_ddp(fleet: Fleet, scaled: Mapping[str, tuple[Record, ...]]) -> None:
    """Lightning would set OMP_NUM_THREADS to cores over processes, torchrun to 1; all loops get what was asked for."""
    assert "OMP_NUM_THREADS" not in os.environ or fleet.threads == 1
    for record in of_two(scaled["weak"]).values():
        assert record.effective["threads"] == record.requested["threads"] == 1
        # A core of its own for each rank, and all of them told.
        assert record.effective["cores"] == record.requested["cores"]
        assert len(set(record.effective["cores"])) == 2


@two_cores
def test_trap_12_samples_and_throughput_are_those_of_all_ranks(scaled: Mapping[str, tuple[Record, ...]]) -> None:
    """One sampler for all loops, which neither pads nor gives a sample twice; the global batch is what is counted."""
    for records, batch in ((scaled["weak"], 64), (scaled["strong"], 32)):
        for record in of_two(records).values():
            assert record.effective["sampler"] == "DistributedSampler"
            assert record.samples_per_step == batch
            assert record.ledger["samples"] == batch * record.ledger["steps"]
        assert {record.samples_per_step for record in records if record.point["devices"] == 1} == {32}


def test_a_distributed_epoch_has_every_sample_once_and_another_order_than_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import itertools

    import torch

    from bench.axes.loops.batches import forever

    point = {"batch_size": 32, "data": "synthetic", "variant": "mlp", "width": 16, "latent": 3, "samples": 256}
    epochs: list[list[Any]] = [[], []]
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        torch.manual_seed(3)
        batches = discovery.find_suite("overhead").build(point).batches
        handed = [images.clone() for images, _ in itertools.islice(forever(batches), 8)]
        epochs[0] += handed[:4]
        epochs[1] += handed[4:]
    images = [torch.cat(epoch).flatten(1) for epoch in epochs]
    assert not torch.equal(images[0], images[1])
    assert all(len(torch.unique(epoch, dim=0)) == 256 for epoch in images)
    # The same samples in both epochs, whatever their order.
    assert torch.allclose(images[0].sum(0), images[1].sum(0))


@two_cores
def test_trap_13_the_world_is_as_large_as_it_is_and_not_as_was_asked_for(bench: Bench, tmp_path: Path) -> None:
    """One process that was told of two devices and never joined a group: read back, it is one."""
    file = str(SUITES / "faults.py")
    asked = {"loop": "plain", "accelerator": "cpu", "precision": "32-true", "devices": 2}
    request = {
        "suite": "faults",
        "file": file,
        "point": {"fault": "none", "at": 99},
        "seed": 0,
        "requested": asked,
        "memory_limit": None,
        "padding": 0,
    }
    arm = bench.fleet.start_arm(("torch",), request, tmp_path / "alone.log")
    bench.fleet.await_ready([arm], 20)
    bench.fleet.turn(arm, Go(2, audit=True), 20)
    result = bench.fleet.result(arm, 20)
    bench.fleet.end_arms([arm])
    assert downgrades(asked, result.effective) == "devices: asked for 2, got 1"


@two_cores
@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        ("kill", "crashed", "rank 1 of 2: killed by SIGKILL"),
        ("exit", "crashed", "rank 1 of 2: exited with status 7"),
        ("raise", "crashed", "rank 1 of 2: RuntimeError: the loss is in no mood"),
        ("other-weights", "unequal-work", "initial_weights differ between ranks"),
    ],
)
def test_a_rank_that_fails_ends_its_cell_and_not_the_run(bench: Bench, fault: str, outcome: str, words: str) -> None:
    failing(bench, fault, outcome, words)


def failing(bench: Bench, fault: str, outcome: str, words: str) -> Record:
    options = Options(budget=1, launch=0.2, fork_servers=1, timeout=6.0)
    records = bench.run("faults", f"fault=none,{fault}", "devices=2", options=options)
    failed = next(record for record in records if record.point["fault"] == fault)
    assert failed.outcome == outcome, failed.reason
    assert words in failed.reason
    assert {record.outcome for record in records if record.point["fault"] == "none"} == {"ok"}
    for arm in bench.fleet.arms.values():
        for rank in arm.ranks:
            with pytest.raises(ProcessLookupError):
                os.kill(rank.pid, 0)
    return failed


@two_cores
def test_a_hanging_rank_is_a_timeout_and_leaves_the_stacks_of_both(bench: Bench) -> None:
    words = "rank 1 of 2 did not finish its turn within 6 s (others waited for it)"
    failed = failing(bench, "hang", "timeout", words)
    log = bench.folder / failed.log
    stacks = [path.read_text() for path in (log, log.with_name(f"{log.stem}-rank1.log"))]
    assert all("most recent call first" in text for text in stacks)
    assert "faulty.py" in stacks[1]


@two_cores
def test_sharded_parameters_are_seen_as_such_and_train(bench: Bench) -> None:
    records = bench.run("scaling", *SMALL, "scaling=weak", "loop=plain", "strategy=fsdp", options=QUICK)
    found = of_two(records)["plain"]
    assert found.outcome == "ok", found.reason
    assert found.effective["strategy"] == "fsdp"
    assert found.ledger["optimizer_updates"] == found.ledger["steps"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--set", "devices=0"], "axis 'devices': 0 is not positive; allowed: any int above 0"),
        (["--set", "devices=-1"], "axis 'devices': -1 is not positive"),
        (["--set", "devices=two"], "'two' is not of type int"),
        (["--set", "strategy=dpp"], "unknown value of axis 'strategy' 'dpp'; allowed: auto, ddp, fsdp"),
        (["--set", "scaling=sideways"], "unknown value of axis 'scaling' 'sideways'; allowed: weak, strong"),
    ],
)
def test_settings_of_ranks_that_make_no_sense(settings: list[str], words: str) -> None:
    said = call("list", "scaling", *settings)
    assert said.returncode == 2
    assert words in said.stderr


def test_more_devices_than_there_are_are_a_cell_with_its_reason() -> None:
    suites = {name: suite for name, (suite, _) in discovery.all_suites([]).items()}
    made = plan.make_plan(suites, ["scaling"], settings=["devices=1,64", "scaling=weak", "loop=plain"])
    reasons = {cell.point["devices"]: cell.unsupported for cell in made.cells}
    assert reasons[1] == ""
    assert reasons[64] is not None
    assert "devices=64 with 1 threads each need 64 cores" in reasons[64] or len(layout(1).usable) >= 64
    assert accelerator("mps").too_many(2, 1) == "devices=2: there are fewer mps devices; allowed: 1 to 1"


def test_a_batch_that_cannot_be_shared_is_a_cell_with_its_reason() -> None:
    suites = {name: suite for name, (suite, _) in discovery.all_suites([]).items()}
    made = plan.make_plan(suites, ["scaling"], settings=["batch_size=33", "loop=plain"])
    refused = {cell.id: cell.unsupported for cell in made.cells if cell.unsupported}
    assert len(refused) == 1
    assert "batch_size=33 cannot be shared by devices=2 in strong scaling" in next(iter(refused.values()))


@pytest.mark.parametrize(
    ("strategy", "devices", "kind", "loop", "words"),
    [
        ("auto", 1, "mps", "trainer", None),
        ("auto", 2, "cpu", "trainer", None),
        ("ddp", 1, "cpu", "fabric", None),
        ("ddp", 1, "mps", "fabric", "no ddp on mps"),
        ("fsdp", 2, "cpu", "trainer", "Lightning runs fsdp on cuda only"),
        ("fsdp", 2, "cpu", "plain", None),
        ("fsdp", 2, "cuda", "trainer", None),
    ],
)
def test_what_no_strategy_can_do(strategy: str, devices: int, kind: str, loop: str, words: str | None) -> None:
    wrapping = resolve_strategy(strategy, devices)
    driver = accelerator(kind)
    asked = wrapping != "single_device"  # else the plan does not ask
    reason = driver.unsupported_strategy(wrapping, lightning=loop != "plain") if asked else None
    assert (reason is None) == (words is None)
    assert words is None or words in str(reason)


def taken(*seconds: float) -> TurnReport:
    return TurnReport(seconds, (0.0,), cpu=1.0, involuntary=2, faults=3)


def test_a_turn_is_as_long_as_that_of_its_slowest_rank() -> None:
    reply = turn([taken(0.5, 1.0, 1.0), taken(0.1, 1.0, 1.5)])
    assert reply.seconds == (0.1, 1.0, 1.5)
    assert reply.spread == pytest.approx(0.5)
    assert (reply.cpu, reply.involuntary, reply.faults) == (2.0, 4, 6)
    assert turn([taken(0.5, 1.0)]) == Turn((0.5, 1.0), (0.0,), 1.0, 2, 3, None)


def test_memory_is_that_of_all_ranks() -> None:
    replies = [msgspec.structs.replace(taken(0.5, 1.0), resident=3, allocated=number) for number in (5, 7)]
    assert (turn(replies).resident, turn(replies).allocated) == (6, 12)
    assert (turn(replies[:1]).resident, turn(replies[:1]).allocated) == (3, 5)
    assert turn([replies[0], msgspec.structs.replace(replies[1], allocated=None)]).allocated is None


SECONDS = st.floats(1e-6, 1e3)


@given(st.lists(st.tuples(SECONDS, SECONDS, SECONDS), min_size=2, max_size=4), st.sampled_from([0, 1]))
def test_ranks_are_never_further_apart_than_the_turn_is_long(ranks: list[tuple[float, ...]], uncounted: int) -> None:
    """The turn is of the rank whose counted steps took longest, whichever had the longest first step."""
    reply = turn([taken(*seconds) for seconds in ranks], uncounted=uncounted)
    counted = [sum(seconds[uncounted:]) for seconds in ranks]
    assert sum(reply.seconds[uncounted:]) == max(counted)
    assert reply.spread == max(counted) - min(counted) <= max(counted)


def test_settings_that_differ_between_ranks_are_no_ones_request() -> None:
    def result(threads: int, core: int) -> Result:
        ledger = Ledger(
            steps=1,
            samples=4,
            smallest_batch=4,
            largest_batch=4,
            declared_samples=4,
            audited=1,
            forward=1,
            backward=1,
            optimizer_updates=1,
            initial_weights="a",
            final_weights=str(threads),
            samples_digest=f"0{core}",
            losses=(1.0, core, "nan"),
            nonzero_gradients=1.0,
        )
        effective = {"threads": threads, "cores": [core], "loop": "plain"}
        return Result(ledger, effective, {"peak_memory_host": core}, CallbackMetrics())

    both = arm_result([result(1, 3), result(2, 5)])
    assert both.effective == {"threads": [1, 2], "cores": [3, 5], "loop": "plain"}
    assert both.ledger["rank_differences"] == ["final_weights differ between ranks: 1, 2"]
    assert both.ledger["losses"][:2] == [1.0, 4.0]
    assert math.isnan(both.ledger["losses"][2])
    assert (both.ledger["samples"], both.samples_per_step, both.memory["peak_memory_host"]) == (8, 8, 5)


def test_the_cause_is_blamed_and_not_what_followed_from_it() -> None:
    gone = ("crashed", "RuntimeError: Connection closed by peer [127.0.0.1]:1")
    assert blame({0: gone, 1: ("oom", "killed by SIGKILL")}, 2) == ("oom", "rank 1 of 2: killed by SIGKILL")
    assert blame({0: ("timeout", "x"), 1: ("crashed", "y")}, 2) == ("crashed", "rank 1 of 2: y")
    assert blame({0: gone}, 2)[1].startswith("rank 0 of 2: RuntimeError: Connection closed")
    assert blame({0: ("oom", "x")}, 1) == ("oom", "x")
    assert blame({0: ("crashed", "y"), 1: ("void", "its interpreter was killed")}, 2)[0] == "void"
