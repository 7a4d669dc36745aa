"""`-k`: an expression over cell ids. No torch."""

from __future__ import annotations

import re

from bench.errors import SpecError, quote
from bench.plan.cell import Cell, Selector, as_text

# Parsing recurses three frames for each parenthesis, and python allows a thousand.
LONGEST_EXPRESSION = 200


def selector(expression: str) -> Selector:
    """A test of cells from words joined by `and`, `or`, `not` and parentheses.

    A word `axis=value` matches that axis exactly, whether the id shows it or not; any other word is a part of the id.

    Raises:
        SpecError: the expression does not parse; says where.
    """
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)
    if len(tokens) > LONGEST_EXPRESSION:
        raise SpecError(f"-k of {len(tokens)} words and parentheses; allowed: {LONGEST_EXPRESSION} at most")
    position = 0

    def fail() -> SpecError:
        found = tokens[position] if position < len(tokens) else "its end"
        return SpecError(
            f"-k {quote(expression)}: stuck at {found[:40]}; "
            "allowed: words of cell ids joined by and, or, not and parentheses"
        )

    def disjunction() -> Selector:
        nonlocal position
        terms = [conjunction()]
        while position < len(tokens) and tokens[position] == "or":
            position += 1
            terms.append(conjunction())
        return lambda cell: any(term(cell) for term in terms)

    def conjunction() -> Selector:
        nonlocal position
        terms = [negation()]
        while position < len(tokens) and tokens[position] == "and":
            position += 1
            terms.append(negation())
        return lambda cell: all(term(cell) for term in terms)

    def negation() -> Selector:
        nonlocal position
        if position >= len(tokens) or tokens[position] in ("and", "or", ")"):
            raise fail()
        token = tokens[position]
        position += 1
        if token == "not":
            inner = negation()
            return lambda cell: not inner(cell)
        if token == "(":
            inner = disjunction()
            if position >= len(tokens) or tokens[position] != ")":
                raise fail()
            position += 1
            return inner
        return lambda cell: _word_matches(token, cell)

    test = disjunction()
    if position < len(tokens):
        raise fail()
    return test


def _word_matches(word: str, cell: Cell) -> bool:
    axis, equals, value = word.partition("=")
    if equals:
        return axis in cell.point and as_text(cell.point[axis]) == value
    return word in cell.id
