"""Traps of docs/traps.md that no other file's tests hold by the way; each is named by its number."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import SUITES, Bench, call

from bench.arm.audit import compiled_around_ddp
from bench.arm.stream import BatchStream, Grant, TurnTimes
from bench.axes import loops
from bench.axes.accelerators import xla
from bench.axes.loops.job import Job
from bench.axes.loops.plain import wrapped_model
from bench.engine.options import Options
from bench.engine.processes import free_port
from bench.machine import environment
from bench.machine.memory import forget_peak, peak_resident, resident
from bench.machine.process_env import RankPlace, rank_environment
from bench.plan import discovery

POINT: dict[str, Any] = {
    "batch_size": 32,
    "data": "synthetic",
    "variant": "mlp",
    "width": 16,
    "latent": 3,
    "samples": 256,
}


class Counted:
    """Validation batches, counted as they are drawn."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches
        self.drawn = 0

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            self.drawn += 1
            yield batch


class Edges:
    """A gate of four turns that looks at every edge of a turn, from the first pull of a batch on."""

    def __init__(self, validation: Counted) -> None:
        self._validation = validation
        self._grants = [Grant(3), Grant(8), Grant(1), Grant(20)]  # an epoch of the loader has 8 batches
        self.seen: list[tuple[int, int]] = []
        self.steps = 0

    def wait(self) -> Grant | None:
        self.seen.append((self._validation.drawn, len(list(Path().rglob("*.ckpt")))))
        return self._grants.pop(0) if self._grants else None

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        self.steps += len(taken.seconds)


@pytest.mark.filterwarnings("ignore")  # Trainer comments on its own defaults, in words that change with its versions
def test_trap_8_what_trainer_does_once_an_epoch_is_in_no_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sanity validation is over at the first pull, and no validation and no checkpoint comes before the last turn."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(3)
    workload = discovery.find_suite("overhead").build(POINT)
    assert workload.validation is not None
    validation = Counted(workload.validation)
    gate = Edges(validation)
    job = Job(replace(workload, validation=validation), BatchStream(gate), torch.device("cpu"), "cpu", "32-true", 1,
              torch.float32, lambda notes: None)  # fmt: skip
    loops.registry()["trainer"].run(job)
    assert gate.steps == 32
    assert len(gate.seen) == 5
    drawn, checkpoints = gate.seen[0]
    assert drawn > 0
    assert checkpoints == 0
    assert set(gate.seen) == {gate.seen[0]}


# torch 2.13's own inductor uses what its jit has deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_trap_11_plain_compiles_around_ddp_and_that_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in rank_environment(RankPlace(0, 1, 0, 1, "127.0.0.1", free_port(), "lo")).items():
        monkeypatch.setenv(name, value)
    job = Job(None, None, torch.device("cpu"), "cpu", "32-true", 1, torch.float32, lambda notes: None,
              strategy="ddp", compile="default")  # fmt: skip
    try:
        model = wrapped_model(torch.nn.Linear(2, 2), job)  # nothing is compiled before the first call
        inside = model.get_submodule("_orig_mod")
        assert type(inside) is torch.nn.parallel.DistributedDataParallel
        assert type(inside.module) is torch.nn.Linear
        assert compiled_around_ddp()
        del model, inside
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel forgets a peak where it has /proc/self/clear_refs")
def test_trap_16_the_peak_of_an_arm_begins_anew() -> None:
    mebi = 2**20
    block = b"x" * (300 * mebi)
    # The kernel sums what each of its processors counted, and reads the two figures one after the other.
    assert peak_resident() + mebi >= resident() >= 300 * mebi
    del block
    assert peak_resident() > resident() + 200 * mebi
    forget_peak()
    assert peak_resident() < resident() + 100 * mebi


def test_trap_17_arms_start_in_random_order(bench: Bench) -> None:
    options = Options(budget=600, launch=0.02, fork_servers=1, launches=8)
    records = bench.run("faults", "fault=none", options=options)
    orders = [record.order for record in records if not record.twin]
    assert len(orders) == 8
    assert set(orders) == {0, 1}  # by the seed of these options; fixed, it would be one of them


def test_trap_24_cuts_and_compilations_are_told_by_torch_xlas_own_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay of the counters of three turns: a watched one, one of the warm-up, and a timed one that compiles."""
    turns = [
        ({"MarkStep": 0, "UncachedCompile": 0}, {"MarkStep": 90, "UncachedCompile": 7, "aten::item": 40}),
        ({"MarkStep": 90, "UncachedCompile": 7}, {"MarkStep": 102, "UncachedCompile": 8}),
        ({"MarkStep": 102, "UncachedCompile": 8}, {"MarkStep": 114, "UncachedCompile": 11, "aten::histc": 10}),
    ]
    told = [counters for turn in turns for counters in turn] + [turns[-1][1]]
    monkeypatch.setattr(xla, "counters", lambda: told.pop(0))
    monkeypatch.setitem(sys.modules, "torch_xla", SimpleNamespace(__version__="2.9.0"))
    watch = xla.XLAWatch()
    for audited, timed in ((True, False), (False, False), (False, True)):
        watch.before()
        watch.after(10, audited=audited, timed=timed)
    assert watch.effective() == {
        "compilations": 11,
        "compilations_timed": 3,
        "graph_cuts_per_step": 1.0,  # two of the twelve cuts of a turn are the waits at its edges
        "operators_on_cpu": ["aten::histc"],
        "torch_xla": "2.9.0",
    }


@pytest.mark.parametrize("key", environment.CHECKED_FACTS)
def test_trap_25_every_checked_key_tells_environments_apart(key: str) -> None:
    here = environment.environment(1)
    assert environment.mismatches(here, here) == []
    assert environment.mismatches(here, {**here, key: "another"}) == [f"{key}: {here[key]!r} against 'another'"]


def test_trap_25_what_makes_an_experiment_another_is_checked() -> None:
    assert {"cpu", "cores", "machine", "system", "python", "torch", "lightning", "threads"} <= set(
        environment.CHECKED_FACTS
    )


def test_trap_25_a_run_of_another_environment_is_not_gone_on_with(tmp_path: Path) -> None:
    out = str(tmp_path / "results")
    suite = ("faults", "--suites", str(SUITES), "--set", "fault=none")
    done = call("run", *suite, "--budget", "1s", "--instrument", "0", "--out", out)
    assert done.returncode == 0, done.stderr
    (path,) = Path(out).glob("*/run.json")
    info = json.loads(path.read_text(encoding="utf-8"))
    records = (path.parent / "records.jsonl").read_bytes()
    info["environment"]["torch"] = "1.0"
    path.write_text(json.dumps(info), encoding="utf-8")
    resumed = call("run", "--resume", str(path.parent), "--suites", str(SUITES))
    assert resumed.returncode == 2, resumed.stderr
    assert "this is another environment than the run's: torch: '1.0' against" in resumed.stderr
    assert (path.parent / "records.jsonl").read_bytes() == records
