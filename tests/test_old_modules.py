"""Files that users wrote for the old layout work: a suite, a loop and a callback with the imports of that time."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from adding import install, python

import bench
from bench.axes import old_modules

# What files of that time import, by module.
WANTED = {
    "bench.accelerators": ("Accelerator", "accelerator"),
    "bench.loops": ("register", "registry", "Loop"),
    "bench.loops.lazy": ("lazy",),
    "bench.precision": ("PRECISIONS",),
    "bench.record": ("Metric", "METRICS", "Record", "Turns", "OUTCOMES"),
    "bench.stream": ("BatchStream", "Batches", "batch_size", "forever"),
    "bench.spec": ("Suite", "Workload", "Point", "AxisValue"),
    "bench.errors": ("BenchError", "SpecError", "RunError", "Unsupported", "one_of"),
    "bench.arm": ("Job",),
}


@pytest.mark.parametrize("name", WANTED)
def test_modules_are_found_by_their_old_modules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = name in old_modules.OLD_MODULES
    if old:
        monkeypatch.delitem(sys.modules, name, raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = importlib.import_module(name)
        assert importlib.import_module(name) is module  # and says nothing the second time
    assert [item for item in WANTED[name] if not hasattr(module, item)] == []
    said = [str(warning.message) for warning in caught if warning.category is DeprecationWarning]
    if not old:
        assert said == []
        return
    new = old_modules.OLD_MODULES[name]
    assert module is importlib.import_module(new)
    assert module.__name__ == module.__spec__.name == new
    assert len(said) == 1
    assert said[0].startswith(f"{name} is {new} now, and the old name may go in version {old_modules.GOES_IN}")


def test_what_is_within_an_old_package_is_the_one_of_the_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bench.loops.plain", raising=False)
    with pytest.warns(DeprecationWarning, match=r"^bench\.loops"):
        plain = importlib.import_module("bench.loops.plain")
    assert plain is importlib.import_module("bench.axes.loops.plain")  # else the loop would be registered twice
    assert importlib.import_module("bench.axes.loops").registry()["plain"].run is plain.plain


@pytest.mark.parametrize("name", ["bench.recorder", "bench.loops.unheard_of", "benches.record"])
def test_other_names_are_not_there(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)


def test_the_names_are_one_thing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record, loops, spec, arm = (
            importlib.import_module(f"bench.{name}") for name in ("record", "loops", "spec", "arm")
        )
    assert (record.Metric, loops.register, spec.Suite, arm.Job) == (
        bench.Metric,
        bench.register,
        bench.Suite,
        bench.Job,
    )
    old_modules.install()
    assert sum(type(finder).__module__ == old_modules.__name__ for finder in sys.meta_path) == 1


SUITE = """
from bench.errors import Unsupported
from bench.spec import Point, Suite, Workload


def build(point: Point) -> Workload:
    import torch

    if point["size"] > 32:
        raise Unsupported("too large")
    data = torch.utils.data.TensorDataset(torch.randn(256, 8))
    return Workload(
        model=torch.nn.Linear(8, 8),
        loss=lambda model, batch: (model(batch[0]) - batch[0]).square().mean(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        batches=torch.utils.data.DataLoader(data, batch_size=point["size"], drop_last=True),
        samples=point["size"],
        lightning=lambda: ...,
    )


suite = Suite(
    name="theirs", title="of the old layout", axes={"loop": ("plain", "theirs"), "size": (16,)},
    compare="loop", baseline="plain", build=build,
)
"""
LOOP = '''
from bench.arm import Job
from bench.loops import register
from bench.precision import PRECISIONS


@register("theirs", preload=("torch", "lightning"))
def theirs(job: Job) -> None:
    """A loop of the old layout"""
    workload = job.workload
    model = workload.model.to(job.device, PRECISIONS[job.precision].dtype())
    optimizer = workload.optimizer(model.parameters())
    model.train()
    for batch in job.stream(workload.batches):
        loss = workload.loss(model, job.to_device(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
'''
CALLBACK = """
from typing import ClassVar

from lightning.pytorch import Callback

from bench.record import Metric


class Counted(Callback):
    METRICS: ClassVar[tuple[Metric, ...]] = (Metric("batches_counted", "batches", "higher", "that it was told of"),)

    def __init__(self) -> None:
        self.batches = 0

    @property
    def metrics(self) -> dict[str, float]:
        return {"batches_counted": float(self.batches)}

    def on_train_batch_end(self, *arguments: object) -> None:
        self.batches += 1
"""


def theirs(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The records of a run of the old files: `bench run theirs`."""
    for name, text in (("their_suite", SUITE), ("their_loop", LOOP), ("their_callback", CALLBACK)):
        (folder / f"{name}.py").write_text(text)
    install(folder, "their-loop", "bench.loops", theirs="their_loop:theirs")
    install(folder, "their-callback", "bench.callbacks", theirs="their_callback:Counted")
    done = python("-m", "bench", "run", "theirs", "--suites", ".", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    # Who runs them is not told of names; that is for those who write them, and turn such warnings on.
    assert "DeprecationWarning" not in done.stderr
    (file,) = folder.glob("results/*/records.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_suite_and_a_loop_of_the_old_layout_are_measured(tmp_path: Path) -> None:
    records = theirs(tmp_path, "--set", "size=16,64", "--budget", "4s")
    outcomes = {(record["point"]["loop"], record["point"]["size"]): record["outcome"] for record in records}
    assert outcomes == {
        ("plain", 16): "ok",
        ("theirs", 16): "ok",
        ("plain", 64): "unsupported",
        ("theirs", 64): "unsupported",
    }, [record["reason"] for record in records]


@pytest.mark.long  # a budget that has room for an instrumented launch on a busy machine
def test_a_callback_of_the_old_layout_is_in_instrumented_launches(tmp_path: Path) -> None:
    records = theirs(tmp_path, "--budget", "40s")
    counts = {
        record["point"]["loop"]: record["extra"]["batches_counted"]
        for record in records
        if "batches_counted" in record["extra"]
    }
    assert set(counts) == {"plain", "theirs"}
    assert min(counts.values()) >= 24
