"""Named runs: `results/baselines/NAME/` holds a copy of the run's record, so it outlives the run. No torch, no pandas.

Beside the copy stand the checksums of what was copied; a baseline that was changed since is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import store
from bench.errors import RunError, one_of

SCHEMA = 1
FOLDER, FILE = "baselines", "baseline.json"
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
COPIED = (store.RUN, store.RECORDS)


@dataclass(frozen=True)
class Baseline:
    """A named run: when it was named, the run's id, the folder of the copy, and SHA-256 by file."""

    name: str
    run: str
    saved: str
    folder: Path
    checksums: dict[str, str]


def save(name: str, run: store.Run, out: Path) -> Baseline:
    """Name a run; what is compared later is the copy.

    Raises:
        RunError: the name is taken or none, the run is not finished or has no records, or nothing can be written.
    """
    if not NAME.match(name):
        raise RunError(f"baseline {name!r} is not of the form {NAME.pattern}")
    folder = out / FOLDER / name
    if folder.exists():
        raise RunError(f"baseline {name!r} is there already; `bench baseline delete {name}` makes room")
    if not run.info.get("finished"):
        raise RunError(f"{run.folder}: not finished; a baseline is a whole run")
    if not run.records:
        raise RunError(f"{run.folder}: nothing was measured in it")
    temporary = out / FOLDER / f".{name}.{secrets.token_hex(2)}"
    try:
        temporary.mkdir(parents=True)
        for file in COPIED:
            shutil.copyfile(run.folder / file, temporary / file)
        checksums = {file: _checksum(temporary / file) for file in COPIED}
        saved = datetime.now(UTC).isoformat(timespec="seconds")
        data = {"schema": SCHEMA, "name": name, "run": run.id, "saved": saved, "sha256": checksums}
        (temporary / FILE).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise RunError(f"{folder}: cannot be written: {error.strerror}") from None
    return Baseline(name, run.id, saved, folder, checksums)


def listed(out: Path) -> list[Baseline]:
    """All baselines by name.

    Raises:
        RunError: one of them is not readable.
    """
    return [_read(path.parent) for path in sorted((out / FOLDER).glob(f"[!.]*/{FILE}"))]


def delete(name: str, out: Path) -> None:
    """Raises:
    RunError: there is none of that name; says which there are.
    """
    folder = _folder(name, out)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise RunError(f"{folder}: cannot be deleted: {error.strerror}") from None


def resolve(text: str, out: Path) -> store.Run:
    """The baseline of that name, else the run of that id or folder.

    Raises:
        RunError: there is neither, or it is not readable, or not as it was saved.
    """
    folder = out / FOLDER / text
    if not (NAME.match(text) and folder.is_dir()):
        return store.read(store.find(text, out))
    baseline = _read(folder)
    for file, checksum in baseline.checksums.items():
        path = folder / file
        if not path.is_file() or _checksum(path) != checksum:
            raise RunError(f"{path}: not as it was when baseline {text!r} was saved; it is not used")
    return store.read(folder)


def _folder(name: str, out: Path) -> Path:
    folder = out / FOLDER / name
    if not (NAME.match(name) and folder.is_dir()):
        raise RunError(one_of("baseline", name, [path.parent.name for path in (out / FOLDER).glob(f"[!.]*/{FILE}")]))
    return folder


def _read(folder: Path) -> Baseline:
    path = folder / FILE
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise RunError(f"{path}: {one_of('schema version', data['schema'], (SCHEMA,))}")
        return Baseline(data["name"], data["run"], data["saved"], folder, dict(data["sha256"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not readable as a baseline: {error}") from None


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
