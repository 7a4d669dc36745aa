"""Where a commit is shown: hosts that are known, addresses of any spelling, and never a password of the remote's."""

from __future__ import annotations

from pathlib import Path

import pytest
from histories import git, repository

from bench.machine.git import commit_pages, web_address


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r/commit/{commit}"),
        ("https://github.com/o/r", "https://github.com/o/r/commit/{commit}"),
        ("https://github.com/o/r/", "https://github.com/o/r/commit/{commit}"),
        ("git@github.com:o/r.git", "https://github.com/o/r/commit/{commit}"),
        ("ssh://git@GitHub.com:22/o/r.git", "https://github.com/o/r/commit/{commit}"),
        ("https://user:secret@github.com/o/r.git", "https://github.com/o/r/commit/{commit}"),
        ("https://gitlab.com/a/b/c.git", "https://gitlab.com/a/b/c/-/commit/{commit}"),
        ("git@gitlab.example.org:a/b.git", "https://gitlab.example.org/a/b/-/commit/{commit}"),
        ("https://codeberg.org/o/r.git", "https://codeberg.org/o/r/commit/{commit}"),
        ("https://bitbucket.org/o/r.git", "https://bitbucket.org/o/r/commits/{commit}"),
        ("https://notgithub.com/o/r.git", ""),
        ("https://example.org/github.com/o/r.git", ""),
        ("/srv/git/r.git", ""),
        ("../r", ""),
        ("file:///srv/github.com/r", ""),
        ("C:\\git\\r", ""),
        ("https://github.com/o", ""),
        ('https://github.com/o/"><script>', ""),
        ("javascript://github.com/o/r", ""),
        ("", ""),
    ],
)
def test_a_remote_is_a_web_host_or_none(remote: str, page: str) -> None:
    assert web_address(remote) == page


def test_a_repository_says_where_it_is_shown(tmp_path: Path) -> None:
    repository(tmp_path, 1)
    assert commit_pages(tmp_path) == ""
    git(tmp_path, "remote", "add", "origin", "git@github.com:o/r.git")
    assert commit_pages(tmp_path) == "https://github.com/o/r/commit/{commit}"
    assert commit_pages(tmp_path / "nowhere") == ""
