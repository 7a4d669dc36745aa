"""Whether the arms of one launch ran with the same settings: the rule, and the short list of what may differ. Pure.

Every effective setting is compared, those included that nobody thought of when this was written. It may differ from the
baseline's only where it was asked to (an axis or a requested setting of that name differs, or one from which it follows
by the table below), or where it is no setting but a count of what came of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.axes.accelerators import accelerators
from bench.axes.trainer_sets import SEEN_OF_PROFILERS
from bench.results.forms import FOUND
from bench.results.record import Record

# What Trainer switches on by itself is what one asks about when loops, or versions of Lightning, are compared.
_TRAINERS = {
    "logger": "Trainer makes one by default, barebones none, other loops have none",
    "progress_bar": "Trainer draws one by default",
    "checkpoint": "Trainer keeps a checkpoint callback by default, which writes at an epoch's end only",
    "sanity_steps": "Trainer validates before it trains, outside of all timing",
    "trainer_callbacks": "the callbacks of these defaults by name; any other callback is in `callbacks`",
    "log_every_n_steps": "Trainer hands every 50th step to its logger by default, barebones none",
    "accumulate_grad_batches": "a Trainer has it; that updates are as many is seen by the ledger",
    "gradient_clip_val": "a Trainer has it; that gradients are the same is seen by the ledger",
    "gradient_clip_algorithm": "a Trainer has it",
    "limit_val_batches": "a Trainer has it; that validation is the same is seen by the ledger",
    "logging": "barebones lets nothing be logged",
    "trainer_profiler": "a Trainer has one, by default one that does nothing",
}

# By axis or requested setting that differs: the effective settings that follow from it, each with its reason. Those of
# an accelerator alone are in its class.
FOLLOWS: Mapping[str, Mapping[str, str]] = {
    "loop": {
        **_TRAINERS,
        "lightning": "the version of it, which a plain arm has not imported",
        "lightning_imported": "a plain arm never imports it, as that patches torch.compile",
        "pandas_imported": "lightning brings it along where torchmetrics has what imports it",
        "torch_xla_imported": "a Trainer looks for XLA's devices where the package is installed",
        "compiled_around_ddp": "each loop compiles where its users do",
        "graph_cut": "each loop cuts XLA's graph where its users do",
    },
    "environment": {
        **_TRAINERS,
        "torch": "another version is what is compared",
        "lightning": "another version is what is compared",
        "torch_xla": "another version is what is compared",
        "torch_xla_imported": "one of them may lack it",
    },
    "precision": {
        "autocast": "mixed precisions cast, true ones do not",
        "matmul_dtype": "the dtype of products is what a precision is",
        "loss_scaled": "16-mixed scales the loss, no other precision does",
    },
    "compile": {
        "compiled_around_ddp": "only what is compiled has a place of compilation",
        "cuda_graphs": "what some modes ask for, of CUDA devices",
    },
    "trainer": {
        **_TRAINERS,
        "callbacks": "those of a set are what is compared",
        "set_callbacks": "those that a set brings",
        "deterministic_warn_only": "deterministic: warn",
    },
    "logging": {
        "logged": "a set that logs each step, or lets nothing be logged, is what is compared",
    },
    "trainer_profiler": {
        "profiler": "what is seen of the profiler that a set brings",
    },
    "strategy": {
        "sampler": "of several ranks each has its share of the samples",
        "compiled_around_ddp": "only DistributedDataParallel has an inside",
    },
    "accelerator": {
        "device": "another device is what is compared",
        "cuda_graphs": "only CUDA devices have them",
    },
    "loader_workers": {"prefetch_factor": "torch fetches ahead where there are workers, by default 2 batches each"},
}

# Loops that train by the LightningModule's own steps. What it logs it says in each of them, and Trainer alone keeps it:
# that is a part of what Trainer costs. Against other loops, a module that logs does what they do not: docs/traps.md, 1.
BY_MODULE = frozenset({"by-hand", "trainer-barebones", "trainer"})

# Counted in an arm, not set in it: told by warnings and columns of their own. What a device counts is in its class.
COUNTED_SETTINGS: Mapping[str, str] = {
    "graphs": "that inductor compiled; loops hand it other regions",
    "graph_breaks": "of these regions",
    "recompiles": "a guard failed; the summary warns",
    "compile_cache": "cold or warm; the metric of the time to the first step has its word in its name",
    "cache_hits": "of the compiler's caches",
    "cache_misses": "of the compiler's caches",
    "cudagraph_skips": "CUDA graphs that were left out",
    "loss_scale": "moves with the updates that were skipped; whether there is one is `loss_scaled`, which is compared",
}

# A set's callback is compared for what it does; what it logs has a cost in Trainer and its logger besides.
ONE_SIDE = (
    "; a callback of a set logs on one side: allowed are callbacks that log nothing or on both sides, or a suite whose "
    "`settings` ask for what is logged"
)

# What a timed launch, unlike an instrumented one, has none of but what a set of Trainer's arguments brings.
UNTIMED_SETTINGS = ("callbacks", "trainer_profiler", "profiler")


def intruders(record: Record) -> list[str]:
    """What listens to the steps of a timed launch, as sentences; an instrumented one may have it."""
    if record.instrumented or "script" in record.point:  # whatever a script does is what is raced
        return []
    seen = {name: record.effective.get(name, "none") for name in UNTIMED_SETTINGS}
    profiler = str(record.requested.get("trainer_profiler", "none"))
    declared = {
        "callbacks": seen["callbacks"] == record.effective.get("set_callbacks", "none"),
        "trainer_profiler": seen["trainer_profiler"] == profiler,
        "profiler": _words(seen["profiler"]) <= SEEN_OF_PROFILERS.get(profiler, frozenset()),
    }
    return [
        f"{name}: {value} in a timed launch, which has none"
        for name, value in seen.items()
        if value != "none" and not declared[name]
    ]


def _words(value: object) -> frozenset[str]:
    """The profilers of a setting that was read back: a text, or the list of its values where it changed."""
    texts = value if isinstance(value, list) else [value]
    return frozenset(word for text in texts for word in str(text).split(", ")) - {"none"}


def setting_differences(record: Record, baseline: Record) -> list[str]:
    """How the settings of an arm differ from the baseline's where they must not, as sentences; empty where nowhere."""
    if "script" in record.point:
        return []  # which settings another script has is the question, or follows from it; the report tells them
    allowed = may_differ(record, baseline)
    mine, theirs = record.effective, baseline.effective
    hints = {"logged": ONE_SIDE} if "set_callbacks" in {*mine, *theirs} else {}
    return [
        f"{name}: {_told(mine, name)} against the baseline's {_told(theirs, name)}{hints.get(name, '')}"
        for name in dict.fromkeys((*theirs, *mine))
        if name not in allowed
        and not name.startswith(FOUND)
        and (name in mine, mine.get(name)) != (name in theirs, theirs.get(name))
    ]


def may_differ(record: Record, baseline: Record) -> frozenset[str]:
    """The effective settings that need not be the baseline's."""
    causes = {*_differing(record.point, baseline.point), *_differing(record.requested, baseline.requested)}
    following: Iterable[str] = (name for cause in causes for name in FOLLOWS.get(cause, ()))
    counted = (name for device in accelerators().values() for name in device.counts)
    devices = accelerators().values() if "accelerator" in causes else ()
    of_devices = (name for device in devices for name in device.settings)
    # Callbacks that come from outside may be those of one cell; nothing that they do is compared.
    callbacks = ("callbacks",) if record.instrumented else ()
    two_loops = {record.point.get("loop"), baseline.point.get("loop")}
    logged = ("logged",) if "loop" in causes and two_loops <= BY_MODULE else ()
    return frozenset((*COUNTED_SETTINGS, *counted, *causes, *following, *of_devices, *callbacks, *logged))


def _differing(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> set[str]:
    return {name for name in (*mine, *theirs) if mine.get(name) != theirs.get(name)}


def _told(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "none read back"
