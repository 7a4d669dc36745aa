"""The documentation says what is: commands, sessions, files, tests and outcomes that it names exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT

from bench.cli import parser
from bench.results.record import OUTCOMES

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted((ROOT / "docs").rglob("*.md"))


def commands() -> list[str]:
    (choices,) = [action.choices for action in parser()._actions if action.choices and "run" in action.choices]
    return list(choices)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"bench {command}" in README


def test_the_two_commands_of_the_readme_are_sessions() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    named = re.findall(r'pip install "nox\[uv\]" && nox -s (\w+)', README)
    assert named == ["bench", "tests"]
    assert {*named, "lint"} <= sessions


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_test_that_the_traps_name_exists() -> None:
    named = set(re.findall(r"`(test_\w+)", (ROOT / "docs" / "traps.md").read_text(encoding="utf-8")))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 10
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_every_outcome_is_in_the_glossary() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert [outcome for outcome in OUTCOMES if f"| `{outcome}` |" not in glossary] == []


def test_every_module_is_in_the_structure() -> None:
    structure = (ROOT / "docs" / "structure.md").read_text(encoding="utf-8")
    names = sorted({path.name for path in (ROOT / "bench").rglob("*.py") if not path.name.startswith("__")})
    assert [name for name in names if f"`{name}`" not in structure] == []
