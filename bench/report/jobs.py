"""What became of jobs, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.borders import one_line
from bench.commands.submit import TaskStatus
from bench.report.text_layout import align_rows, titled_list

# States of a job whose run may have something left to measure.
ENDED_EARLY = ("cancelled", "timeout", "node-fail", "failed")
HEADINGS = ("job", "state", "records", "outcome", "nodes")


def jobs_table(statuses: Sequence[TaskStatus]) -> str:
    """A line a task; then why those wait that wait, where each measures, and what one can do."""
    rows = [HEADINGS, *(_row(status) for status in statuses)]
    told = [f"{job_words(status)}: {status.reason}" for status in statuses if status.reason]
    lines = [*align_rows(rows, left=(0, 1, 3, 4)), "", *titled_list("Reasons:", told)]
    for status in statuses:
        lines.append(f"run of {job_words(status)}: {one_line(str(status.run))}")
        if status.state == "failed":
            lines.append(f"  its log: {one_line(str(status.log))}")
        if status.state in ENDED_EARLY and status.records:
            lines.append(f"  to go on with it: bench run --resume {one_line(str(status.run))}")
    return "\n".join(lines)


def _row(status: TaskStatus) -> Sequence[str]:
    return (job_words(status), status.state, str(status.records), outcome_words(status) or "–", status.nodes or "–")


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
