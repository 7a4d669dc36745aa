"""Hooks belong to one model and callbacks to any: measuring code in hooks is found, and what is none is not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from bench.plan.hook_rule import hooks_in, imported_beside, read_hooks

MODULE = """
{top}

class LitModel({base}):
    def __init__(self):
        super().__init__()
        {init}

    def training_step(self, batch, batch_idx):
        {step}
        return batch.sum()

    def helper(self):
        {helper}

    def report(self):
        {report}
"""


def found(
    top: str = "",
    step: str = "pass",
    *,
    init: str = "pass",
    helper: str = "pass",
    report: str = "pass",
    base: str = "LightningModule",
) -> list[str]:
    text = MODULE.format(top=top, step=step, init=init, helper=helper, report=report, base=base)
    read = hooks_in(f"from lightning.pytorch import Callback, LightningModule\n{text}", "mine.py")
    assert "LitModel" in read.modules
    return [f"{one.hook} {one.name}" for one in read.measuring]


TOLD = {
    "clock": ({"top": "import time", "step": "began = time.perf_counter()"}, "time.perf_counter"),
    "clock in ns": ({"top": "import time", "step": "self.t = time.monotonic_ns()"}, "time.monotonic_ns"),
    "wall clock": ({"top": "import time", "step": "began = time.time()"}, "time.time"),
    "other name": ({"top": "import time as t", "step": "t.perf_counter()"}, "time.perf_counter"),
    "from": ({"top": "from time import perf_counter as now", "step": "now()"}, "time.perf_counter"),
    "star": ({"top": "from time import *", "step": "perf_counter()"}, "time.perf_counter"),
    "in the hook": ({"step": "import time; time.process_time()"}, "time.process_time"),
    "assigned": ({"top": "import time\nclock = time.perf_counter", "step": "clock()"}, "time.perf_counter"),
    "kept": (
        {"top": "import time", "init": "self.clock = time.perf_counter", "step": "self.clock()"},
        "time.perf_counter",
    ),
    "event": ({"top": "import torch", "step": "torch.cuda.Event(enable_timing=True).record()"}, "torch.cuda.Event"),
    "kept event": (
        {"top": "import torch", "init": "self.start = torch.cuda.Event()", "step": "self.start.record()"},
        "torch.cuda.Event",
    ),
    "wait": ({"top": "from torch import cuda", "step": "cuda.synchronize()"}, "torch.cuda.synchronize"),
    "memory": (
        {"top": "import torch.cuda as c", "step": "c.max_memory_allocated()"},
        "torch.cuda.max_memory_allocated",
    ),
    "accelerator": (
        {"top": "import torch", "step": "torch.accelerator.memory_stats()"},
        "torch.accelerator.memory_stats",
    ),
    "profiler": ({"top": "from torch.profiler import profile", "step": "profile()"}, "torch.profiler.profile"),
    "psutil": ({"top": "import psutil", "step": "psutil.Process().memory_info()"}, "psutil.Process"),
    "tracemalloc": ({"top": "import tracemalloc", "step": "tracemalloc.start()"}, "tracemalloc.start"),
    "resource": ({"top": "import resource as r", "step": "r.getrusage(r.RUSAGE_SELF).ru_maxrss"}, "resource.getrusage"),
    "helper": ({"top": "import time", "step": "self.helper()", "helper": "time.monotonic()"}, "time.monotonic"),
    "helper's helper": (
        {"top": "import time", "step": "self.helper()", "helper": "self.report()", "report": "time.monotonic()"},
        "time.monotonic",
    ),
    "function": ({"top": "import time\ndef now():\n    return time.monotonic()", "step": "now()"}, "time.monotonic"),
    "class": (
        {"top": "import time\nclass Timer:\n    def __enter__(self):\n        time.monotonic()", "step": "Timer()"},
        "time.monotonic",
    ),
    "lambda": ({"top": "import time", "step": "self.f = lambda: time.perf_counter()"}, "time.perf_counter"),
    "indirect base": (
        {"top": "import time\nclass Base(LightningModule):\n    pass", "base": "Base", "step": "time.monotonic()"},
        "time.monotonic",
    ),
    "foreign base": ({"top": "import time, other", "base": "other.Base", "step": "time.monotonic()"}, "time.monotonic"),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_measures_in_a_hook_is_told(name: str) -> None:
    parts, measures = TOLD[name]
    assert found(**parts) == [f"training_step {measures}"]


PASSED: dict[str, dict[str, str]] = {
    "nothing": {},
    "waits": {"top": "import time", "step": "time.sleep(0.01)"},
    "dates": {"top": "import time, datetime", "step": "n = time.strftime('%H'); datetime.datetime.now()"},
    "a name": {"top": "import time", "step": "n = f'run-{time.time():.0f}'; m = 'run' + str(time.time_ns())"},
    "a label": {"top": "import torch", "step": "torch.profiler.record_function('loss')"},
    "an argument of that name": {"top": "import time", "step": "f = lambda time: time.perf_counter()"},
    "an attribute of that name": {"top": "import time", "step": "batch.time.perf_counter(); self.time.monotonic()"},
    "a text": {"step": "'time.perf_counter()'"},
    "a local of that name": {"step": "perf_counter = abs; perf_counter(1)"},
    "a module of one's own": {"top": "from mine import time", "step": "time.perf_counter()"},
    "not in a hook": {"top": "import time", "report": "time.perf_counter()"},
    "where it is made": {"top": "import time", "init": "self.began = time.perf_counter()", "step": "self.began"},
    "a type": {"top": "import torch", "step": "event: torch.cuda.Event | None = None"},
    "a seed": {"top": "import torch", "step": "torch.manual_seed(1); torch.cuda.is_available()"},
    "a callback": {
        "top": "import time\nclass Timing(Callback):\n    def on_fit_start(self, *_):\n        time.monotonic()",
        "step": "self.callbacks = [Timing()]",
    },
}


@pytest.mark.parametrize("name", PASSED)
def test_what_measures_nothing_is_passed(name: str) -> None:
    assert found(**PASSED[name]) == []


def test_a_class_in_a_function_sees_what_the_function_imports() -> None:
    text = (
        "def build(point):\n    import time as t\n    from lightning.pytorch import LightningModule\n"
        "    def now():\n        return t.monotonic()\n"
        "    class Lit(LightningModule):\n        def on_fit_start(self):\n            t.perf_counter(), now()\n"
        "    return Lit()\n"
    )
    names = [(one.hook, one.name, one.line) for one in hooks_in(text, "mine.py").measuring]
    assert names == [("on_fit_start", "time.perf_counter", 8), ("on_fit_start", "time.monotonic", 5)]


WORDS = st.sampled_from(["time", "torch", "psutil", "perf_counter", "clock", "self", "batch", "sleep", "cuda", "Event"])


@given(st.lists(WORDS, min_size=1, max_size=4).map(".".join), st.lists(WORDS, max_size=3))
def test_without_an_import_nothing_measures(expression: str, assigned: list[str]) -> None:
    """Whatever names are used and set: what measures comes into a file by an import."""
    sets = "; ".join(f"{name} = 1" for name in assigned if name != "self") or "pass"
    assert found(step=f"{sets}; {expression}()") == []


@given(st.sampled_from(sorted(TOLD)), st.integers(0, 3))
def test_how_deep_it_stands_is_no_difference(name: str, depth: int) -> None:
    parts, measures = TOLD[name]
    if "import" in parts["step"] or "lambda" in parts["step"]:
        return
    step = parts["step"]
    for level in range(depth):
        step = f"x{level} = [({step.split(' = ')[-1].split('; ')[-1]}) for _ in batch]"
    assert found(**{**parts, "step": step}) == [f"training_step {measures}"]


@given(st.text())
def test_no_text_is_too_much_for_it(text: str) -> None:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return
    hooks_in(text, "mine.py")


def test_bases_in_a_circle_and_files_that_are_none_end(tmp_path: Path) -> None:
    circle = "class A(B):\n    def training_step(self): pass\nclass B(A): pass\nclass C(C): pass\n"
    assert hooks_in(circle, "mine.py").modules == ("A", "B")
    (tmp_path / "a.py").write_bytes(b"\xff\x00")
    (tmp_path / "b.py").write_text("from . import a, c\nimport b, os\nfrom .c import x\n")
    (tmp_path / "c.py").write_text("from b import y\n")
    assert [path.name for path in imported_beside(tmp_path / "b.py")] == ["b.py", "a.py", "c.py"]
    assert read_hooks([*imported_beside(tmp_path / "b.py"), tmp_path / "none.py"]).modules == ()


# --- our own code


OWN = (
    *sorted((ROOT / "suites").glob("*.py")),
    *sorted((ROOT / "examples").glob("*.py")),
    *sorted((ROOT / "tests" / "zoo" / "modules").glob("*.py")),
)


def test_no_hook_of_ours_measures() -> None:
    read = read_hooks(OWN)
    assert {"LitAutoEncoder"} < set(read.modules)
    assert len(read.modules) > 10
    assert [str(one) for one in read.measuring] == []


def test_a_measurement_planted_in_our_module_is_seen() -> None:
    path = ROOT / "suites" / "autoencoder_lightning.py"
    text = path.read_text(encoding="utf-8")
    line = "        loss = reconstruction_loss(self.model, batch)\n"
    planted = text.replace("import torch\n", "import time\nimport torch\n", 1).replace(
        line, f"        self.began = time.perf_counter()\n{line}", 1
    )
    (seen,) = hooks_in(planted, path.name).measuring
    assert (seen.module, seen.hook, seen.name) == ("LitAutoEncoder", "training_step", "time.perf_counter")
    assert planted.splitlines()[seen.line - 1].strip() == "self.began = time.perf_counter()"


# What only a certain model has: its parts, what it is made of, its losses. Callbacks ask for none of it.
OF_ONE_MODEL = {"encoder", "decoder", "latents", "latent", "reconstruction", "learning_rate", "gamma", "hparams"}


def of_one_model(text: str) -> set[str]:
    """What a file has that belongs to one model: an import of a suite, or an attribute that not every model has."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in OF_ONE_MODEL:
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("suites", "examples"):
            found.add(str(node.module))
        elif isinstance(node, ast.Name) and node.id.endswith("AutoEncoder"):
            found.add(node.id)
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "bench" / "callbacks").glob("*.py")), ids=lambda path: path.stem)
def test_no_callback_of_ours_is_for_one_model(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert of_one_model(text) == set()
    assert of_one_model(f"{text}\nfrom suites.autoencoder import LitAutoEncoder\nLitAutoEncoder.encoder\n") == {
        "suites.autoencoder", "LitAutoEncoder", "encoder",
    }  # fmt: skip
