"""Follows a page of docs/adding/ to the letter: its files into a folder, its distribution installed, its test run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from conftest import ROOT

# "`name.py`:", an empty line, and the block that is all of that file.
FILE = re.compile(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)


def files_of(page: str) -> dict[str, str]:
    """The files that a page writes, by name."""
    return dict(FILE.findall((ROOT / "docs" / "adding" / page).read_text(encoding="utf-8")))


def follow(page: str, folder: Path) -> None:
    """Write the files of a page; its distribution is there as an installer leaves it."""
    files = files_of(page)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    for group, entries in project["entry-points"].items():
        install(folder, project["name"], group, **entries)


def install(folder: Path, distribution: str, group: str, **entries: str) -> None:
    """The metadata of a distribution with these entry points."""
    info = folder / f"{distribution.replace('-', '_')}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))


def python(*arguments: str, folder: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` in a folder whose distributions are installed, with the bench of `root`."""
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{folder}"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def its_test(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the test that a page ends in."""
    return python("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=folder)
