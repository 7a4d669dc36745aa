"""The walls of the house: which wing may import which, heavy packages by wing, no circles, how long files may grow."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT
from imports import imports

from bench.plan.public_names import FACES

BENCH = ROOT / "bench"
FILES = sorted(BENCH.rglob("*.py"))
LINES = 400


@dataclass(frozen=True)
class Rule:
    """What a wing may import: other wings, and heavy packages at the top of a file and inside functions."""

    wings: frozenset[str] = frozenset()
    top: frozenset[str] = frozenset()
    inside: frozenset[str] = frozenset()


def rule(wings: str = "", top: str = "", inside: str = "") -> Rule:
    return Rule(frozenset(wings.split()), frozenset(top.split()), frozenset(inside.split()))


# One rule a wing; docs/structure.md has the same table. Names of wings are folders of bench/, or files on the ground.
_READERS = "errors borders results stats machine plan engine analysis"
WINGS: Mapping[str, Rule] = {
    "errors": rule(),
    "borders": rule(),
    "axes": rule("errors", inside="torch lightning torch_xla accelerate ignite transformers"),
    "results": rule("errors borders"),
    "protocol": rule("borders results"),
    "stats": rule("errors results", top="numpy", inside="scipy ruptures"),
    "machine": rule("errors borders axes results", inside="torch"),
    "plan": rule("errors axes results"),
    "callbacks": rule("errors axes machine results", top="torch lightning"),
    "arm": rule("errors protocol axes results machine plan callbacks", top="torch"),
    "engine": rule("errors borders protocol axes results stats machine plan", top="tqdm"),
    "analysis": rule("errors axes results stats machine plan", top="numpy pandas"),
    "commands": rule(f"{_READERS} axes protocol", inside="optuna sqlalchemy"),
    "train": rule("errors borders results plan commands", top="torch lightning"),
    "report": rule(f"{_READERS} commands", top="numpy pandas matplotlib seaborn jinja2"),
    "cli": rule(f"{_READERS} axes commands report arm"),
    "__main__": rule("cli"),
    "__init__": rule("errors axes results machine plan engine analysis commands report"),
    "spec": rule("axes plan"),
}
HEAVY = {
    *("torch", "torchvision", "torch_xla", "torch_tpu", "lightning", "pandas", "numpy", "scipy", "seaborn"),
    *("matplotlib", "jinja2", "ruptures", "tqdm", "accelerate", "ignite", "transformers"),
    *("optuna", "sqlalchemy"),
}


def wing_of(path: Path) -> str:
    return path.relative_to(BENCH).with_suffix("").parts[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


IMPORTS = {path: imports(path) for path in FILES}


def wings_imported(path: Path) -> Iterator[tuple[str, str]]:
    """The wings that a file imports, itself left out, each with the name by which it does."""
    every = IMPORTS[path].top | IMPORTS[path].late | IMPORTS[path].types
    for name in sorted(every):
        parts = name.split(".")
        if parts[0] == "bench" and len(parts) > 1 and parts[1] in WINGS and parts[1] != wing_of(path):
            yield parts[1], name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_wing_imports_what_its_rule_allows(path: Path) -> None:
    wing = wing_of(path)
    assert wing in WINGS, f"{wing} has no rule yet; put it into WINGS and docs/structure.md"
    for other, name in wings_imported(path):
        assert other in WINGS[wing].wings, f"{path.name}: {wing} may not import {other} ({name})"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_are_imported_where_they_are_allowed(path: Path) -> None:
    allowed = WINGS[wing_of(path)]
    top, late = ({name.split(".")[0] for name in names} & HEAVY for names in (IMPORTS[path].top, IMPORTS[path].late))
    assert top <= allowed.top, f"{path.name} imports {top - allowed.top} at its top"
    assert late <= allowed.top | allowed.inside, f"{path.name} imports {late - allowed.top - allowed.inside}"


def test_no_rule_allows_what_no_file_needs() -> None:
    """So the table is equal to the code, and a wall that is opened is seen."""
    for wing, allowed in WINGS.items():
        paths = [path for path in FILES if wing_of(path) == wing]
        top, late = (
            {name.split(".")[0] for path in paths for name in found(path)} & HEAVY
            for found in (lambda path: IMPORTS[path].top, lambda path: IMPORTS[path].late)
        )
        wings = {other for path in paths for other, _ in wings_imported(path)}
        assert (wing, wings, top, late - top) == (wing, allowed.wings, allowed.top, allowed.inside - allowed.top)


def test_how_a_value_looks_is_asked_for_by_names_that_are_there() -> None:
    """What a method of a lower wing calls by name, since it may not import it (docs/decisions/0024)."""
    for name, home in FACES.items():
        tree = ast.parse((ROOT / f"{home.replace('.', '/')}.py").read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    assert set(re.findall(r'\bface\("(\w+)"\)', text)) == set(FACES)


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """Names from which one comes back to them."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        left = [start]
        while left:
            for other in graph.get(left.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    left.append(other)
        return seen

    return sorted(name for name in graph if name in reached(name))


def test_no_file_and_no_wing_imports_itself_by_way_of_others() -> None:
    """Late imports and those for types count, too."""
    modules = {module_of(path) for path in FILES}
    files = {
        module_of(path): (found.top | found.late | found.types) & modules - {module_of(path)}
        for path, found in IMPORTS.items()
    }
    wings: dict[str, set[str]] = {}
    for path in FILES:
        wings.setdefault(wing_of(path), set()).update(wing for wing, _ in wings_imported(path))
    assert circles(files) == []
    assert circles(wings) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def floors(graph: Mapping[str, frozenset[str]], wing: str) -> int:
    return 1 + max((floors(graph, other) for other in graph[wing]), default=0)


def test_the_house_has_eight_floors_at_most() -> None:
    rules = {wing: own.wings for wing, own in WINGS.items()}
    assert max(floors(rules, wing) for wing in rules) <= 8
    assert not {"arm", "analysis"} & rules["engine"]
    assert not {"engine", "analysis"} & rules["arm"]


def test_the_page_has_the_same_table() -> None:
    """docs/structure.md: a row a wing, with what it may import and which heavy packages."""
    text = (ROOT / "docs" / "structure.md").read_text(encoding="utf-8")
    rows: dict[str, Rule] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 5:
            names = [frozenset(re.findall(r"`([\w]+)`", cell)) for cell in cells]
            for wing in names[0]:
                rows[wing] = Rule(names[2], names[3], names[4])
    assert rows == dict(WINGS)


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "suites").glob("*.py"))], ids=lambda path: path.name)
def test_files_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LINES, f"{path.name} has {lines} lines; is there a second idea in it?"


def test_the_ground_holds_what_everybody_needs_and_nothing_else() -> None:
    loose = {path.stem for path in BENCH.glob("*.py")}
    assert loose <= {"__init__", "__main__", "errors", "borders", "protocol", "spec"}


def loaded_after(code: str) -> set[str]:
    """Top-level packages in sys.modules after `code`, in a fresh interpreter."""
    script = f"import sys\n{code}\nprint('LOADED', *sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_parent_never_imports_torch_or_pandas_to_list_or_conduct() -> None:
    wings = "engine", "machine", "plan", "results", "axes", "commands"
    modules = [module_of(path) for path in FILES if wing_of(path) in wings]
    modules.remove("bench.commands.compare")  # reads frames
    code = (
        f"import contextlib, importlib, io\nfor name in {modules!r}: importlib.import_module(name)\n"
        "from bench import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    cli.main(['list'])\n"
    )
    assert not loaded_after(code) & {"torch", "lightning", "pandas", "numpy", "seaborn", "torchvision"}


def test_reading_a_run_needs_no_torch() -> None:
    modules = [module_of(path) for path in FILES if wing_of(path) in ("analysis", "report", "stats")]
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
    assert not loaded_after(code) & {"torch", "lightning"}


def test_an_arm_imports_neither_pandas_nor_matplotlib() -> None:
    """Nor does a plain one import lightning."""
    modules = [module_of(path) for path in FILES if wing_of(path) in ("arm", "axes", "protocol")]
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
    assert not loaded_after(code) & {"pandas", "seaborn", "matplotlib", "lightning", "scipy"}
