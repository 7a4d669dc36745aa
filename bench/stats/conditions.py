"""`--until "trainer < 5%"`: what is asked, of which cells, and what the launches answer. Pure: texts and records in.

A condition is about every group of the run in which its name stands, and is a question of its own in each. A question
is answered yes or no at the first look that can tell (`sequential`); all questions of a run share its error rate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.errors import SpecError, one_of, quote
from bench.results.record import Record
from bench.results.turns import Turns
from bench.stats.layouts import layout_shift
from bench.stats.sequential import side_of_zero
from bench.stats.step_times import LEAST_ROUNDS, pair_ratios

Quantity = Literal["cost", "difference", "ratio"]
Word = Literal["yes", "no", "open"]

CONDITION_GRAMMAR = (
    "NAME < VALUE or NAME > VALUE, several joined by `and`; NAME is a value of the compared axis, a cell's id, or two "
    "of them as A/B; VALUE is a cost as 5%, a difference a step as 0.2ms or 30us, or a ratio as 1.05x"
)
_CONDITION = re.compile(
    r"(?P<name>.+)(?P<sign>[<>])(?P<number>[+-]?\d+(?:\.\d+)?)\s*(?P<unit>%|x|us|µs|ms|s)", re.DOTALL
)
_BOUND_WITHIN = re.compile(r"[<>]\s*[+-]?\d+(?:\.\d+)?\s*(?:%|x|us|µs|ms|s)\s")  # of two that nothing joins
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
LARGEST_BOUND = 1e9  # percent, times or seconds: what is above is a slip, and its arithmetic would overflow


@dataclass(frozen=True)
class Condition:
    """What somebody wants to know.

    Attributes:
        name: a value of a compared axis, a cell's id, or two of them with a slash between.
        sign: whether it is to be below or above.
        quantity: of the mean step: what it takes longer than the baseline's, as a share or in seconds, or their ratio.
        bound: 0.05 for 5 %, seconds, or 1.05 for 1.05x.
    """

    name: str
    sign: Literal["<", ">"]
    quantity: Quantity
    bound: float

    @property
    def text(self) -> str:
        """As it is repeated."""
        return f"{self.name} {self.sign} {_amount(self.quantity, self.bound, signed=False)}"


@dataclass(frozen=True)
class Question:
    """A condition in one group.

    Attributes:
        cell: whose step.
        over: the cell that it is compared with: the group's baseline, or the second of a pair.
        reason: why it cannot be asked here, or "".
    """

    condition: Condition
    group: str
    cell: str
    over: str
    reason: str = ""


@dataclass(frozen=True)
class Answer:
    """What the launches say of a condition in one group.

    Attributes:
        condition, group, cell, over: of what.
        word: `open` where it is not decided.
        low, high: what the quantity is at least and at most, over all looks: a share, seconds, or a ratio; None
            before the first look.
        launches: of the look that decided, else of the last one.
        reason: why it cannot be decided, or "".
        sentence: all of it, for people.
    """

    condition: str
    group: str
    cell: str
    over: str
    word: Word
    low: float | None
    high: float | None
    launches: int
    reason: str
    sentence: str


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """The conditions of such a text.

    Raises:
        SpecError: all that is wrong with it.
    """
    found, mistakes = [], []
    for part in re.split(r"\s+and\s+", text.strip()):
        match = _CONDITION.fullmatch(re.sub(r"\s*([<>])\s*", r"\1", part.strip()))
        if match is None or not match["name"].strip() or _BOUND_WITHIN.search(match["name"]):
            mistakes.append(f"condition {quote(part)} cannot be read; allowed: {CONDITION_GRAMMAR}")
            continue
        number, unit = float(match["number"]), match["unit"]
        quantity: Quantity = "cost" if unit == "%" else "ratio" if unit == "x" else "difference"
        least = {"cost": -100.0, "ratio": 0.0, "difference": -LARGEST_BOUND}[quantity]
        if not least < number < LARGEST_BOUND:
            allowed = f"above {least:g}{unit}, and below {LARGEST_BOUND:g}{unit}"
            mistakes.append(f"condition {quote(part)}: {match['number']}{unit} is not possible; allowed: {allowed}")
            continue
        bound = number / 100 if unit == "%" else number * _SECONDS.get(unit, 1.0)
        found.append(Condition(match["name"].strip(), "<" if match["sign"] == "<" else ">", quantity, bound))
    if mistakes:
        raise SpecError(mistakes)
    return tuple(dict.fromkeys(found))


def questions_of(text: str | None, plan: Mapping[str, Any]) -> tuple[Question, ...]:
    """What is asked of the cells of a plan.

    Args:
        text: of `--until`; None: nothing is asked.
        plan: as run.json has it.

    Raises:
        SpecError: it cannot be read, names what is not there, or none of it can be decided here.
    """
    if text is None:
        return ()
    groups = [_Cells(plan, name) for name in dict.fromkeys(cell["group"] for cell in plan["cells"])]
    mistakes: list[str] = []
    found: list[Question] = []
    for condition in parse_conditions(text):
        own = [one for group in groups if (one := _asked_of(condition, group)) is not None]
        if own:
            found += own
            continue
        names = {name: None for group in groups for name in group.names()}
        if any((cell := group.called(condition.name)) and cell["id"] == group.baseline() for group in groups):
            mistakes.append(
                f"condition {quote(condition.text)}: {condition.name} is the baseline that others are compared with; "
                f"allowed: {', '.join(names)}"
            )
        else:
            told = one_of("name", condition.name, [*names, "their ids", "two of one group as A/B"])
            mistakes.append(f"condition {quote(condition.text)}: {told}")
    if not mistakes and all(one.reason for one in found):
        mistakes = [f"condition {quote(one.condition.text)} cannot be decided: {one.reason}" for one in found]
    if mistakes:
        raise SpecError(mistakes)
    return tuple(found)


@dataclass(frozen=True)
class _Cells:
    """The cells of one group of a plan."""

    plan: Mapping[str, Any]
    group: str

    @property
    def own(self) -> list[Mapping[str, Any]]:
        return [cell for cell in self.plan["cells"] if cell["group"] == self.group]

    def baseline(self) -> str:
        return str(next(cell["baseline"] for cell in self.own))

    def names(self) -> list[str]:
        """The compared values of all but the baseline and its twin."""
        return [self._value(cell) for cell in self.own if not cell["twin"] and cell["id"] != self.baseline()]

    def called(self, name: str) -> Mapping[str, Any] | None:
        """The cell of that id or, twins aside, with that value of the compared axis."""
        for cell in self.own:
            if name == cell["id"] or (not cell["twin"] and name == self._value(cell)):
                return cell
        return None

    def _value(self, cell: Mapping[str, Any]) -> str:
        return str(cell["point"][self.plan["suites"][cell["suite"]]["compare"]])


def _asked_of(condition: Condition, cells: _Cells) -> Question | None:
    """The question that a condition is in this group; None: its name does not stand there."""
    pairs = [(cells.called(condition.name), cells.called(cells.baseline()))]
    slashes = [index for index, letter in enumerate(condition.name) if letter == "/"]
    pairs += [
        (cells.called(condition.name[:at].strip()), cells.called(condition.name[at + 1 :].strip())) for at in slashes
    ]
    for cell, over in pairs:
        if cell is None or over is None or cell["id"] == over["id"]:
            continue
        missing = [one for one in (cell, over) if one["outcome"] != "ok"]
        reason = f"{missing[0]['id']} cannot run here: {missing[0]['reason']}" if missing else ""
        return Question(condition, cells.group, cell["id"], over["id"], reason)
    return None


@dataclass
class Evidence:
    """What the launches so far say of one question.

    Attributes:
        pairs: the turns of both cells in each launch.
        sets: the set of interpreters of each.
        apart: whether both came from different seats of it.
        failed: why one of both cells has no more launches, or "".
    """

    question: Question
    pairs: list[tuple[Turns, Turns]] = field(default_factory=list)
    sets: list[int] = field(default_factory=list)
    apart: list[bool] = field(default_factory=list)
    failed: str = ""

    def take(self, launch: Sequence[Record]) -> None:
        """Take in the records of one launch of its group."""
        if self.failed:
            return
        asked = self.question
        own = {record.cell: record for record in launch if record.cell in (asked.cell, asked.over)}
        for record in own.values():
            if record.outcome not in ("ok", "void"):
                self.failed = f"{record.cell}: {record.outcome}: {record.reason}"
        turns = [own[name].turns for name in (asked.cell, asked.over) if name in own and own[name].outcome == "ok"]
        if len(turns) < 2 or turns[0] is None or turns[1] is None:
            return
        if len(set(turns[0].round) & set(turns[1].round)) < LEAST_ROUNDS:
            return
        self.pairs.append((turns[0], turns[1]))
        self.sets.append(own[asked.cell].fork_server)
        self.apart.append(own[asked.cell].seat != own[asked.over].seat)

    def shared_by(self, launches: int) -> list[int]:
        """What so many launches share, by number: their sets, unless both cells change places from launch to launch,
        so that what their interpreters do cancels. A cell that stays where it is sits apart in every other launch."""
        return list(range(launches)) if all(self.apart[:launches]) else self.sets[:launches]

    def answer(self, tests: int) -> Answer:
        """What they come to.

        Args:
            tests: questions of the run that can be decided.
        """
        asked, condition = self.question, self.question.condition
        found, scale = pair_ratios(self.pairs).launches, 1.0
        if condition.quantity == "difference" and found:
            values = [one.difference - condition.bound for one in found]
            scale = math.fsum(one.step for one in found) / len(found)
        else:
            values = [one.mean - _log_of_bound(condition) for one in found]
        standing = side_of_zero(values, tests, lambda n, level: scale * layout_shift(self.shared_by(n), level))
        word: Word = "open"
        if standing.side:
            word = "yes" if (standing.side == "below") == (condition.sign == "<") else "no"
        low, high = (None if end is None else _in_its_unit(condition, end) for end in (standing.low, standing.high))
        reason = "" if standing.side else asked.reason or self.failed
        return _answer(asked, word, low, high, standing.launches, reason)


def answers_of(
    questions: Sequence[Question], records: Sequence[Record], spoiled: Mapping[str, str] | None = None
) -> tuple[Answer, ...]:
    """What a run's records answer.

    Args:
        spoiled: why the times of a cell tell nothing, by its id.
    """
    launches: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        if record.launch >= 0 and not record.instrumented:
            launches.setdefault((record.group, record.launch), []).append(record)
    found = []
    for question in questions:
        evidence = Evidence(question)
        for (group, _), own in sorted(launches.items(), key=lambda item: item[0]):
            if group == question.group:
                evidence.take(own)
        answer = evidence.answer(tests_of(questions))
        reasons = [text for name in (question.cell, question.over) if (text := (spoiled or {}).get(name))]
        if reasons:
            answer = _answer(question, "open", None, None, answer.launches, reasons[0])
        found.append(answer)
    return tuple(found)


def tests_of(questions: Sequence[Question]) -> int:
    """How many of them share the error rate."""
    return max(1, sum(not question.reason for question in questions))


def _log_of_bound(condition: Condition) -> float:
    return math.log1p(condition.bound) if condition.quantity == "cost" else math.log(condition.bound)


def _in_its_unit(condition: Condition, value: float) -> float:
    if condition.quantity == "difference":
        return value + condition.bound
    log = min(value + _log_of_bound(condition), 709.0)  # JSON has no infinity
    return math.expm1(log) if condition.quantity == "cost" else math.exp(log)


def _answer(asked: Question, word: Word, low: float | None, high: float | None, launches: int, reason: str) -> Answer:
    quantity, sign = asked.condition.quantity, asked.condition.sign
    if word != "open" and low is not None and high is not None:
        most = (word == "yes") == (sign == "<")
        said = f"{word}, at {'most' if most else 'least'} {_amount(quantity, high if most else low)}"
    elif reason:
        said = f"not decided: {reason}"
    elif low is None or high is None:
        said = f"not decided: too few launches, {launches}"
    else:
        said = f"not decided: between {_amount(quantity, low)} and {_amount(quantity, high)} after {launches} launches"
    sentence = f"{asked.condition.text}: {said} ({asked.group})"
    return Answer(
        asked.condition.text, asked.group, asked.cell, asked.over, word, low, high, launches, reason, sentence
    )


def _amount(quantity: Quantity, value: float, *, signed: bool = True) -> str:
    sign = "+" if signed else ""
    if quantity == "cost":
        return f"{100 * value:{sign}.3g} %"
    if quantity == "ratio":
        return f"{value:.4g}x"
    scale, unit = (1e3, "ms") if abs(value) >= 1e-4 else (1e6, "µs")
    return f"{scale * value:{sign}.3g} {unit}"
