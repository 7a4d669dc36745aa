"""The documentation says what is: commands, sessions, files, options, variables and outcomes that it names exist."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from bench.cli.command_help import COMMAND_HELP
from bench.commands.endings import CODES, REFUSED, UNFORESEEN
from bench.results.record import OUTCOMES
from docs_build import pages

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS]
MARKER = re.compile(r"^<!-- generated: ([\w-]+)", re.MULTILINE)
ONE_SCREEN = 60
LOOKED_UP = re.compile(r"environ\.(get|setdefault|pop)$|getenv$")
# Variables whose names begin so are read or set by the program; others that look like them are words of messages.
PREFIXES = (
    *("BENCH_", "LOOPMARK_", "XDG_", "SLURM", "PJRT_", "TORCH_DEVICE", "TORCHELASTIC_", "TORCHINDUCTOR_"),
    *("TRITON_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_VISIBLE", "MASTER_", "CLICOLOR", "NO_COLOR", "FORCE_COLOR"),
)


def source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [words for words, _ in pages.commands()])
def test_every_command_has_an_example(command: str) -> None:
    assert command in source(ROOT / "docs" / "commands.md")


def test_the_readme_is_one_screen_with_the_question_the_commands_the_picture_and_the_way_on() -> None:
    assert len(README.splitlines()) <= ONE_SCREEN
    for found in ("cost you a step?**", "![The report", "## Why believe it", "docs/tutorial.md", "docs/commands.md"):
        assert found in README


def test_the_two_commands_of_the_readme_are_sessions() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    named = re.findall(r'pip install "nox\[uv\]" && nox -s (\w+)', README)
    assert named == ["bench", "tests"]
    assert {*named, "lint", "docs"} <= sessions


# --- links


def slugs(path: Path) -> set[str]:
    """The anchors that a page has where it is read as a file of the repository."""
    text = re.sub(r"^```.*?^```", "", source(path), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    plain = (re.sub(r"[*_`]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in plain}


def dangling(path: Path) -> list[str]:
    """Links of a page to files that are not there, or to anchors that these do not have."""
    wrong = []
    text = re.sub(r"^```.*?^```", "", source(path), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = path.parent / name if name else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in slugs(file) | in_the_site(file)):
            wrong.append(target)
    return wrong


def in_the_site(file: Path) -> set[str]:
    """Anchors of headings that only the site has."""
    return {f"bench-{words.split(' ', 1)[1].replace(' ', '-')}" for words, _ in pages.commands()} \
        if file.name == "command-line.md" else set()  # fmt: skip


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_anchors_lead_somewhere(path: Path) -> None:
    assert dangling(path) == []


def test_a_link_that_dangles_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `thing`, two\n\n[a](page.md#one-thing-two) [b](#one) [c](none.md) [d](https://a.b)\n\n```\n[e](no)\n```\n"
    )
    assert dangling(page) == ["#one", "none.md"]


def test_every_page_has_a_place_in_the_site() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with lightning")
    nav = yaml.safe_load(source(ROOT / "mkdocs.yml"))["nav"]

    def places(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict | list):
            yield from itertools.chain.from_iterable(map(places, entry.values() if isinstance(entry, dict) else entry))

    own = {str(path.relative_to(ROOT / "docs")) for path in DOCS}
    named = list(places(nav))
    assert len(named) == len(set(named))
    assert {name for name in own if not name.startswith(("measurements/", "decisions/"))} == set(named)


# --- what the code has


def test_every_generated_part_is_asked_for_and_can_be_made() -> None:
    asked = {name for path in DOCS for name in MARKER.findall(source(path))} - {"NAME", "figure"}
    assert asked == set(pages.PARTS)
    for make in pages.PARTS.values():
        assert make().strip()


@pytest.mark.parametrize("words", [words for words, _ in pages.commands()])
def test_every_option_is_described(words: str) -> None:
    text = pages.command_line()
    _, section = text.split(f"## `{words}`\n", 1)
    section = section.split("\n## ", 1)[0]
    (found,) = [one for name, one in pages.commands() if name == words]
    for action in pages.options(found):
        begins = f"| {pages.called(action)} | "
        rows = [row.removeprefix(begins) for row in section.splitlines() if row.startswith(begins)]
        assert rows, f"{words}: {pages.called(action)} is not there"
        assert all(len(row) > 5 and "%(" not in row for row in rows), f"{words}: {pages.called(action)} has no help"


def test_every_command_has_its_examples_and_exit_codes_in_the_reference() -> None:
    text = pages.command_line()
    for name, told in COMMAND_HELP.items():
        section = text.split(f"## `bench {name}`\n", 1)[1].split("\n## ", 1)[0]
        assert all(example.line in section for example in told.examples)
        assert all(f"{code} {meaning}" in section for code, meaning in told.codes.items())


def test_every_exit_code_is_described() -> None:
    rows = re.findall(r"^\| (\d+) \| ([\w-]+) \| (.*?) \|", pages.exit_codes(), flags=re.MULTILINE)
    assert {int(code) for code, _, _ in rows} == {*CODES.values(), REFUSED, UNFORESEEN}
    assert {word for _, word, _ in rows} == {*CODES, "refused", "unforeseen"}
    assert all(len(text) > 10 for _, _, text in rows)


def _spelled_as_one(value: object) -> bool:
    whole = isinstance(value, str) and re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|CLICOLOR", value)
    return bool(whole) and str(value).startswith(PREFIXES)


def variables() -> set[str]:
    """Environment variables that the code names: what it looks up, and constants that are spelled as they are."""
    found = set()
    for path in itertools.chain(*((ROOT / folder).rglob("*.py") for folder in ("bench", "loopmark", "suites"))):
        for node in ast.walk(ast.parse(source(path))):
            if isinstance(node, ast.Constant) and _spelled_as_one(node.value):
                found.add(str(node.value))
            named: ast.AST | None = None
            if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
                named = node.slice
            elif isinstance(node, ast.Call) and LOOKED_UP.search(ast.unparse(node.func)):
                named = node.args[0]
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                found.add(named.value)
    return found


def test_every_environment_variable_is_described() -> None:
    found = variables()
    assert {"BENCH_BUDGET", "XDG_CACHE_HOME", "CXX", "SLURM_JOB_ID"} <= found
    page = source(ROOT / "docs" / "reference" / "environment-variables.md")
    assert sorted(name for name in found if f"`{name}`" not in page) == []


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
