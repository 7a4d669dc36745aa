"""Training scripts as arms of a race: what a command line names, and the plan that is made of it. No torch.

A script is run as `__main__` with its own arguments, and its batches are its turns (`bench.arm.script_arm`). What it
imports is read from its syntax tree, so that fork servers can have it before they fork: nothing of it is run here.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.axes.engine_axes import AxisValue, Point
from bench.axes.loops.workload import Workload
from bench.errors import SpecError, quote
from bench.plan import guard
from bench.plan.cell import Cell, Group, Plan
from bench.plan.script import Script
from bench.plan.side import SIDE, Side
from bench.plan.suite import Suite

RACE = "race"  # the name of the suite that a race is
LAUNCHERS = frozenset({"torchrun", "accelerate", "deepspeed", "mpirun", "srun", "fabric", "lightning"})
LAUNCHING_MODULES = frozenset(
    {"torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch", "lightning", "lightning.fabric"}
)
_PYTHON = re.compile(r"(.*/)?python(3(\.\d+)?)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of these the interpreter's own libraries start threads or processes when they are imported, and such an interpreter
# cannot be forked; an arm imports them itself.
UNFORKABLE = frozenset({"tensorflow", "jax", "ray", "pyspark", "grpc", "wandb"})
MOST_FILES = 500  # of a script's own modules that are looked into for what they import


def parse_scripts(commands: Sequence[str], environs: Sequence[str] = (), folder: str | None = None) -> list[Script]:
    """The scripts that a command line names, the baseline first.

    Args:
        commands: `train.py --lr 0.1`, `-m package.train`, with or without `python` before it.
        environs: `NAME=VALUE`, several of one arm with spaces between them. Each is an arm of each script; a single one
            stands beside the script as it is.
        folder: that relative paths begin in; None: the working folder.

    Raises:
        SpecError: all that is wrong with any of them.
    """
    here = folder or os.getcwd()
    mistakes: list[str] = []
    scripts: list[Script] = []
    for command in commands:
        try:
            scripts.append(parse_script(command, here))
        except SpecError as error:
            mistakes += error.mistakes
    variables = []
    for text in environs:
        try:
            variables.append((text, read_variables(text)))
        except SpecError as error:
            mistakes += error.mistakes
    if not commands:
        mistakes.append('no script; allowed: one or more commands, as "train.py --precision bf16-mixed"')
    if mistakes:
        raise SpecError(mistakes)
    if len(variables) == 1:
        variables.insert(0, ("", {}))
    arms = [
        replace(script, label=f"{script.label} {text}".strip(), environ=environ)
        for script in scripts
        for text, environ in variables or [("", {})]
    ]
    twice = [label for label in dict.fromkeys(arm.label for arm in arms) if [a.label for a in arms].count(label) > 1]
    if twice:
        raise SpecError(
            [f"script {quote(label)} is there twice; the baseline's twin is raced anyway" for label in twice]
        )
    return arms


def parse_script(command: str, folder: str) -> Script:
    """One script from its command line.

    Raises:
        SpecError: it names no file of Python, or no module.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SpecError(f"script {quote(command)}: {error}") from None
    if words and _PYTHON.fullmatch(words[0]):
        words = words[1:]
    if not words:
        raise SpecError(
            f"script {quote(command)}: names no file; allowed: a file of Python and its arguments, -m MODULE"
        )
    if Path(words[0]).name in LAUNCHERS or (words[0] == "-m" and words[1:2] and words[1] in LAUNCHING_MODULES):
        raise SpecError(
            f"script {quote(command)}: {words[words[0] == '-m']} starts processes of its own; allowed: the script "
            "itself, with --devices N for as many ranks as it would start"
        )
    if words[0] == "-m":
        return _module_script(command, words[1:], folder)
    path = Path(folder, words[0]).expanduser()
    try:
        source = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise SpecError(f"script {quote(command)}: {path}: cannot be read: {error.strerror}") from None
    if source is None:
        kind = "a folder" if path.is_dir() else "not a file" if path.exists() else "no such file"
        raise SpecError(f"script {quote(command)}: {words[0]}: {kind}; allowed: a file of Python and its arguments")
    _parse(command, source, str(path))
    return Script(" ".join(words), (str(path.resolve()), *words[1:]), module=False, folder=folder)


def _module_script(command: str, words: Sequence[str], folder: str) -> Script:
    if not words or not all(part.isidentifier() for part in words[0].split(".")):
        raise SpecError(f"script {quote(command)}: -m names no module; allowed: -m package.module and its arguments")
    file = module_file(words[0], folder)
    if file is not None:
        _parse(command, file.read_bytes(), str(file))
    elif not is_installed(words[0].partition(".")[0]):
        raise SpecError(f"script {quote(command)}: no module {words[0]!r} in {folder}, and none is installed")
    return Script(" ".join(("-m", *words)), tuple(words), module=True, folder=folder)


def _parse(command: str, source: bytes, name: str) -> ast.Module:
    try:
        return ast.parse(source, filename=name)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise SpecError(f"script {quote(command)}: it is no Python: {guard.exception_line(error)}") from None


def read_variables(text: str) -> dict[str, str]:
    """The variables of an `--env`.

    Raises:
        SpecError: a word of it is none.
    """
    found: dict[str, str] = {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SpecError(f"--env {quote(text)}: {error}") from None
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            raise SpecError(
                f"--env {quote(text)}: {quote(word)} is no variable; allowed: NAME=VALUE, as OMP_NUM_THREADS=2"
            )
        if name == "OMP_NUM_THREADS" and not (value.isdecimal() and int(value)):
            raise SpecError(f"--env {quote(text)}: {quote(value)} threads; allowed: a whole number above 0")
        found[name] = value
    if not found:
        raise SpecError(f"--env {quote(text)}: no variable; allowed: NAME=VALUE, as OMP_NUM_THREADS=2")
    return found


def module_file(name: str, folder: str) -> Path | None:
    """The file of a module that lies in a folder, as `python -m` would find it there; None where it does not."""
    place = Path(folder, *name.split("."))
    candidates = (place.with_suffix(".py"), place / "__main__.py", place / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def is_installed(package: str) -> bool:
    """Whether a package of that name can be imported, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def installed_imports(script: Script) -> tuple[str, ...]:
    """What a script, and the modules beside it that it imports, import at their top from installed packages.

    As `module` or `module:name`: packages that load what is in them when it is asked for would else load it in each
    arm. Imports within functions, and those that may fail, are the arm's.
    """
    first = module_file(script.argv[0], script.folder) if script.module else Path(script.argv[0])
    waiting = [file for file in (first, *map(Path, script.files)) if file is not None]
    if not waiting:
        return ("torch",)
    roots = list(dict.fromkeys([Path(script.folder), *(file.parent for file in waiting)]))
    seen, found = set(waiting), {"torch": None}
    while waiting and len(seen) < MOST_FILES:
        file = waiting.pop(0)
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
            continue  # what runs it says so
        for module, names in _top_imports(tree):
            own = [place for root in roots if (place := module_file(module, str(root))) is not None] if module else []
            if own or not module:
                new = [place for place in own[:1] if place not in seen]
                waiting += new
                seen.update(new)
            elif (top := module.partition(".")[0]) not in UNFORKABLE and _from_outside(top):
                found.update(dict.fromkeys((module, *(f"{module}:{name}" for name in names))))
    return tuple(found)


def _top_imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, tuple(alias.name for alias in node.names if alias.name != "*")


def _from_outside(package: str) -> bool:
    """Whether a package is neither Python's own nor ours."""
    return package not in sys.stdlib_module_names and package != "bench" and is_installed(package)


def _never_built(point: Point) -> Workload:
    raise SpecError("the suite of a race is made of scripts, and builds nothing")


def race_plan(
    scripts: Sequence[Script],
    *,
    epochs: bool = False,
    equal: str = "",
    tolerance: float | None = None,
    devices: int = 1,
    threads: int = 1,
    ladder: Mapping[str, str] | None = None,
) -> tuple[Plan, dict[str, Side]]:
    """The plan of a race: one group, a cell a script, the first one's twin second; and the interpreters by name.

    Scripts that import the same, under the same variables, come from the same interpreters: those that are set before
    an interpreter starts count from its first import on.

    Args:
        epochs: whether turns are whole epochs.
        equal, tolerance: as of `Suite`.
        devices: ranks of each script, started as by torchrun.
        threads: of a script whose environment does not say.
        ladder: as of `Suite`, by labels.

    Raises:
        SpecError: what is asked for is not possible.
    """
    suite = Suite(
        name=RACE,
        title="training scripts as they are",
        axes={"script": tuple(script.label for script in scripts)},
        compare="script",
        baseline=scripts[0].label,
        build=_never_built,
        epochs="real" if epochs else False,
        equal=equal,
        tolerance=tolerance,
        ladder=ladder or {},
    )
    sides: dict[str, Side] = {}
    cells = []
    baseline = f"{RACE}[script={scripts[0].label}]"
    for script, twin in [(scripts[0], False), (scripts[0], True), *((script, False) for script in scripts[1:])]:
        imports, environ = installed_imports(script), dict(script.environ)
        side = next((own for own in sides.values() if (own.imports, own.environ) == (imports, environ)), None)
        if side is None:
            side = Side(f"scripts-{len(sides) + 1}", sys.executable, (), imports, environ)
            sides[side.name] = side
        point: dict[str, AxisValue] = {"script": script.label, "devices": devices}
        point["threads"] = script.threads or threads
        identity = f"{RACE}[script={script.label}]"
        cells.append(
            Cell(
                identity + "#twin" * twin,
                RACE,
                RACE,
                point,
                twin,
                baseline,
                epochs=suite.epochs,
                imports=("torch", SIDE + side.name),
                script=script,
            )
        )
    return Plan({RACE: suite}, (Group(RACE, RACE, tuple(cells)),)), sides
