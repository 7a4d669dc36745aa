"""What the index says of a page, kept as a small JSON file beside it, so that no record is read for the index."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bench.analysis.summary import Summary
from bench.borders import json_text
from bench.errors import RunError
from bench.report.sentences import headlines
from bench.results import decoding, files, run_info, store
from bench.results.store import StoredRun

ABOUT_SCHEMA: Literal[1] = 1


@dataclass(frozen=True)
class AboutPage:
    """A page, in the words of the index.

    Attributes:
        runs: ids; several of a page that has them side by side.
        started: of the first run, as run.json has it.
        suites: names.
        headline: the first sentence of the answer, or "".
        outcomes: how many cells came to what; of a run whose page was not made: how many are planned.
        commit, machine: of the run, as far as it says; "" where several differ.
        digest: of the run as it was when the page was made (`run_digest`); "" of several runs.
    """

    schema: Literal[1]
    runs: tuple[str, ...]
    started: str
    suites: tuple[str, ...]
    headline: str
    outcomes: Mapping[str, int]
    commit: str
    machine: str
    digest: str = ""


def run_digest(folder: Path) -> str:
    """Of run.json and of where the chain of the records stood: other once the run was gone on with.

    Raises:
        RunError: one of them cannot be read.
    """
    found = hashlib.sha256(files.read_bytes(folder / store.RUN))
    if os.path.lexists(folder / store.ANCHOR):
        found.update(files.read_bytes(folder / store.ANCHOR))
    return found.hexdigest()


def about_run(run: StoredRun, summary: Summary) -> AboutPage:
    """Of a run whose page is made now.

    Raises:
        RunError: its files cannot be read any more.
    """
    outcomes: dict[str, int] = {}
    for cell in summary.cells:
        outcomes[cell.outcome] = outcomes.get(cell.outcome, 0) + 1
    told = next(iter(headlines(summary)), "")
    return _about(run, told, outcomes, run_digest(run.folder))


def about_folder(folder: Path) -> AboutPage:
    """Of a run that has no page, by its run.json alone.

    Raises:
        RunError: that cannot be read, or the last record is half written.
    """
    info = run_info.decode_run_info(files.read_bytes(folder / store.RUN), folder / store.RUN)
    records = folder / store.RECORDS
    if os.path.lexists(records) and not files.ends_whole(records):
        raise RunError(f"{records}: truncated: its last line is half written; `bench run --resume` cuts it and goes on")
    return _about(StoredRun(folder, info, ()), "", {"planned": len(info["plan"]["cells"])}, "")


def _about(run: StoredRun, headline: str, outcomes: Mapping[str, int], digest: str) -> AboutPage:
    started, commit = str(run.info.get("started") or ""), str((run.info.get("environment") or {}).get("commit") or "")
    machine = machine_words(run)
    suites = tuple(run.info["plan"]["suites"])
    return AboutPage(ABOUT_SCHEMA, (run.id,), started, suites, headline, outcomes, commit, machine, digest)


def machine_words(run: StoredRun) -> str:
    """The processor and how many cores, or ""."""
    found = run.info.get("environment") or {}
    return ", ".join([str(found["cpu"]), f"{found['cores']} cores"]) if {"cpu", "cores"} <= set(found) else ""


def write_about(path: Path, about: AboutPage) -> None:
    """Raises:
    RunError: it cannot be written.
    """
    files.write_aside(path, json_text(asdict(about), indent=1) + "\n")


def read_about(path: Path) -> AboutPage | None:
    """What is kept; None where there is nothing that can be read, since it can be made again."""
    try:
        return decoding.decode(AboutPage, files.read_bytes(path), path, whole=True)
    except RunError:
        return None
