"""The walls of the house: who may import whom, what the parent and the arms never import, how long files may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

FILES = sorted((ROOT / "bench").rglob("*.py"))

# One way only: a module may import those of its own line or above. `docs/structure.md` says the same in words.
LAYERS = (
    {"errors", "endings", "borders", "files", "guard", "decoding", "chain", "identity"},
    {"ledger", "schedule", "stream", "intervals", "budget", "burn", "commits", "changes"},
    {"precision", "strategies", "variables", "xla", "switches", "logs", "scratch", "stopping", "strays"},
    {"loops", "accelerators", "record", "claims", "compiling", "memory", "environment", "gating"},
    {"protocol", "channel"},
    {"spec", "runfile", "store", "pause", "handles", "ranks", "door", "answers", "calibration", "confirming"},
    {"discovery", "plan", "audit", "trace_arm", "callbacks", "judging", "settings"},
    {"losses", "interpreters", "children"},
    {"processes", "exact", "arm", "looking", "frame", "traces", "series"},
    {"zygote", "fit"},
    {"race", "looks", "stats", "growth", "request", "history"},
    {"states", "baselines", "compare"},
    {"conductor"},
    {"gate", "tally", "progress", "selftest", "tracing", "versions"},
    {"power", "ceilings", "report", "exports", "schemas"},
    {"cli", "__main__"},
)
LEVEL = {name: number for number, layer in enumerate(LAYERS) for name in layer}

HEAVY = {"torch", "lightning", "pandas", "numpy", "scipy", "seaborn", "matplotlib", "torchvision"}
MAY_IMPORT_AT_TOP = {
    "torch": {"arm", "audit", "trace_arm", "callbacks", "looking", "switches"},
    "numpy": {"frame", "stats", "fit", "report", "changes", "history"},
    "pandas": {"frame", "stats", "fit", "report", "history"},
    "seaborn": {"report"},
    "matplotlib": {"report"},
    "lightning": {"callbacks"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT / "bench").with_suffix("").parts
    return parts[0]


def imports(path: Path, *, top_only: bool) -> set[str]:
    """Dotted names that a file imports; those under TYPE_CHECKING are no imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = (
        list(tree.body)
        if top_only
        else [
            node
            for top in tree.body
            if not (isinstance(top, ast.If) and ast.unparse(top.test) == "TYPE_CHECKING")
            for node in ast.walk(top)
        ]
    )
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_data(path: Path) -> None:
    name = module_name(path)
    if name == "__init__":
        return
    assert name in LEVEL, f"{name} has no layer yet; put it into LAYERS and docs/structure.md"
    for found in imports(path, top_only=False):
        parts = found.split(".")
        if parts[0] == "bench" and len(parts) > 1 and parts[1] in LEVEL:
            assert LEVEL[parts[1]] <= LEVEL[name], f"{path.name} imports {found}, against the direction of the data"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_are_imported_where_they_are_allowed(path: Path) -> None:
    for found in imports(path, top_only=True):
        package = found.split(".")[0]
        if package in HEAVY:
            assert module_name(path) in MAY_IMPORT_AT_TOP.get(package, set()), f"{path.name} imports {found} at its top"


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "suites").glob("*.py"))], ids=lambda path: path.name)
def test_files_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 450, f"{path.name} has {lines} lines; is there a second idea in it?"


def loaded_after(code: str) -> set[str]:
    """Top-level packages in sys.modules after `code`, in a fresh interpreter."""
    script = f"import sys\n{code}\nprint('LOADED', *sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_parent_never_imports_torch_or_pandas_to_list_or_conduct() -> None:
    code = (
        "import contextlib, io\n"
        "from bench import cli\nfrom bench.commands import false_alarms, gate, gate_power, selftest\n"
        "from bench.engine import conductor, progress\nfrom bench.machine import calibrate, calibration\n"
        "from bench.results import baselines\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    cli.main(['list'])\n"
    )
    assert not loaded_after(code) & {"torch", "lightning", "pandas", "numpy", "seaborn", "torchvision"}


def test_reading_a_run_needs_no_torch() -> None:
    assert not loaded_after(
        "from bench.analysis import frames, summary\nfrom bench.report import console, html, markdown, verify"
    ) & {"torch", "lightning"}


def test_an_arm_imports_neither_pandas_nor_matplotlib() -> None:
    assert not loaded_after("import bench.arm.fork_server, bench.arm.main, bench.loops") & {
        "pandas",
        "seaborn",
        "matplotlib",
        "lightning",
    }
