"""What other distributions bring: the objects that their entry points name."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from bench.errors import SpecError, without_middle


def plugins(group: str) -> list[tuple[str, object]]:
    """What each entry point of a group names, behind the words for where it comes from.

    Raises:
        SpecError: one does not import; says all of these.
    """
    found: list[tuple[str, object]] = []
    mistakes: list[str] = []
    for entry in entries_of(group):
        where = f"entry point {group}:{entry.name}"
        try:
            found.append((where, entry.load()))
        except SpecError as error:
            mistakes += error.mistakes
        except (Exception, SystemExit) as error:  # importing somebody else's module may do anything
            text = without_middle(" ".join(str(error).split()))
            mistakes.append(f"{where}: does not import: {type(error).__name__}: {text}")
    if mistakes:
        raise SpecError(mistakes)
    return found


@cache  # to look through all distributions takes 10 ms, and an arm has it from its fork server
def entries_of(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, nothing imported."""
    return tuple(entry_points(group=group))
