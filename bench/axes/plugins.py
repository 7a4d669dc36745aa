"""What other distributions bring: the objects that their entry points name."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from bench.errors import SpecError, without_middle

_remembered: dict[str, tuple[EntryPoint, ...]] = {}  # to look through all distributions takes 10 ms


def plugins(group: str) -> list[tuple[str, object]]:
    """What each entry point of a group names, behind the words for where it comes from.

    Raises:
        SpecError: one does not import; says all of these.
    """
    found: list[tuple[str, object]] = []
    mistakes: list[str] = []
    known = _remembered.get(group)
    for entry in entry_points(group=group) if known is None else known:
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


def remember_entries(group: str) -> None:
    """Look up the entry points of a group now and never again: of a fork server that asks, its arms have them."""
    _remembered[group] = tuple(entry_points(group=group))
