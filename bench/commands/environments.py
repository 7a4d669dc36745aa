"""Two or more environments side by side: interpreters built with uv, paths and git worktrees, raced as one group.

A side is what `bench versions` compares: a set of requirements (`lightning==2.5.*`), a folder whose code is imported
(`../main`), or a commit of the repository at hand (`git:main`). The engine is this one on all sides; what differs is
the interpreter's packages, or the folder at the front of its path. No torch, no pandas.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.borders import json_text
from bench.engine.options import Progress
from bench.errors import BenchError, RunError, SpecError
from bench.machine import scratch
from bench.machine.git import git
from bench.plan.cell import SIDES, as_text
from bench.plan.side import Side
from bench.plan.suite import Suite
from bench.results import decoding, files

REQUIREMENT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?\s*([=<>!~]=?.*|@.*)?$")
# What an arm imports. Those that a side does not name are installed as they are here, so that they do not differ.
SHARED = ("torch", "torchvision", "lightning", "numpy", "msgspec")
COMMIT = "git:"
COMPLETE = "complete"  # in a kept environment, written when it is whole
BUILDING = 3600.0  # seconds to wait for another process that builds the same environment: torch is gigabytes


@dataclass(frozen=True)
class Wish:
    """A side as it was asked for.

    Attributes:
        name: its value on the axis `environment`, unique.
        requirements: to be installed into an environment of its own; empty: the interpreter at hand.
        folder: whose code is imported first, or None.
        commit: of the repository at hand, to be checked out into `folder`, or "".
        copy: which of several sides of the same wish this is, from 0; each has an environment of its own.
    """

    name: str
    requirements: tuple[str, ...] = ()
    folder: Path | None = None
    commit: str = ""
    copy: int = 0


def parse_sides(texts: Sequence[str], more: Sequence[str] = ()) -> list[Wish]:
    """The sides that these texts name, the baseline first.

    Args:
        more: requirements of all sides (`--with`).

    Raises:
        SpecError: fewer than two, or texts that are none of requirement, folder and commit; all mistakes at once.
    """
    mistakes = [] if len(texts) > 1 else [f"{len(texts)} environment is nothing to compare; allowed: two or more"]
    extra = tuple(item for text in more for item in text.split())
    mistakes += [f"--with {item!r} is no requirement, e.g. lightning==2.6.*" for item in extra if not _required(item)]
    allowed = f"requirements (lightning==2.5.*), an existing folder, {COMMIT}COMMIT"
    wishes: list[Wish] = []
    for index, text in enumerate(texts):
        copy = texts[:index].count(text)
        name = f"{text} ({copy + 1})" if copy else text
        items = tuple(text.split())
        if not text.strip() or text.strip() == COMMIT:
            mistakes.append(f"{text!r} names no environment; allowed: {allowed}")
        elif text.startswith(COMMIT):
            wishes.append(Wish(name, extra, commit=text.removeprefix(COMMIT), copy=copy))
        elif Path(text).is_dir():
            wishes.append(Wish(name, extra, folder=Path(text).resolve(), copy=copy))
        elif items and all(map(_required, items)) and os.sep not in text:
            wishes.append(Wish(name, (*items, *extra), copy=copy))
        else:
            mistakes.append(f"{text!r} is no environment; allowed: {allowed}")
    if mistakes:
        raise SpecError(mistakes)
    return wishes


def _required(text: str) -> bool:
    return REQUIREMENT.fullmatch(text) is not None


def over_sides(suite: Suite, sides: Sequence[str]) -> Suite:
    """The suite with the sides as its compared axis, the first as the baseline; what it compared stays an axis.

    A ladder is of what it compared, and sides are no rungs.
    """
    axes, choices = {SIDES: tuple(sides), **suite.axes}, {**suite.choices, SIDES: tuple(sides)}
    return replace(suite, axes=axes, compare=SIDES, baseline=sides[0], choices=choices, ladder={})


def one_length(suite: Suite, settings: Sequence[str], select: str | None) -> list[str]:
    """The setting that leaves the suite one step length, its first, which is where a loop's own cost shows most.

    What an upgrade changes for most people is asked of their loops; at several lengths three minutes would give most
    groups one launch, and so no interval. Nothing where the suite has no lengths, or the user names some.
    """
    axis = suite.length_axis
    if axis is None or any(own.partition("=")[0] == axis for own in settings) or f"{axis}=" in (select or ""):
        return []
    return [f"{axis}={as_text(suite.axes[axis][0])}"]


@contextmanager
def ready_sides(wishes: Sequence[Wish], progress: Progress) -> Iterator[Mapping[str, Side]]:
    """The sides, all built before any is timed; their checkouts are removed at the end, their environments kept.

    Raises:
        BenchError: uv is missing, requirements do not resolve or build, a commit is not there; says which and why.
    """
    with scratch.scratch_folder("sides-") as home:
        made: dict[str, Side] = {}
        checkouts: list[Path] = []
        try:
            for number, wish in enumerate(wishes):
                # Paths of one length on all sides: the length of the environment shifts the stack of each process.
                folder = home / f"side{number:02}"
                if wish.commit:
                    progress.phase(f"{wish.name}: checking out")
                    root = git("rev-parse", "--show-toplevel").stdout.strip()
                    files.write_aside(home / scratch.CHECKOUTS, root)  # should we be killed, the next one needs it
                    _check_out(wish.commit, folder)
                    checkouts.append(folder)
                elif wish.folder is not None:
                    folder.symlink_to(wish.folder, target_is_directory=True)
                else:
                    folder.mkdir()
                python = sys.executable
                if wish.requirements:
                    progress.phase(f"{wish.name}: building its environment")
                    python = str(_environment(wish))
                made[wish.name] = Side(wish.name, python, (str(folder / "src"), str(folder)))
            yield made
        finally:
            for folder in checkouts:
                git("worktree", "remove", "--force", str(folder))


def side_file(file: str, side: Side) -> str:
    """The suite file of a side: its own copy where it has one at the same place in the repository, else this one."""
    root = git("rev-parse", "--show-toplevel")
    if root.returncode == 0 and file:
        try:
            inside = Path(file).resolve().relative_to(root.stdout.strip())
        except ValueError:
            return file
        own = Path(side.paths[-1]) / inside
        if own.is_file():
            return str(own)
    return file


def side_files(files: Mapping[str, str], sides: Mapping[str, Side]) -> dict[str, str]:
    """The suite file of each suite, and of `SUITE@SIDE` that of a side."""
    own = {f"{suite}@{name}": side_file(file, side) for suite, file in files.items() for name, side in sides.items()}
    return {**files, **own}


def dirty() -> list[str]:
    """Tracked files of the repository at hand that differ from its commit; empty outside of git."""
    said = git("status", "--porcelain", "--untracked-files=no")
    return [line[3:] for line in said.stdout.splitlines()] if said.returncode == 0 else []


def _check_out(commit: str, folder: Path) -> None:
    said = git("worktree", "add", "--detach", str(folder), commit)
    if said.returncode:
        raise BenchError(f"{COMMIT}{commit}: cannot be checked out: {_last(said.stderr)}")


def _environment(wish: Wish) -> Path:
    """The interpreter of an environment with these requirements, built by uv and kept in the user's cache."""
    named = {re.split(r"[\[=<>!~@ ]", item, maxsplit=1)[0].lower().replace("_", "-") for item in wish.requirements}
    wanted = [*wish.requirements, *_shared(named)]
    key = hashlib.sha256("\n".join([sys.version, str(wish.copy), *sorted(wanted)]).encode()).hexdigest()[:12]
    cache = files.cache_folder() / "environments"
    home = cache / key
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    with files.lock(_lock(home), BUILDING):  # another process may be building the same one
        if not (_is_complete(home, wanted) and python.exists()):
            _sweep(cache)
            _build(wish, home, python, wanted)
    return python


@dataclass(frozen=True)
class Environment:
    """What a kept environment was built for, and the distributions that it then had, as their folders are named."""

    wanted: tuple[str, ...]
    packages: tuple[str, ...]


def _is_complete(home: Path, wanted: Sequence[str]) -> bool:
    """Whether the environment was built to its end for these requirements, and has the same packages still."""
    try:
        found = decoding.decode(Environment, files.read_bytes(home / COMPLETE), home / COMPLETE)
    except RunError:
        return False
    return found == Environment(tuple(wanted), _installed(home))


def _installed(home: Path) -> tuple[str, ...]:
    places = ("lib/python*/site-packages/*.dist-info", "Lib/site-packages/*.dist-info")
    return tuple(sorted({path.name for place in places for path in home.glob(place)}))


def _lock(home: Path) -> Path:
    return home.with_name(f".{home.name}.lock")


def _sweep(cache: Path) -> None:
    """Remove environments that are not whole and that nobody builds any more: their process was killed."""
    for home in cache.iterdir():
        if home.is_dir() and not (home / COMPLETE).exists():
            with suppress(OSError), open(_lock(home), "a", encoding="utf-8") as lock:
                if files.try_lock(lock.fileno()):
                    shutil.rmtree(home, ignore_errors=True)


def _build(wish: Wish, home: Path, python: Path, wanted: Sequence[str]) -> None:
    uv = _uv()
    shutil.rmtree(home, ignore_errors=True)  # an earlier try that was cut off, or one that was changed since
    try:
        for command in (
            [*uv, "venv", "--quiet", "--python", sys.executable, str(home)],
            [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *wanted],
        ):
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            if said.returncode:
                raise BenchError(f"{wish.name}: its environment cannot be built: {_last(said.stderr)}")
        about = Environment(tuple(wanted), _installed(home))
        files.write_aside(home / COMPLETE, json_text(asdict(about), indent=1) + "\n")
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _shared(named: set[str]) -> list[str]:
    """The packages that all sides have alike, pinned to what is installed here, but for those that a side names."""
    pinned = []
    for package in SHARED:
        if package in named or (package == "torchvision" and "torch" in named):
            continue  # every torch has a torchvision of its own
        try:
            pinned.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            continue  # what is not installed here is not asked for there
    return pinned


def _uv() -> list[str]:
    found = shutil.which("uv")
    if found:
        return [found]
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    raise BenchError("environments are built with uv, which is not installed; run: pip install uv")


def _last(text: str) -> str:
    """What a failed command said, in one line that tells why."""
    lines = [line.strip(" ╰─▶×│") for line in text.splitlines() if line.strip(" ╰─▶×│")]
    return " ".join(lines)[-400:] or "it said nothing"
