"""The ends of the logs of cells that failed, as text for a page."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import bench.borders as borders
from bench.results.record import Record
from bench.results.store import LOGS, StoredRun

# Of each log, and of how many cells: a page is read by people, and 10,000 cells may fail of one thing.
TAIL_BYTES = 4096
TAILS = 50


def cell_log_tails(run: StoredRun, chosen: Collection[str] = ()) -> Mapping[str, str]:
    """The last lines of each failed cell's log, by cell, of the first TAILS; harmless wherever text is.

    A cell with several failures has that of the last one. Read from the end, so that a log of 200 MB costs nothing. A
    log that is not there, as of a run that was copied without its logs, is "": which cells have one, the records say.

    Args:
        chosen: cells whose logs are wanted, failed or not; they come first.
    """
    last: dict[str, Record] = {}
    for record in (*run.instrumented, *run.records):
        wanted = record.cell in chosen or record.outcome not in ("ok", "noisy", "drifting")
        if record.log and wanted:
            last[record.cell] = record
    found: dict[str, str] = {}
    for cell in sorted(last, key=lambda cell: cell not in chosen):
        if len(found) == TAILS:
            break
        found[cell] = _tail(run.folder, last[cell].log)
    return found


def _tail(folder: Path, name: str) -> str:
    """Whole lines from the end of a log within the folder; "" where there is none that can be read."""
    try:
        logs, path = (folder / LOGS).resolve(), (folder / name).resolve()
        # Whoever sends a run may name any file in it; only what lies among its logs is shown.
        if not path.is_relative_to(logs) or not path.is_file():
            return ""
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
    except (OSError, ValueError):  # gone, not ours to read, or no name of a file
        return ""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    if size > len(data):
        first, line_end, rest = text.partition("\n")
        text = f"[... {size - len(data)} bytes before ...]\n{rest if line_end and rest.strip() else first}"
    return borders.terminal(text.strip("\n"))
