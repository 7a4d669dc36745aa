"""What trainings for a goal say of each cell, as the columns that a table of plain values has behind its others."""

from __future__ import annotations

from bench.analysis.summary import Summary

_PARTS = ("estimate", "low", "high")
_MEDIANS = ("seconds", "epochs", "samples")
GOAL_VALUES = (
    "target",
    "trainings",
    "reached",
    "diverged",
    *(f"{name}_to_target_{part}" for name in _MEDIANS for part in _PARTS),
    "level",
    *(f"final_loss_{part}" for part in _PARTS),
    "rule_p",
    *(f"seconds_to_target_ratio_{part}" for part in _PARTS),
    *(f"final_loss_ratio_{part}" for part in _PARTS),
    "final_losses",
)


def goal_values(summary: Summary) -> dict[str, list[object]]:
    """By cell, one value a column of `GOAL_VALUES`, "" where there is none; of the cells that train for a goal.

    `level` is that of the medians; the ratio of final losses has its 90 % interval.
    """
    found: dict[str, list[object]] = {}
    if summary.convergence is None:
        return found
    pairs = {pair.cell: pair for pair in summary.convergence.pairs}
    for cell in summary.convergence.cells:
        pair = pairs.get(cell.cell)
        line: list[object] = [cell.target, len(cell.attempts), cell.reached, cell.diverged]
        for median in (cell.seconds, cell.epochs, cell.samples):
            line += _values(median)
        line += [cell.seconds.level if cell.seconds else "", *_values(cell.final)]
        line.append("" if cell.rule is None or cell.rule.p is None else cell.rule.p)
        line += _values(pair and pair.seconds) + _values(pair and pair.final.ratio)
        line.append(pair.final.answer if pair else "")
        found[cell.cell] = line
    return found


def _values(figure: object) -> list[object]:
    values = [getattr(figure, part, None) for part in _PARTS]
    return ["" if value is None else value for value in values]
