"""Tiers are read from what a test does, and the guard fails a test that does more: tried on a small tree of tests."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import quick
import tiers

ELSEWHERE = """
import subprocess, sys

def start():
    subprocess.run([sys.executable, "-c", ""], check=True)

def split():
    import os
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

def load():
    import torch
"""
CONFTEST = """
import pytest

pytest_plugins = ("tiers",)

@pytest.fixture
def started(processes):
    return 1

@pytest.fixture
def by_its_code():
    import subprocess
    return subprocess

def pytest_collection_finish(session):
    for item in session.items:
        print("TIERS", item.name, *sorted(mark.name for mark in item.iter_markers() if mark.name != "parametrize"))
"""
HELPER = """
from subprocess import run

class Runner:
    @property
    def done(self):
        return run(["true"])

def deeper():
    return Runner().done

def in_a_function():
    from torch import nn
"""
TESTS = """
import subprocess
import threading
from functools import partial

import elsewhere
import helper
import pytest

def test_pure():
    assert elsewhere

def test_own():
    subprocess.run(["true"], check=True)

def test_in_a_lambda():
    (lambda: subprocess.run(["true"]))()

def test_by_helper():
    helper.deeper()

@pytest.mark.parametrize("work", [partial(helper.deeper), print])
def test_by_argument(work):
    work()

def test_by_fixture(started):
    elsewhere.start()

def test_by_the_code_of_a_fixture(by_its_code):
    pass

def test_torch():
    import torch

def test_torch_by_helper():
    helper.in_a_function()

def test_torch_by_others():
    from wing.deep import module

def test_simulation(repeats):
    assert repeats(3, 30) in (3, 30)

def test_thorough(cases):
    assert cases(3, 30) in (3, 30)

@pytest.mark.long
def test_long():
    pass
"""
SLY = """
import threading
from contextlib import suppress

import elsewhere

def test_start():
    elsewhere.start()

def test_fork():
    elsewhere.split()

def test_hides_it():
    with suppress(BaseException):
        elsewhere.start()

def test_in_a_thread():
    thread = threading.Thread(target=test_hides_it)
    thread.start()
    thread.join()

def test_load():
    elsewhere.load()
"""
QUICK, PROCESS, TORCH = ("quick",), ("process",), ("torch",)
EXPECTED = {
    "test_pure": QUICK,
    "test_own": PROCESS,
    "test_in_a_lambda": PROCESS,
    "test_by_helper": PROCESS,
    "test_by_argument[work0]": PROCESS,
    "test_by_argument[print]": QUICK,
    "test_by_fixture": PROCESS,
    "test_by_the_code_of_a_fixture": PROCESS,
    "test_torch": TORCH,
    "test_torch_by_helper": TORCH,
    "test_torch_by_others": TORCH,
    "test_simulation[few]": QUICK,
    "test_simulation[full]": ("simulation",),
    "test_thorough[some]": QUICK,
    "test_thorough[all]": ("thorough",),
    "test_long": ("long",),
    "test_at_the_top": TORCH,
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with these tests, and a torch that is imported in no time."""
    project = tmp_path / "project"
    tests = project / "tests"
    tests.mkdir(parents=True)
    for name in ("tiers.py", "imports.py", "quick.py"):
        shutil.copy(tiers.TESTS / name, tests)
    shutil.copy(tiers.TESTS.parent / "pyproject.toml", project)
    for path, text in {
        "elsewhere.py": ELSEWHERE,
        "../torch/__init__.py": "from . import nn",
        "../torch/nn.py": "",
        "wing/__init__.py": "",
        "wing/deep/__init__.py": "import torch.nn",
        "wing/deep/module.py": "",
        "tests/conftest.py": CONFTEST,
        "tests/helper.py": HELPER,
        "tests/test_tree.py": TESTS,
        "tests/test_top.py": "from wing.deep import module\n\ndef test_at_the_top():\n    pass\n",
        "tests/test_sly.py": SLY,
    }.items():
        (project / path).parent.mkdir(exist_ok=True, parents=True)
        (project / path).write_text(text)
    return project


def run(tree: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(tree.parent)}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False).stdout


def test_markers_are_what_a_test_does(tree: Path) -> None:
    said = run(tree, "tests/test_tree.py", "tests/test_top.py")
    seen = dict(re.findall(r"^TIERS (\S+)(.*)$", said, flags=re.MULTILINE))
    assert {name: tuple(found.split()) for name, found in seen.items()} == EXPECTED
    assert f"{len(EXPECTED)} passed" in said, "the guard has nothing to say of these"


def test_only_what_is_quick_is_collected_and_torch_is_not_imported(tree: Path) -> None:
    (tree.parent / "torch" / "__init__.py").write_text("raise RuntimeError('imported')")
    said = run(tree, "-m", "quick", "--ignore", "tests/test_sly.py")
    names = [name for name, found in EXPECTED.items() if found == QUICK]
    assert re.findall(r"^TIERS (\S+)", said, flags=re.MULTILINE) == names
    assert f"{len(names)} passed" in said


@pytest.mark.parametrize("selected", [["-m", "quick"], []])
def test_the_guard_fails_a_test_that_does_more_than_its_tier(tree: Path, selected: list[str]) -> None:
    said = run(tree, *selected, "tests/test_sly.py")
    failed = set(re.findall(r"^FAILED \S+::(\w+)", said, flags=re.MULTILINE))
    assert failed == {"test_start", "test_fork", "test_hides_it", "test_in_a_thread", "test_load"}
    for words in ("starts a process (subprocess.Popen", "starts a process (os.fork", "imports torch"):
        assert f"this test {words}" in said
    assert "`processes` is the fixture to ask for" in said


def test_a_quick_test_asks_for_few_examples() -> None:
    assert tiers.examples(3) == 3
    assert tiers.examples(1000) in (5, 100)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_quick_file_is_the_share_of_one_process(tree: Path, processes: int) -> None:
    said = "".join(
        run(tree, "-m", "quick", f"--share={number}/{processes}", "--ignore", "tests/test_sly.py")
        for number in range(1, processes + 1)
    )
    names = [name for name, found in EXPECTED.items() if found == QUICK]
    assert sorted(re.findall(r"^TIERS (\S+)", said, flags=re.MULTILINE)) == sorted(names)
    shared = tiers.shared_out(processes)
    assert set(shared.values()) == set(range(1, processes + 1))
    assert len(shared) > 30


def test_quick_tests_are_shared_out_unless_a_path_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert quick.shares(["-k", "intervals", "-x"]) == quick.MOST
    assert quick.shares([f"{__file__}::test_quick_tests_are_shared_out_unless_a_path_is_named"]) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert quick.shares([]) == 1


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 1], 1), ([5, 0], 0), ([5, 5], 5), ([5, 1], 1), ([2, 1], 2), ([0, -9], -9)]
)
def test_the_worst_of_all_processes_counts(codes: list[int], code: int) -> None:
    assert quick.exit_code(codes) == code


def test_a_failure_in_another_process_is_told(tree: Path) -> None:
    (tree / "tests" / "test_sly.py").write_text("def test_sly():\n    assert 6 * 7 == 54\n")
    environment = {**os.environ, "PYTHONPATH": str(tree.parent)}
    command = [sys.executable, "-m", "tests.quick"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "assert (6 * 7) == 54" in done.stdout


# --- tests that measure


ARMS = {"bench", "fleet"}  # fixtures that run real arms
FIGURES = {"estimate", "low", "high"}  # of what they took


def judges_what_arms_take(test: ast.FunctionDef) -> bool:
    named = {node.attr for node in ast.walk(test) if isinstance(node, ast.Attribute)}
    return bool({argument.arg for argument in test.args.args} & ARMS and named & FIGURES)


def are_alone(marks: list[ast.expr]) -> bool:
    return any("pytest.mark.alone" in ast.unparse(mark) for mark in marks)


def test_what_judges_the_times_of_real_arms_has_the_machine_to_itself() -> None:
    """Another test on the same two cores lengthens what it judges, by no amount that a tolerance could allow for."""
    seen, missed = 0, []
    for path in sorted(tiers.TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        whole_file = are_alone([node.value for node in tree.body if isinstance(node, ast.Assign)])
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and judges_what_arms_take(node):
                seen += 1
                if not whole_file and not are_alone(node.decorator_list):
                    missed.append(f"{path.relative_to(tiers.TESTS)}::{node.name}: mark it `alone`")
    assert seen >= 8
    assert not missed
