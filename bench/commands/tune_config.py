"""A tuned configuration as what uses it: a YAML that LightningCLI takes, and the command line. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.axes.engine_axes import AxisValue
from bench.commands.tune_racer import Subject
from bench.plan.cell import as_text
from bench.plan.search_plan import SuiteSearch
from bench.plan.search_space import Configuration
from bench.plan.search_training import THREADS, TrainingSearch

# Where an axis of the autoencoder's suites stands in the YAML that `bench train` takes.
YAML_PLACES: Mapping[str, tuple[str, str]] = {
    "accelerator": ("trainer", "accelerator"),
    "devices": ("trainer", "devices"),
    "strategy": ("trainer", "strategy"),
    "precision": ("trainer", "precision"),
    "epochs": ("trainer", "max_epochs"),
    "variant": ("model", "variant"),
    "width": ("model", "width"),
    "latent": ("model", "latent"),
    "learning_rate": ("model", "learning_rate"),
    "data": ("data", "source"),
    "batch_size": ("data", "batch_size"),
    "samples": ("data", "samples"),
    "num_workers": ("data", "num_workers"),
}
OF_THE_AUTOENCODER = frozenset({"variant", "width", "latent", "data"})
# What `bench train` does without being told, by axis.
AS_IT_IS: Mapping[str, tuple[AxisValue, ...]] = {
    "loop": ("trainer",),
    "access": ("batch",),
    "compile": ("off",),
    "trainer": ("default",),
    "num_nodes": (1,),
    "matmul_precision": ("highest",),
    "persistent_workers": (False,),
    "pin_memory": (False,),
}
WITHOUT_SAYING = frozenset({"target", "configuration", THREADS})


@dataclass(frozen=True)
class TunedConfig:
    """A configuration in the words of what uses it.

    Attributes:
        yaml: for LightningCLI; "" where there is none to write.
        command: that trains with it, `{config}` being the YAML's path.
        unsaid: axes that the YAML has no place for, and their values.
    """

    yaml: str
    command: str
    unsaid: tuple[str, ...] = ()

    def told(self, config: str) -> str:
        """The command, with the YAML's path."""
        return self.command.replace("{config}", shlex.quote(config))


def config_of(
    subject: Subject, configuration: Configuration, target: str, seed: int, notes: Sequence[str]
) -> TunedConfig:
    """What uses a configuration of a search.

    Args:
        target: as the user named it.
        notes: lines of comment above the YAML.
    """
    if isinstance(subject, SuiteSearch):
        return _of_suite(subject, configuration, target, seed, notes)
    return _of_training(subject, configuration, target, notes)


def _of_suite(
    subject: SuiteSearch, configuration: Configuration, target: str, seed: int, notes: Sequence[str]
) -> TunedConfig:
    point = subject.point(configuration, subject.epochs)
    if not set(subject.suite.axes) >= OF_THE_AUTOENCODER:  # `bench train` has one model; others have their suite
        sets = " ".join(f"--set {axis}={as_text(value)}" for axis, value in configuration.items())
        return TunedConfig("", f"bench run {target} {sets}")
    sections: dict[str, dict[str, AxisValue]] = {"trainer": {"max_epochs": subject.epochs}, "model": {}, "data": {}}
    unsaid = []
    for axis, value in point.items():
        if axis in YAML_PLACES:
            section, name = YAML_PLACES[axis]
            sections[section][name] = value
        elif axis not in WITHOUT_SAYING and value not in AS_IT_IS.get(axis, ()):
            unsaid.append(f"{axis}={as_text(value)}")
    sections["data"]["seed"] = seed
    comments = [*notes, *(f"{one}: no argument of bench train; the suite's loop has it" for one in unsaid)]
    prefix = f"OMP_NUM_THREADS={point[THREADS]} " if THREADS in configuration else ""
    text = _yaml({"seed_everything": seed, **sections}, comments)
    return TunedConfig(text, f"{prefix}bench train fit --config {{config}}", tuple(unsaid))


def _of_training(
    subject: TrainingSearch, configuration: Configuration, target: str, notes: Sequence[str]
) -> TunedConfig:
    script = subject.script_of(configuration)
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in script.environ.items())
    loader = {axis: configuration[axis] for axis, kind in subject.kinds.items() if kind == "loader"}
    words = [as_text(value) if isinstance(value, bool) else str(value) for value in loader.values()]
    unsaid = tuple(f"DataLoader({axis}={word})" for axis, word in zip(loader, words, strict=True))
    if ":" in target:
        trainer = {axis: configuration[axis] for axis, kind in subject.kinds.items() if kind == "trainer"}
        sections = {name: own for name, own in (("trainer", trainer), ("data", loader)) if own}
        comments = [*notes, *([f"{variables.strip()} in the environment"] if variables else [])]
        return TunedConfig(_yaml(sections, comments), f"{variables}python YOUR_CLI.py fit --config {{config}}")
    base = ["-m", *script.argv] if script.module else [target, *script.argv[1:]]
    return TunedConfig("", f"{variables}python {shlex.join(base)}", unsaid)


def _yaml(sections: Mapping[str, object], comments: Sequence[str]) -> str:
    """YAML of numbers, texts and mappings of these; JSON's scalars are YAML's."""
    lines = [f"# {' '.join(comment.split())}" for comment in comments]
    for name, own in sections.items():
        if not isinstance(own, Mapping):
            lines.append(f"{name}: {json.dumps(own)}")
        elif own:
            lines += [f"{name}:", *(f"  {key}: {json.dumps(value)}" for key, value in own.items())]
    return "\n".join(lines) + "\n"
