"""What git knows of commits: the full hash, the date, which comes first. The repository is only read."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.errors import RunError


@dataclass(frozen=True)
class Commit:
    """A commit: its full hash, and the author's date in seconds since 1970."""

    hash: str
    date: int


def resolve_commit(name: str, repository: Path) -> Commit:
    """The commit of that name: a hash or the beginning of one, a branch, a tag.

    Raises:
        RunError: the repository has none.
    """
    # No name of a commit begins with a dash; git would take it for an option.
    told = None if name.startswith("-") else _git(repository, "show", "-s", "--format=%H %at", f"{name}^{{commit}}")
    if told is None:
        allowed = "its commits, branches, tags"
        raise RunError(f"commit {name!r} is not in the git repository of {repository}; allowed: {allowed}")
    full, date = told.split()
    return Commit(full, int(date))


def ancestry(hashes: Iterable[str], repository: Path) -> dict[str, int] | None:
    """The place of each commit, parents before children; None where the repository does not know them all."""
    wanted = set(hashes)
    told = _git(repository, "rev-list", "--topo-order", "--reverse", *sorted(wanted), "--") if wanted else ""
    if told is None:
        return None
    return {full: place for place, full in enumerate(told.split()) if full in wanted}


def _git(repository: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
