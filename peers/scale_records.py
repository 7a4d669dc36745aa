"""A made-up run of any number of records, as large as real ones, and what it takes to read, show and report it.

`python -m peers.scale_records --cells 1000 --launches 100` is 100,000 records; `peers.scale` calls it.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.analysis.synthetic import synthetic_run
from bench.results import store
from bench.results.record import Record
from bench.results.turns import Turns

# As a launch of `overhead` at its default budget has them: 246 steps of each arm, 4.5 to 10 kB a record.
ROUNDS, STEPS, COLD = 8, 24, 8
_DRAWN = random.Random(1)
SCATTER = tuple(_DRAWN.lognormvariate(0, 0.02) for _ in range(100_003))  # of steps, one after another
AT_ONCE = 1000  # records that are appended together


@dataclass(frozen=True)
class Cost:
    """What a command took: wall seconds, the most memory it had at once, in bytes."""

    what: str
    seconds: float
    memory: int


def whole(record: Record, generator: random.Random) -> Record:
    """The record with all that a real one has: settings that were read back, a ledger, the seconds of every step."""
    assert record.turns is not None
    step = record.turns.opening[0]
    begin = generator.randrange(len(SCATTER) - STEPS * ROUNDS)
    taken = [round(step * factor, 9) for factor in SCATTER[begin : begin + STEPS * ROUNDS]]
    seconds = tuple(tuple(taken[first : first + STEPS]) for first in range(0, STEPS * ROUNDS, STEPS))
    numbers = tuple(range(ROUNDS))
    spent = tuple(round(sum(turn), 9) for turn in seconds)
    turns = Turns(
        round=numbers,
        position=(record.order,) * ROUNDS,
        cpu=spent,
        involuntary=(0,) * ROUNDS,
        faults=(14,) * ROUNDS,
        stolen=(0.01,) * ROUNDS,
        fetching=tuple(value / 16 for value in spent),
        began=tuple(12 + STEPS * number for number in numbers),
        resident=(381_272_064,) * ROUNDS,
        seconds=seconds,
        cold=COLD,
    )
    digest = f"{generator.getrandbits(256):064x}"
    steps = 16 + ROUNDS * STEPS
    ledger = {
        "steps": steps,
        "samples": 32 * steps,
        "smallest_batch": 32,
        "largest_batch": 32,
        "declared_samples": 32,
        "samples_digest": "6a7c9f91",
        "initial_weights": "89637c18597fc7ad435e94d43e299a423da933ba18578c3aadff4d4a9bb766d9",
        "final_weights": digest,
        "audited": 8,
        "forward": 8,
        "backward": 8,
        "optimizer_updates": steps,
        "losses": [generator.uniform(0.01, 0.1) for _ in range(8)],
        "nonzero_gradients": 1.0,
        "audited_updates": 8,
        "audited_changes": 8,
        "optimizers": ["Adam"],
        "learning_rates": [0.001] * 8,
        "faults": [],
        "validation_declared": True,
        "validation_batches": 0,
        "validation_losses": [],
        "equal": "the same batches, passes, updates and final weights, bit for bit",
    }
    effective = {
        **record.effective,
        **{name: False for name in ("autocast", "cudnn_benchmark", "deterministic", "anomaly_detection", "pin_memory")},
        **{f"setting_{number}": "as it was asked for" for number in range(16)},
    }
    return replace(
        record,
        turns=turns,
        ledger=ledger,
        effective=effective,
        requested=effective,
        warmup=tuple(round(step, 9) for _ in range(50)),
        memory={"peak_memory_host": 381_272_064, "start_memory_host": 320_000_000},
        ready=0.05,
        launch_seconds=3.4,
        cores=(1,),
        started="2026-11-26T12:00:00+00:00",
        log=f"logs/{record.cell}-{record.launch}.log",
    )


def write(folder: Path, cells: int, launches: int) -> int:
    """Write a run of so many cells and launches; gives the size of its records in bytes."""
    run = synthetic_run(cells, launches)
    generator = random.Random(0)
    opened = store.RunFolder(folder)
    opened.write_info({**run.info, "finished": "2026-11-26T12:00:00+00:00"})
    for records in _batches([*run.records]):
        opened.append([whole(record, generator) for record in records])
    opened.close()
    return (folder / store.RECORDS).stat().st_size


def _batches(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for first in range(0, len(records), AT_ONCE):
        yield records[first : first + AT_ONCE]


def costs(folder: Path, what: Sequence[str] = ("read", "show", "report")) -> Iterator[Cost]:
    """What reading the run takes, and the commands that print it; each in a process of its own."""
    reading = "import sys; from pathlib import Path; from bench.results import store; store.read_run(Path(sys.argv[1]))"
    commands = {
        "read": ["-c", reading, str(folder)],
        "show": ["-m", "bench", "show", str(folder)],
        "report": ["-m", "bench", "report", str(folder)],
    }
    for name in what:
        began = time.monotonic()
        child = subprocess.Popen([sys.executable, *commands[name]], stdout=subprocess.DEVNULL, env=dict(os.environ))
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"{name} ended with {child.returncode}")
        yield Cost(name, time.monotonic() - began, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def main() -> None:
    parser = argparse.ArgumentParser(prog="peers.scale_records", description=__doc__)
    parser.add_argument("--cells", type=int, default=1000, help="a multiple of 4; default: 1000")
    parser.add_argument("--launches", type=int, default=100, help="default: 100")
    parser.add_argument("--keep", type=Path, help="the folder to write to, and keep; one that is there is read only")
    parser.add_argument("--what", default="read,show,report", help="default: read,show,report")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale-") as scratch:
        folder = asked.keep or Path(scratch) / "made-up"
        if not (folder / store.RUN).exists():
            folder.mkdir(parents=True, exist_ok=True)
            began = time.monotonic()
            size = write(folder, asked.cells, asked.launches)
            count = asked.cells * asked.launches
            print(
                f"{count} records, {size} bytes, {size / count:.0f} a record; {time.monotonic() - began:.1f} s to write"
            )
        for cost in costs(folder, asked.what.split(",")):
            print(f"{cost.what}: {cost.seconds:.1f} s, {cost.memory / 1e6:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
