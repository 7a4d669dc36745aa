"""`bench tune`: what it refuses at once, and, in real processes, that it searches, stops, is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, call

from bench import cli
from bench.commands.tune_request import TuneRequest, find_search, read_request, subject_of, write_request
from bench.errors import RunError

pytest.importorskip("optuna")

# Seconds each: plain PyTorch, so that nobody imports lightning, and epochs of eight steps.
QUICK = ("--set", "loop=plain", "--set", "samples=256", "--set", "access=sample,batch", "--set", "batch_size=32")
LOOSE = ("--train-epochs", "2", "--loss-margin", "90%")


def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str) -> str:
    """What `bench tune` says of these words; it leaves nothing behind."""
    assert cli.exit_code(["tune", *words, "--out", str(tmp_path / "results")]) == 2
    assert list((tmp_path / "results").glob("*")) == []
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("nosuch",), "unknown suite 'nosuch'; allowed: "),
        (("tunable", "--set", "batch_size=32,x"), "'x' is not of type int"),
        (("tunable", "--set", "nope=1,2"), "unknown axis 'nope'"),
        (("tunable", "--train-epochs", "1"), "the first epoch finds everything cold and is not timed; allowed: 2"),
        (("tunable", "--arg", "lr=1,2"), "--arg: of scripts and modules; a suite has axes"),
        (("tunable", "--sampler", "gp"), "argument --sampler: 'gp' is unknown; allowed: tpe, random, grid"),
        (("tunable", "--memory-limit", "much"), "'much' is not a size"),
        (("--resume", "nowhere"), "unknown search 'nowhere'; allowed: (none)"),
        (("--resume", "x", "--set", "batch_size=1,2", "--seed", "3"), "leave out --seed, --set; allowed: --budget"),
        (("nosuch.py",), "nosuch.py: no such suite file"),
        (("nosuch.mod:Net", "--set", "batch_size=1,2"), "no module 'nosuch.mod'"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_begun(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    assert text in refused(capsys, tmp_path, *words)


def test_a_storage_that_cannot_be_had_leaves_no_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no study\n" * 100, encoding="utf-8")
    assert "file is not a database" in refused(capsys, tmp_path, "tunable", "--storage", str(tmp_path / "notes.txt"))


def test_without_optuna_it_says_in_one_line_what_to_install(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.commands.tune_study.importlib.util.find_spec", lambda name: None)
    said = refused(capsys, tmp_path, "tunable")
    assert said == 'bench: bench tune needs Optuna, which is not installed: pip install "loopmark[tune]"\n'


def test_what_was_asked_for_is_read_back(tmp_path: Path, processes: None) -> None:
    (tmp_path / "train.py").write_text("import torch\n", encoding="utf-8")
    request = TuneRequest("train.py", args=("lr=1,2",), where=str(tmp_path), memory_limit=7).checked()
    write_request(tmp_path, request, subject_of(request), None)
    assert read_request(tmp_path).asked == request
    assert find_search(str(tmp_path), tmp_path / "out") == tmp_path
    (tmp_path / "tune.json").write_text('{"schema": 99}', encoding="utf-8")
    with pytest.raises(RunError, match=r"tune\.json"):
        read_request(tmp_path)


class Search:
    """A `bench tune` in the background."""

    def __init__(self, out: Path, *words: str) -> None:
        self.out = out
        command = [sys.executable, "-m", "bench", "tune", *words, "--out", str(out)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, cwd=out.parent, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def await_races(self, number: int) -> Path:
        """The search's folder, once so many of its races have records."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            done = [path for path in self.out.glob("*/*/records.jsonl") if path.stat().st_size]
            if len(done) >= number:
                return done[0].parent.parent
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError("no records came")


def trial_words(folder: Path) -> dict[str, str]:
    import optuna

    study = optuna.load_study(study_name=folder.name, storage=f"sqlite:///{folder / 'study.db'}")
    return {str(trial.user_attrs.get("configuration")): trial.state.name for trial in study.trials}


@pytest.mark.long
def test_a_search_ends_in_a_claim_a_study_a_page_and_runs_that_can_be_read(tmp_path: Path, processes: None) -> None:
    done = call("tune", *QUICK, *LOOSE, "--out", str(tmp_path / "out"), "--format", "json", cwd=tmp_path, timeout=400)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    folder = Path(found["folder"])
    assert trial_words(folder) == {"access=batch": "COMPLETE"}
    assert found["result"]["ended"] == "finished"
    (one,) = found["result"]["finalists"]
    assert len(one["raced"]["logs"]) == len(one["raced"]["lags"]) == 4
    assert one["raced"]["lags"] == [0.0] * 4  # the same batches, whichever way they are fetched
    page = (folder / "tune.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "access=batch" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    shown = call("show", found["result"]["runs"][-1])
    assert shown.returncode == 0, shown.stderr
    assert "access=batch" in shown.stdout


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the engine's processes are Linux's")
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_a_search_that_is_stopped_keeps_its_trials_and_goes_on(tmp_path: Path, how: str, processes: None) -> None:
    search = Search(tmp_path / "out", *QUICK, *LOOSE, "--train-epochs", "8")
    folder = search.await_races(2)
    before = {path: path.read_bytes() for path in folder.glob("*/records.jsonl")}
    search.process.send_signal(getattr(signal, how))
    _, errors = search.process.communicate(timeout=60)
    assert "Traceback" not in errors
    if how == "SIGINT":
        assert search.process.returncode == 130
        assert f"bench tune --resume {folder}" in errors
    assert set(trial_words(folder)) == {"access=batch"}
    again = call("tune", "--resume", str(folder), "--out", str(tmp_path / "out"), cwd=tmp_path, timeout=400)
    assert again.returncode == 0, again.stderr
    assert trial_words(folder) == {"access=batch": "COMPLETE"}
    assert all(path.read_bytes().startswith(content) for path, content in before.items())
    assert "Final race, which alone is the claim" in again.stdout


@pytest.mark.long
def test_a_script_is_searched_by_its_arguments_and_its_loss_is_said_not_to_be_looked_at(
    tmp_path: Path, processes: None
) -> None:
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    words = ("train.py", "--arg", "batch-size=16,256", "--trials", "1", "--format", "md")
    done = call("tune", *words, "--out", str(tmp_path / "out"), cwd=tmp_path, timeout=400)
    assert done.returncode == 0, done.stderr
    claim = done.stdout.splitlines()[0]
    assert "batch-size=256 trains" in claim
    assert "its loss not looked at" in claim
    assert "python train.py --batch-size 256" in claim
    assert not list((tmp_path / "out").glob("*/tuned.yaml"))


SCRIPT = """
import argparse
import torch
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=16)
size = parser.parse_args().batch_size
torch.manual_seed(0)
data = TensorDataset(torch.randn(2048, 64), torch.randint(0, 10, (2048,)))
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(3):
    for images, labels in DataLoader(data, batch_size=size, shuffle=True):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


@pytest.mark.long
def test_a_module_without_a_script_is_searched_by_its_trainer_and_its_loader(tmp_path: Path, processes: None) -> None:
    """With arguments of its Trainer behind `--data`, too."""
    (tmp_path / "own.py").write_text(MODULE, encoding="utf-8")
    words = ("own.py:Net", "--data", "own.py:data", "--set", "batch_size=16,256", "--out", str(tmp_path / "out"))
    done = call("tune", *words, "--", "enable_progress_bar=false", cwd=tmp_path, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "batch_size=256 trains" in done.stdout
    (made,) = (tmp_path / "out").glob("*/tuned.yaml")
    assert made.read_text(encoding="utf-8").endswith("data:\n  batch_size: 256\n")


MODULE = """
import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader, TensorDataset


class Net(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def data():
    return DataLoader(TensorDataset(torch.randn(2048, 64), torch.randint(0, 10, (2048,))), batch_size=16)
"""
