"""results/: the only file that knows a path. A run is one folder: run.json, records.jsonl (append-only), logs/."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from bench.errors import RunError, one_of
from bench.record import SCHEMA, SCHEMAS, Record, from_json, to_json

RUN, RECORDS, LOGS, LOCK, REPORT = "run.json", "records.jsonl", "logs", "lock", "report.html"
GATE = "gate.json"  # in a gate's folder, beside a run's folder for each of its stages
CONFIRMATIONS = "confirmations.jsonl"  # beside the runs: what races of two commits said of the history


@dataclass(frozen=True)
class Run:
    """A run read back: what was planned and seen, and every record.

    Attributes:
        folder: where it lies.
        info: run.json: id, schema, argv, options, plan, environment, started, finished, stops, timing.
        records: those of timed launches, and of cells that cannot run, in the order in which they were written.
        looks: those of looking launches. They stand apart, so that nothing that times or compares can meet one.
    """

    folder: Path
    info: dict[str, Any]
    records: tuple[Record, ...]
    looks: tuple[Record, ...] = ()

    @property
    def id(self) -> str:
        return str(self.info["run"])


class RunFolder:
    """A run's folder opened for writing, by one process at a time.

    Raises:
        RunError: it cannot be written, or another process is writing it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._lock = open(folder / LOCK, "w")  # noqa: SIM115 - held as long as the run lives
            (folder / LOGS).mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise RunError(f"{folder}: another run is writing here; wait for it or start one of its own") from None

    def write_info(self, info: dict[str, Any]) -> None:
        """Replace run.json as a whole; a reader sees the old one or the new one."""
        temporary = self.folder / f".{RUN}.{os.getpid()}"
        temporary.write_text(json.dumps({"schema": SCHEMA, **info}, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, self.folder / RUN)

    def append(self, records: Sequence[Record]) -> None:
        """Append the records of one launch with one write, and wait until they are on the disk."""
        text = "".join(json.dumps(to_json(record), separators=(",", ":")) + "\n" for record in records)
        with open(self.folder / RECORDS, "a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def repair(self) -> int:
        """Cut off a last line that a kill left half written; gives the number of bytes cut."""
        path = self.folder / RECORDS
        if not path.exists():
            return 0
        with open(path, "r+b") as file:
            return _cut_half_line(file)

    @property
    def logs(self) -> Path:
        return self.folder / LOGS

    def log(self, name: str) -> Path:
        """The log file of an arm."""
        return self.logs / f"{name}.log"

    def close(self) -> None:
        self._lock.close()


def _cut_half_line(file: IO[bytes]) -> int:
    data = file.read()
    keep = data.rfind(b"\n") + 1
    file.truncate(keep)
    return len(data) - keep


def create(out: Path) -> RunFolder:
    """A new run folder under `out`.

    Raises:
        RunError: nothing can be written there.
    """
    return RunFolder(fresh_folder(out, "results"))


def fresh_folder(out: Path, what: str) -> Path:
    """A new folder under `out`, named by UTC time and a random suffix, so that two never share one.

    Raises:
        RunError: nothing can be written there; says what was to be.
    """
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / name).mkdir()
    except OSError as error:
        raise RunError(f"{out}: {what} cannot be written there: {error.strerror}; choose another --out") from None
    return out / name


def stage(folder: Path, name: str) -> RunFolder:
    """The run folder of a stage of a gate, made if it is not there.

    Raises:
        RunError: nothing can be written there.
    """
    try:
        (folder / name).mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder / name}: cannot be written: {error.strerror}") from None
    return RunFolder(folder / name)


def write_gate(folder: Path, data: dict[str, Any]) -> None:
    """What a gate said, beside the runs of its stages."""
    (folder / GATE).write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def find(run: str | None, out: Path) -> Path:
    """The folder of a run: a path, an id under `out`, or, for None, the newest under `out`.

    Raises:
        RunError: there is none; says which there are.
    """
    runs = sorted(path.parent for path in out.glob(f"*/{RUN}")) if out.is_dir() else []
    if run is None:
        if not runs:
            raise RunError(f"no runs under {out}; `bench run` makes one")
        return max(runs, key=lambda path: path.name)
    for candidate in (Path(run), out / run):
        if (candidate / RUN).is_file():
            return candidate
        if candidate.is_dir():
            raise RunError(f"{candidate}: not a run: it holds no {RUN}")
    raise RunError(one_of("run", run, [path.name for path in runs]))


def every(out: Path) -> list[Path]:
    """The folders of all runs under `out`, oldest first.

    Raises:
        RunError: there is none.
    """
    runs = sorted((path.parent for path in out.glob(f"*/{RUN}")), key=lambda path: path.name) if out.is_dir() else []
    if not runs:
        raise RunError(f"no runs under {out}; `bench run` makes one")
    return runs


def append_confirmations(out: Path, lines: Sequence[dict[str, Any]]) -> Path:
    """Append what a race said, beside the runs, with one write."""
    path = out / CONFIRMATIONS
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    return path


def read_confirmations(out: Path) -> list[Any]:
    """What races said, oldest first, as JSON data; nothing where none was run.

    Raises:
        RunError: a line is no JSON; says which.
    """
    path = out / CONFIRMATIONS
    found: list[Any] = []
    if not path.exists():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise RunError(f"{path}:{number}: {error}") from None
    return found


def read(folder: Path) -> Run:
    """Read a run.

    Raises:
        RunError: it is not a run, truncated, or of another schema version; says where and what can be done.
    """
    try:
        info = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{folder / RUN}: not readable as a run: {error}") from None
    if not isinstance(info, dict) or "run" not in info or "plan" not in info:
        raise RunError(f"{folder / RUN}: not a run: no 'run' and 'plan' in it")
    if info.get("schema") not in SCHEMAS:
        raise RunError(f"{folder / RUN}: {one_of('schema version', info.get('schema'), SCHEMAS)}")
    records = _read_records(folder / RECORDS)
    timed = tuple(record for record in records if not record.looking)
    return Run(folder, info, timed, tuple(record for record in records if record.looking))


def _read_records(path: Path) -> list[Record]:
    if not path.exists():
        return []
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        raise RunError(f"{path}: truncated: its last line is half written; `bench run --resume` cuts it and goes on")
    records = []
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        try:
            records.append(from_json(json.loads(line)))
        except (json.JSONDecodeError, RunError) as error:
            raise RunError(f"{path}:{number}: {error}") from None
    return records
