"""The workflow that is offered: it parses, its steps are complete, and its command is one that `bench` takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from bench.cli import parser
from bench.commands.endings import CODES
from bench.stats.gate_rule import VERDICTS

CI = ROOT / "docs" / "ci"
WORKFLOW = CI / "github-actions.yml"


def commands(path: Path) -> list[str]:
    """Every `bench gate` of a file, lines that are continued joined."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"(?:^|[\s'-])(bench gate [^\n`']*--[^\n`']*)", text)
    return [re.sub(r"\$\{\{[^}]*\}\}", "main", command) for command in found]


def test_the_workflow_is_yaml_with_the_keys_that_github_asks_for() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with lightning")
    read: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    # YAML 1.1 reads `on` as true.
    assert set(read) == {"name", True, "permissions", "concurrency", "jobs"}
    assert read["permissions"] == {"contents": "read"}
    (job,) = read["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert set(step) <= {"name", "id", "if", "uses", "with", "run"}
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))
    checkout = job["steps"][0]
    assert checkout["with"]["fetch-depth"] == 0, "the commit that it is gated against must be there"


def test_the_workflow_is_not_active_here() -> None:
    """This project has a workflow for its own tests; none gates it."""
    active = [path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").iterdir()]
    assert active
    assert not [text for text in active if "bench gate" in text or text == WORKFLOW.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", [WORKFLOW, CI / "README.md"], ids=lambda path: path.name)
def test_the_commands_are_those_that_bench_takes(path: Path) -> None:
    found = commands(path)
    assert found
    for command in found:
        words = shlex.split(command)
        arguments = parser().parse_args(words[1:])
        assert arguments.against


def test_the_exit_codes_of_the_page_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", (CI / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    said = {verdict: int(code) for code, text in rows for verdict in VERDICTS if f"`{verdict}`" in text}
    assert said == {verdict: CODES[verdict] for verdict in VERDICTS}
