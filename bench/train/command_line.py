"""LightningCLI on the project's autoencoder, or on a user's own classes, with the house's checkpoints and messages."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import itertools
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities.model_helpers import is_overridden

from bench.borders import one_line
from bench.errors import BenchError, quote, without_middle
from bench.plan.discovery import suites_folder
from bench.plan.guard import exception_line
from bench.results.files import write_aside
from bench.train.checkpoints import (
    NewestCheckpoint,
    RandomStates,
    ReadingIsOver,
    WholeCheckpoints,
    checkpoint_file,
    need_known_names,
    need_same_weights,
    read_checkpoint,
)
from bench.train.folders import ROOT, new_training_folder
from bench.train.interruption import StopRequests, StopWhenAsked
from bench.train.parser import (
    SUBCOMMANDS,
    ParsingError,
    TrainingParser,
    check_config_files,
    in_one_line,
    names_own_class,
)

USUAL_EPOCHS = 10
PICTURED = 32  # batches that pictures are of, at most
PLACES = ("data_dir", "num_workers")  # of a data module: where and how, and not which batches
OWN_PACKAGES = ("suites", "bench.suites")  # the folder of suites: in a checkout, in the wheel
BY_LIGHTNING = ("_instantiator", "_class_path")  # what LightningCLI puts beside hyperparameters
# What is wrong with a disk, or with who may write to it, and not with a program.
OF_DISKS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})


def own_classes() -> tuple[type[LightningModule], type[LightningDataModule]]:
    """`LitAutoEncoder` and `MNISTDataModule`.

    They can be imported as `suites` and as `bench.suites` here: a YAML file that a checkout wrote is read by an
    installed package, and the other way round.
    """
    folder = suites_folder()
    package = "bench.suites" if folder.parent.name == "bench" else "suites"
    lightning = importlib.import_module(f"{package}.autoencoder_lightning")
    for other in OWN_PACKAGES:
        sys.modules.setdefault(other, sys.modules[package])
        sys.modules.setdefault(f"{other}.autoencoder_lightning", lightning)
    return lightning.LitAutoEncoder, lightning.MNISTDataModule


class KeepsConfig(SaveConfigCallback):
    """Writes the whole configuration beside the checkpoints, whatever logger there is."""

    def __init__(self, parser: Any, config: Any, folder: Path, **named: Any) -> None:
        super().__init__(parser, config, save_to_log_dir=False, **named)
        self.folder = folder

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        write_aside(self.folder / "config.yaml", self.parser.dump(self.config, skip_none=False))


class Training:
    """A command line of `bench train`: `run` does what it asks for, and the others say what became of it."""

    def __init__(self, words: Sequence[str], requests: StopRequests, tell: Callable[[str], None]) -> None:
        self.words, self.requests, self.tell = tuple(words), requests, tell
        self.checkpoints = WholeCheckpoints()
        self.folder: Path | None = None
        self.making = True  # until model, data and Trainer are made

    def run(self) -> None:
        """Train, validate, test or predict.

        Raises:
            BenchError: what was asked for cannot be done.
            StoppedTraining: somebody asked it to stop.
        """
        _quieten()
        configs = check_config_files(self.words)
        model, data = own_classes()
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())  # after our own were imported
        own_model = not names_own_class(self.words, configs, "model")
        own_data = not names_own_class(self.words, configs, "data")
        complete = {"allow_abbrev": False}
        TrainingCLI(
            self,
            model_class=model if own_model else LightningModule,
            # A module of the user's may have loaders of its own.
            datamodule_class=(data if own_model else None) if own_data else LightningDataModule,
            subclass_mode_model=not own_model,
            subclass_mode_data=not own_data,
            save_config_callback=KeepsConfig,
            trainer_defaults={"max_epochs": USUAL_EPOCHS, "default_root_dir": ROOT},
            seed_everything_default=0,
            parser_class=TrainingParser,
            parser_kwargs={"prog": "bench train", **complete, **{name: {**complete} for name in SUBCOMMANDS}},
            # Hyperparameters of ours are what the class is called with, and to load a checkpoint needs no LightningCLI.
            load_from_checkpoint_support=not own_model,
        )

    def how_to_go_on(self, saved: Path | None) -> str:
        """What is said after an interruption of how the training can go on; "" where it cannot."""
        last = saved or (self.folder and self.folder / "checkpoints" / "last.ckpt")
        if last is None or not last.is_file():
            return ""
        since = "" if saved else " after its newest whole epoch"
        return f"; to go on{since}: bench train fit --config {self.folder}/config.yaml --ckpt_path {last}"

    def leave_no_empty_folder(self) -> None:
        """Remove the training's folder where nothing was written to it."""
        if self.folder is not None:
            with contextlib.suppress(OSError):  # it has files
                self.folder.rmdir()

    def refusal(self, error: BaseException) -> str | None:
        """What is said of an exception that what was asked for has caused, or None: it was not."""
        chain = list(_chain(error))
        for one in chain:
            if isinstance(one, BenchError):
                return str(one) + self._kept(one)
        for one in chain:
            if isinstance(one, OSError) and one.errno in OF_DISKS:
                name = f"{one.filename}: " if one.filename else ""
                return f"{name}cannot be written: {one.strerror}{self._kept(one)}"
        if self.checkpoints.reading is not None and isinstance(error, Exception):
            return f"{self.checkpoints.reading}: cannot be gone on from: {exception_line(error)}"
        expected: tuple[type[BaseException], ...] = (MisconfigurationException,)
        if self.making:  # a value that a constructor refuses
            expected = (*expected, ValueError, TypeError, RuntimeError, ImportError)
        if isinstance(error, expected) or str(error).startswith("Early stopping conditioned on metric"):
            return without_middle(one_line(str(error)) or type(error).__name__)
        return None

    def _kept(self, error: BaseException) -> str:
        """Which checkpoints are there still, where a file could not be written."""
        if self.folder is None or ("cannot be written" not in str(error) and not isinstance(error, OSError)):
            return ""
        kept = sorted(path.name for path in self.folder.glob("checkpoints/*.ckpt"))
        return f"; kept under {self.folder / 'checkpoints'}: {', '.join(kept)}" if kept else ""


class TrainingCLI(LightningCLI):
    """LightningCLI with the project's defaults, folders and checkpoints."""

    def __init__(self, training: Training, **named: Any) -> None:
        self.training = training
        super().__init__(**named)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Those of LightningCLI, without `--weights_only`: nothing but weights and plain values is ever loaded."""
        return {name: {*skipped, "weights_only"} for name, skipped in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: Any) -> None:
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        if not self.subclass_mode_model:
            parser.set_defaults({"model.log": True, "checkpoint.monitor": "val_loss"})

    def parse_arguments(self, parser: Any, args: Any) -> None:
        words = list(self.training.words)
        try:
            self.config = parser.parse_args(words)
            self.given = parser.parse_args(words, defaults=False)
        except ParsingError as error:
            options = [name for one in self._subcommand_parsers.values() for name in one._option_string_actions]
            raise BenchError(in_one_line(str(error), [name.lstrip("-") for name in options])) from error

    def _parse_ckpt_path(self) -> None:
        """Take hyperparameters from the checkpoint: of the model all, of the data those that are not named here.

        A hyperparameter of the model that is named and is not the checkpoint's is refused: which was meant?
        """
        section = self.config[self.config.subcommand]
        if not section.get("ckpt_path"):
            return
        path = checkpoint_file(str(section.ckpt_path), Path(section.trainer.default_root_dir or ROOT).expanduser())
        saved = read_checkpoint(path, to_go_on=self.config.subcommand == "fit")
        section.ckpt_path = str(path)
        self._take(path, "model", saved.get("hyper_parameters", {}))
        self._take(path, "data", saved.get("datamodule_hyper_parameters", {}))

    def _take(self, path: Path, key: str, saved: Any) -> None:
        section = self.config[self.config.subcommand].get(key)
        if not section or not saved:
            return
        if not isinstance(saved, Mapping):
            raise BenchError(f"{path}: is no checkpoint of Lightning: its hyperparameters of the {key} have no names")
        name = section.get("class_path")
        if name and saved.get("_class_path", name) != name:
            raise BenchError(f"{path}: is of another {key} than {name}: {quote(saved['_class_path'])}")
        found = {one: value for one, value in saved.items() if one not in (*BY_LIGHTNING, *PLACES)}
        if not name:
            need_known_names(path, found, section.as_dict(), key)
        given = self.given[self.config.subcommand].get(key) or {}
        given = (given.get("init_args") or {}) if name else given
        for one in [one for one in found if one in given]:
            if given[one] == found[one]:
                continue
            told = f"{path}: was made with {key}.{one}={found[one]!r}"
            if key == "model":
                raise BenchError(f"{told}, and not {given[one]!r}; allowed: to leave it out, or the checkpoint's")
            self.training.tell(f"{told}; now it is {given[one]!r}")
            del found[one]
        values = {"class_path": name, "init_args": found} if name else found
        try:
            self.config = self.parser.parse_object({self.config.subcommand: {key: values}}, self.config)
        except ParsingError as error:
            raise BenchError(f"{path}: its hyperparameters are not possible: {in_one_line(str(error), ())}") from error

    def after_instantiate_classes(self) -> None:
        """Compare the checkpoint's weights with the model's before anything is read into it."""
        path = self._get(self.config, "ckpt_path")
        if path and self.model.strict_loading and not is_overridden("configure_model", self.model):
            need_same_weights(Path(path), read_checkpoint(Path(path))["state_dict"], self.model)
        self.training.making = False

    def instantiate_trainer(self, **named: Any) -> Trainer:
        """Trainer with a folder of its own for what it writes."""
        config = {**self._get(self.config_init, "trainer"), **named}
        config["plugins"] = _listed(config.get("plugins"))
        config["callbacks"] = [*_listed(config.get("callbacks")), ReadingIsOver(self.training.checkpoints)]
        if not any(isinstance(one, CheckpointIO) for one in config["plugins"]):
            config["plugins"].append(self.training.checkpoints)
        if config.get("fast_dev_run"):  # writes nothing
            return self._instantiate_trainer(config, [])
        root = Path(config["default_root_dir"] or ROOT).expanduser()
        folder = self.training.folder = new_training_folder(root, str(self.subcommand))
        self.save_config_kwargs = {"folder": folder}
        config["logger"] = _loggers(config.get("logger"), folder, barebones=bool(config.get("barebones")))
        callbacks: list[Callback] = []
        if config.get("enable_checkpointing") is not False and not config.get("barebones"):
            last = folder / "checkpoints" / "last.ckpt"
            if not any(isinstance(one, ModelCheckpoint) for one in config["callbacks"]):
                checkpoint = self._get(self.config_init, "checkpoint")
                checkpoint.dirpath = checkpoint.dirpath or str(last.parent)
                if checkpoint.monitor and checkpoint.filename is None:
                    checkpoint.filename = "best"
                callbacks.append(checkpoint)
                if self.subcommand == "fit":
                    self.training.checkpoints.folder = Path(checkpoint.dirpath)
            callbacks += [RandomStates(), NewestCheckpoint(last.parent), StopWhenAsked(self.training.requests, last)]
        return self._instantiate_trainer(config, callbacks)

    def after_fit(self) -> None:
        """Draw, and say where everything lies."""
        self._draw()

    def after_predict(self) -> None:
        """Draw, and say where everything lies."""
        self._draw()

    def _draw(self) -> None:
        """Have a model draw its pictures that can: neither a hook nor a callback, as no training goes on any more."""
        folder, draw = self.training.folder, getattr(self.model, "draw_pictures", None)
        if folder is None or not self.trainer.is_global_zero:
            return
        if draw is not None and self.datamodule is not None:
            self.datamodule.setup("predict")
            draw(itertools.islice(self.datamodule.predict_dataloader(), PICTURED), folder)
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        self.training.tell(f"under {folder}: {', '.join(files)}")


def _loggers(asked: Any, folder: Path, *, barebones: bool) -> Any:
    """The loggers that were asked for; by default metrics.csv, and TensorBoard's file where that is installed."""
    if asked is False or barebones:
        return None if barebones else False
    if asked not in (None, True):
        return asked
    found: list[Logger] = [CSVLogger(str(folder.parent), name="", version=folder.name)]
    if importlib.util.find_spec("tensorboard") is not None:
        found.append(TensorBoardLogger(str(folder.parent), name="", version=folder.name))
    return found


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it came from or while."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _quieten() -> None:
    """Leave out what tells a user of `bench train` nothing."""
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # the digits lie in memory
    warnings.filterwarnings("ignore", message="The dirpath has changed from")  # the best ones are carried along
    warnings.filterwarnings("ignore", message=r".isinstance\(treespec, LeafSpec\). is deprecated")
    tips = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    tips.addFilter(lambda record: "Tip:" not in record.getMessage())  # for a service of Lightning's
