"""Scripts are raced as they are: found at their loaders, held, judged by their work, kept from the user's files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from script_races import SCRIPTS, by_script, race_on

from bench.analysis.summary import summarize
from bench.engine.fleet import Fleet
from bench.engine.options import Options, Quiet
from bench.report.script_differences import script_differences

BITS = "the same batches, passes, updates and final weights, bit for bit"

# A training in the fewest lines, with a place for whatever a test changes.
TRAINING = """
import sys
import torch
from torch.utils.data import DataLoader, TensorDataset
{before}
points = torch.randn(640, 16, generator=torch.Generator().manual_seed(1))
data = TensorDataset(points, points.sum(1, keepdim=True))
loader = {loader}
model = torch.nn.Linear(16, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for epoch in range(1000):
    for x, y in {batches}:
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
{after}
"""


def write(path: Path, **parts: str) -> Path:
    usual = {"before": "", "loader": "DataLoader(data, 32, shuffle=True)", "batches": "loader", "after": ""}
    path.write_text(TRAINING.format(**{**usual, **parts}), encoding="utf-8")
    return path


def contents(folder: Path) -> Mapping[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_unlike_scripts_of_one_training_are_one_training(fleet: Fleet, tmp_path: Path) -> None:
    """By hand, with Fabric, with Trainer: unchanged, and equal bit for bit."""
    names = ("hand_written.py", "fabric_loop.py", "trainer_fit.py", "trainer_fit.py --barebones")
    before = contents(SCRIPTS)
    records = by_script(race_on(fleet, tmp_path, names, folder=SCRIPTS))
    for name in (*names, "hand_written.py#twin"):
        assert records[name].outcome == "ok", records[name].reason
        assert records[name].effective["lightning_imported"] == ("hand" not in name)
        if name != names[0]:
            assert records[name].ledger["equal"] == BITS
    assert contents(SCRIPTS) == before


def test_real_epochs_hold_what_comes_between_them(fleet: Fleet, tmp_path: Path) -> None:
    names = ("hand_written.py --epochs 100", "trainer_fit.py --epochs 100")
    run = race_on(fleet, tmp_path, names, folder=SCRIPTS, epochs=True)
    for record in by_script(run).values():
        assert record.outcome == "ok", record.reason
        assert record.turns is not None
        assert record.turns.real
        assert set(map(len, record.turns.seconds)) == {60}
    slower = by_script(run)[names[1]].turns
    assert slower is not None
    assert min(slower.end) > 0, "validation and a checkpoint are in the epoch's last step"


def test_other_work_has_no_ratio_and_is_told_and_can_be_raced_all_the_same(fleet: Fleet, tmp_path: Path) -> None:
    names = ("hand_written.py", "hand_written.py --lr 0.002", "hand_written.py --batch-size 64")
    run = race_on(fleet, tmp_path / "strict", names, folder=SCRIPTS)
    records = by_script(run)
    assert "learning rate: 0.002 throughout against the baseline's 0.001" in records[names[1]].reason
    assert "samples: " in records[names[2]].reason
    assert {records[name].outcome for name in names[1:]} == {"unequal-work"}
    told = " ".join(script_differences(summarize(run)))
    assert "--equal counts" in told
    assert "can change no file of it" in told or "no Landlock" in told
    records = by_script(race_on(fleet, tmp_path / "counts", names, folder=SCRIPTS, equal="counts"))
    assert {record.outcome for record in records.values()} == {"ok"}


def test_every_setting_that_differs_is_told(fleet: Fleet, tmp_path: Path) -> None:
    names = ("hand_written.py", "hand_written.py --precision bf16-mixed", "hand_written.py --workers 1")
    run = race_on(fleet, tmp_path, names, folder=SCRIPTS)
    records = by_script(run)
    assert {record.outcome for record in records.values()} == {"ok"}, [one.reason for one in records.values()]
    told = script_differences(summarize(run))
    assert "precision bf16-mixed against 32-true" in told[0]
    assert "loader_workers 1 against 0" in told[1]
    # One arm with workers needs all cores, and so all have them, from its first turn on.
    cores = {tuple(record.effective["cores"]) for record in records.values()}
    assert len(cores) == 1


def test_ranks_are_started_as_torchrun_starts_them(fleet: Fleet, tmp_path: Path) -> None:
    names = ("hand_written_ddp.py", "hand_written_ddp.py --slow 10")
    for record in by_script(race_on(fleet, tmp_path, names, folder=SCRIPTS, devices=2)).values():
        assert record.outcome == "ok", record.reason
        assert record.effective["devices"] == 2
        assert record.effective["strategy"] == "ddp"


@pytest.mark.parametrize(
    "parts",
    [
        {"before": "import bench", "batches": "bench.watch([(data[:32]), (data[32:64])])"},
        {"before": "import bench", "loader": "[data[:32], data[32:64]]", "batches": "bench.watch(loader)"},
        pytest.param({"batches": "iter(loader)"}, marks=pytest.mark.long),
        {"batches": "(batch for batch in loader)"},
        {"batches": "[DataLoader(data, 32)][0]"},  # built anew for each epoch
        pytest.param(
            {"loader": "DataLoader(data, 32, num_workers=1, multiprocessing_context='spawn')"}, marks=pytest.mark.long
        ),
    ],
)
def test_batches_are_found_wherever_they_come_from(parts: dict[str, str], fleet: Fleet, tmp_path: Path) -> None:
    folder = tmp_path / "user"
    folder.mkdir()
    if "spawn" in str(parts):  # a script that is imported again must have its training behind this
        text = write(folder / "train.py", **parts).read_text(encoding="utf-8").splitlines()
        text = [*text[:4], "if __name__ == '__main__':", *(f"    {line}" for line in text[4:])]
        (folder / "train.py").write_text("\n".join(text), encoding="utf-8")
    else:
        write(folder / "train.py", **parts)
    for record in by_script(race_on(fleet, tmp_path / "out", ["train.py"], folder=folder)).values():
        assert record.outcome == "ok", record.reason


def test_validation_sanity_checks_and_looks_at_batches_are_no_turns(fleet: Fleet, tmp_path: Path) -> None:
    """What is iterated before, beside and between is not the training loader."""
    folder = tmp_path / "user"
    folder.mkdir()
    before = "looks = 0"
    batches = "look(loader)"
    helper = (
        "looks = 0\n"
        "def look(loader):\n"
        "    for step, batch in enumerate(loader):\n"
        "        if step % 3 == 0:\n"
        "            with torch.no_grad():\n"
        "                for x, y in DataLoader(data, 320, generator=torch.Generator()): model(x)\n"
        "        yield batch\n"
    )
    write(folder / "train.py", before=helper, batches=batches)
    write(folder / "plain.py", before=before)
    records = by_script(race_on(fleet, tmp_path / "out", ["plain.py", "train.py"], folder=folder))
    assert records["train.py"].outcome == "ok", records["train.py"].reason
    assert records["train.py"].ledger["samples"] == records["plain.py"].ledger["samples"]


def test_frameworks_that_end_by_length_are_told_another_and_the_script_is_not(fleet: Fleet, tmp_path: Path) -> None:
    folder = tmp_path / "user"
    folder.mkdir()
    after = "assert len(loader) == 20"
    write(folder / "train.py", before="", batches="loader if len(loader) == 20 else sys.exit('not 20')", after=after)
    assert by_script(race_on(fleet, tmp_path / "out", ["train.py"], folder=folder))["train.py"].outcome == "ok"


def test_what_a_script_writes_goes_with_its_arm(fleet: Fleet, tmp_path: Path) -> None:
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "last.pt").write_bytes(b"the user's")
    (folder / "data.txt").write_text("32", encoding="utf-8")
    real = str(folder / "last.pt")
    before = (
        "size = int(open('data.txt').read())\n"
        "torch.save([1], 'last.pt')\n"
        "open('new.txt', 'w').write('x')\n"
        f"try:\n    open({real!r}, 'wb').close()\nexcept OSError as error:\n    print(error)\n"
    )
    write(folder / "train.py", before=before)
    kept = contents(folder)
    record = by_script(race_on(fleet, tmp_path / "out", ["train.py"], folder=folder))["train.py"]
    assert record.outcome == "ok", record.reason
    if "no Landlock" not in record.effective["files"]:
        assert contents(folder) == kept


@pytest.mark.long
def test_variables_are_there_from_the_interpreters_start(processes: None, tmp_path: Path) -> None:
    """So that what a library reads when it is imported counts, too; and threads are as many as they say."""
    from bench.commands.race import RaceRules, race_scripts
    from bench.plan.scripts import parse_scripts
    from bench.results.record import Record

    folder = tmp_path / "user"
    folder.mkdir()
    write(folder / "train.py", before="import os\nassert os.environ['BENCH_TEST_VARIABLE'] == 'yes'")
    variables = ["BENCH_TEST_VARIABLE=yes", "BENCH_TEST_VARIABLE=yes OMP_NUM_THREADS=2"]
    scripts = parse_scripts(["train.py"], variables, str(folder))
    run = race_scripts(scripts, {"budget": 20.0}, tmp_path / "out", Quiet(), rules=RaceRules())
    records: dict[str, Record] = by_script(run)
    threads = {label: record.effective["threads"] for label, record in records.items() if not record.twin}
    assert list(threads.values()) == [1, 2], [record.reason for record in records.values()]


@pytest.mark.long
@pytest.mark.alone
def test_a_planted_fifth_reads_as_a_fifth(fleet: Fleet, tmp_path: Path) -> None:
    options = Options(budget=120, launch=1.0, launches=6, fork_servers=1)
    names = ("hand_written.py", "hand_written.py --slow 20")
    summary = summarize(race_on(fleet, tmp_path, names, folder=SCRIPTS, options=options))
    slow = next(cell for cell in summary.cells if cell.point["script"] == names[1])
    assert slow.versus is not None, slow.reason
    low, high = slow.versus.ratio.low, slow.versus.ratio.high
    assert low is not None
    assert high is not None
    assert low - 0.02 < 1.2 < high + 0.02
    assert high - low < 0.2
