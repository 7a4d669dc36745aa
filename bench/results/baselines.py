"""Named runs: `results/baselines/NAME/` holds a copy of the run's record, so it outlives the run. No torch, no pandas.

Beside the copy stand the checksums of what was copied; a baseline that was changed since is refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bench.borders import LONGEST_NAME, json_text
from bench.errors import RunError, one_of
from bench.results import decoding, files, store
from bench.results.record import NonEmpty
from bench.results.run_info import Digest, timestamp

BASELINE_SCHEMA: Literal[1] = 1
FOLDER, FILE = "baselines", "baseline.json"
BASELINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
COPIED_FILES = (store.RUN, store.RECORDS)


@dataclass(frozen=True)
class Baseline:
    """A named run: when it was named, the run's id, the folder of the copy, and SHA-256 by file."""

    name: str
    run: str
    saved: str
    folder: Path
    checksums: Mapping[str, str]


@dataclass(frozen=True)
class BaselineFile:
    """baseline.json."""

    schema: Literal[1]
    name: NonEmpty
    run: NonEmpty
    saved: str
    sha256: Mapping[str, Digest]


def save_baseline(name: str, run: store.StoredRun, out: Path) -> Baseline:
    """Name a run; what is compared later is the copy.

    Raises:
        RunError: the name is taken or none, the run is not finished or has no records, or nothing can be written.
    """
    if not BASELINE_NAME.fullmatch(name):
        raise RunError(f"baseline {name!r} is not of the form {BASELINE_NAME.pattern}")
    if len(name) > LONGEST_NAME:
        raise RunError(f"baseline {name[:20]}…: a name of {len(name)} characters; allowed: up to {LONGEST_NAME}")
    folder = out / FOLDER / name
    if folder.exists():
        raise RunError(f"baseline {name!r} is there already; `bench baseline delete {name}` makes room")
    store.intact(run)
    if not run.info.get("finished"):
        raise RunError(f"{run.folder}: not finished; a baseline is a whole run")
    if not run.records:
        raise RunError(f"{run.folder}: nothing was measured in it")
    saved = timestamp()
    contents = {file: files.read_bytes(run.folder / file) for file in COPIED_FILES}
    checksums = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    with files.new_folder(folder) as aside:
        for file, content in contents.items():
            files.write_aside(aside / file, content)
        about = BaselineFile(schema=BASELINE_SCHEMA, name=name, run=run.id, saved=saved, sha256=checksums)
        files.write_aside(aside / FILE, json_text(asdict(about), indent=1) + "\n")
        store.intact(store.read_run(aside))
    return Baseline(name, run.id, saved, folder, checksums)


def list_baselines(out: Path) -> tuple[list[Baseline], list[str]]:
    """All baselines by name, and why others cannot be read."""
    found, unread = [], []
    for path in sorted((out / FOLDER).glob(f"[!.]*/{FILE}")):
        try:
            found.append(_read(path.parent))
        except RunError as error:
            unread.append(str(error))
    return found, unread


def delete(name: str, out: Path) -> None:
    """Raises:
    RunError: there is none of that name; says which there are.
    """
    folder = _folder(name, out)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise RunError(f"{folder}: cannot be deleted: {error.strerror}") from None


def find_run(text: str | None, out: Path) -> store.StoredRun:
    """The baseline of that name, else the run of that id or folder; for None, the newest run.

    Raises:
        RunError: there is neither, or it is not readable, or not as it was saved.
    """
    if text is None:
        return as_saved(store.find_folder(None, out))
    folder = out / FOLDER / text
    named = _is_name(text) and folder.is_dir()
    return as_saved(folder if named else store.find_folder(text, out))


def as_saved(folder: Path) -> store.StoredRun:
    """The run in a folder; where it is that of a baseline, by name or by path, it is as it was saved.

    Raises:
        RunError: it is not readable, or not as it was saved.
    """
    if not os.path.lexists(folder / FILE):
        return store.read_run(folder)
    baseline = _read(folder)
    for file, checksum in baseline.checksums.items():
        path = folder / file
        if hashlib.sha256(files.read_bytes(path)).hexdigest() != checksum:
            raise RunError(f"{path}: not as it was when baseline {baseline.name!r} was saved; it is not used")
    run = store.read_run(folder)
    if run.id != baseline.run:
        raise RunError(f"{folder / FILE}: $.run: {baseline.run!r}, but the run beside it is {run.id!r}")
    return run


def _folder(name: str, out: Path) -> Path:
    folder = out / FOLDER / name
    if not (_is_name(name) and folder.is_dir()):
        raise RunError(one_of("baseline", name, [path.parent.name for path in (out / FOLDER).glob(f"[!.]*/{FILE}")]))
    return folder


def _is_name(text: str) -> bool:
    return BASELINE_NAME.fullmatch(text) is not None and len(text) <= LONGEST_NAME


def _read(folder: Path) -> Baseline:
    path = folder / FILE
    found = decoding.decode(BaselineFile, files.read_bytes(path), f"{path}: not readable as a baseline", whole=True)
    if sorted(found.sha256) != sorted(COPIED_FILES):
        there = ", ".join(sorted(found.sha256)) or "none"
        raise RunError(f"{path}: checksums of {there}; it must be those of {', '.join(COPIED_FILES)}")
    if found.name != folder.name:
        raise RunError(f"{path}: it is of baseline {found.name!r}, and lies in a folder named {folder.name!r}")
    return Baseline(found.name, found.run, found.saved, folder, found.sha256)
