"""results/: the only file that knows a path. A run is one folder: run.json, records.jsonl (append-only), logs/."""

from __future__ import annotations

import os
import re
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.borders import LONGEST_NAME, json_text
from bench.errors import RunError, one_of, quote
from bench.results import chain, decoding, files, run_info
from bench.results.chain import Anchor
from bench.results.record import RECORD_SCHEMA, Record, decode_line, encode_record
from bench.results.record_sharing import RecordSharing

RUN, RECORDS, LOGS, LOCK = "run.json", "records.jsonl", "logs", "lock"
ANCHOR = "records.anchor"  # where the chain of the records stands, after every append
GATE = "gate.json"  # in a gate's folder, beside a run's folder for each of its stages
CONFIRMATIONS = "confirmations.jsonl"  # beside the runs: what races of two commits said of the history

# A clock that was once in the future has named a run that would be the newest for ever.
AHEAD = timedelta(days=1)
_STAMP = "%Y%m%d-%H%M%S"
RUN_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class StoredRun:
    """A run read back: what was planned and seen, and every record.

    Attributes:
        folder: where it lies.
        info: run.json, with every key of `bench.results.run_info.RunInfo`.
        records: those of timed launches, and of cells that cannot run, in the order in which they were written.
        instrumented: those of instrumented launches. They stand apart, so that nothing that times can meet one.
        broken: sentences on what is not as it was written, each beginning with the file's name; whoever joins such a
            run to something refuses it.
        covered: whether a chained digest covers all records; those of older versions have none.
    """

    folder: Path
    info: dict[str, Any]
    records: tuple[Record, ...]
    instrumented: tuple[Record, ...] = ()
    broken: tuple[str, ...] = ()
    covered: bool = False

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
        self._anchor: Anchor | None = None  # read when something is written
        try:
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise files.unwritable(folder, error) from None
        if not files.try_lock(self._lock):
            self.close()
            raise RunError(f"{folder}: another run is writing here; wait for it or start one of its own")
        try:
            (folder / LOGS).mkdir(exist_ok=True)
        except OSError as error:
            self.close()
            raise files.unwritable(folder, error) from None

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Replace run.json as a whole; a reader sees the old one or the new one.

        Raises:
            RunError: it is none, or cannot be written.
        """
        path = self.folder / RUN
        whole = run_info.complete_run_info({**info, "schema": RECORD_SCHEMA, "records": asdict(self._standing())})
        if whole["digests"] is None:
            whole["digests"] = {"options": run_info.options_digest(whole["options"]), "files": {}}
        run_info.check_run_info(whole, path)
        files.write_aside(path, _text(path, whole, indent=1) + "\n")

    def append(self, records: Sequence[Record]) -> None:
        """Append the records of one launch with one write, and wait until they are on the disk.

        Raises:
            RunError: a number is not finite, or they cannot be written; then none of them is.
        """
        if not records:
            return
        path = self.folder / RECORDS
        bodies = [_text(path, encode_record(record)) for record in records]
        text, anchor = chain.seal_lines(bodies, self._standing())
        files.append(path, text)
        self._anchor = anchor
        files.write_aside(self.folder / ANCHOR, json_text(asdict(anchor)) + "\n")

    def _standing(self) -> Anchor:
        path = self.folder / RECORDS
        if self._anchor is None:
            lines = files.read_lines(path) if path.exists() else ()
            self._anchor = chain.anchor(next(iter(deque(chain.links(lines, path), 1)), None))
        return self._anchor

    def repair(self) -> int:
        """Cut off a last line that a kill left half written; gives the number of bytes cut."""
        path = self.folder / RECORDS
        if not path.exists():
            return 0
        data = files.read_bytes(path)
        keep = data.rfind(b"\n") + 1
        if keep < len(data):
            try:
                os.truncate(path, keep)
            except OSError as error:
                raise files.unwritable(path, error) from None
        return len(data) - keep

    @property
    def logs(self) -> Path:
        return self.folder / LOGS

    def log(self, name: str) -> Path:
        """The log file of an arm."""
        return self.logs / f"{name}.log"

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _text(path: Path, value: Any, indent: int | None = None) -> str:
    """Raises:
    RunError: a number in it is not finite.
    """
    try:
        return json_text(value, indent=indent)
    except ValueError as error:
        raise RunError(f"{path}: cannot be written: {error}") from None


def create(out: Path, name: str = "") -> RunFolder:
    """A new run folder under `out`.

    Args:
        name: of the folder, which may be there where its run was stopped before it wrote anything; "": a fresh one.

    Raises:
        RunError: nothing can be written there, it is no name of a run, or there is a run of that name.
    """
    if not name:
        return RunFolder(fresh_folder(out, "results"))
    if not RUN_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise RunError(
            f"run {quote(name)} is no name of a run; allowed: a time, by which runs are sorted, and a suffix of "
            "letters, digits, dots and dashes, e.g. 20261126-153000-first"
        )
    if _there(out / name / RUN):
        raise RunError(f"{out / name}: a run is there already; to go on with it: bench run --resume {out / name}")
    return stage(out, name)


def fresh_folder(out: Path, what: str) -> Path:
    """A new folder under `out`, named by UTC time and a random suffix, so that two never share one.

    Raises:
        RunError: nothing can be written there; says what was to be.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        while True:
            folder = out / f"{datetime.now(UTC):{_STAMP}}-{secrets.token_hex(2)}"
            with suppress(FileExistsError):  # another process drew the same suffix in the same second
                folder.mkdir()
                return folder
    except OSError as error:
        raise RunError(f"{out}: {what} cannot be written there: {error.strerror}; choose another --out") from None


def stage(folder: Path, name: str) -> RunFolder:
    """The run folder of that name, as of a stage of a gate, made if it is not there.

    Raises:
        RunError: nothing can be written there.
    """
    try:
        (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.unwritable(folder / name, error) from None
    return RunFolder(folder / name)


def write_gate(folder: Path, data: Mapping[str, Any]) -> None:
    """What a gate said, beside the runs of its stages.

    Raises:
        RunError: a number is not finite, or it cannot be written.
    """
    files.write_aside(folder / GATE, _text(folder / GATE, data, indent=1) + "\n")


def find_folder(run: str | None, out: Path) -> Path:
    """The folder of a run: a path, an id under `out`, or, for None, the newest under `out`.

    The newest is the one with the latest name; names that lie more than a day ahead of the clock are left out
    (`ahead` says which), unless there are no others.

    Raises:
        RunError: there is none; says which there are.
    """
    if run is None:
        runs = every(out)
        late = set(ahead(runs))
        return [path for path in runs if path not in late][-1] if len(late) < len(runs) else runs[-1]
    for candidate in (Path(run), out / run):
        if _there(candidate / RUN):
            return candidate
        if _is_folder(candidate):
            raise RunError(f"{candidate}: not a run: it holds no {RUN}")
    raise RunError(one_of("run", run, [path.name for path in _runs(out)]))


def every(out: Path) -> list[Path]:
    """The folders of all runs under `out`, oldest first.

    Raises:
        RunError: there is none.
    """
    runs = _runs(out)
    if not runs:
        raise RunError(f"no runs under {out}; `bench run` makes one")
    return runs


def ahead(runs: Sequence[Path]) -> list[Path]:
    """Those whose names are of a time more than a day from now: a clock was wrong when they were made."""
    limit = datetime.now(UTC) + AHEAD
    return [path for path in runs if (named := _named(path)) is not None and named > limit]


def _named(path: Path) -> datetime | None:
    """The time that a run's name tells, or None."""
    try:
        return datetime.strptime(path.name[:15], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _runs(out: Path) -> list[Path]:
    try:
        inside = [path for path in out.iterdir() if _there(path / RUN)] if out.is_dir() else []
    except OSError as error:
        raise RunError(f"{out}: cannot be read: {error.strerror}") from None
    return sorted(inside, key=lambda path: path.name)


def _there(path: Path) -> bool:
    """Whether there is anything of that name, readable or not."""
    try:
        return os.path.lexists(path)
    except ValueError:  # a name with a NUL
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or has a NUL
        return False


def append_confirmations(out: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    """Append what a race said, beside the runs, with one write.

    Raises:
        RunError: it cannot be written.
    """
    path = out / CONFIRMATIONS
    files.append(path, "".join(_text(path, line) + "\n" for line in lines))
    return path


def read_confirmations(out: Path) -> list[tuple[str, bytes]]:
    """What races said, oldest first: file and line, and the JSON that stands there; nothing where none was run.

    Raises:
        RunError: the file cannot be read.
    """
    path = out / CONFIRMATIONS
    if not path.exists():
        return []
    return [
        (f"{path}:{number}", line)
        for number, line in enumerate(files.read_bytes(path).rstrip().split(b"\n"), 1)
        if line
    ]


def read_run(folder: Path) -> StoredRun:
    """Read a run.

    Raises:
        RunError: it is not a run, truncated, or of another schema version; says where and what can be done.
    """
    info = run_info.decode_run_info(files.read_bytes(folder / RUN), folder / RUN)
    path = folder / RECORDS
    lines = files.read_lines(path) if _there(path) else iter(())
    if _there(path) and not files.ends_whole(path):
        raise RunError(f"{path}: truncated: its last line is half written; `bench run --resume` cuts it and goes on")
    found: list[chain.Link] = []
    records: list[tuple[str, Record]] = []
    sharing = RecordSharing()
    # Line by line: a run of 100,000 records is half a gigabyte, which need not be there twice.
    for link in chain.links(lines, path):
        where = f"{path}:{link.number}"
        records.append((where, sharing.share(_record(link, where))))
        found.append(replace(link, body=b""))
    run_info.check_records(info, records)
    anchors = _anchors(folder, info)
    faults = [f"{RECORDS}: {sentence}" for sentence in chain.broken_links(found, anchors)]
    digests = info["digests"]
    if digests is not None and digests["options"] != run_info.options_digest(info["options"], info["schema"]):
        faults.append(f"{RUN}: the options are not those that the run was made with")
    return StoredRun(
        folder,
        info,
        tuple(record for _, record in records if not record.instrumented),
        tuple(record for _, record in records if record.instrumented),
        tuple(faults),
        bool(anchors),
    )


def intact(run: StoredRun) -> StoredRun:
    """The run, if it is as it was written.

    Raises:
        RunError: it is not; says where.
    """
    if told := damage(run):
        raise RunError(told)
    return run


def damage(run: StoredRun) -> str:
    """In one line, what of a run is not as it was written; "" where nothing."""
    first, *more = run.broken or ("",)
    return first and f"{run.folder}/{first}" + (f" (and {len(more)} more of this kind)" if more else "")


def _record(link: chain.Link, where: str) -> Record:
    if not link.written and (name := decoding.twice(link.body)) is not None:
        raise RunError(f"{where}: the key {name!r} is there twice in one object")
    return decode_line(link.body, where)


def _anchors(folder: Path, info: Mapping[str, Any]) -> list[Anchor]:
    """Where the chain stood, as run.json and the file beside it have it."""
    found = [Anchor(**info["records"])] if info["records"] is not None else []
    path = folder / ANCHOR
    return [*found, decoding.decode(Anchor, files.read_bytes(path), path)] if _there(path) else found
