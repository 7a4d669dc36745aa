"""A ladder of Trainer's features: from a barebones Trainer upwards, each rung with one feature more than the one below.

A rung is one small declaration. Its arguments are Trainer's own, as LightningCLI has them under `trainer:` (JSON), so
that any Trainer can be given them, in a suite or in somebody's script. To add one, add a line to `_RUNGS`. No torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rung:
    """One feature, over the rung below.

    Attributes:
        name: of the rung, as a value of the axis `trainer` has it.
        over: the name of the rung below; "" of the lowest. Alternatives have the same one.
        title: the feature, in words.
        arguments: of Trainer, merged over those of the rung below: callbacks are added to those that are there already,
            anything else takes the place of what is there.
        needs: packages that it cannot do without.
        alone: whether its arguments are all that it has, whatever the rung below has.
    """

    name: str
    over: str
    title: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    alone: bool = False


def _made(path: str, **init: Any) -> dict[str, Any]:
    return {"class_path": path, "init_args": init}


def _callback(path: str, **init: Any) -> dict[str, Any]:
    return {"callbacks": [_made(path, **init)]}


_LIGHTNING = "lightning.pytorch.callbacks"
# What the callback logs, and what early stopping watches: any module has it, whatever it logs itself.
LOGGED = "rung_loss"
# Of a rung that saves by steps. No divisor of the suite's epoch, so that the steps that save are not always the same of
# an epoch; of 25 steps each pays for a twenty-fifth of a checkpoint.
SAVED_EVERY = 25

_OFF = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "limit_val_batches": 0,
}

# Upwards. What changes the training (clipping, accumulation), what is looked into (profilers) and what one adds by hand
# (callbacks) stand side by side over the full Trainer, so that each is priced by itself.
_RUNGS = (
    Rung("barebones", "", "Trainer(barebones=True)", {"barebones": True, "limit_val_batches": 0}),
    Rung("lean", "barebones", "a Trainer with everything switched off by hand", _OFF, alone=True),
    Rung("logger", "lean", "a CSVLogger, which has nothing to log",
         {"logger": _made("lightning.pytorch.loggers.CSVLogger", save_dir=".")}),
    Rung("logger-tensorboard", "lean", "a TensorBoardLogger instead",
         {"logger": _made("lightning.pytorch.loggers.TensorBoardLogger", save_dir=".")}, needs=("tensorboard",)),
    Rung("log-each-step", "logger", "self.log once a step; every 50th goes to the logger",
         _callback("bench.callbacks.log_each_step.LogEachStep", name=LOGGED)),
    Rung("logger-each-step", "log-each-step", "every step goes to the logger", {"log_every_n_steps": 1}),
    Rung("bar-tqdm", "log-each-step", "tqdm's progress bar",
         {"enable_progress_bar": True, **_callback(f"{_LIGHTNING}.TQDMProgressBar")}),
    Rung("bar-rich", "log-each-step", "rich's progress bar instead",
         {"enable_progress_bar": True, **_callback(f"{_LIGHTNING}.RichProgressBar")}, needs=("rich",)),
    Rung("checkpoint", "bar-tqdm", "a checkpoint each epoch", {"enable_checkpointing": True}),
    Rung("validation", "checkpoint", "validation each epoch", {"limit_val_batches": 1.0}),
    Rung("sanity-check", "validation", "two validation batches before training, once", {"num_sanity_val_steps": 2}),
    Rung("model-summary", "sanity-check", "the summary before training, once", {"enable_model_summary": True}),
    Rung("clipping", "model-summary", "gradients clipped to a norm of 1", {"gradient_clip_val": 1.0}),
    Rung("accumulation", "model-summary", "an update every 4th step", {"accumulate_grad_batches": 4}),
    Rung("profiler-simple", "model-summary", "profiler='simple'", {"profiler": "simple"}),
    Rung("profiler-advanced", "model-summary", "profiler='advanced'", {"profiler": "advanced"}),
    Rung("profiler-pytorch", "model-summary", "profiler='pytorch'", {"profiler": "pytorch"}),
    Rung("learning-rate-monitor", "model-summary", "LearningRateMonitor",
         _callback(f"{_LIGHTNING}.LearningRateMonitor")),
    Rung("early-stopping", "model-summary", "EarlyStopping, which never stops here",
         _callback(f"{_LIGHTNING}.EarlyStopping", monitor=LOGGED, patience=1_000_000_000, check_finite=False,
                   check_on_train_epoch_end=True)),
    Rung("checkpoint-by-steps", "model-summary", f"a checkpoint every {SAVED_EVERY} steps besides",
         {"callbacks": [_made(f"{_LIGHTNING}.ModelCheckpoint"),
                        _made(f"{_LIGHTNING}.ModelCheckpoint", filename="by-steps-{step}",
                              every_n_train_steps=SAVED_EVERY)]}),
    Rung("defaults", "barebones", "Trainer() as it comes", alone=True),
)  # fmt: skip

RUNGS: Mapping[str, Rung] = {rung.name: rung for rung in _RUNGS}


def rung_arguments(name: str) -> dict[str, Any]:
    """All arguments of Trainer of a rung: its own, over those of the rungs below."""
    rung = RUNGS[name]
    below = rung_arguments(rung.over) if rung.over and not rung.alone else {}
    callbacks = [*below.get("callbacks", ()), *rung.arguments.get("callbacks", ())]
    return {**below, **rung.arguments, **({"callbacks": callbacks} if callbacks else {})}


def rungs_below() -> dict[str, str]:
    """The rung below each rung, by name; the lowest is none's upper one."""
    return {name: rung.over for name, rung in RUNGS.items() if rung.over}


def rung_refusal(name: str) -> str | None:
    """Why a rung cannot be made here, or None: a package that it needs is not installed."""
    for package in RUNGS[name].needs if name in RUNGS else ():
        if importlib.util.find_spec(package) is None:
            return f"the package {package!r} is not installed, and {name} needs it"
    return None
