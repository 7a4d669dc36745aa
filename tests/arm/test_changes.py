"""Each change of a script's training, in a process of its own: what it claims to change is read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from bench.errors import SpecError

# Trains two epochs of four batches by hand, and writes down all that a change may claim.
PROBE = """
import json, logging
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

facts = {"read": 0, "counted": 0, "datasets": 0, "saved": 0, "logged": 0, "items": [], "validated": 0}

class Numbers(Dataset):
    def __init__(self, length):
        facts["datasets"] += 1
        self.length = length
    def __len__(self):
        return self.length
    def __getitem__(self, index):
        facts["read"] += 1
        return torch.full((3,), float(index))

class Order(Sampler):
    def __init__(self, length):
        facts["counted"] += 1
        self.length = length
    def __iter__(self):
        return iter(range(self.length))
    def __len__(self):
        return self.length

class Seen(logging.Handler):
    def emit(self, record):
        facts["logged"] += 1

logger = logging.getLogger("probe")
logger.setLevel(logging.INFO)
logger.addHandler(Seen())
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
first = {name: value.clone() for name, value in model.state_dict().items()}
validation = DataLoader(Numbers(6), batch_size=3)
sizes = []
for epoch in range(3):
    loader = DataLoader(Numbers(8), batch_size=2, sampler=Order(8))
    for batch in loader:
        sizes.append(len(batch))
        optimizer.zero_grad()
        loss = (model(batch) ** 2).mean()
        loss.backward()
        optimizer.step()
        facts["items"].append(loss.item())
        logger.info("loss")
        torch.save(model.state_dict(), "last.pt")
        facts["saved"] = facts["saved"] + 1
        print("step")
    with torch.no_grad():
        facts["validated"] += sum(len(batch) for batch in validation)
facts["sizes"] = sizes
facts["workers"] = loader.num_workers
facts["validation_workers"] = validation.num_workers
facts["persistent"] = loader.persistent_workers
facts["fused"] = optimizer.param_groups[0]["fused"]
facts["moved"] = sum(int((value != first[name]).sum()) for name, value in model.state_dict().items())
with open("facts.json", "w") as file:
    json.dump(facts, file)
"""


def line_of(script: str, text: str) -> str:
    """The line that has this text, as places are told."""
    return f"probe.py:{next(number for number, line in enumerate(script.splitlines(), 1) if text in line)}"


AT = line_of(PROBE, " loader = DataLoader(")


def run(folder: Path, changes: dict[str, Any], script: str = PROBE) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """What the script wrote down, what it printed, and what was observed."""
    (folder / "probe.py").write_text(script)
    code = (
        "import json, runpy, sys\nfrom bench.arm.changes import make_changes\n"
        "observation = make_changes(json.loads(sys.argv.pop()))\nrunpy.run_path('probe.py', run_name='__main__')\n"
        "json.dump(observation(), open('seen.json', 'w'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(changes)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((folder / "facts.json").read_text())
    return found, done.stdout, json.loads((folder / "seen.json").read_text())


def test_without_changes_nothing_is_changed_and_all_of_it_is_observed(tmp_path: Path, processes: None) -> None:
    found, printed, seen = run(tmp_path, {"observe": True})
    assert found["read"] == 3 * (8 + 6)
    assert (found["counted"], found["datasets"], found["logged"], found["saved"]) == (3, 4, 12, 12)
    assert printed.count("step") == 12
    assert seen["observed_loader"]["at"] == AT
    assert seen["observed_loader"]["sampler"] == "Order"
    assert (seen["observed_steps"], seen["observed_epochs"], seen["observed_updates"]) == (12, 3, 12)
    assert seen["observed_loader"]["batches"] == 4
    # Of the last steps of epochs, which hold what comes between them, nothing is counted.
    assert seen["observed_calls"] == {"item": 1, "log": 1, "checkpoint": 1, "print": 1}
    assert seen["observed_lines"]["checkpoint"] == {line_of(PROBE, "torch.save"): 9}
    assert seen["observed_made"] == {f"{name} at {AT}": 3 for name in ("Numbers", "Order", "DataLoader")}
    assert seen["observed_optimizers"][0]["name"] == "AdamW"
    assert seen["observed_loaders"] == 1  # that of validation is none between whose pulls something is trained


def test_arguments_are_those_of_the_loader_that_is_meant(tmp_path: Path, processes: None) -> None:
    own = {"num_workers": 1, "persistent_workers": True}
    found, _, seen = run(tmp_path, {"observe": True, "at": AT, "loader": own})
    assert (found["workers"], found["persistent"], found["validation_workers"]) == (1, True, 0)
    assert seen["observed_worker_starts"] == 3  # each epoch has a loader of its own here


def test_without_a_place_all_loaders_are_meant(tmp_path: Path, processes: None) -> None:
    found, _, _ = run(tmp_path, {"loader": {"num_workers": 1}})
    assert (found["workers"], found["validation_workers"]) == (1, 1)


def test_batches_are_larger(tmp_path: Path, processes: None) -> None:
    found, _, _ = run(tmp_path, {"at": AT, "batch_factor": 2})
    assert found["sizes"] == [4] * 6
    assert found["validated"] == 18


def test_kept_batches_are_handed_out_again_and_epochs_are_as_long(tmp_path: Path, processes: None) -> None:
    found, _, _ = run(tmp_path, {"at": AT, "cached_batches": 2})
    assert found["sizes"] == [2] * 12
    assert found["read"] == 2 * 2 + 3 * 6  # two batches, and all of validation's
    # Each batch comes again: the same two, while the model learns.
    assert found["validated"] == 18


def test_loaders_samplers_and_datasets_are_made_once(tmp_path: Path, processes: None) -> None:
    found, _, _ = run(tmp_path, {"reuse_loaders": True})
    assert (found["counted"], found["datasets"]) == (1, 2)
    assert found["sizes"] == [2] * 12
    assert found["read"] == 3 * (8 + 6)


def test_reused_loaders_keep_their_workers(tmp_path: Path, processes: None) -> None:
    own = {"num_workers": 1, "persistent_workers": True}
    _, _, seen = run(tmp_path, {"observe": True, "at": AT, "loader": own, "reuse_loaders": True})
    assert seen["observed_worker_starts"] == 1


def test_what_has_other_arguments_is_made_anew(tmp_path: Path, processes: None) -> None:
    changed = PROBE.replace("sampler=Order(8)", "sampler=Order(8 - 2 * epoch)")
    found, _, _ = run(tmp_path, {"reuse_loaders": True}, changed)
    assert found["counted"] == 3
    assert len(found["sizes"]) == 4 + 3 + 2


def test_calls_are_made_seldom(tmp_path: Path, processes: None) -> None:
    found, printed, _ = run(tmp_path, {"observe": True, "every": {"log": 5, "print": 3, "checkpoint": 4}})
    assert found["logged"] == 3  # the first, the sixth, the eleventh
    assert printed.count("step") == 4
    assert found["moved"] == 4


def test_calls_are_left_away(tmp_path: Path, processes: None) -> None:
    found, printed, _ = run(tmp_path, {"skip": ["log", "print", "checkpoint", "item"]})
    assert (found["logged"], printed) == (0, "")
    assert not (tmp_path / "last.pt").exists()
    assert len(set(found["items"])) == 1
    assert found["moved"]  # it trains


def test_without_the_optimizers_work_one_number_moves(tmp_path: Path, processes: None) -> None:
    found, _, seen = run(tmp_path, {"observe": True, "skip": ["optimizer"]})
    assert found["moved"] == 1
    assert seen["observed_updates"] == 12


def test_optimizers_are_switched(tmp_path: Path, processes: None) -> None:
    found, _, seen = run(tmp_path, {"observe": True, "optimizer": {"fused": True}})
    assert found["fused"] is True
    assert (seen["observed_optimizers"][0]["fused"], seen["observed_optimizers"][0]["foreach"]) == (True, None)


TRAINER = """
import json, os
import torch
import lightning.pytorch as pl
from torch.utils.data import DataLoader, TensorDataset

from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection

facts = {"logged": 0, "kept": 0}
keep = _ResultCollection.log

def counted(self, *args, **kwargs):
    facts["kept"] += 1
    keep(self, *args, **kwargs)

_ResultCollection.log = counted

class Kept(pl.loggers.CSVLogger):
    def log_metrics(self, metrics, step=None):
        facts["logged"] += 1

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Linear(3, 1)
    def training_step(self, batch, batch_idx):
        self.log("loss", batch[0].sum(), on_epoch=True)
        facts.setdefault("metrics", []).append("loss" in self.trainer._results)
        return (self.model(batch[0]) ** 2).mean()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.randn(16, 3)), batch_size=2)

trainer = pl.Trainer(
    max_epochs=2, logger=Kept("."), log_every_n_steps=1, enable_progress_bar=False, enable_model_summary=False,
    callbacks=[pl.callbacks.ModelCheckpoint(every_n_train_steps=1, save_top_k=-1)],
)
trainer.fit(Module())
facts |= {
    "every": trainer.log_every_n_steps, "clip": trainer.gradient_clip_val, "global_step": trainer.global_step,
    "callbacks": [type(one).__name__ for one in trainer.callbacks],
    "saved": sorted(name for _, _, names in os.walk(".") for name in names if name.endswith(".ckpt")),
}
json.dump(facts, open("facts.json", "w"))
"""


def test_trainer_has_other_arguments(tmp_path: Path, processes: None) -> None:
    callbacks = [{"class_path": "LearningRateMonitor"}]
    own = {"log_every_n_steps": 8, "gradient_clip_val": 1.5, "callbacks": callbacks, "enable_checkpointing": False}
    found, _, seen = run(tmp_path, {"observe": True, "trainer": own}, TRAINER)
    assert (found["every"], found["clip"], found["saved"]) == (8, 1.5, [])
    assert "LearningRateMonitor" in found["callbacks"]
    assert seen["observed_trainer"]["at"] == line_of(TRAINER, "pl.Trainer(")
    assert seen["observed_trainer"]["arguments"]["callbacks"] == ["ModelCheckpoint"]  # as the script has it
    assert (found["global_step"], found["kept"]) == (16, 16)


def test_trainer_logs_and_saves_seldom(tmp_path: Path, processes: None) -> None:
    found, _, seen = run(tmp_path, {"observe": True, "every": {"log": 4, "checkpoint": 8}}, TRAINER)
    # The first of each line that saves, in a step and at an epoch's end, and the eighth after it.
    assert found["saved"] == [f"epoch={epoch}-step={step}.ckpt" for epoch, step in ((0, 1), (0, 8), (1, 10))]
    assert seen["observed_calls"]["log"] == 1  # as the training asks for it: what is thinned out is inside
    assert found["kept"] == 2 * 2  # the batches 0 and 4 of each epoch


def test_trainer_logs_and_saves_nothing(tmp_path: Path, processes: None) -> None:
    found, _, _ = run(tmp_path, {"skip": ["log", "logger", "checkpoint"]}, TRAINER)
    assert (found["saved"], found["logged"], found["global_step"]) == ([], 0, 16)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"loader": {"workers": 1}}, "unknown argument of DataLoader 'workers'; allowed: batch_size"),
        ({"skip": ["loss"]}, "unknown kind of calls to skip 'loss'; allowed: log"),
        ({"every": {"item": 2}}, "unknown kind of calls to thin out 'item'; allowed: log"),
        ({"every": {"log": 0}}, "every 0-th call of 'log' is not possible"),
        ({"optimizer": {"capturable": True}}, "unknown switch of optimizers 'capturable'; allowed: fused, foreach"),
        ({"cached_batches": 0}, "cached_batches=0 is not possible; allowed: a whole number from 1 on"),
        ({"cached": 2}, "unknown change 'cached'; allowed: observe, at"),
    ],
)
def test_what_is_no_change_is_refused(changes: dict[str, Any], told: str, tmp_path: Path, one_thread: None) -> None:
    from bench.arm.changes import make_changes

    with pytest.raises(SpecError, match=told):
        make_changes(changes, tmp_path)


LIBRARY = """
from torch.utils.data import DataLoader, TensorDataset

def get_train_loader(data):
    return make(data)

def get_eval_loader(data):
    return make(data)

def make(data):
    return DataLoader(TensorDataset(data), batch_size=2)

def train(model, optimizer, data):
    loader = get_train_loader(data)
    for epoch in range(3):
        for (batch,) in loader:
            optimizer.zero_grad()
            model(batch).pow(2).mean().backward()
            optimizer.step()
        for (batch,) in get_eval_loader(data):
            float(model(batch).sum())
"""
OF_LIBRARY = """
import json, sys
sys.path.insert(0, "site-packages")
import torch
import library

model = torch.nn.Linear(3, 1)
library.train(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(8, 3))
json.dump({}, open("facts.json", "w"))
"""


def test_loaders_that_a_library_makes_in_one_line_of_the_users_are_told_apart(tmp_path: Path, processes: None) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "library.py").write_text(LIBRARY)
    _, _, seen = run(tmp_path, {"observe": True}, OF_LIBRARY)
    line = line_of(OF_LIBRARY, "library.train(")
    assert seen["observed_loader"]["at"] == f"{line} by train.get_train_loader.make"
    assert seen["observed_steps"] == 12
    assert all("get_eval_loader" in what for what in seen["observed_made"])
