"""The errors a user can cause. `cli` turns them into one message and an exit code; nothing else prints or exits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LONGEST_VALUE = 200  # characters of a value that a message quotes


class BenchError(Exception):
    """Something the user asked for cannot be done: one message that names the thing, its value and what is allowed."""


class SpecError(BenchError):
    """A suite, an axis, a value or an option is wrong. Carries all mistakes at once."""

    def __init__(self, mistakes: str | Sequence[str]) -> None:
        self.mistakes: tuple[str, ...] = (mistakes,) if isinstance(mistakes, str) else tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class RunError(BenchError):
    """A run folder cannot be read, written or resumed."""


def one_of(thing: str, value: object, allowed: Iterable[object]) -> str:
    """The house's one sentence for an unknown name: thing, value, everything allowed."""
    names = [str(name) for name in allowed]
    near = close_match(str(value), names)
    return f"unknown {thing} {quote(value)}; allowed: {', '.join(names) or '(none)'}" + (
        f" (did you mean {near!r}?)" if near else ""
    )


def close_match(word: str, names: Iterable[str]) -> str:
    """The name that a word was probably meant to be, "" where none is like it."""
    import difflib

    found = difflib.get_close_matches(word, list(names), n=1) if len(word) <= LONGEST_VALUE else []
    return found[0] if found else ""


def quote(value: object) -> str:
    """A value as a message quotes it: what somebody pasted by mistake is not repeated in full."""
    return without_middle(repr(value))


def without_middle(text: str) -> str:
    """A text without its middle, where it is longer than a message quotes."""
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE // 2]}...{text[-LONGEST_VALUE // 2 :]}"


class Unsupported(BenchError):
    """A cell cannot run here; becomes its outcome `unsupported`, with this message as the reason."""
