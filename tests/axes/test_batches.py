"""Any batch: its size, its move to a device and its digest, by kind and by loop. docs/batches.md is made here.

`PYTHONPATH=. python tests/axes/test_batches.py` writes it anew.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import traceback
import warnings
from collections import UserDict
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import USUAL_LOOPS

from bench.arm.batch_digest import BatchDigest
from bench.arm.batch_snapshot import changed, snapshot
from bench.arm.stream import BatchStream, Grant, TurnTimes
from bench.axes import loops
from bench.axes.loops.batch_tree import batch_size, moved, tensors
from bench.axes.loops.batches import as_trainers_see, batches_in, counter, refuse_one_pass
from bench.axes.loops.job import Job
from bench.errors import Unsupported
from bench.plan import discovery

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "batches.md"
_suite = discovery.load_suite(ROOT / "tests" / "suites" / "kinds.py")
_package = _suite.build.__module__.rpartition(".")[0]
OwnDict = importlib.import_module(f"{_package}.batch_kinds").OwnDict
KINDS = importlib.import_module(f"{_package}.batch_kinds").KINDS
LOADERS = sys.modules[_suite.build.__module__].LOADERS
make_loader = importlib.import_module(f"{_package}.batch_kinds").loader
kinds_workload = importlib.import_module(f"{_package}.kinds_workload").kinds_workload
META = torch.device("meta")
MOVES_ITSELF = "graph", "sized-graph", "in-place", "slots", "hostile"  # and is asked for no dtype
STEPS = 9  # more than an epoch of 8 batches


def a_batch(kind: str, seed: int = 0) -> Any:
    return next(iter(make_loader(kind, seed=seed)))


def digest(*batches: Any) -> BatchDigest:
    found = BatchDigest()
    for batch in batches:
        found.add(batch)
    return found


# --- by kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_samples_of_any_batch_are_counted(kind: str) -> None:
    assert batch_size(a_batch(kind)) == KINDS[kind].size


@pytest.mark.parametrize("kind", KINDS)
def test_the_digest_of_any_batch_is_that_of_its_contents(kind: str) -> None:
    one, twin, other = a_batch(kind), a_batch(kind), a_batch(kind, seed=1)
    assert digest(one).value == digest(one).value == digest(twin).value
    assert digest(one).read
    assert digest(one).value != digest(other).value
    assert digest(one, other).value != digest(other, one).value


@pytest.mark.parametrize("kind", KINDS)
def test_the_tensors_of_any_batch_are_moved(kind: str) -> None:
    batch = a_batch(kind)
    there = list(tensors(batch))
    here = moved(batch, torch.device("cpu"))
    assert type(here) is type(batch)
    assert digest(here).value == digest(batch).value
    if kind in ("nested", "masked", "quantized"):  # which torch does not move to its device without storage
        return
    went = list(tensors(moved(batch, META)))
    if kind == "packed":
        went, there = went[:1], there[:1]  # the rest tells the lengths, which are the CPU's
    assert {tensor.device.type for tensor in went} == ({"cpu" if KINDS[kind].still else "meta"} if went else set())
    assert len(went) == len(there)
    assert [type(tensor) for tensor in went] == [type(tensor) for tensor in there]


@pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors")
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_get_the_dtype_of_the_weights_and_nothing_else_does(kind: str) -> None:
    batch = a_batch(kind)
    if KINDS[kind].still or kind in MOVES_ITSELF:
        return
    before = [tensor.dtype for tensor in tensors(batch)]
    after = [tensor.dtype for tensor in tensors(moved(batch, torch.device("cpu"), torch.float64))]
    assert after == [torch.float64 if dtype.is_floating_point else dtype for dtype in before]


# --- by itself


def test_the_size_of_what_has_no_tensor() -> None:
    sizes = [
        ("a text", 1), (3, 1), (None, 1), ([], 0), ({}, 0), (["a", "b"], 2), ([b"a", b"b", b"c"], 3), (b"abc", 3),
        ({"n": 3, "texts": ["a", "b"]}, 2), ((["a", "b"], [1, 2, 3]), 2), ([{"q": "a"}, {"q": "b"}], 2),
        (torch.tensor(1.0), 1), ((torch.tensor(1.0), ["a", "b"]), 2), (torch.empty(0, 5), 0), (range(3), 1),
    ]  # fmt: skip
    assert [batch_size(batch) for batch, _ in sizes] == [size for _, size in sizes]


def test_a_batch_without_end_is_looked_at_no_further_than_the_limits() -> None:
    """Lists that hold each other: two to the power of sixty ways through them; and a mapping without end."""
    deep: list[Any] = ["x"]
    for _ in range(60):
        deep = [deep, deep]

    class Endless(dict[str, Any]):
        pass

    loop = Endless()
    loop["self"], loop["again"] = loop, [loop, loop]
    for batch in (deep, loop):
        snapshot(batch, [])
        assert batch_size(batch) in (1, 2)
        assert digest(batch).value == digest(batch).value
        moved(batch, META)


def test_a_tensor_that_is_larger_than_memory_is_neither_copied_nor_read_to_its_end() -> None:
    large = torch.zeros(1).expand(2**40)
    assert batch_size([large]) == 2**40
    assert digest([large]).read
    assert not digest(torch.empty(2**40, device="meta")).read


def test_large_tensors_have_one_digest_however_they_lie() -> None:
    """Read in pieces where they have to be copied."""
    values = torch.arange(6 * 2**20, dtype=torch.int64).reshape(3 * 2**11, 2**10)  # 48 MiB
    assert digest(values.T).value == digest(values.T.contiguous()).value != digest(values).value


def test_what_cannot_be_read_has_no_digest_of_its_own() -> None:
    class Closed:
        __slots__ = ()

    assert not digest([Closed(), Closed()]).read
    assert not digest(x for x in "abc").read
    assert digest([Closed(), torch.ones(1)]).read
    assert digest(["text", 3]).read


def test_samples_may_be_a_function_and_else_what_is_allowed_is_said() -> None:
    assert counter(None) is counter(64) is batch_size
    assert counter(lambda batch: torch.tensor(5))("ab") == 5
    for samples in ("64", 2.5, 0, -1, True):
        with pytest.raises(ValueError, match=r"samples: .*allowed: a whole number from 1 on, a function"):
            counter(samples)
    for given in (3.5, None, -1, "8", True, 2**40):
        with pytest.raises(ValueError, match=r"samples: the function of the batch gave .*allowed: whole numbers"):
            counter(lambda batch, given=given: given)(None)
    with pytest.raises(ValueError, match="samples: the function of the batch raised ZeroDivisionError"):
        counter(lambda batch: 1 // 0)(None)


def test_a_snapshot_has_what_a_loss_takes_out_of_its_batch_and_knows_what_it_changed() -> None:
    versions: list[Any] = []
    x, inner = torch.ones(3), OwnDict(y=torch.zeros(2))
    batch = {"x": x, "inner": inner, "list": [1, x], "user": UserDict(z=x)}
    before = digest(batch).value
    kept = snapshot(batch, versions)
    del batch["x"]
    inner.pop("y")
    batch["list"].clear()
    batch["user"].pop("z")
    assert digest(kept).value == before != digest(batch).value
    assert not changed(versions)
    x.add_(1)
    assert changed(versions)


# --- by loop


class Watch:
    """A gate that gives one turn and remembers what it was told."""

    def __init__(self) -> None:
        self.grants = [Grant(STEPS, audit=True)]
        self.digest = BatchDigest()
        self.taken: list[TurnTimes] = []

    def wait(self) -> Grant | None:
        return self.grants.pop(0) if self.grants else None

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        self.taken.append(taken)
        for batch in batches:
            self.digest.add(batch)


def train(loop: str, kind: str, batches: str = "loader", device: str = "cpu") -> tuple[Watch, torch.Tensor]:
    """What the stream saw and the weights at the end, of one loop in this process over one kind of batch."""
    torch.manual_seed(3)
    workload = kinds_workload(kind, batches)
    refuse_one_pass(workload.batches)
    watch = Watch()
    stream = BatchStream(watch, size=counter(workload.samples))
    where = torch.device(device)

    def seen(loader: Any) -> Any:
        return stream(as_trainers_see(loader))

    job = Job(workload, seen, where, device, "32-true", 1, torch.float32, lambda settings: None)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, chdir(folder):
        warnings.simplefilter("ignore")  # Trainer comments on its own defaults
        loops.registry()[loop].run(job)
    return watch, workload.model.weight.detach().cpu()


def where_raised(error: BaseException) -> str:
    """The package in which an exception was raised."""
    frames = list(traceback.walk_tb(error.__traceback__))
    packages = [str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame, _ in frames]
    return next((name for name in reversed(packages) if name not in ("abc", "copy", "torch")), "")


def taken_by(loop: str, kind: str, batches: str = "loader") -> str:
    """`yes`, or why not; a loop that takes a batch trains on it as plain does."""
    try:
        watch, weights = train(loop, kind, batches)
    except Unsupported as error:
        return f"no: {str(error).partition(';')[0]}"
    except Exception as error:
        if "lightning" not in where_raised(error):
            raise
        return f"no: Lightning raises {type(error).__name__}"
    plain, expected = train("plain", kind, batches)
    assert watch.taken[0].samples == plain.taken[0].samples == STEPS * KINDS[kind].size
    assert watch.digest.value == plain.digest.value
    assert torch.equal(weights, expected)
    return "yes"


def page() -> str:
    """docs/batches.md."""
    names = [*USUAL_LOOPS, "by-hand"]
    head = [
        "# Batches that each loop takes",
        "",
        "Made by `PYTHONPATH=. python tests/axes/test_batches.py`, which trains every loop on each kind for a few",
        "steps on the CPU; the test of that file compares this page with what it finds. `yes`: the loop takes it, its",
        "samples are counted as plain counts them, its digest is the same, and so are the weights at the end.",
        "",
        "Samples are the length of the first tensor that has a dimension, of a PackedSequence its sequences; without",
        "such a tensor, the length of the first list of texts; else 1. Where you count otherwise, give the workload",
        "`samples=lambda batch: ...`.",
        "",
        "## What a batch is",
        "",
        f"| batch | samples of {KINDS['tensor'].size} rows | moved to a device by plain | {' | '.join(names)} |",
        f"| {' | '.join(['---'] * (3 + len(names)))} |",
    ]
    for name, kind in KINDS.items():
        taken = [taken_by(loop, name) for loop in names]
        went = f"no: {kind.still}" if kind.still else "yes"
        head.append(f"| {kind.what} | {kind.size} | {went} | {' | '.join(taken)} |")
    head += ["", "## What gives the batches", "", f"| `batches` | length | {' | '.join(names)} |"]
    head.append(f"| {' | '.join(['---'] * (2 + len(names)))} |")
    for name in LOADERS:
        found = batches_in(kinds_workload("tensor", name).batches)
        taken = [taken_by(loop, "tensor", name) for loop in names]
        head.append(f"| {WORDS[name]} | {found or 'not told'} | {' | '.join(taken)} |")
    return "\n".join([*head, ""])


WORDS = {
    "loader": "a DataLoader",
    "list": "a list",
    "combined": "Lightning's CombinedLoader",
    "iterable": "an object with `__iter__`",
    "stream": "a DataLoader over an IterableDataset",
    "generator": "a generator",
    "once": "an iterator of one pass",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.long
def test_the_page_of_batches_is_what_the_loops_take(one_thread: None) -> None:
    assert page() == PAGE.read_text(encoding="utf-8")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
