"""The zoo's LightningModules, driven by hand and by a Trainer: the same hooks in the same order, the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import Bench
from zoo_modules import NAMES, zoo_loaders, zoo_module

from bench.analysis.summary import summarize
from bench.arm.stream import BatchStream, Grant, TurnTimes
from bench.axes import loops
from bench.axes.loops.batches import as_trainers_see
from bench.axes.loops.job import Job
from bench.axes.loops.workload import Workload, complete_workload
from bench.engine.options import Options
from bench.errors import Unsupported
from bench.results import store
from bench.results.record import Record

DRIVEN = tuple(name for name in NAMES if name != "asks_its_trainer")
WITH_LENGTH = tuple(name for name in DRIVEN if name not in ("endless_stream", "several_loaders"))
STEPS = 30  # more than an epoch of each
ONCE = Options(budget=120, launch=0.05, launches=1, fork_servers=1)
BITS = "the same batches, passes, updates and final weights, bit for bit"


class Turns:
    """A gate that gives one audited turn and another."""

    def __init__(self) -> None:
        self.grants = [Grant(4, audit=True), Grant(STEPS)]

    def wait(self) -> Grant | None:
        return self.grants.pop(0) if self.grants else None

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        pass


def trained(name: str, loop: str, *, real_epochs: bool = False, precision: str = "32-true") -> Any:
    """The module, after two turns of a loop in this process."""
    torch.manual_seed(3)
    batches, validation = zoo_loaders(name)
    workload = complete_workload(
        Workload(lightning=lambda: zoo_module(name), batches=batches, validation=validation), lightning=True
    )
    stream = BatchStream(Turns(), real_epochs=real_epochs)
    dtype = {"bf16-true": torch.bfloat16, "64-true": torch.float64}.get(precision, torch.float32)
    job = Job(
        workload,
        lambda loader: stream(as_trainers_see(loader)),
        torch.device("cpu"),
        "cpu",
        precision,
        1,
        dtype,
        lambda settings: None,
        real_epochs=real_epochs,
        ending=stream.ending,
    )
    loops.registry()[loop].run(job)
    return workload.model


def assert_same(name: str, *, real_epochs: bool = False, precision: str = "32-true") -> None:
    by_hand = trained(name, "by-hand", real_epochs=real_epochs, precision=precision)
    by_trainer = trained(name, "trainer-barebones", real_epochs=real_epochs, precision=precision)
    torch.manual_seed(3)
    zoo_loaders(name)  # draws first, as in the two
    before = zoo_module(name).state_dict()
    mine, theirs = by_hand.state_dict(), by_trainer.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert any(not torch.equal(mine[key].to(before[key].dtype), before[key]) for key in mine if key in before) or (
        not before
    )
    for record in ("heard", "rates", "updates"):
        assert getattr(by_hand, record, None) == getattr(by_trainer, record, None)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore")  # Trainer comments on its own defaults, in words that change with its versions
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", DRIVEN)
def test_a_module_driven_by_hand_has_the_weights_of_a_trainers(name: str) -> None:
    assert_same(name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", WITH_LENGTH)
def test_so_has_one_with_epochs_of_its_own(name: str) -> None:
    """Schedules by the epoch, validation with its hooks, and the last batch of an epoch."""
    assert_same(name, real_epochs=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_and_in_other_precisions(precision: str) -> None:
    for name in ("dictionaries", "scheduled"):
        assert_same(name, precision=precision)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_thread")
def test_what_a_trainer_alone_can_give_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match=r"asks for self\.trainer\.callback_metrics, which a Trainer has"):
        trained("asks_its_trainer", "by-hand")
    assert trained("asks_its_trainer", "trainer-barebones") is not None


# --- in arms


def told(record: Record) -> str:
    return f"{record.cell}: {record.outcome}: {record.reason}"


SOON = ("gan", "configured", "graphs", "packed_rnn")  # the others are of the long tier: each takes four arms


@pytest.mark.parametrize("name", [one if one in SOON else pytest.param(one, marks=pytest.mark.long) for one in DRIVEN])
def test_every_module_is_a_whole_workload(name: str, bench: Bench) -> None:
    records = bench.run("zoo", f"module={name}", options=ONCE)
    assert len(records) == 4
    for record in records:
        assert record.outcome == "ok", told(record)
        assert record.ledger["audited_changes"] == record.ledger["audited_updates"] > 0, told(record)
        assert record.ledger["forward"] > 0, told(record)
        assert record.ledger.get("equal", BITS) == BITS, told(record)


def test_what_cannot_be_driven_by_hand_is_left_out_of_that_arm_alone(bench: Bench) -> None:
    records = bench.run("zoo", "module=asks_its_trainer", options=ONCE)
    outcomes = {str(record.point["loop"]): record for record in records}
    assert outcomes["trainer-barebones"].outcome == outcomes["trainer"].outcome == "ok"
    assert outcomes["by-hand"].outcome == "unsupported", told(outcomes["by-hand"])
    assert "self.trainer.callback_metrics" in outcomes["by-hand"].reason


@pytest.mark.long
def test_a_module_is_compiled_by_hand_as_by_a_trainer(bench: Bench) -> None:
    loops_of_module = "loop=trainer-barebones,by-hand"
    records = bench.run("zoo", "module=dictionaries", "compile=default", loops_of_module, options=ONCE)
    for record in records:
        assert record.outcome == "ok", told(record)  # with losses within 0.1 %, as of all that is compiled
        assert record.effective["graphs"] >= 1


@pytest.mark.long
@pytest.mark.parametrize("name", ["gan", "packed_rnn", "graphs"])
@pytest.mark.alone
def test_a_planted_fifth_reads_as_a_fifth(name: str, bench: Bench) -> None:
    bench.run("zoo-planted", f"module={name}", options=Options(budget=60, launch=0.8, launches=4, fork_servers=1))
    cells = {
        str(cell.point["planted"]): cell for cell in summarize(store.read_run(bench.folder)).cells if not cell.twin
    }
    versus = cells["fifth"].versus
    assert versus is not None, cells["fifth"].reason
    low, high = versus.ratio.low, versus.ratio.high
    assert low is not None
    assert high is not None
    # Within the interval, and 3 % for a machine that others use too.
    assert low < 1.2 * 1.03, versus
    assert high > 1.2 * 0.97, versus
