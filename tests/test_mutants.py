"""The harness of `nox -s mutants` works, its table is whole and can be applied; the mutations themselves run there."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT
from mutants.harness import Mutant, MutantError, Result, applied, copy_tree, judge, mutated, outcomes, run, table
from mutants.table import MUTANTS

TRAPS = range(1, 38)
DOCS = dict(re.findall(r"^\| (\d+) \|(.*)\|$", (ROOT / "docs" / "traps.md").read_text(encoding="utf-8"), re.MULTILINE))
SOURCE = "def double(number):\n    return 2 * number\n"
TESTS = """\
from code_under_test import double

def test_double():
    assert double(3) == 6

def test_type():
    assert isinstance(double(3), int)
"""


def mutant(old: str, new: str, test: str = "test_double") -> Mutant:
    return Mutant(1, "a fault", "code_under_test.py", old, new, (f"test_it.py::{test}",))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project of one function and two tests."""
    (tmp_path / "code_under_test.py").write_text(SOURCE)
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


@cache
def functions_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_copy_has_every_module_of_the_tree(tmp_path: Path) -> None:
    """Not `results/`, which runs write; `bench/results/`, all the same."""
    copy = copy_tree(tmp_path / "tree")
    for folder in ("bench", "suites", "tests"):
        ours = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
        assert ours == {path.relative_to(copy) for path in (copy / folder).rglob("*.py")}
    assert not (copy / "results").exists()


@pytest.mark.parametrize("one", MUTANTS, ids=lambda one: f"{one.trap}-{one.what}")
def test_every_mutation_can_be_applied_and_names_tests_that_there_are(one: Mutant) -> None:
    path = ROOT / one.file
    assert mutated(path.read_text(encoding="utf-8"), one) != path.read_text(encoding="utf-8")
    for test, name in zip(one.tests, one.names, strict=True):
        assert name in functions_in(ROOT / test.partition("::")[0])


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_a_mutation_and_its_page_names_the_test(trap: int) -> None:
    own = [one for one in MUTANTS if one.trap == trap]
    assert own
    for one in own:
        assert any(name in DOCS[str(trap)] for name in one.names), f"trap {trap} names none of {one.names}"


def test_a_mutation_that_is_not_there_once_or_changes_nothing_or_is_no_python_is_an_error(tree: Path) -> None:
    for one in (mutant("3 * number", "0"), mutant("number", "0"), mutant("2 *", "2 *"), mutant("2 *", "2 * (")):
        with pytest.raises(MutantError, match=r"code_under_test\.py"):
            mutated(SOURCE, one)
        with pytest.raises(MutantError):
            list(run([one], tree))


def test_mutations_that_die_survive_or_break_are_told_apart(tree: Path) -> None:
    faults = [
        mutant("2 * number", "3 * number"),
        mutant("2 * number", "3 * number", "test_type"),
        mutant("2 * number", "1 / 0"),
    ]
    killed, alive, broken = run(faults, tree, 60)
    assert (killed.held, killed.test) == (True, "test_double")
    assert (alive.held, alive.test) == (False, "survived")
    assert not broken.held
    assert broken.test.startswith("died, but by no assertion: test_double: ZeroDivisionError")
    assert (tree / "code_under_test.py").read_text() == SOURCE
    told = table([killed, alive, broken])
    assert "1 of 3 mutations killed; 0 of 1 traps held, not held: 1" in told
    assert told.count("**no**") == 2


def test_a_failure_that_says_something_else_is_not_the_mutations(tree: Path) -> None:
    one = mutant("2 * number", "3 * number")
    for says, held in (("assert 9 == 6", True), ("assert 8 == 6", False)):
        (result,) = run([replace(one, says=says)], tree, 60)
        assert result.held is held, result.test


def test_a_test_that_fails_anyway_holds_nothing(tree: Path) -> None:
    (tree / "test_it.py").write_text(TESTS.replace("== 6", "== 7"))
    (result,) = run([mutant("2 * number", "3 * number")], tree, 60)
    assert not result.held
    assert result.test.startswith("test_double without the mutation: ")


def test_tests_that_do_not_come_to_an_end_hold_nothing(tree: Path) -> None:
    with applied(tree, mutant("2 * number", "__import__('time').sleep(60)")):
        assert outcomes(tree, ["test_it.py"], 5) == {}
    one = mutant("2", "3")
    assert judge(one, {"test_double": "passed"}, {}, 1.0).held is False
    assert judge(one, {"test_double": "skipped"}, {"test_double": "skipped"}, 1.0) == Result(
        one, False, "not run here: skipped without the mutation, too", 1.0
    )
