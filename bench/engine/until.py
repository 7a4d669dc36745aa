"""`--until` while a run goes on: which groups need no further launch. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plan.cell import Plan
from bench.plan.plan import plan_document
from bench.results.record import Record
from bench.stats import intervals
from bench.stats.conditions import Evidence, questions_of, tests_of


class Until:
    """What is asked of a run, and what its launches have answered so far.

    Args:
        text: of the option; None: nothing is asked.

    Raises:
        SpecError: as `questions_of`.
    """

    def __init__(self, text: str | None, plan: Plan) -> None:
        self._questions = questions_of(text, plan_document(plan)) if text is not None else ()
        self._evidence = [Evidence(question) for question in self._questions]

    def take(self, records: Sequence[Record]) -> None:
        """Take in the records of one launch."""
        for evidence in self._evidence:
            if records and records[0].group == evidence.question.group:
                evidence.take(records)

    def stop_reason(self, group: str, half_widths: Sequence[float | None], goal: float) -> str:
        """Why a group needs no further launch, or "": what is asked is answered, or, where nothing is, known so well.

        Args:
            half_widths, goal: as for `intervals.stop_reason`; a run that is asked something has no goal but that.
        """
        if self._questions and self.settled(group):
            return "answered"
        return intervals.stop_reason(half_widths, 0.0 if self._questions else goal) or ""

    def settled(self, group: str) -> bool:
        """Whether this group needs no further launch: what is asked of it is decided, or cannot be.

        A group of which nothing is asked is settled when all others are.
        """
        own = [evidence for evidence in self._evidence if evidence.question.group == group]
        return all(self._is_settled(evidence) for evidence in own or self._evidence)

    def _is_settled(self, evidence: Evidence) -> bool:
        answer = evidence.answer(tests_of(self._questions))
        return answer.word != "open" or bool(answer.reason)
