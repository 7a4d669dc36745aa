"""Instrumented launches: callbacks in launches of their own, the same hooks in every loop, nothing timed is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import OWN_LOOPS, SUITES, USUAL_LOOPS, Bench, Silent
from lightning.pytorch import Callback

from bench.analysis import frames
from bench.analysis.summary import summarize
from bench.arm.instrument import STEP_METRIC, Instruments
from bench.arm.stream import BatchStream, Grant, TurnTimes
from bench.axes import loops
from bench.axes.loops.job import Job
from bench.callbacks import registry
from bench.engine import budget
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.instrumented_launches import LEAST_STEPS, GroupInstrumentation, preload, reserve
from bench.engine.options import Options
from bench.engine.sampled_launches import price_of_samples
from bench.plan import discovery, plan
from bench.plan.cell import Plan
from bench.report import console, html
from bench.report.verify import page_differences
from bench.results import store
from bench.results.record import METRICS, Record

QUICK = Options(budget=60, launch=0.2, fork_servers=1, timeout=30.0, instrument=1, launches=1)
SMALL = ("batch_size=64",)
PHASES = ("data", "transfer", "forward", "backward", "optimizer", "rest")


@pytest.fixture(scope="module")
def overhead(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> store.StoredRun:
    """All loops, timed and instrumented, once for all tests that only read."""
    bench = Bench(fleet, tmp_path_factory.mktemp("overhead"))
    bench.run("overhead", *SMALL, options=QUICK)
    return store.read_run(bench.folder)


def test_every_loop_is_instrumented_and_its_phases_are_its_step(overhead: store.StoredRun) -> None:
    run = overhead
    assert [record.point["loop"] for record in run.instrumented] == list(USUAL_LOOPS)
    for record in run.instrumented:
        assert (record.outcome, record.instrumented, record.turns, record.twin) == ("ok", True, None, False), (
            record.reason
        )
        seen = record.extra
        # Two clocks, cut in different places, of the same steps.
        assert seen["phases_gap"] <= 0.05
        assert sum(seen[f"phase_{name}"] for name in PHASES) == pytest.approx(seen["instrumented_step_time"], rel=0.05)
        assert all(seen[f"phase_{name}"] > 0 for name in PHASES)
        assert seen["peak_memory_host_growth"] > 0
        assert seen["samples_per_second"] > 0
        assert {metric.name for metric in record.declared} == set(seen)
        assert not set(seen) & set(METRICS)
        # The callbacks did not change the work: as in timed launches, all loops end with the same weights.
        assert record.ledger["final_weights"] == run.instrumented[0].ledger["final_weights"]
        assert record.effective["callbacks"] == "FLOPs, DeviceStats, Throughput, PeakMemory, Phases"
        assert seen["flops_per_step"] == run.instrumented[0].extra["flops_per_step"] > 0
        assert record.effective["lightning_imported"] is True
    in_trainer = {
        str(record.point["loop"]): record.effective.get("trainer_callbacks", "") for record in run.instrumented
    }
    assert ["TrainerBridge" in in_trainer[loop] for loop in USUAL_LOOPS] == [False, False, True, True]


def test_timed_launches_carry_no_callback(overhead: store.StoredRun) -> None:
    records = overhead.records
    assert {record.point["loop"] for record in records} == set(USUAL_LOOPS)
    for record in records:
        assert not record.instrumented
        assert not record.extra
        assert record.effective["callbacks"] == "none"
        assert "TrainerBridge" not in record.effective.get("trainer_callbacks", "")
        assert record.effective["lightning_imported"] is (record.point["loop"] != "plain")
    barebones = next(record for record in records if record.point["loop"] == "trainer-barebones")
    assert barebones.effective["trainer_callbacks"] == "none"


def test_what_failed_is_not_tried_again_with_callbacks(bench: Bench) -> None:
    bench.run("faults", "fault=none,raise,unsupported", options=QUICK)
    run = store.read_run(bench.folder)
    assert [record.point["fault"] for record in run.instrumented] == ["none"]
    summary = summarize(run)
    instrumented = {cell.point["fault"]: cell.instrumented for cell in summary.cells if not cell.twin}
    assert instrumented["none"]["phase_forward"].launches == 1
    assert not instrumented["raise"]
    assert not instrumented["unsupported"]
    assert "never compared" in console.render(summary)


def test_what_was_seen_reaches_frame_summary_page_and_verify(overhead: store.StoredRun) -> None:
    run = replace(overhead, info={**overhead.info, "finished": "now"})
    rows = frames.launches(run)
    those = rows[rows["instrumented"]]
    assert set(those["cell"]) == {record.cell for record in run.instrumented}
    assert {"phase_forward", "peak_memory_host_growth", "samples_per_second"} <= set(those["metric"])
    assert set(those[those["metric"] == "phase_forward"]["unit"]) == {"s"}
    summary = summarize(run)
    page = html.render(run, summary)
    assert page_differences(run, page) == []
    for cell in (cell for cell in summary.cells if not cell.twin):
        assert f"cells/{cell.id}/instrumented/phase_forward" in page
        assert "step_time" not in cell.instrumented


@pytest.mark.long
@pytest.mark.parametrize("loop", ["plain", "fabric"])
def test_mixed_precision_is_instrumented(bench: Bench, loop: str) -> None:
    # Plain runs 16-mixed on the CPU with a scaler; Fabric makes bf16-mixed of it, so that it is asked for that.
    value = "16-mixed" if loop == "plain" else "bf16-mixed"
    settings = (f"precision=32-true,{value}", f"loop={loop}", "batch_size=64", "width=32")
    bench.run("precision", *settings, options=QUICK)
    run = store.read_run(bench.folder)
    assert len(run.instrumented) == 2
    for record in run.instrumented:
        assert record.outcome == "ok", record.reason
        assert record.extra["phases_gap"] <= 0.05
        assert min(record.extra["phase_optimizer"], record.extra["phase_backward"]) > 0


@pytest.mark.long
def test_two_ranks_are_instrumented_and_the_first_tells(bench: Bench) -> None:
    # Some epochs of 4 batches: each has an order of its own, and the same in all loops.
    bench.run("overhead", *SMALL, "samples=512", "devices=2", options=replace(QUICK, timeout=60.0))
    run = store.read_run(bench.folder)
    assert [record.point["loop"] for record in run.instrumented] == list(USUAL_LOOPS)
    for record in run.instrumented:
        assert record.outcome == "ok", record.reason
        assert record.effective["devices"] == 2
        assert record.extra["phases_gap"] <= 0.05
        assert all(record.extra[f"phase_{name}"] > 0 for name in PHASES)
        # One figure of both ranks, gathered at the end.
        assert record.extra["samples_per_second_global"] > record.extra["samples_per_second"]


BAD = {
    "Raising": ("crashed", "ZeroDivisionError: in the hook"),
    "Endless": ("unsupported", "batches_seen is inf; allowed: a finite number"),
    "Thief": ("unsupported", "metric 'step_time' of Thief is one of the engine already"),
    "Undeclared": ("unsupported", "unknown metric of Undeclared 'other'; allowed: batches_seen"),
    "Stranger": ("unsupported", "Stranger is no callback that measures"),
}


@pytest.fixture(scope="module")
def outsiders(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> store.StoredRun:
    """Two instrumented launches of a group in which one callback is fine, and all others are not."""
    bench = Bench(fleet, tmp_path_factory.mktemp("outsiders"))
    select = f"callback={','.join(('Counting', *BAD))}"
    bench.run("outsiders", select, options=replace(QUICK, instrument=2))
    return store.read_run(bench.folder)


def of(run: store.StoredRun, callback: str) -> Record:
    return next(record for record in run.instrumented if record.point["callback"] == callback)


@pytest.mark.long
def test_a_callback_from_outside_comes_by_its_entry_point(outsiders: store.StoredRun) -> None:
    record = of(outsiders, "Counting")
    assert record.outcome == "ok", record.reason
    assert record.effective["callbacks"].startswith("Counting, ")
    # It heard of the instrumented steps only, and those are the steps that the audited ones and the warm-up left.
    assert record.extra["batches_seen"] == record.ledger["steps"] - record.ledger["audited"] - len(record.warmup) + 4
    assert next(metric for metric in record.declared if metric.name == "batches_seen").unit == "batches"


@pytest.mark.parametrize("callback", BAD)
def test_a_bad_callback_is_an_outcome_and_spoils_nothing(outsiders: store.StoredRun, callback: str) -> None:
    run, (outcome, words) = outsiders, BAD[callback]
    failed = of(run, callback)
    assert (failed.outcome, failed.extra) == (outcome, {})
    assert words in failed.reason
    # The run went on, the good one was instrumented again, and the cell is not tried again.
    assert [record.outcome for record in run.instrumented if record.point["callback"] == "Counting"] == ["ok", "ok"]
    assert sum(record.point["callback"] == callback for record in run.instrumented) == 1
    # What was timed stands.
    assert {record.outcome for record in run.records} == {"ok"}
    summary = summarize(run)
    cell = next(cell for cell in summary.cells if cell.id == failed.cell)
    assert cell.outcome in ("ok", "noisy")
    assert cell.versus is not None
    assert [
        text for text in summary.warnings if failed.cell in text and words in text and "instrumented launch 0" in text
    ]


def test_a_resumed_run_makes_the_instrumented_launches_that_are_left(bench: Bench) -> None:
    options = replace(QUICK, budget=60, launch=0.1, precision_goal=0.9, instrument=1)
    bench.run("faults", "fault=none", options=options)
    first = store.read_run(bench.folder)
    assert [record.launch for record in first.instrumented] == [0]
    found = discovery.all_suites([SUITES])
    made = plan.make_plan({name: suite for name, (suite, _) in found.items()}, ["faults"], settings=["fault=none"])
    opened = store.RunFolder(bench.folder)
    files = {name: file for name, (_, file) in found.items()}
    done = (*first.records, *first.instrumented)
    Conductor(made, files, opened, replace(options, instrument=2), Silent(), done).run(bench.fleet)
    opened.close()
    second = store.read_run(bench.folder)
    assert [record.launch for record in second.instrumented] == [0, 1]
    assert len(second.records) == len(first.records)  # the target was met already


class Recorder(Callback):
    """Keeps the names of the hooks in the order in which they are called."""

    METRICS = ()
    metrics: Mapping[str, float] = {}

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.batches: list[int] = []

    def on_fit_start(self, *args: Any) -> None:
        self.heard.append("fit_start")

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        assert len(trainer.optimizers) == 1
        self.heard.append("train_start")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.heard.append("batch_start")

    def on_before_zero_grad(self, *args: Any) -> None:
        self.heard.append("zero_grad")

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: torch.Tensor) -> None:
        assert loss.requires_grad
        self.heard.append("backward")

    def on_after_backward(self, *args: Any) -> None:
        self.heard.append("after_backward")

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        self.heard.append("step")

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        assert outputs is not None
        self.heard.append("batch_end")
        self.batches.append(batch_idx)

    def on_train_epoch_end(self, *args: Any) -> None:
        self.heard.append("epoch_end")

    def on_train_end(self, *args: Any) -> None:
        self.heard.append("train_end")


class Gate:
    """Turns of 3 steps, 5 instrumented ones and 2 more, as the conductor's would be."""

    def __init__(self) -> None:
        self.grants = [Grant(3), Grant(5, instrument=True), Grant(2)]
        self.instruments: Instruments | None = None

    def wait(self) -> Grant | None:
        return self.grants.pop(0) if self.grants else None

    def before(self, grant: Grant) -> None:
        if grant.instrument and self.instruments is not None:
            self.instruments.start()

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        if grant.instrument and self.instruments is not None:
            self.instruments.stop(taken.seconds)


@pytest.mark.filterwarnings("ignore")  # Trainer comments on its own defaults, in words that change with its versions
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("name", OWN_LOOPS)
def test_the_hooks_are_the_same_in_every_loop(
    name: str, precision: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = Recorder()
    monkeypatch.setattr(registry, "INSTRUMENTS", (lambda: recorder,))
    before = {owner: dict(vars(owner)) for owner in (Job, torch.optim.Optimizer, torch.autograd, torch.amp.GradScaler)}
    point = {"batch_size": 64, "data": "synthetic", "variant": "mlp", "width": 16, "latent": 3, "samples": 256}
    workload = discovery.find_suite("overhead").build(point)
    instruments, gate = Instruments(workload, torch.device("cpu"), Job), Gate()
    gate.instruments = instruments
    stream = BatchStream(gate)
    job = Job(
        workload=instruments.workload,
        stream=lambda loader: stream(instruments.watch(loader)),
        device=torch.device("cpu"),
        accelerator="cpu",
        precision=precision,
        devices=1,
        dtype=torch.float32,
        note=lambda settings: None,
        callbacks=instruments.callbacks,
    )
    instruments.begin()
    loops.registry()[name].run(job)
    step = ["batch_start", "zero_grad", "backward", "after_backward", "step", "batch_end"]
    assert recorder.heard == ["fit_start", "train_start", *step * 5, "epoch_end", "train_end"]
    assert len(set(recorder.batches)) == 5
    assert instruments.result().metrics.keys() == {STEP_METRIC.name}
    for owner, names in before.items():  # everything that was listened at is as it was
        assert {key: value for key, value in vars(owner).items() if not key.startswith("__")} == {
            key: value for key, value in names.items() if not key.startswith("__")
        }


def planned(*settings: str) -> Plan:
    suites = {name: suite for name, (suite, _) in discovery.all_suites().items()}
    return plan.make_plan(suites, ["overhead"], settings=["batch_size=64", *settings])


def test_time_is_kept_for_instrumented_launches_and_no_more_than_a_share() -> None:
    assert reserve(planned(), Options(budget=180, instrument=0)) == 0
    four = reserve(planned(), Options(budget=180, instrument=3))
    assert 0 < four <= 0.15 * 180
    # Where the share is not enough for one instrumented launch there is nothing to keep it for.
    of_launches = four - price_of_samples()
    assert reserve(planned(), Options(budget=of_launches / 0.16, instrument=3)) == 0
    # Where no timed arm needs lightning, its interpreter is started for these launches only, and that takes longer.
    alone = planned("loop=plain")
    assert reserve(alone, Options(budget=180, instrument=3)) > four
    # ... at the price that interpreters have here; one that is there already costs nothing.
    slow = reserve(alone, Options(budget=3600, instrument=3), {("torch",): 20.0})
    assert slow > reserve(alone, Options(budget=3600, instrument=3)) + 20.0
    there = reserve(alone, Options(budget=3600, instrument=3), {("torch", "lightning"): 20.0})
    fresh = reserve(alone, Options(budget=3600, instrument=3))
    assert there + budget.imports(("torch", "lightning")) == pytest.approx(fresh)
    cells = planned().cells
    assert {preload(cell) for cell in cells} == {("torch", "lightning")}


def test_a_group_remembers_its_instrumented_launches() -> None:
    record = Record("s", "s[a]", "s", {}, False, 0, "ok", launch_seconds=3.0, instrumented=True)
    seen = GroupInstrumentation()
    assert seen.take(record) == 3.0
    assert seen.take(replace(record, cell="s[b]", outcome="crashed", reason="boom")) == 0.0
    assert (seen.launches, seen.cost, seen.failed) == (1, 3.0, {"s[b]"})


def test_what_an_instrumented_launch_will_take_is_told_by_timed_ones_and_then_by_others() -> None:
    seen = GroupInstrumentation()
    before = seen.price(4)
    seen.expect(2.0, [0.5, 0.25])  # steps of half a second: an instrumented launch takes LEAST_STEPS of them
    assert seen.price(4) == pytest.approx(4 * (2.0 + LEAST_STEPS * 0.5))
    assert seen.price(4) > before
    seen.take(Record("s", "s[a]", "s", {}, False, 0, "ok", launch_seconds=7.0, instrumented=True))
    assert seen.price(4) == 7.0
