"""What the scripts of a race did otherwise than the first of them: told beside the ratios, and judged by nobody."""

from __future__ import annotations

from typing import Any

from bench.analysis.estimates import CellSummary
from bench.analysis.summary import Summary
from bench.borders import one_line
from bench.engine.equal_settings import COUNTED_SETTINGS
from bench.plan.scripts import RACE

# Settings that follow from which packages a script imports, and those that are no settings.
NOT_TOLD = frozenset(
    {
        *COUNTED_SETTINGS,
        *("script", "files", "cores", "lightning", "lightning_imported", "pandas_imported", "torch_xla_imported"),
    }
)
OTHER_WORK = (
    "to race other work: --equal counts (as many passes and updates a step, with the ratio a sample), --equal samples "
    "(the same batches), or --equal none"
)


def script_differences(summary: Summary) -> list[str]:
    """A sentence for each script of a race whose settings or work are not the baseline's."""
    scripts = [cell for cell in summary.cells if cell.suite == RACE and not cell.twin]
    if not scripts:
        return []
    base, *others = scripts
    told = [_settings(cell, base) for cell in others if base.effective and cell.effective]
    unequal = [one_line(str(cell.point["script"])) for cell in others if cell.outcome == "unequal-work"]
    if unequal:
        told.append(f"Other work in {', '.join(unequal)}; {OTHER_WORK}.")
    files = str(base.effective.get("files", ""))
    told.append(f"{files[:1].upper()}{files[1:]}." if files else "")
    return [sentence for sentence in told if sentence]


def _settings(cell: CellSummary, base: CellSummary) -> str:
    mine, theirs = cell.effective, base.effective
    found = [
        f"{name} {_told(mine.get(name))} against {_told(theirs.get(name))}"
        for name in dict.fromkeys((*theirs, *mine))
        if name not in NOT_TOLD and not name.startswith("observed_") and mine.get(name) != theirs.get(name)
    ]
    names = one_line(str(cell.point["script"])), one_line(str(base.point["script"]))
    return f"{names[0]} ran under other settings than {names[1]}: {'; '.join(found)}." if found else ""


def _told(value: Any) -> str:
    return "none" if value is None else one_line(str(value))
