"""What a run answers to its `--until`, from run.json and the records alone. No pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.analysis.drift import drifts_of_cells
from bench.errors import RunError, SpecError
from bench.results.record import Record
from bench.stats.conditions import Answer, answers_of, questions_of
from bench.stats.drift import drift_reason


def until_answers(info: Mapping[str, Any], records: Sequence[Record]) -> tuple[Answer, ...]:
    """The answers, one a condition and group; none where nothing was asked.

    Args:
        info: run.json.

    Raises:
        RunError: the conditions in it are none of its plan.
    """
    try:
        questions = questions_of(info.get("options", {}).get("until"), info["plan"])
    except SpecError as error:
        raise RunError(f"$.options.until: {error}") from None
    if not questions:
        return ()
    baselines = {cell["id"]: cell["baseline"] for cell in info["plan"]["cells"]}
    drifts = drifts_of_cells([records], baselines)
    spoiled = {cell: f"{cell} is drifting: {drift_reason(drift)}" for cell, drift in drifts.items() if drift.material}
    return answers_of(questions, records, spoiled)
