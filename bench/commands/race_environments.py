"""Two or more environments raced on this machine, now: `bench versions`. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.commands import environments
from bench.commands.run import Measurement, chosen_options, measure_cells
from bench.commands.selection import Selection, planned_sides
from bench.engine.options import Progress
from bench.results.store import StoredRun


def race_environments(
    sides: Sequence[str],
    requirements: Sequence[str],
    selection: Selection,
    given: Mapping[str, Any],
    out: Path,
    progress: Progress,
    *,
    command: Sequence[str],
) -> StoredRun:
    """Race environments against the first of them.

    Args:
        sides: requirements, folders, `git:COMMIT`, the baseline first.
        requirements: of all sides.
        given: options by the names of `Options`.
        command: what the user wrote, for run.json.

    Raises:
        SpecError: fewer than two sides, or texts that name none, or the selection is wrong.
        BenchError: an environment cannot be built.
    """
    wishes = environments.parse_sides(sides, requirements)
    names = [wish.name for wish in wishes]
    plan, files, length = planned_sides(selection, names, progress.note)
    options = chosen_options(given)
    progress.note(f"baseline {names[0]}" + (f"; {length}" if length else ""))
    with environments.ready_sides(wishes, progress) as ready:
        return measure_cells(
            Measurement(plan, environments.side_files(files, ready), options, ready), out, progress, command=command
        )
