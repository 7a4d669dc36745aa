"""Bad targets of the doctor: one clear line and the log; nothing of the user's is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.commands.doctor_look import LOOK_LOG, judged_look, look
from bench.commands.doctor_target import Target, parse_target
from bench.errors import SpecError
from bench.results.observed import Observed, ObservedLoader

HEAD = """
import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

def loaders():
    return DataLoader(TensorDataset(torch.randn(64, 4)), batch_size=4)

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Linear(4, 1)
        self.taken = 0
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
"""
STEP = """
    def training_step(self, batch):
        loss = self.model(batch[0]).pow(2).mean()
        self.taken += 1
"""
# By what is wrong: the module's file, and what is said.
BAD = {
    "import": (
        "import gone_package\n",
        "mine.py:Module: cannot be imported: ModuleNotFoundError: No module named 'gone",
    ),
    "syntax": ("class Module(\n", "mine.py:Module: cannot be imported: SyntaxError"),
    "no such name": ("class Other: pass\n", "there is no 'Module' in mine.py; there are: Other"),
    "no module": ("class Module: pass\n", "mine.py:Module: gives 'Module'; allowed: a LightningModule"),
    "no step": (HEAD, "mine.py:Module: Module has no training_step; allowed: a LightningModule with one"),
    "needs arguments": (
        HEAD.replace("def __init__(self):", "def __init__(self, hidden, depth, lr=0.1):")
        + STEP
        + "        return loss\n",
        "mine.py:Module: needs arguments (hidden, depth); allowed: a class or function that needs none",
    ),
    "raises": (
        HEAD
        + STEP
        + "        if self.taken == 3:\n            raise ValueError('the third step')\n        return loss\n",
        "ValueError: the third step (mine.py:",
    ),
    "none": (HEAD + STEP, "nothing was handed to backward in"),
    "nan": (HEAD + STEP + "        return loss * float('nan')\n", "its loss is nan after"),
    "data": (
        HEAD.replace("def loaders", "def others") + STEP + "        return loss\n",
        "there is no 'loaders' in mine.py",
    ),
}


def target(folder: Path, source: str) -> Target:
    (folder / "own").mkdir()
    (folder / "own" / "mine.py").write_text(source)
    return parse_target("mine.py:Module", (), "mine.py:loaders", str(folder / "own"))


@pytest.mark.long
@pytest.mark.parametrize("what", BAD)
def test_a_bad_module_is_one_clear_line(what: str, tmp_path: Path, processes: None) -> None:
    source, told = BAD[what]
    _, failed = look(target(tmp_path, source).script, tmp_path, {}, 60.0)
    assert told in failed
    assert "\n" not in failed
    assert (tmp_path / LOOK_LOG).exists()
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["mine.py"]


@pytest.mark.long
def test_a_module_that_never_comes_to_a_step_is_ended(tmp_path: Path, processes: None) -> None:
    source = HEAD + STEP + "        return loss\n    def on_train_start(self):\n        import time; time.sleep(600)\n"
    _, failed = look(target(tmp_path, source).script, tmp_path, {}, 5.0)
    assert failed.startswith("it took no batch, or waited for one step, within 20 s; allowed: ")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("print('nothing')\n", "it ended by itself"),
        ("raise SystemExit(4)\n", "it called sys.exit(4)"),
        ("import os\nos._exit(5)\n", "it ended with status 5 and said nothing"),
        ("open('mine.py', 'a').write('#')\nraise KeyError('gone')\n", "KeyError: 'gone' (mine.py:2)"),
    ],
)
def test_a_script_that_trains_nothing_says_how_it_ended(
    source: str, told: str, tmp_path: Path, processes: None
) -> None:
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "mine.py"
    file.write_text(source)
    _, failed = look(parse_target("mine.py", (), None, str(tmp_path / "own")).script, tmp_path, {}, 60.0)
    assert failed == told
    assert file.read_text() == source


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gone.py", (), None), "gone.py: no such file"),
        (("mine.py", (), "mine.py:Data"), "with the script 'mine.py', which has its own"),
        (("gone.py:Module", (), None), "no file gone.py; allowed: package.module:Name, file.py:Name"),
        (("gone_package.a:Module", (), None), "no module 'gone_package.a' in .*, and none is installed"),
        (("mine.py:Mod ule", (), None), "is not possible; allowed: package.module:Name, file.py:Name"),
        (("mine.py:Module", (), "gone.py:Data"), "no file gone.py"),
        (("mine.py:Module", ("--lr", "3"), None), "argument of Trainer '--lr' is not possible; allowed: NAME=VALUE"),
    ],
)
def test_what_is_no_target_is_refused_before_anything_starts(
    words: tuple[str, tuple[str, ...], str | None], told: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("x = 1\n")
    with pytest.raises(SpecError, match=told):
        parse_target(*words, str(tmp_path))


def test_a_target_is_a_script_with_its_own_arguments_or_a_module_with_its_trainers(tmp_path: Path) -> None:
    (tmp_path / "my train.py").write_text("x = 1\n")
    (tmp_path / "mine.py").write_text("x = 1\n")
    script = parse_target("my train.py", ("--lr", "0.1"), None, str(tmp_path)).script
    assert script.argv == (str(tmp_path / "my train.py"), "--lr", "0.1")
    assert not script.module
    module = parse_target("mine:Module", ("log_every_n_steps=1",), "mine.py:Data", str(tmp_path)).script
    assert module.argv[1:] == ("mine:Module", "--data", "mine.py:Data", "log_every_n_steps=1")
    assert module.files == (str(tmp_path / "mine.py"),) * 2
    absolute = parse_target(f"{tmp_path}/mine.py:Module", (), None, str(tmp_path)).script
    assert absolute.argv[1] == "mine.py:Module"  # as the copy that it runs in has it


@pytest.mark.parametrize(
    ("seen", "ended", "told"),
    [
        (
            Observed(steps=9, updates=9),
            "it ended by itself",
            "it ended by itself after 9 steps; allowed: a training of",
        ),
        (Observed(steps=3, updates=3), "ValueError: x", "ValueError: x after 3 steps"),
        (Observed(), "", "no optimizer stepped; allowed: a training whose optimizer steps between two batches"),
        (Observed(steps=9, updates=9, loss="inf"), "", "its loss is inf after 9 steps"),
        (Observed(steps=9, updates=9, loss="1"), "", "no step of a DataLoader was seen"),
    ],
)
def test_what_was_seen_is_judged(seen: Observed, ended: str, told: str) -> None:
    assert judged_look(seen, ended)[1].startswith(told)


def test_a_training_that_ends_has_been_seen_if_it_had_steps_enough() -> None:
    loader = ObservedLoader("train.py:1", {}, "D", "R", 5)
    seen = Observed(steps=30, epochs=6, updates=30, loss="1", loader=loader, step_seconds=0.001)
    assert judged_look(seen, "it ended by itself") == (replace(seen, ended=True), "")
    assert judged_look(seen, "ValueError: x")[1] == "ValueError: x after 30 steps"
