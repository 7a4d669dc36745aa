"""torch.compile in every loop, for real: cold and warm, on two ranks, what is read back, and what is never hooked."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from conftest import USUAL_LOOPS, Bench

from bench.analysis import summary as stats
from bench.arm import compile_watch
from bench.axes import compile_mode
from bench.axes.accelerators import accelerators
from bench.axes.engine_axes import engine_axes
from bench.engine import conductor
from bench.engine.conductor import GroupState
from bench.engine.options import Options
from bench.machine.cores import layout
from bench.plan import plan
from bench.results import store

pytestmark = pytest.mark.skipif(
    accelerators()["cpu"].unsupported_compile("default") is not None, reason="torch.compile needs a C++ compiler here"
)

QUICK = Options(budget=1, launch=0.1, fork_servers=1)
SMALL = ("batch_size=32", "width=16", "samples=256")


@pytest.fixture
def one_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """All cells keep what they compile in one folder, and are launched once: how long it takes is not asked here."""
    folder = tmp_path_factory.getbasetemp() / "one-cache"
    real = conductor.request

    def shared(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {**real(*args, **kwargs), "compile_cache": str(folder)}

    monkeypatch.setattr(conductor, "request", shared)
    monkeypatch.setattr(GroupState, "least", 1)


@pytest.mark.long
def test_trap_14_the_first_launch_compiles_cold_and_the_next_one_warm(bench: Bench) -> None:
    records = bench.run("compile", *SMALL, "loop=plain", options=QUICK)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    cold, warm = (record for record in records if record.point["compile"] == "default")
    assert (cold.effective["compile_cache"], warm.effective["compile_cache"]) == ("cold", "warm")
    assert cold.effective["cache_misses"] > 0 == cold.effective["cache_hits"]
    assert warm.effective["cache_hits"] > 0 == warm.effective["cache_misses"]
    assert cold.effective["graphs"] == warm.effective["graphs"] == 1
    assert cold.effective["recompiles"] == warm.effective["recompiles"] == 0
    # Compilation is in the first step, which is kept apart, and in no turn.
    assert set(cold.extra) == {"time_to_first_step_cold"}
    assert set(warm.extra) == {"time_to_first_step_warm"}
    assert cold.extra["time_to_first_step_cold"] > 2 * warm.extra["time_to_first_step_warm"]
    assert warm.turns is not None
    assert max(map(max, warm.turns.seconds)) < warm.warmup[0]
    eager = [record for record in records if record.point["compile"] == "off"]
    assert {tuple(record.extra) for record in eager} == {("time_to_first_step",)}
    assert {record.effective["compile"] for record in eager} == {"off"}
    summary = stats.summarize(store.read_run(bench.folder))
    assert {answer.kind for answer in summary.answers} == {"break-even-cold", "break-even-warm"}
    assert not [warning for warning in summary.warnings if "differ between launches" in warning]


two_ranks = pytest.param(2, marks=pytest.mark.skipif(len(layout(1).usable) < 2, reason="two ranks need two cores"))


@pytest.mark.long
@pytest.mark.usefixtures("one_cache")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("devices", [1, two_ranks])
def test_compiled_loops_do_the_same_work(bench: Bench, devices: int, precision: str) -> None:
    """The contract of `test_ranks.py` for compiled loops: all four race, and their ledgers must agree."""
    cells = ("compile=default", f"devices={devices}", f"precision={precision}")
    records = bench.run("overhead", *SMALL, *cells, options=QUICK)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    assert {str(record.point["loop"]) for record in records} == set(USUAL_LOOPS)
    for record in records:
        effective, ledger = record.effective, record.ledger
        assert {key: effective[key] for key in record.requested} == record.requested
        assert effective["graphs"] >= 1
        assert effective["recompiles"] == 0
        # Dtypes are read off the graphs, since no hook may be in a compiled region.
        assert effective["matmul_dtype"] == {"32-true": "float32", "bf16-mixed": "bfloat16"}[precision]
        assert effective["autocast"] == {"32-true": "off", "bf16-mixed": "bfloat16"}[precision]
        assert ledger["forward"] == ledger["backward"] == ledger["audited"] == 8
        assert ledger["optimizer_updates"] == ledger["steps"]
        if devices == 2:
            # Trap 11: Trainer compiles inside of DistributedDataParallel, the others around it; read back.
            assert effective["compiled_around_ddp"] is (record.point["loop"] in ("plain", "fabric"))


@pytest.mark.long
@pytest.mark.usefixtures("one_cache")
def test_sixteen_mixed_on_the_cpu_is_downgraded_in_compiled_regions_too(bench: Bench) -> None:
    records = bench.run("compile", *SMALL, "loop=fabric", "precision=16-mixed", options=QUICK)
    assert {record.outcome for record in records} == {"downgraded"}
    assert all("asked for 16-mixed, got bf16-mixed" in record.reason for record in records)


@pytest.mark.long
@pytest.mark.usefixtures("one_cache")
def test_trap_14_a_recompile_on_the_short_last_batch_is_counted_and_warned_of(bench: Bench) -> None:
    options = Options(budget=1, launch=0.2, fork_servers=1)
    records = bench.run("faults", "fault=none,short-batch", "at=99", "compile=default", options=options)
    by_fault = {str(record.point["fault"]): record for record in records}
    assert by_fault["none"].effective["recompiles"] == 0
    assert by_fault["short-batch"].effective["recompiles"] >= 1
    summary = stats.summarize(store.read_run(bench.folder))
    warned = [warning for warning in summary.warnings if "compiled again" in warning]
    assert len(warned) == 1
    assert "short-batch" in warned[0]


def test_modes_that_a_device_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = accelerators()
    assert "CUDA graphs" in str(devices["cpu"].unsupported_compile("reduce-overhead"))
    assert devices["cuda"].unsupported_compile("reduce-overhead") is None
    assert devices["tpu"].unsupported_compile("default") is not None
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "C++ compiler" in str(devices["cpu"].unsupported_compile("default"))
    point = {axis: values[0] for axis, values in engine_axes().items()}
    assert plan.unsupported_reason(point) is None  # nobody is asked for a compiler where nothing is compiled
    assert "C++ compiler" in str(plan.unsupported_reason({**point, "compile": "default"}))


# torch 2.13's own inductor uses what its jit has deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_a_mode_is_read_from_the_options_that_a_graph_was_compiled_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor
    import torch._inductor.compile_fx as inductor

    from bench.arm.compile_watch import CompileWatch

    monkeypatch.setattr(inductor, "compile_fx", inductor.compile_fx)  # put back what the watch replaces
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "")
    watch = CompileWatch(tmp_path / "cache", tmp_path)
    assert (watch.mode(), watch.cold) == ("off", True)
    for mode in ("default", "reduce-overhead", "max-autotune"):
        watch.options = dict(torch._inductor.list_mode_options(mode))
        assert watch.mode() == mode
    watch.options = {"max_autotune": True}
    assert watch.mode() not in compile_mode.COMPILE_MODES


def test_headers_are_compiled_once_for_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "arm"))
    (tmp_path / "arm").mkdir()
    compile_watch.share_headers(tmp_path / "machine")
    (Path(default_cache_dir()) / "header").write_text("")
    assert [path.name for path in (tmp_path / "machine").glob("*/header")] == ["header"]
    compile_watch.share_headers(tmp_path / "machine")  # as a second rank does
