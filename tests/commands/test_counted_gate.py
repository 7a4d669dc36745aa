"""Gates by counts: what is another is told; more is a regression for those who ask, and only exact counts are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from test_gate import known

from bench.analysis.count_differences import MetricCount, count_differences, metric_counts
from bench.commands import gate_judgement
from bench.commands.counting import CountedCell, Counting, Counts
from bench.commands.gate_exact import Exact, ExactVerdict, counted_metrics
from bench.commands.python_arguments import counting_of
from bench.errors import SpecError
from bench.plan.cell import Plan
from bench.report import gate as layout
from bench.results.step_counts import Counted, StepCounts
from bench.stats.gate_rule import Rule, Verdict

Calls = Mapping[str, int]
FUNCTION = "lightning.pytorch.trainer.connectors.logger_connector.logger_connector:log"


def metrics(*launches: Calls, refused: str = "") -> dict[str, MetricCount]:
    return metric_counts(
        [StepCounts(100, (Counted("python_calls", sum(own.values()), dict(own), {}, refused),)) for own in launches]
    )


def counts_of(made: Plan, base: CountedCell, head: CountedCell) -> Counts:
    (group,) = made.groups
    cells = {cell.point["loop"]: cell for cell in group.cells if not cell.twin}
    own = replace(head, cell=cells["fabric"], differences=count_differences(head.metrics, base.metrics))
    return Counts(100, made.suites, ((group, (replace(base, cell=cells["plain"]), own)),))


def gated(base: CountedCell, head: CountedCell, *no_more: str, slowdown: float = 0.0) -> gate_judgement.Gate:
    made, stages = known(slowdown)
    counted = counted_metrics(counts_of(made, base, head), no_more)
    return gate_judgement.gate_of(made, stages, Rule(), "gate", counted)


def cell(*launches: Calls, refused: str = "") -> CountedCell:
    made, _ = known(0.0)
    return CountedCell(made.cells[0], "ok", "", metrics(*launches, refused=refused))


def counted(found: gate_judgement.Gate) -> Exact:
    (one,) = (one for one in found.exact if one.metric == "python_calls")
    return one


FEW, MORE = {"a:b": 300}, {"a:b": 300, FUNCTION: 200}


@pytest.mark.parametrize(
    ("base", "head", "wanted", "own", "verdict"),
    [
        (FEW, MORE, False, "told", "pass"),
        (MORE, FEW, False, "told", "pass"),
        (FEW, MORE, True, "regression", "regression"),
        (MORE, FEW, True, "improvement", "improvement"),
        (FEW, FEW, True, "pass", "pass"),
        (FEW, {"a:b": 301}, True, "regression", "regression"),
    ],
)
def test_more_is_a_regression_for_those_who_ask(
    base: Calls, head: Calls, wanted: bool, own: ExactVerdict, verdict: Verdict
) -> None:
    found = gated(cell(base, base), cell(head, head), *(["python_calls"] if wanted else []))
    assert (counted(found).verdict, found.verdict) == (own, verdict)


def test_the_verdict_names_what_accounts_for_it() -> None:
    found = gated(cell(FEW, FEW), cell(MORE, MORE), "python_calls")
    assert "python_calls 3 to 5 (2 in logger_connector)" in "".join(found.reasons)
    told = gated(cell(FEW, FEW), cell(MORE, MORE))
    (line,) = layout.exact_lines(told)
    assert line.endswith("python_calls 3 to 5 a step: another, and not judged: 2 in logger_connector")


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    "odd",
    [cell(FEW, MORE), cell(FEW, FEW, refused="no counter"), CountedCell(cell(FEW).cell, "crashed", "it fell")],
    ids=["unsteady", "refused", "crashed"],
)
def test_without_a_count_that_was_asked_for_nothing_passes(side: int, odd: CountedCell) -> None:
    sides = (odd, cell(FEW, FEW)) if side else (cell(FEW, FEW), odd)
    found = gated(*sides, "python_calls")
    assert (counted(found).verdict, found.verdict) == ("unsteady", "inconclusive")
    assert "python_calls: not" in "".join(found.reasons)
    assert gated(*sides).verdict == "pass"
    assert gated(*sides, "python_calls", slowdown=0.5).verdict == "regression"


def test_what_is_counted_is_asked_for_by_name() -> None:
    assert counting_of(False, ()) is None
    assert counting_of(True, ()) == Counting()
    assert counting_of(False, ["copies"]) == Counting(("copies",))
    with pytest.raises(SpecError, match=r"no_more: unknown metric 'python'; allowed: python_calls, allocations, "):
        counting_of(False, ["python"])
