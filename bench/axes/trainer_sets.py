"""Named sets of Trainer's arguments, the values of the axis `trainer`: what may stand in one, and what not. No torch.

A set is what LightningCLI has under `trainer:`, arguments by name, `callbacks` and `logger` as import paths. The parent
imports no lightning: the names of Trainer's arguments are read from its source, and classes are looked up in the arm
(`trainer_arguments`). As plain data a set stands in run.json, and so a run that is gone on with has the same.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import quote

TrainerArguments = Mapping[str, Any]

DEFAULT_SET = "default"

# Sets that are built in, by what people ask: which default costs what, and what does this switch cost? Each says all.
BUILT_IN: Mapping[str, TrainerArguments] = {
    DEFAULT_SET: {},
    "no-logger": {"logger": False},
    "no-progress-bar": {"enable_progress_bar": False},
    "no-checkpoint": {"enable_checkpointing": False},
    "no-summary": {"enable_model_summary": False},
    "no-sanity-check": {"num_sanity_val_steps": 0},
    "all-off": {
        "logger": False,
        "enable_progress_bar": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    },
    "log-every-step": {"log_every_n_steps": 1},
    "csv-logger": {"logger": {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "."}}},
    "detect-anomaly": {"detect_anomaly": True},
    "deterministic": {"deterministic": True},
    "benchmark": {"benchmark": True},
    "clip": {"gradient_clip_val": 1.0},
    "clip-value": {"gradient_clip_val": 1.0, "gradient_clip_algorithm": "value"},
    "accumulate-4": {"accumulate_grad_batches": 4},
}

_AXIS = "the axis {0!r} says it: --set {0}=..."
_STREAM = "the stream of batches says how long a cell trains, and when it validates"
# Arguments that no set may have, each with who says it instead.
REFUSED_ARGUMENTS: Mapping[str, str] = {
    **{name: _AXIS.format(name) for name in ("accelerator", "devices", "num_nodes", "strategy", "precision")},
    **dict.fromkeys(("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "fast_dev_run"), _STREAM),
    **dict.fromkeys(("overfit_batches", "limit_train_batches", "val_check_interval"), _STREAM),
    "reload_dataloaders_every_n_epochs": "all loops iterate one loader",
    "use_distributed_sampler": "ranks share the batches as the workload says, or as Trainer does by default",
    "plugins": "they decide precision and processes, which axes say",
    "default_root_dir": "an arm writes into a folder of its own, which goes with it",
}
# Callbacks that train, or end the training, by themselves: the stream would no longer say how long.
REFUSED_CALLBACKS = ("BatchSizeFinder", "LearningRateFinder", "Timer")

# What Trainer(barebones=True) refuses (lightning 2.6.6, trainer.py:310-370): the values that it takes.
_OFF = (False, None)
BAREBONES: Mapping[str, tuple[object, ...]] = {
    **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), _OFF),
    **dict.fromkeys(("log_every_n_steps", "num_sanity_val_steps"), (0, None)),
    "detect_anomaly": (False,),
    "profiler": (None,),
}

# Trainer's profilers by their short names: the class of each, and what a timed launch may see of it, as
# `bench.arm.switches.profilers` calls that. Lightning's fourth, `xla`, starts a server.
PROFILERS: Mapping[str, str] = {
    "simple": "SimpleProfiler",
    "advanced": "AdvancedProfiler",
    "pytorch": "PyTorchProfiler",
}
SEEN_OF_PROFILERS: Mapping[str, frozenset[str]] = {
    "SimpleProfiler": frozenset(),
    "AdvancedProfiler": frozenset({"sys.setprofile"}),
    "PyTorchProfiler": frozenset({"torch.profiler"}),
}

# What a Trainer does to what its module logs: nothing is logged at all, or a callback of ours logs each step.
LOGGER_OF_STEPS = "LogEachStep"
LOGGING_OFF, LOGGING_EACH_STEP, LOGGING_OF_MODULE = "off", "each step", "the module's own"

# Arguments that take several things, import paths and functions among them.
BUILT = ("callbacks", "logger")


@dataclass(frozen=True)
class _Form:
    """What an argument's value must be, and in words."""

    fits: Callable[[Any], bool]
    words: str


def _whole(least: int) -> _Form:
    return _Form(lambda value: type(value) is int and value >= least, f"a whole number from {least} on")


_SWITCH = _Form(lambda value: value is None or isinstance(value, bool), "true, false")
_AMOUNT = _Form(
    lambda value: value is None or (type(value) in (int, float) and math.isfinite(value) and value >= 0),
    "a number from 0 on",
)
_FORMS: Mapping[str, _Form] = {
    **dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "benchmark"), _SWITCH),
    **dict.fromkeys(("inference_mode", "detect_anomaly", "sync_batchnorm", "enable_autolog_hparams"), _SWITCH),
    "deterministic": _Form(lambda value: value in (True, False, None, "warn"), "true, false, warn"),
    "log_every_n_steps": _whole(0),
    "num_sanity_val_steps": _whole(-1),
    "accumulate_grad_batches": _whole(1),
    "gradient_clip_val": _AMOUNT,
    "gradient_clip_algorithm": _Form(lambda value: value in ("norm", "value", None), "norm, value"),
    "barebones": _Form(lambda value: isinstance(value, bool), "true, false"),
    "profiler": _Form(
        lambda value: value is None or (isinstance(value, str) and value in PROFILERS), ", ".join(PROFILERS)
    ),
}


@cache
def known_arguments() -> tuple[str, ...]:
    """The names of Trainer's arguments, from the source of the lightning that is installed; () where none is."""
    try:
        found = importlib.util.find_spec("lightning")
    except (ImportError, ValueError):
        return ()
    for folder in (found.submodule_search_locations if found else None) or ():
        try:
            tree = ast.parse((Path(folder) / "pytorch" / "trainer" / "trainer.py").read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name == "Trainer":
                made = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
                return tuple(own.arg for one in made for own in (*one.args.args[1:], *one.args.kwonlyargs))
    return ()


def allowed_arguments() -> tuple[str, ...]:
    """Those that a set may have."""
    return tuple(name for name in known_arguments() or _FORMS if name not in REFUSED_ARGUMENTS)


def set_mistakes(arguments: object) -> Iterator[str]:
    """Everything that is wrong with a set, as sentences without its name; nothing where it is sound."""
    if not isinstance(arguments, Mapping):
        yield f"{quote(arguments)} is not possible; allowed: arguments of Trainer by name"
        return
    allowed = ", ".join(allowed_arguments())
    for name, value in arguments.items():
        if name in REFUSED_ARGUMENTS:
            yield f"{name}: {REFUSED_ARGUMENTS[name]}; allowed in a set: {allowed}"
        elif known_arguments() and name not in known_arguments():
            nearest = difflib.get_close_matches(str(name), allowed_arguments(), n=3)
            near = f"nearest: {', '.join(nearest)}; " if nearest else ""
            yield f"unknown argument of Trainer {quote(name)}; {near}allowed: {allowed}"
        elif name in BUILT:
            yield from _part_mistakes(name, value)
        elif name in _FORMS and not _FORMS[name].fits(value):
            yield f"{name}: {quote(value)} is not possible; allowed: {_FORMS[name].words}"
        elif not _is_plain(value):
            yield f"{name}: {quote(value)} is not possible; allowed: numbers, texts, lists and mappings of them"


def _part_mistakes(name: str, value: object) -> Iterator[str]:
    if name == "logger" and (value is None or isinstance(value, bool)):
        return
    forms = "class_path with init_args, `module.Class`, in a suite also a function that makes it"
    for index, part in enumerate(value if isinstance(value, list | tuple) else [value]):
        where = f"{name}[{index}]" if isinstance(value, list | tuple) else name
        path: object = part
        if isinstance(part, Mapping):
            path = part.get("class_path")
            if other := [key for key in part if key not in ("class_path", "init_args")]:
                yield f"{where}: unknown key {quote(other[0])}; allowed: class_path, init_args"
            if not isinstance(part.get("init_args", {}), Mapping) or not _is_plain(part.get("init_args", {})):
                yield f"{where}: init_args {quote(part['init_args'])} is not possible; allowed: arguments by name"
        elif callable(part):
            continue
        if not isinstance(path, str) or not all(word.isidentifier() for word in path.replace(":", ".").split(".")):
            yield f"{where}: {quote(path)} names no class; allowed: {forms}"
        elif class_name(path) in REFUSED_CALLBACKS:
            yield f"{where}: {class_name(path)} trains, or ends the training, by itself; {_STREAM}"


def _is_plain(value: object) -> bool:
    """Whether JSON has it."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def class_name(path: str) -> str:
    """The last word of an import path."""
    return path.replace(":", ".").rpartition(".")[2]


def plain_arguments(arguments: TrainerArguments) -> dict[str, Any]:
    """A sound set as JSON has it, whichever way it was written: classes as mappings, functions by their names."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if name == "callbacks" and not isinstance(value, list | tuple):
            value = [value]
        if name in BUILT:
            value = [_plain_part(part) for part in value] if isinstance(value, list | tuple) else _plain_part(value)
        found[name] = _copied(value)
    return found


def _plain_part(part: object) -> object:
    if isinstance(part, Mapping):
        return {"class_path": part["class_path"], "init_args": dict(part.get("init_args", {}))}
    if isinstance(part, str):
        return {"class_path": part, "init_args": {}}
    return {"function": getattr(part, "__qualname__", type(part).__name__)} if callable(part) else part


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list | tuple) else value


def set_in_words(arguments: TrainerArguments) -> str:
    """What a set sets, in one line: `log_every_n_steps=1, callbacks=[Burn(share=0.3)]`."""
    return ", ".join(f"{name}={_in_words(value)}" for name, value in arguments.items()) or "nothing"


def sets_in_words(sets: Mapping[str, TrainerArguments], ladder: Mapping[str, str]) -> dict[str, str]:
    """What each set sets, in words; of one that stands over another on a ladder only what it has besides."""
    found = {}
    for name, arguments in sets.items():
        more = _more(arguments, sets.get(ladder.get(name, "")))
        found[name] = set_in_words(arguments) if more is None else f"as {ladder[name]}, and {set_in_words(more)}"
    return found


def _more(arguments: TrainerArguments, below: TrainerArguments | None) -> dict[str, Any] | None:
    """What one set has besides another; None where it lacks something of the other."""
    if below is None or not set(below) <= set(arguments):
        return None
    more = {name: value for name, value in arguments.items() if name not in below or value != below[name]}
    beneath = below.get("callbacks", [])
    if "callbacks" in more and more["callbacks"][: len(beneath)] == beneath:
        more["callbacks"] = more["callbacks"][len(beneath) :]
    return more


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping) and "class_path" in value:
        given = value.get("init_args")
        inner = set_in_words(given) if isinstance(given, Mapping) and given else ""
        return f"{class_name(str(value['class_path']))}({inner})"
    if isinstance(value, Mapping) and "function" in value:
        return f"{value['function']}()"
    return f"[{', '.join(map(_in_words, value))}]" if isinstance(value, list) else str(value)


def barebones_refusal(arguments: TrainerArguments) -> str | None:
    """Why Trainer(barebones=True) does not take a set, or None."""
    for name, value in arguments.items():
        if name in BAREBONES and value not in BAREBONES[name]:
            allowed = ", ".join(map(str, BAREBONES[name]))
            return f"Trainer(barebones=True) refuses {name}={_in_words(value)}; allowed there: {allowed}"
    return None


def asked_by_set(arguments: TrainerArguments) -> dict[str, Any]:
    """The effective settings that a set asks for, by the names under which `trainer_features` and switches are read."""
    same = ("log_every_n_steps", "accumulate_grad_batches", "gradient_clip_val")
    found = {name: arguments[name] for name in same if arguments.get(name) is not None}
    if arguments.get("gradient_clip_algorithm") is not None:
        found["gradient_clip_algorithm"] = arguments["gradient_clip_algorithm"]
    names = {"detect_anomaly": "anomaly_detection", "deterministic": "deterministic", "benchmark": "cudnn_benchmark"}
    found |= {names[name]: bool(arguments[name]) for name in names if arguments.get(name) is not None}
    switched = {"logger": "logger", "enable_progress_bar": "progress_bar", "enable_checkpointing": "checkpoint"}
    found |= {switched[name]: "none" for name in switched if arguments.get(name) is False}
    if arguments.get("num_sanity_val_steps") is not None:
        found["sanity_steps"] = str(arguments["num_sanity_val_steps"])
    if arguments.get("limit_val_batches") is not None:
        found["limit_val_batches"] = arguments["limit_val_batches"]
    if arguments.get("profiler") is not None:
        found["trainer_profiler"] = PROFILERS[arguments["profiler"]]
    if arguments.get("barebones"):
        found["logging"] = LOGGING_OFF
    elif any(class_name(str(part.get("class_path"))) == LOGGER_OF_STEPS for part in arguments.get("callbacks") or ()):
        found["logging"] = LOGGING_EACH_STEP
    return found
