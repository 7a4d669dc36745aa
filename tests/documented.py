"""The commands that README and docs tell, taken from their blocks as they stand, and a repository to run them in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "measurements"),
    *sorted((ROOT / "docs" / "ci").glob("*.yml")),
]
PROGRAMS = ("bench", "python", "python3", "nox", "pip", "uv", "uvx", "asv", "git")
BUDGET = "4s"  # BENCH_BUDGET of all of them


@dataclass(frozen=True)
class Command:
    """A command as a page tells it: one line of shell, its comment included; continued lines are joined."""

    page: str
    text: str

    @property
    def words(self) -> str:
        """Without the comment: what it is told apart by."""
        return re.sub(r"(^|\s+)#.*", "", self.text).strip()


def commands() -> list[Command]:
    """Every command of every page, each once."""
    found: dict[str, Command] = {}
    for page in PAGES:
        for line in lines(page):
            for text in commands_of(line):
                command = Command(str(page.relative_to(ROOT)), text)
                found.setdefault(command.words, command)
    return list(found.values())


def lines(page: Path) -> Iterator[str]:
    """The lines of a page's blocks: fenced ones, indented ones, and all of a workflow."""
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
    fenced, before = page.suffix == ".yml", ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or (line.startswith("    ") and (not before.strip() or before.startswith("    "))):
            yield line.strip()
        before = line


def commands_of(line: str) -> list[str]:
    """The commands of one line of a block, among them those that its comment has in backticks."""
    line = re.sub(r"^(- )?(run: |script: )?", "", line)
    if script := re.search(r"script: '([^']*)'", line):  # of a Jenkinsfile
        line = script[1]
    line = re.sub(r"\$\{\{[^}]*\}\}", "main", line)  # GitHub puts the branch there
    named = re.match(r"(?:[A-Z_]+=\S+ )*(\S+)", line)
    if not named or named[1] not in PROGRAMS:
        return []
    comment = re.search(r"\s#(.*)", line)
    told = re.findall(r"`([^`]+)`", comment[1]) if comment else []
    return [line, *(text for text in told if text.split()[0] in PROGRAMS and " " in text)]


def repository(folder: Path, *, whole: bool) -> None:
    """A git repository of the files as they are here, with what the placeholders of the pages stand for.

    Args:
        whole: whether `overhead` has all that it has. Otherwise it has one loop and one size of batch: what lightning's
            import costs, eight times over, is not paid for the sake of a command's words.
    """
    told = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                          capture_output=True, text=True, check=True)  # fmt: skip
    for name in filter(None, told.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / "suites" / "mine.py").write_text(own_suite(), encoding="utf-8")
    for name, file in (("train.py", "scripts/hand_written.py"), ("common.py", "scripts/common.py")):
        shutil.copyfile(ROOT / "tests" / "zoo" / file, folder / name)
    module = (ROOT / "tests" / "zoo" / "clean" / "module_regression.py").read_text(encoding="utf-8")
    for name in ("module.py", "package/module.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(module.replace("Regression", "LitModule"), encoding="utf-8")
    if not whole:
        for file, much, little in (
            ("overhead.py", '("plain", "fabric", "trainer-barebones", "trainer")', '("plain",)'),
            ("overhead.py", "(64, 512, 1536)", "(64,)"),
            ("autoencoder_axes.py", "(8192,)", "(512,)"),
        ):
            path = folder / "suites" / file
            text = path.read_text(encoding="utf-8")
            assert much in text, f"suites/{file} has no {much} any more"
            path.write_text(text.replace(much, little), encoding="utf-8")
    program = folder / "bin" / "bench"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench "$@"\n')
    program.chmod(0o755)
    written = "bin home RUN results traces .asv history.html FILE.md FILE.xml gate.xml summary.md"
    shell(
        f"git init -q -b main && printf '%s\\n' {written} >> .git/info/exclude && git add . && git commit -q -m one && "
        "git tag COMMIT_A && git commit -q --allow-empty -m two && git tag COMMIT_B && git tag COMMIT && "
        "git update-ref refs/remotes/origin/main HEAD",
        folder,
    )


def own_suite() -> str:
    """The suite of one's own of docs/commands.md, in tiny sizes: what it costs is not what is asked here."""
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(from bench import Suite.*?)```", text, flags=re.DOTALL)
    return block


def shell(text: str, folder: Path, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run a line of shell as a user would who stands in that folder; its exit code is the caller's to judge."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BENCH_", "GIT_", "PYTHON", "PYTEST", "XDG_"))
    }
    identity = {
        f"GIT_{who}_{what}": "t@example.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environment = {
        **kept,
        **identity,
        "PATH": f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "BENCH_BUDGET": BUDGET,
        "GITHUB_STEP_SUMMARY": "summary.md",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    }
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
