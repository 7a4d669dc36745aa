"""What a run was made from: digests of suite files and of the modules beside them that they import. No torch.

A run that is resumed, and two runs that are compared, are of one workload only where these are the same.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.results import files

# What may be said anew when a run is gone on with: how long, how exactly, how patiently. The rest is the experiment.
MAY_CHANGE = ("budget", "precision_goal", "timeout", "instrument", "launches")


def digests(suites: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """SHA-256 of each suite's file and of its helpers, by suite and by name in the suite's folder.

    Args:
        suites: the file of each suite, "" for one that came by an entry point, which has no digest.

    Raises:
        RunError: one of them cannot be read.
    """
    return {suite: dict(sorted(_digests(Path(file)).items())) for suite, file in suites.items() if file}


def _digests(file: Path) -> dict[str, str]:
    folder = file.resolve().parent
    found: dict[str, str] = {}
    waiting = [file.resolve()]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(folder).as_posix()
        if name not in found:
            content = files.read_bytes(path)
            found[name] = hashlib.sha256(content).hexdigest()
            waiting += _imported(content, path, folder)
    return found


def _imported(content: bytes, path: Path, folder: Path) -> Iterator[Path]:
    """The modules within the folder that a file imports anywhere, inside functions too."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # not a module of Python; as data it has its digest all the same
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            start = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else None
            inside = node.module.split(".") if node.module else []
            names = [inside, *([*inside, alias.name] for alias in node.names)]
        elif isinstance(node, ast.Import):
            start, names = None, [alias.name.split(".") for alias in node.names]
        else:
            continue
        for parts in names:
            # `suites.digits`, as a package that lies on the path, and `digits`, from the folder itself.
            shorter = parts[1:] if start is None and parts and parts[0] == folder.name else parts
            yield from _module((start or folder).joinpath(*shorter), folder)


def _module(place: Path, folder: Path) -> Iterator[Path]:
    for candidate in (place.with_suffix(".py") if place.name else place, place / "__init__.py"):
        if candidate.is_file() and candidate.resolve().is_relative_to(folder):
            yield candidate.resolve()


def edited_files(before: Mapping[str, Any] | None, now: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The files that are not as they were, as words.

    Args:
        before: `digests` of run.json.
        now: as `digests` gives it.
    """
    return [f"{name} of suite {suite}" for suite in now for name in other_files(before, {"files": now}, suite)]


def other_files(mine: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None, suite: str) -> list[str]:
    """The files of a suite that two runs do not share, by name; empty where one has no digests to tell.

    Args:
        mine, theirs: `digests` of run.json.
    """
    one, other = ((own or {}).get("files", {}).get(suite, {}) for own in (mine, theirs))
    if not one or not other:
        return []
    return [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]


def digest_of_tree(folder: Path, pattern: str) -> str:
    """SHA-256 of all files of a name's pattern below a folder, their places included.

    Raises:
        RunError: one of them cannot be read.
    """
    found = hashlib.sha256()
    for path in sorted(folder.rglob(pattern)):
        found.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        found.update(hashlib.sha256(files.read_bytes(path)).digest())
    return found.hexdigest()
