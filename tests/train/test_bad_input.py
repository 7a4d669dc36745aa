"""What cannot be trained is one line with thing, value and what is allowed; nothing is run, and nothing lost."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from training_calls import QUICKLY, SMALL, own_lines, signalled, train

from bench.train.__main__ import exit_code_of_training

Saved = dict[str, Any]


def trained_here(*words: str) -> int:
    """The exit code of a training in this process, where what Lightning and jsonargparse warn of is no error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return exit_code_of_training([*words])


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Trains in this process, in an empty folder; gives the one line that said why not."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        assert trained_here(*words) == 2
        said = capfd.readouterr()
        assert "Traceback" not in said.out + said.err
        assert not list(tmp_path.glob("trainings/*")), "a training that was refused leaves no folder"
        (line,) = own_lines(said.err)
        return line

    return call


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "no subcommand was named; allowed: fit, validate, test, predict"),
        (["fitt"], "invalid choice: 'fitt' (choose from 'fit', 'validate', 'test', 'predict')"),
        (["fit", "--trainer.max_epoch", "3"], "unknown option '--trainer.max_epoch'; near: --trainer.max_epochs"),
        (["fit", "--width", "3"], "unknown option '--width'; near: --model.width"),
        (["fit", "--weights_only", "false"], "unknown option '--weights_only'"),
        (["fit", "--model.width", "wide"], "--model.width: 'wide' is not possible; allowed: int"),
        (["fit", "--model.width", "0"], "width=0 is not possible; allowed: whole numbers from 1"),
        (["fit", "--model.gamma", "2"], "gamma=2.0 is not possible; allowed: above 0, to 1"),
        (["fit", "--model.variant", "vae"], "unknown variant 'vae'; allowed: mlp, conv"),
        (["fit", "--trainer.accelerator", "abacus"], "Available names are: "),
        (["fit", "--trainer.max_epochs", "many"], "--trainer.max_epochs: 'many' is not possible; allowed: int, null"),
        (["fit", *QUICKLY, "--data.source", "cifar"], "unknown data 'cifar'; allowed: synthetic, mnist"),
        (["fit", *QUICKLY, "--data.source", "mnist", "--data.data_dir", "/dev/null/no"], "/dev/null/no"),
        (["fit", "--model", "no.such.Module"], "no.such.Module"),
        (["fit", "--trainer.default_root_dir", "/dev/null/no", *QUICKLY], "/dev/null/no/fit-0: cannot be written"),
        (
            ["validate", "--ckpt_path", "nowhere.ckpt"],
            "--ckpt_path 'nowhere.ckpt': no such file; allowed: a file, last",
        ),
        (["fit", "--ckpt_path", "last"], "--ckpt_path last: no training under trainings has a last.ckpt"),
        (["validate", "--ckpt_path", "https://x.org/a.ckpt"], "is an address; allowed: a file"),
    ],
)
def test_words_that_are_not_possible(words: list[str], line: str, refused: Callable[..., str]) -> None:
    assert line in refused(*words)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("{[", "is not readable as YAML"),
        ("- 1\n- 2\n", "holds [1, 2]; allowed: names with values"),
        ("just a text", "allowed: names with values"),
        ("trainer: {max_epochs: 1}\n---\ntrainer: {max_epochs: 2}\n", "has 2 documents; allowed: one"),
        ("fit: {trainer: {max_epochs: 1}}\ntest: {}\n", "is of several runs (fit, test); allowed: one"),
        ("trainer: {max_epoch: 1}\n", "unknown key 'trainer.max_epoch'; near: trainer.max_epochs"),
        ("trainer: {max_epochs: many}\n", "--trainer.max_epochs: 'many' is not possible; allowed: int, null"),
        ("model: {width: [1]}\n", "--model.width: "),
        ("model: !!python/object/apply:os.system ['touch ran']\n", "could not determine a constructor"),
        ("\x00\x01", "is not readable as YAML"),
        ("a: &a [*a]\n", "has a value that holds itself"),
    ],
)
def test_a_file_that_is_no_configuration(text: str, line: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "x.yaml").write_text(text)
    assert line in refused("fit", "--config", "x.yaml")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("name", "line"), [("none.yaml", "no such file"), (".", "is a folder")])
def test_a_configuration_that_is_no_file(name: str, line: str, refused: Callable[..., str]) -> None:
    assert f"--config '{name}': {line}; allowed: a YAML file" in refused("fit", "--config", name)


# --- checkpoints


@pytest.fixture(scope="module")
def trained(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a training of one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    train("fit", *SMALL, "--trainer.max_epochs", "1", cwd=folder)
    return folder / "trainings" / "fit-0" / "checkpoints" / "last.ckpt"


class Runs:
    """Runs a command where somebody unpickles it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def hostile(saved: Saved, path: Path) -> None:
    torch.save({**saved, "state_dict": Runs(path.parent / "ran")}, path)


def hostile_hyperparameters(saved: Saved, path: Path) -> None:
    torch.save({**saved, "hyper_parameters": {"width": Runs(path.parent / "ran")}}, path)


def bare_pickle(saved: Saved, path: Path) -> None:
    path.write_bytes(pickle.dumps(Runs(path.parent / "ran")))


def hostile_old_format(saved: Saved, path: Path) -> None:
    torch.save({"state_dict": Runs(path.parent / "ran")}, path, _use_new_zipfile_serialization=False)


def whole_module(saved: Saved, path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


def cut(saved: Saved, path: Path) -> None:
    torch.save(saved, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damaged(saved: Saved, path: Path) -> None:
    torch.save(saved, path)
    data = bytearray(path.read_bytes())
    data[60:200] = b"\xff" * 140
    path.write_bytes(data)


def empty(saved: Saved, path: Path) -> None:
    path.write_bytes(b"")


def a_text(saved: Saved, path: Path) -> None:
    path.write_text("These are no weights.\n" * 50)


def an_archive(saved: Saved, path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())


def weights_alone(saved: Saved, path: Path) -> None:
    torch.save(saved["state_dict"], path)


def a_list(saved: Saved, path: Path) -> None:
    torch.save([1, 2], path)


def other_sizes(saved: Saved, path: Path) -> None:
    torch.save({**saved, "state_dict": {name: value[:1] for name, value in saved["state_dict"].items()}}, path)


def other_weights(saved: Saved, path: Path) -> None:
    torch.save({**saved, "state_dict": {"layer.weight": torch.zeros(2)}}, path)


def other_model(saved: Saved, path: Path) -> None:
    torch.save({**saved, "hyper_parameters": {"hidden": 3, "lr": 0.1}}, path)


def impossible_width(saved: Saved, path: Path) -> None:
    torch.save({**saved, "hyper_parameters": {**saved["hyper_parameters"], "width": "wide"}}, path)


def immense_width(saved: Saved, path: Path) -> None:
    torch.save({**saved, "hyper_parameters": {**saved["hyper_parameters"], "width": 10**12}}, path)


def numbers_for_weights(saved: Saved, path: Path) -> None:
    torch.save({**saved, "state_dict": {"model": 3}}, path)


BAD = {
    hostile: "holds more than tensors and plain values",
    hostile_hyperparameters: "holds more than tensors and plain values",
    bare_pickle: "is no checkpoint",
    hostile_old_format: "holds more than tensors and plain values",
    whole_module: "holds more than tensors and plain values",
    cut: "is damaged or cut",
    damaged: "is damaged or cut",
    empty: "is empty",
    a_text: "is no checkpoint",
    an_archive: "is no checkpoint",
    weights_alone: "is no checkpoint of Lightning: it holds a dict of",
    a_list: "is no checkpoint of Lightning: it holds list",
    other_sizes: "is of another model than this LitAutoEncoder: model.decoder.0.bias is (1,) and not (16,)",
    other_weights: "is of another model than this LitAutoEncoder: layer.weight is (2,) and not there",
    other_model: "unknown hyperparameter 'hidden'; allowed: variant, width",
    impossible_width: "its hyperparameters are not possible: --model.width: 'wide' is not possible; allowed: int",
    immense_width: "",
    numbers_for_weights: "its state_dict is not one of tensors",
}


@pytest.mark.long
@pytest.mark.parametrize("subcommand", ["fit", "validate"])
@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_checkpoint_that_is_none_of_ours(
    make: Callable[[Saved, Path], None], subcommand: str, trained: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    make(torch.load(trained, weights_only=True), tmp_path / "bad.ckpt")
    before = (tmp_path / "bad.ckpt").read_bytes()
    line = refused(subcommand, *QUICKLY, "--ckpt_path", "bad.ckpt")
    assert BAD[make] in line
    assert not (tmp_path / "ran").exists(), "it was run"
    assert (tmp_path / "bad.ckpt").read_bytes() == before


def test_the_hostile_ones_are_hostile(trained: Path, tmp_path: Path) -> None:
    """Loaded as Lightning did it before 2.6, what they hold is run; without this the test above could not fail."""
    for make in (hostile, hostile_hyperparameters, hostile_old_format):
        make(torch.load(trained, weights_only=True), tmp_path / "bad.ckpt")
        torch.load(tmp_path / "bad.ckpt", weights_only=False)
        assert (tmp_path / "ran").exists()
        (tmp_path / "ran").unlink()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("optimizer_states", None, "has weights only, and nothing to go on from (it lacks optimizer_states)"),
        ("loops", 5, "cannot be gone on from"),
        ("optimizer_states", [], "cannot be gone on from"),
        ("optimizer_states", [{"state": {}, "param_groups": [{"params": [0]}]}], "cannot be gone on from"),
        ("lr_schedulers", ["x"], "cannot be gone on from"),
        ("callbacks", 5, "cannot be gone on from"),
    ],
)
def test_a_state_that_a_training_cannot_go_on_from(
    name: str, value: Any, line: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    saved = torch.load(trained, weights_only=True)
    saved[name] = value
    if value is None:
        del saved[name]
    torch.save(saved, "bad.ckpt")
    assert trained_here("fit", *QUICKLY, "--trainer.max_epochs", "2", "--ckpt_path", "bad.ckpt") == 2
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert line in own_lines(said)[-1]


@pytest.mark.parametrize("words", [("--model.width", "32"), ("--model.gamma=0.5",)])
def test_a_hyperparameter_that_is_not_the_checkpoints(
    words: tuple[str, ...], trained: Path, refused: Callable[..., str]
) -> None:
    line = refused("validate", *QUICKLY, "--ckpt_path", str(trained), *words)
    assert "was made with model." in line
    assert "allowed: to leave it out, or the checkpoint's" in line


# --- disks and real processes


@pytest.mark.long
@pytest.mark.usefixtures("processes")
def test_a_full_disk_is_one_message_and_keeps_the_checkpoints(tmp_path: Path) -> None:
    full = ("--trainer.callbacks+=training_calls.FullDisk", "--trainer.callbacks.epoch=2")
    code, said = signalled("fit", *SMALL, *full, cwd=tmp_path, when="", times=0)
    assert code == 2
    assert "Traceback" not in said
    folder = tmp_path / "trainings" / "fit-0" / "checkpoints"
    line = own_lines(said)[-1]
    assert "cannot be written: File too large; kept under trainings/fit-0/checkpoints: best.ckpt, last.ckpt" in line
    assert {path.name for path in folder.iterdir()} == {"best.ckpt", "last.ckpt"}, "nothing half written"
    assert torch.load(folder / "last.ckpt", weights_only=True)["epoch"] == 1
    train("fit", *SMALL, "--trainer.max_epochs", "3", "--ckpt_path", "last", cwd=tmp_path)


@pytest.mark.long
@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["fit", "--model.widht", "3"], "unknown option '--model.widht'; near: --model.width"),
        (
            ["fit", *SMALL, "--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=loss"],
            "`loss` which is not",
        ),
    ],
)
def test_a_real_command_ends_with_2(words: list[str], line: str, tmp_path: Path) -> None:
    assert line in own_lines(train(*words, cwd=tmp_path, ends=2).stderr)[-1]


@pytest.mark.usefixtures("processes")
def test_an_unforeseen_exception_of_a_users_module_has_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom lightning.pytorch import LightningModule\n"
        "class Breaks(LightningModule):\n"
        "    def training_step(self, batch, batch_idx):\n        raise KeyError('mine')\n"
        "    def configure_optimizers(self):\n        return None\n"
        "    def train_dataloader(self):\n        return [torch.zeros(1)]\n"
    )
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    line = own_lines(train("fit", "--model", "mine.Breaks", "--trainer.accelerator=cpu", cwd=tmp_path, ends=70).stderr)[
        -1
    ]
    assert line.startswith("unforeseen: KeyError: 'mine'; its log: ")
    assert "training_step" in Path(line.partition("its log: ")[2]).read_text()
    shutil.rmtree(tmp_path / "state")
