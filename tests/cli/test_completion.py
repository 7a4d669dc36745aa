"""Completion as a shell does it: its script is read by a real shell, which is asked what it would offer."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from bench import cli
from bench.cli import completions

NEEDS = pytest.mark.skipif(
    importlib.util.find_spec(completions.COMPLETION_PACKAGE) is None, reason="shtab is not installed"
)
# Asks bash's function for what it offers behind these words, the last of which is being written.
ASK = """
source "$1"; shift
name=$(complete -p bench | sed 's/.*-F \\([^ ]*\\).*/\\1/')
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
"$name" bench "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$COMP_CWORD - 1]}" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell in completions.SHELLS:
        with pytest.MonkeyPatch.context() as patch, open(folder / shell, "w") as file:
            patch.setattr("sys.stdout", file)
            assert cli.exit_code(["completion", shell]) == 0
    return folder


@NEEDS
@pytest.mark.parametrize(
    ("words", "some", "none"),
    [
        (["r"], {"run", "race", "report"}, {"show"}),
        (["sho"], {"show"}, {"run"}),
        (["run", "--bu"], {"--budget"}, {"--out"}),
        (["run", "--"], {"--budget", "--set", "--until", "--out"}, {"--look", "--target"}),
        (["show", "--format", ""], {"table", "csv", "md", "json"}, {"run"}),
        (["baseline", ""], {"save", "list", "delete"}, set()),
        (["export", ""], {"asv"}, set()),
        (["completion", ""], {"bash", "zsh", "tcsh"}, set()),
        (["run", "--out", ""], {"folder"}, {"file.xml"}),
        (["gate", "--junit", ""], {"folder", "file.xml"}, set()),
        (["run", "over"], {"overhead"}, {"null"}),
        (["run", "fi"], {"file.xml"}, set()),
        (["help", "cou"], {"counts"}, {"run"}),
    ],
)
def test_bash_offers_what_may_stand_there(
    scripts: Path, tmp_path: Path, words: list[str], some: set[str], none: set[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.xml").touch()
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", str(scripts / "bash"), "bench", *words],
        capture_output=True, text=True, cwd=tmp_path, check=True, timeout=30,
    )  # fmt: skip
    offered = set(done.stdout.split())
    assert some <= offered, done.stderr
    assert not offered & none


@NEEDS
def test_the_other_shells_read_theirs(scripts: Path) -> None:
    for shell, words in (("zsh", ["zsh", "-fn"]), ("tcsh", ["tcsh", "-fn"])):
        text = (scripts / shell).read_text()
        assert "overhead" in text or shell == "tcsh"
        assert "--precision-goal" in text or shell == "tcsh"
        if shutil.which(words[0]) is not None:
            done = subprocess.run(
                [*words, str(scripts / shell)], capture_output=True, text=True, timeout=30, check=False
            )
            assert (done.returncode, done.stderr) == (0, "")


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(completions, "COMPLETION_PACKAGE", "no_such_package")
    assert cli.exit_code(["completion", "bash"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert 'pip install "loopmark[completion]"' in said.err
    assert cli.exit_code(["completion", "bsh"]) == 2
    assert "did you mean 'bash'? allowed: bash, zsh, tcsh" in capsys.readouterr().err
