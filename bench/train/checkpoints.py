"""Checkpoints as `bench train` reads and writes them: weights only, whole or not there, and told what they are not."""

from __future__ import annotations

import io
import pickle
import random
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from bench.borders import one_line
from bench.errors import BenchError, one_of, quote, without_middle
from bench.plan.guard import exception_line
from bench.results.files import read_bytes, write_aside

NAMED_CHECKPOINTS = ("last", "best")
IN_EVERY_CHECKPOINT = ("state_dict", "pytorch-lightning_version")
TO_GO_ON = ("optimizer_states", "lr_schedulers", "loops", "epoch", "global_step")
ZIP = b"PK\x03\x04"
SHOWN = 3  # tensors of a model that a message names


def checkpoint_file(wanted: str, root: Path) -> Path:
    """The file that `--ckpt_path` names: a path, or `last` and `best` of the newest training under a folder.

    Raises:
        BenchError: there is none.
    """
    if wanted in NAMED_CHECKPOINTS:
        found = sorted(root.glob(f"fit-*/checkpoints/{wanted}.ckpt"), key=lambda path: path.stat().st_mtime_ns)
        if not found:
            raise BenchError(f"--ckpt_path {wanted}: no training under {root} has a {wanted}.ckpt; allowed: a file")
        return found[-1]
    path = Path(wanted).expanduser()
    if "://" in wanted:
        raise BenchError(f"--ckpt_path {quote(wanted)}: is an address; allowed: a file, {', '.join(NAMED_CHECKPOINTS)}")
    if not path.exists():
        raise BenchError(f"--ckpt_path {quote(wanted)}: no such file; allowed: a file, {', '.join(NAMED_CHECKPOINTS)}")
    return path


def read_checkpoint(path: Path, *, to_go_on: bool = False) -> dict[str, Any]:
    """A checkpoint that Lightning wrote, read as tensors and plain values: no code in it is run, whatever it holds.

    Args:
        path: the file.
        to_go_on: it is to have what a training goes on from, not weights alone.

    Raises:
        BenchError: it cannot be read, is no such thing, or is not whole.
    """
    data = read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that torch did not write
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if code := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise BenchError(
                f"{path}: holds more than tensors and plain values, {quote(code[1])}; it was not run. Allowed: a "
                "checkpoint that torch.load(weights_only=True) reads"
            ) from None
        # Without torch's advice to load it with weights_only=False.
        raise _not_whole(path, data, str(error).partition("WeightsUnpickler error: ")[2].partition("\n")[0]) from None
    except Exception as error:  # torch says in many ways that bytes are no checkpoint
        raise _not_whole(path, data, exception_line(error)) from None
    if not isinstance(found, dict) or any(name not in found for name in IN_EVERY_CHECKPOINT):
        what = f"a dict of {quote(sorted(map(str, found))[:6])}" if isinstance(found, dict) else type(found).__name__
        raise BenchError(
            f"{path}: is no checkpoint of Lightning: it holds {what}; needed: {', '.join(IN_EVERY_CHECKPOINT)}"
        )
    weights = found["state_dict"]
    if not isinstance(weights, Mapping) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise BenchError(f"{path}: is no checkpoint of Lightning: its state_dict is not one of tensors")
    missing = [name for name in TO_GO_ON if name not in found]
    if to_go_on and missing:
        raise BenchError(
            f"{path}: has weights only, and nothing to go on from (it lacks {', '.join(missing)}); allowed: a "
            "checkpoint that was saved whole, or validate, test and predict with this one"
        )
    return found


def _not_whole(path: Path, data: bytes, reason: str) -> BenchError:
    if not data:
        return BenchError(f"{path}: is empty; allowed: a checkpoint of `bench train` or Lightning")
    kind = "is damaged or cut" if data.startswith(ZIP) else "is no checkpoint"  # torch's files are zip archives
    why = f" ({without_middle(one_line(reason))})" if reason else ""
    return BenchError(f"{path}: {kind}{why}; allowed: a checkpoint of `bench train` or Lightning")


def need_same_weights(path: Path, saved: Mapping[str, Any], model: torch.nn.Module) -> None:
    """The checkpoint's weights are those of this model, by name and shape.

    Raises:
        BenchError: they are not; names some that differ.
    """
    own = {name: tuple(value.shape) for name, value in model.state_dict().items() if hasattr(value, "shape")}
    theirs = {name: tuple(value.shape) for name, value in saved.items()}
    if own == theirs:
        return
    different = [
        f"{name} is {theirs.get(name, 'not there')} and not {own.get(name, 'there')}"
        for name in sorted({*own, *theirs})
        if own.get(name) != theirs.get(name)
    ]
    more = f", and {len(different) - SHOWN} more" if len(different) > SHOWN else ""
    name = type(model).__name__
    raise BenchError(
        f"{path}: is of another model than this {name}: {'; '.join(different[:SHOWN])}{more}; allowed: a checkpoint of "
        f"{name} with these sizes"
    )


def need_known_names(path: Path, saved: Mapping[str, Any], known: Mapping[str, Any], what: str) -> None:
    """The checkpoint's hyperparameters are arguments of this class.

    Raises:
        BenchError: they are not.
    """
    for name in saved:
        if name not in known:
            raise BenchError(f"{path}: is of another {what}: {one_of('hyperparameter', name, known)}")


def carry_best(states: Mapping[str, Any], source: Path, target: Path) -> None:
    """Copy the best checkpoints so far, as a checkpoint names them, to the folder of the training that goes on.

    Otherwise its best one would be the best since then only: Lightning forgets them where the folder is another.

    Args:
        states: the checkpoint, in which the names are made those of the copies.
        source: its file; the best ones lie beside it, wherever the folder may have been before.
        target: the new folder.
    """
    for key, state in states["callbacks"].items():
        if not key.startswith("ModelCheckpoint") or not state.get("best_k_models"):
            continue
        beside = {path: source.parent / Path(path).name for path in state["best_k_models"]}
        if not all(path.suffix == ".ckpt" and path.is_file() for path in beside.values()):
            continue
        for path in beside.values():
            write_aside(target / path.name, read_bytes(path))
        state["dirpath"] = str(target)
        state["best_k_models"] = {
            str(target / beside[path].name): score for path, score in state["best_k_models"].items()
        }
        for name in ("best_model_path", "kth_best_model_path"):
            state[name] = str(target / Path(state[name]).name)
        state["last_model_path"] = ""  # the copies have none


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint aside, syncs and renames it, so that the one before is kept whatever happens; reads as above.

    What goes wrong between reading and the first step is the checkpoint's fault: `reading` has its file meanwhile.
    """

    def __init__(self) -> None:
        self.reading: Path | None = None
        self.states: Mapping[str, Any] = {}
        self.folder: Path | None = None  # where the checkpoints of the training that goes on will lie

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_aside(Path(path), content.getvalue())

    def load_checkpoint(
        self, path: str | Path, map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        self.reading = Path(path)
        self.states = found = read_checkpoint(Path(path))
        if self.folder is not None:
            carry_best(found, Path(path), self.folder)
        return found


class ReadingIsOver(Callback):
    """From the first hook after it on, what goes wrong is not the checkpoint's fault."""

    def __init__(self, checkpoints: WholeCheckpoints) -> None:
        self.checkpoints = checkpoints

    def _over(self, trainer: Trainer, pl_module: LightningModule) -> None:
        read, states = self.checkpoints.reading, self.checkpoints.states
        self.checkpoints.reading, self.checkpoints.states = None, {}
        if read is None or trainer.state.fn != "fit":
            return
        # Trainer gives as many optimizers and schedulers their state as the checkpoint has, and begins the others anew.
        for name, there in (("optimizer_states", trainer.optimizers), ("lr_schedulers", trainer.lr_scheduler_configs)):
            if len(states[name]) != len(there):
                raise BenchError(f"{read}: cannot be gone on from: {len(states[name])} {name}; needed: {len(there)}")

    on_sanity_check_start = on_train_start = on_validation_start = on_test_start = on_predict_start = _over


class NewestCheckpoint(ModelCheckpoint):
    """Saves `last.ckpt` after every epoch.

    `ModelCheckpoint(save_last=True)` does so only where it saves another one too: of epochs that were not the best
    nothing was left if the process ended.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: the file of the training before is its own."""


class RandomStates(Callback):
    """Saves the state of random numbers with a checkpoint: a model with dropout goes on as it would have."""

    def state_dict(self) -> dict[str, Any]:
        states = {"torch": torch.get_rng_state(), "python": random.getstate()}
        return {**states, "cuda": torch.cuda.get_rng_state_all()} if torch.cuda.is_available() else states

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.set_rng_state(state_dict["torch"])
        version, numbers, gauss = state_dict["python"]
        random.setstate((version, tuple(numbers), gauss))
        if len(state_dict.get("cuda", ())) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state_dict.get("cuda", ()))
