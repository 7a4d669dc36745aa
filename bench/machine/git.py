"""What git knows of commits: the full hash, the date, which comes first. The repository is only read."""

from __future__ import annotations

import re
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
    show = ("show", "-s", "--format=%H %at", f"{name}^{{commit}}")
    answer = None if name.startswith("-") else git(*show, repository=repository)
    if answer is None or answer.returncode:
        allowed = "its commits, branches, tags"
        raise RunError(f"commit {name!r} is not in the git repository of {repository}; allowed: {allowed}")
    full, date = answer.stdout.split()
    return Commit(full, int(date))


def ancestry(hashes: Iterable[str], repository: Path) -> dict[str, int] | None:
    """The place of each commit, parents before children; None where the repository does not know them all."""
    wanted = set(hashes)
    if not wanted:
        return {}
    answer = git("rev-list", "--topo-order", "--reverse", *sorted(wanted), "--", repository=repository)
    if answer.returncode:
        return None
    return {full: place for place, full in enumerate(answer.stdout.split()) if full in wanted}


def commit_here() -> str:
    """The commit of the working folder, with `-dirty` where files differ from it; `none` outside of git."""
    head, status = (git(*words, timeout=5) for words in (("rev-parse", "HEAD"), ("status", "--porcelain")))
    if head.returncode or status.returncode:
        return "none"
    return head.stdout.strip() + ("-dirty" if status.stdout.strip() else "")


def commit_pages(repository: Path) -> str:
    """The address of a commit's page, with `{commit}` where its hash is to stand; "" where no web host is known.

    Names and passwords that the address of the remote has are left out.
    """
    answer = git("remote", "get-url", "origin", repository=repository)
    return "" if answer.returncode else web_address(answer.stdout.strip())


def web_address(remote: str) -> str:
    """The same of a remote's address: `https://`, `ssh://`, or `git@host:path`, at a host that shows commits."""
    match = _REMOTE.fullmatch(remote) or _SHORT_REMOTE.fullmatch(remote)
    host = match["host"].lower() if match else ""
    kind = next((name for name in _COMMIT_PAGES if host == name or host.startswith(name.partition(".")[0] + ".")), "")
    return f"https://{host}/{match['path']}/{_COMMIT_PAGES[kind]}" if match and kind else ""


# Where hosts, and those that people run of the same programs, show a commit.
_COMMIT_PAGES = {
    "github.com": "commit/{commit}",
    "gitlab.com": "-/commit/{commit}",
    "codeberg.org": "commit/{commit}",
    "bitbucket.org": "commits/{commit}",
}
_PATH = r"(?P<path>[A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+?)+?)(?:\.git)?/?"
_REMOTE = re.compile(r"(?:https?|ssh|git)://(?:[^@/\s]*@)?(?P<host>[A-Za-z0-9.-]+)(?::\d+)?/" + _PATH)
_SHORT_REMOTE = re.compile(r"(?:[A-Za-z0-9_.-]+@)?(?P<host>[A-Za-z0-9.-]+\.[A-Za-z0-9-]+):" + _PATH)


def git(*arguments: str, repository: Path | None = None, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    """What git says; the one place that calls it.

    Args:
        repository: a folder in it; None: the working folder.
        timeout: seconds after which it is given up, as if it had failed.
    """
    command = ["git", *([] if repository is None else ["-C", str(repository)]), *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="surrogateescape", check=False, timeout=timeout
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "git is not installed")
    except (OSError, subprocess.SubprocessError) as error:
        return subprocess.CompletedProcess(command, 126, "", str(error))
