"""Applies mutations in a copy of the tree, runs the tests that must notice, and says which did. Effects are here only.

A trap counts as held when a test of it passes without the mutation, and with it fails by an assertion: a test that dies
of an import or of a crash has noticed nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LEFT_OUT = (".git", ".nox", "__pycache__", ".*_cache", ".asv", "*.egg-info")
WRITTEN = ("results", "reports", "dist", "build")  # at the top of the tree; below it `bench/results` is a wing
PATIENCE = 240.0  # seconds for the tests of one mutation: the slowest take 40 on two free cores
# What an assertion says in a test's report: pytest.raises that saw nothing, and hypothesis, say it in other words.
BY_ASSERTION = ("AssertionError", "assert ", "Failed: DID NOT")


@dataclass(frozen=True)
class Mutant:
    """A small fault, put in by replacing a text that a file has exactly once.

    Attributes:
        trap: its number in docs/traps.md.
        what: the fault, in words.
        file: relative to the tree.
        old, new: the text and what is put in its place.
        tests: pytest's ids, with or without parameters; any of them may notice.
        says: words that the failed assertion must have, where the test looks at many things; it then died of this one.
    """

    trap: int
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    says: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(test.rpartition("::")[2].partition("[")[0] for test in self.tests)


@dataclass(frozen=True)
class Result:
    """What became of one mutation.

    Attributes:
        held: whether a test of it failed by an assertion, all its tests having passed without it.
        test: which, or why there is none.
        seconds: that the tests took.
    """

    mutant: Mutant
    held: bool
    test: str
    seconds: float


class MutantError(Exception):
    """A mutation that cannot be applied: its text is not there exactly once, or what comes of it is no Python."""


def mutated(text: str, mutant: Mutant) -> str:
    """The file's text with the fault in it.

    Raises:
        MutantError: the old text is not there exactly once, or the new one does not compile.
    """
    count = text.count(mutant.old)
    if count != 1 or mutant.old == mutant.new:
        raise MutantError(f"{mutant.file}: {mutant.old!r} is there {count} times, must be once, and must change")
    changed = text.replace(mutant.old, mutant.new)
    if mutant.file.endswith(".py"):
        try:
            compile(changed, mutant.file, "exec")
        except SyntaxError as error:
            raise MutantError(f"{mutant.file}: {mutant.what}: {error}") from None
    return changed


def copy_tree(target: Path) -> Path:
    """A copy of this tree in `target`, so that nothing is ever changed in the checkout."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        found = set(shutil.ignore_patterns(*LEFT_OUT)(folder, names))
        return found | (set(WRITTEN) & set(names) if Path(folder) == ROOT else set())

    return Path(shutil.copytree(ROOT, target, ignore=left_out))


@contextmanager
def applied(tree: Path, mutant: Mutant) -> Iterator[None]:
    """The mutation in a copy of the tree; taken back afterwards.

    Raises:
        MutantError: it cannot be applied.
    """
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(mutated(text, mutant), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def outcomes(tree: Path, tests: Sequence[str], patience: float = PATIENCE) -> Mapping[str, str]:
    """What became of each test case of these, by name: `passed`, `skipped`, or what its failure says.

    Args:
        tree: in which they are run, by this interpreter.
        patience: seconds after which all are ended; those that were not done are not among the outcomes then.
    """
    report = tree / "outcomes.xml"
    report.unlink(missing_ok=True)
    # Without bytecode: a file that changes twice within a second, and not in length, would be taken for unchanged.
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    process = subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        return {}
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # a pytest that was ended ends its fork servers
        process.wait()
    return _read(report) if report.is_file() else {}


def _read(report: Path) -> dict[str, str]:
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        said = "passed"
        for kind in ("skipped", "failure", "error"):
            for part in case.iter(kind):
                message = (part.get("message") or "").strip()
                said = "skipped" if kind == "skipped" else f"{'error: ' if kind == 'error' else ''}{message}"
        found[case.get("name", "")] = said
    return found


def judge(mutant: Mutant, before: Mapping[str, str], after: Mapping[str, str], seconds: float) -> Result:
    """Whether the trap is held.

    Args:
        before: outcomes without the mutation.
        after: outcomes with it.
    """
    own = {case: said for case, said in before.items() if case.partition("[")[0] in mutant.names}
    wrong = next((case for case, said in own.items() if said not in ("passed", "skipped")), None)
    if wrong is not None:
        return Result(mutant, False, f"{wrong} without the mutation: {_first(own[wrong])}", seconds)
    if "passed" not in own.values():
        return Result(mutant, False, "not run here: skipped without the mutation, too", seconds)
    for case, said in after.items():
        if said.startswith(BY_ASSERTION) and mutant.says in said:
            return Result(mutant, True, case, seconds)
    others = [f"{case}: {_first(said)}" for case, said in after.items() if said not in ("passed", "skipped")]
    if others:
        told = f"died, but by no assertion{f' that says {mutant.says!r}' if mutant.says else ''}"
        return Result(mutant, False, f"{told}: {others[0]}", seconds)
    return Result(mutant, False, "survived" if after else f"no answer within {PATIENCE:.0f} s", seconds)


def _first(said: str) -> str:
    return said.partition("\n")[0][:200]


def run(mutants: Sequence[Mutant], tree: Path, patience: float = PATIENCE) -> Iterator[Result]:
    """Try all of them, one after the other.

    Args:
        tree: a copy of this tree.
        patience: seconds for the tests of one; the first run of all of them without any may take as often as long.

    Raises:
        MutantError: one cannot be applied; before anything is run.
    """
    for mutant in mutants:
        mutated((tree / mutant.file).read_text(encoding="utf-8"), mutant)
    tests = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    before: dict[str, str] = {}
    while missing := [test for test in tests if not _seen(test, before)]:
        # -x stops at the first failure, which is then known; the rest goes on without it.
        found = outcomes(tree, missing, patience * max(1, len(missing)))
        if not set(found) - set(before):
            break
        before |= found
    for mutant in mutants:
        began = time.monotonic()
        with applied(tree, mutant):
            after = outcomes(tree, mutant.tests, patience)
        yield judge(mutant, before, after, time.monotonic() - began)


def _seen(test: str, found: Mapping[str, str]) -> bool:
    name = test.rpartition("::")[2]
    return name in found or (not name.endswith("]") and any(case.partition("[")[0] == name for case in found))


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table, in the order of the traps."""
    lines = ["| trap | mutation | killed by | held | s |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.mutant.trap} | {one.mutant.what} | {f'`{one.test}`' if one.held else one.test.replace('|', '/')} "
        f"| {'yes' if one.held else '**no**'} | {one.seconds:.0f} |"
        for one in sorted(results, key=lambda one: one.mutant.trap)
    ]
    held = sum(one.held for one in results)
    traps = {one.mutant.trap for one in results}
    open_traps = sorted({one.mutant.trap for one in results if not one.held})
    told = f"{held} of {len(results)} mutations killed; {len(traps) - len(open_traps)} of {len(traps)} traps held"
    return "\n".join([*lines, "", told + (f", not held: {', '.join(map(str, open_traps))}" if open_traps else "")])
