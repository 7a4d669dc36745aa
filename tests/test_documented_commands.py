"""Every command of README and docs is run as it stands, or the table says why not and what is held instead."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from conftest import ROOT
from documented import BUDGET, Command, commands, commands_of, lines, repository, shell

from bench.cli import parser
from bench.commands.selection import allowed_budget

EVERYTHING = os.environ.get("BENCH_DOCUMENTED") == "all"  # `nox -s documented`: those that take minutes, too

Kind = Literal["run", "long", "absent", "session", "foreign"]
HELD = {
    "run": "is run, and ends with one of its exit codes",
    "long": "takes minutes: `nox -s documented` runs it; here the real parser takes its words",
    "absent": "needs what is not here; the real parser takes its words",
    "session": "is a session of nox, which exists; what it runs is run by itself",
    "foreign": "is another program's",
}
GATED = (0, 1, 3, 4)  # with a verdict; a budget of seconds may give any


@dataclass(frozen=True)
class Class:
    """Commands of one kind.

    Attributes:
        pattern: a regular expression of all their words.
        kind: see HELD.
        why: the reason, for all that are not run.
        codes: exit codes, of those that are run.
        before: shell that makes true what the command takes for granted.
        says: is found in what it prints.
    """

    pattern: str
    kind: Kind
    why: str = ""
    codes: tuple[int, ...] = (0,)
    before: str = ""
    says: str = ""


LIGHTNING = "imports lightning in several interpreters"
ZOO = shlex.quote(str(ROOT / "tests" / "zoo" / "scripts"))
# A training for a goal, as small as can be.
TRAINED = "bench run convergence --set loop=plain --set samples=512 --set epochs=2 --seeds 2"
PREPARING = "bench run"  # prepares the run that the others read
CLASSES = (
    Class(r"bench list", "run", says="overhead"),
    Class(PREPARING, "run", says="bench report"),
    Class(r"bench run --resume RUN", "run", says="RUN"),
    Class(r'bench run -k "batch_size=64" --budget 90s', "run", says="bench report"),  # the tutorial's
    Class(r"bench list --set accelerator=tpu", "run", says="overhead"),
    Class(r"bench help run", "run", says="--budget"),
    Class(r"bench (list|run) overhead --set .*(cpu-again|plain-item).*", "absent", "tests/axes follow docs/adding/"),
    Class(r"bench run scaling --launcher .*", "absent", "a Slurm, of which nox -s slurm has one"),
    Class(
        r"bench (run|check) (overhead|null|-k|precision|scaling|compile|loader|trainer-settings|epochs|features"
        r"|optimizers|convergence|tuning|--set|--instrument|--until|mine|DIR/mine.py)\b(?!.*--launcher).*",
        "long",
        LIGHTNING,
        (0, 3),
    ),
    Class(r"PJRT_DEVICE=CPU bench run .*", "absent", "torch_xla, whose own session has another torch"),
    Class(r'bench versions "lightning==.*', "absent", "downloads two versions of lightning"),
    Class(r"bench versions", "long", "its default sides are an upgrade's"),
    Class(r"bench versions git:main \.", "run", says="git:main"),
    Class(r"bench trace -k batch_size=64", "run", says="perfetto"),
    Class(r"bench trace .*", "long", LIGHTNING),
    Class(r"bench counts null", "long", LIGHTNING),
    Class(
        r"bench race train\.py \"train\.py --precision.*",
        "run",
        codes=(0, 3),
        before=f"cp {ZOO}/common.py . && cp {ZOO}/hand_written.py train.py",
        says="can change no file|no Landlock",
    ),
    Class(r"bench race .*", "long", "the same with other scripts"),
    Class(r"bench doctor train\.py.*", "run", says="there (is one|are \\d+) thing|nothing (to advise|was told)"),
    Class(r"bench doctor .*:.*", "long", LIGHTNING),
    Class(r"bench train fit( --model\.width .*| --trainer.max_epochs 5)?", "run", says="latent.png"),
    Class(r"bench train fit --print_config > mine.yaml", "run"),
    Class(r"bench train fit --config mine.yaml", "run", before="bench train fit --print_config > mine.yaml"),
    Class(
        r"bench train (fit|validate|test|predict) --ckpt_path (last|best)",
        "run",
        before="bench train fit --trainer.max_epochs 1",
    ),
    Class(r"bench train fit --model package.*", "absent", "the user's own package, of which tests/train has one"),
    Class(r"bench show( RUN)?( --format \w+| --step \w+)?", "run", says="plain"),
    Class(r"bench show --target .*", "run", before=TRAINED, says="(reaches|does not reach) 0.025"),
    Class(r"bench report --target .*", "long", "the same as a page"),
    Class(
        r"bench (report|verify) RUN OTHER", "absent", "two runs, of which tests/report/test_side_by_side.py has some"
    ),
    Class(r"bench report", "run", says="reports/.*/index.html"),
    Class(r"bench explain .*", "long", "samples stacks in a launch of its own"),
    Class(r"bench tune( .*)?", "long", "a search of minutes"),
    Class(r"bench verify", "run", before="bench report", says="as the records give them"),
    Class(r"bench history( --html history.html| --format json)?", "run"),
    # The small `overhead` has one loop, so no ratio, and that is told.
    Class(
        r"bench history --suite overhead --metric step_time", "run", codes=(0, 2), says="overhead|no run under results"
    ),
    Class(r"bench confirm COMMIT_A COMMIT_B", "run", codes=(2,), says="nothing is suspected between"),
    Class(r"bench export asv.*", "run", says="asv"),
    Class(r"bench completion .*", "absent", "shtab, whose own test has real shells read it"),
    Class(r"bench export csv RUN RUN --what turns,cells --into DIR", "run", says="/tables-csv.json"),
    # pyarrow is an extra, which tests/extras has.
    Class(r"bench export parquet", "run", codes=(0, 2), says="turns.parquet|pip install"),
    Class(r"bench report --format pdf", "run", codes=(0, 2), says=".pdf|a PDF is printed by a browser"),
    Class(r"bench env", "run", says="budget_limit +4s"),
    Class(r"bench env --calibrate", "run", says="kept in"),
    Class(r"bench env --fit.*", "run", says="a gate of"),
    Class(r"bench gate (SUITE )?--against origin/main.*", "run", codes=GATED, says="gate: "),
    Class(r"bench gate (overhead -k fabric|mine .*)", "long", LIGHTNING, GATED),
    Class(r"bench baseline save NAME", "run", says="baseline NAME"),
    Class(r"bench compare NAME RUN", "run", before="bench baseline save NAME", codes=(0, 3), says="overhead"),
    # One run of one machine has nothing to be merged with, and that is told.
    Class(r"bench merge results/2\*", "run", codes=(0, 2), says="common to two machines|Machines:"),
    Class(r"bench merge (?!results/2\*).*", "absent", "takes runs of several machines"),
    Class(r"bench (submit|cancel) .*", "absent", "a Slurm, of which nox -s slurm has one"),
    Class(r"bench status( JOB)?", "absent", "a job, of which nox -s slurm has several"),
    Class(r"bench selftest.*", "long", "measures the tool for minutes, whatever the budget", (0, 3)),
    Class(r'(pip install "nox\[uv\]"( && )?)?(nox -s .*)?', "session"),
    Class(r"python examples/\w+\.py .*", "foreign", "of examples/, which tests/examples runs"),
    Class(r"python -m peers\.table FILE\.json", "foreign", "of peers/, which tests/test_peers.py runs"),
    Class(r"python -m peers\.scale( .*)?", "foreign", "of peers/, which tests/test_scale.py runs"),
    Class(r"python -m (tests\.(faults|cuda)|pytest)( .*)?", "foreign", "of the tests"),
    Class(r"(asv|uvx|git fetch|uv pip install|pip install) .*", "foreign", "needs a network, or a browser"),
)
COMMANDS = commands()
# What a page writes in place of a name, and what stands for it here; the others are names that the repository has.
PLACEHOLDERS = {"SUITE": "overhead", "DIR": "suites"}
SUBSTITUTED = re.compile(r"\b(" + "|".join(PLACEHOLDERS) + r")\b")


def classes(command: Command) -> list[Class]:
    return [one for one in CLASSES if re.fullmatch(one.pattern, command.words)]


def of_kind(*kinds: Kind) -> list[Command]:
    return [command for command in COMMANDS if any(one.kind in kinds for one in classes(command)[:1])]


def name(command: Command) -> str:
    return command.words


def as_run(command: Command) -> str:
    return SUBSTITUTED.sub(lambda found: PLACEHOLDERS[found[0]], command.text)


def test_pages_are_read() -> None:
    told = {command.words for command in COMMANDS}
    assert {"bench run", "bench gate --against origin/main", "bench confirm COMMIT_A COMMIT_B"} <= told
    assert {command.page for command in COMMANDS} >= {"README.md", "docs/history.md", "docs/ci/github-actions.yml"}
    assert len(of_kind("run")) >= 20
    assert commands_of("- bench list  # or `bench list mine`, says `mine`") == [
        "bench list  # or `bench list mine`, says `mine`",
        "bench list mine",
    ]
    assert commands_of("overhead[batch_size=64]: per step, over 20 steps; baseline plain") == []


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_every_documented_command_is_of_a_class(command: Command) -> None:
    found = classes(command)
    assert found, f"{command.page}: {command.words!r} is of no class; say in CLASSES how it is held"
    assert found[0].kind == "run" or found[0].kind == "session" or found[0].why


def test_every_class_has_a_command() -> None:
    spare = {"bench versions", r"python -m (tests\.faults|pytest) .*"}  # told by pages that are to come
    used = {classes(command)[0].pattern for command in COMMANDS if classes(command)}
    assert {one.pattern for one in CLASSES} - used <= spare


@pytest.mark.parametrize("command", of_kind("run", "long", "absent"), ids=name)
def test_the_parser_takes_every_documented_command(command: Command) -> None:
    text = re.sub(r" > \S+", "", as_run(command))  # the shell's own
    words = shlex.split(text.replace('"$GITHUB_STEP_SUMMARY"', "x"), comments=True)
    parser().parse_args(words[words.index("bench") + 1 :])


@pytest.mark.parametrize("command", of_kind("session"), ids=name)
def test_every_documented_session_exists(command: Command) -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    assert set(re.findall(r"nox -s (\w+)", command.words)) <= sessions


LONG: tuple[Kind, ...] = ("long",) if EVERYTHING else ()
RUN = [command for command in of_kind("run", *LONG) if command.words != PREPARING]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with one real run, in results/ and, under the name that the pages use, in RUN."""
    folder = tmp_path_factory.mktemp("documented") / "repository"
    folder.mkdir()
    repository(folder, whole=EVERYTHING)
    done = shell(PREPARING, folder)
    assert done.returncode == 0, done.stderr
    assert "bench report" in done.stdout
    shell("cp -r results/* RUN", folder)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.parametrize("command", RUN, ids=name)
def test_a_documented_command_does_what_it_says(prepared: Path, tmp_path: Path, command: Command) -> None:
    found = classes(command)[0]
    here = tmp_path / "here"
    shutil.copytree(prepared, here, symlinks=True)
    if found.before:
        made = shell(found.before, here)
        assert made.returncode == 0, made.stderr
    done = shell(as_run(command), here, seconds=590.0)
    told = f"{command.page}: {command.words}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.returncode in found.codes, told
    assert "Traceback" not in done.stdout + done.stderr, told
    said = " ".join((done.stdout + done.stderr).split())  # lines break where the names of folders let them
    assert re.search(found.says, said), told
    if " gate " in f" {command.words} ":
        assert list(here.glob("results/*/gate.json")), told
    shutil.rmtree(here)


@pytest.mark.long
def test_the_tutorial_runs_from_its_first_command_to_its_last(prepared: Path, tmp_path: Path) -> None:
    """In one folder, one after the other; what it installs is installed, and its race is run by itself above."""
    page = ROOT / "docs" / "tutorial.md"
    words = [text for line in lines(page) for text in commands_of(line)]
    assert [text.split()[1] for text in words] == ["install", "list", "run", "show", "report", "verify", "race"]
    here = tmp_path / "here"
    shutil.copytree(prepared, here, symlinks=True)
    shutil.rmtree(here / "results")
    for text in words[1:-1]:
        done = shell(text, here)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    ("variable", "given", "is_"),
    [("", None, 180.0), ("", 7.0, 7.0), ("4s", None, 4.0), ("4s", 7.0, 4.0), ("4s", 1.0, 1.0), ("10m", None, 600.0)],
)
def test_the_variable_is_the_usual_budget_and_the_largest(
    monkeypatch: pytest.MonkeyPatch, variable: str, given: float | None, is_: float
) -> None:
    monkeypatch.setenv("BENCH_BUDGET", variable)
    assert allowed_budget(given, 180.0) == is_


def test_a_run_says_which_budget_it_had(prepared: Path) -> None:
    info = json.loads((prepared / "RUN" / "run.json").read_text(encoding="utf-8"))
    assert info["options"]["budget"] == 4.0
    assert info["environment"]["budget_limit"] == BUDGET


@pytest.mark.parametrize("command", ["run", "gate overhead", "versions . .", "env --calibrate", "selftest --power"])
def test_a_variable_that_is_no_time_is_told(prepared: Path, command: str) -> None:
    done = shell(f"BENCH_BUDGET=soon bench {command}", prepared)
    assert done.returncode == 2
    assert "BENCH_BUDGET" in done.stderr
    assert "'soon' is not a time" in done.stderr
