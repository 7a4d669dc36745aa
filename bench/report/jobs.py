"""What became of jobs, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.borders import one_line
from bench.commands.submit import TaskStatus
from bench.report.text_layout import align_rows

HEADINGS = ("job", "state", "nodes", "run", "records", "outcome", "reason")


def jobs_table(statuses: Sequence[TaskStatus]) -> str:
    """A line a task; then where the logs lie of those that failed."""
    rows = [list(HEADINGS)]
    for status in statuses:
        rows.append(
            [
                job_words(status),
                status.state,
                one_line(status.nodes) or "–",
                str(status.run),
                str(status.records),
                outcome_words(status) or "–",
                one_line(status.reason) or "–",
            ]
        )
    lines = align_rows(rows, left=range(len(HEADINGS)))
    lines += [f"log of {job_words(status)}: {status.log}" for status in statuses if status.state == "failed"]
    lines += [
        f"to go on with it: bench run --resume {status.run}"
        for status in statuses
        if status.state in ("cancelled", "timeout", "node-fail", "failed") and status.records
    ]
    return "\n".join(line.rstrip() for line in lines)


def job_words(status: TaskStatus) -> str:
    """A task by its job's name, its number at Slurm, and its place in an array."""
    place = f" {status.task}/{status.tasks}" if status.tasks > 1 else ""
    return f"{status.job}{place} ({status.slurm or 'no number'})"


def outcome_words(status: TaskStatus) -> str:
    """How many records have which outcome, the good ones first."""
    found = sorted(status.outcomes.items(), key=lambda item: (item[0] != "ok", item[0]))
    return ", ".join(f"{number} {outcome}" for outcome, number in found)


def jobs_document(statuses: Sequence[TaskStatus]) -> dict[str, Any]:
    """The same for programs."""
    plain = [{**vars(status), "run": str(status.run), "log": str(status.log)} for status in statuses]
    return {"jobs": plain}
