"""What other distributions bring: the objects that their entry points name."""

from __future__ import annotations

from importlib.metadata import entry_points

from bench.errors import SpecError, without_middle


def plugins(group: str) -> list[tuple[str, object]]:
    """What each entry point of a group names, behind the words for where it comes from.

    Raises:
        SpecError: one does not import; says all of these.
    """
    found: list[tuple[str, object]] = []
    mistakes: list[str] = []
    for entry in entry_points(group=group):
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
