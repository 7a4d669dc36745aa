"""What pages of the reference say, made from the code: options, exit codes, columns, files, functions."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bench
from bench.analysis import columns
from bench.cli import parser
from bench.cli.command_help import COMMAND_HELP, METAVARS
from bench.commands.endings import CODES, JUDGEMENTS, REFUSED, UNFORESEEN
from bench.plan.public_names import HOMES
from bench.report.schemas import TYPES
from docs_build import notebook

ROOT = Path(__file__).resolve().parent.parent
# What a command that ends with a word of `bench.commands.endings` has to say.
MEANINGS: Mapping[str, str] = {
    "done": "all went well",
    "pass": "a gate: no slowdown of the target or more",
    "improvement": "a gate: faster by more than the margin",
    "regression": "a gate: slower by more than the margin, or a count grew",
    "failed": "cells of the run, checks of the tool or of a suite, or figures of a page failed",
    "invalid": "a gate or a comparison says nothing: nothing measured, the control alarmed, unequal work",
    "inconclusive": "a gate could not tell within its budget",
    "interrupted": "Ctrl-C, or the job was ended; what was measured is kept",
}
TABLES: Mapping[str, tuple[columns.Column, ...]] = {
    "cells": (*columns.KEY_COLUMNS, *columns.CELL_COLUMNS),
    "launches": columns.LAUNCH_COLUMNS,
    "turns": columns.TURN_COLUMNS,
    "pairs": columns.PAIR_COLUMNS,
    "ladder": columns.LADDER_COLUMNS,
    "curves": columns.CURVE_COLUMNS,
}


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command, those of commands too, by the words that call it."""
    yield from _below("bench", parser())


def _below(words: str, found: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in found._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield f"{words} {name}", inner
                yield from _below(f"{words} {name}", inner)


def options(found: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What a command takes, without what is there for earlier versions alone, and --help."""
    for action in found._actions:
        hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction)
        if not hidden and not isinstance(action, argparse._SubParsersAction):
            yield action


def command_line() -> str:
    """Every command with every option."""
    parts = []
    for words, found in commands():
        parts.append(f"## `{words}`\n")
        parts.append(f"{_cell((found.description or '').strip(), found)}\n")
        rows = [f"| {called(action)} | {_cell(action.help or '', found, action)} |" for action in options(found)]
        if rows:
            parts.append("\n".join(("| it takes | what that is |", "|---|---|", *rows)) + "\n")
        if told := COMMAND_HELP.get(words.removeprefix("bench ")):
            width = max(len(example.line) for example in told.examples)
            lines = [f"{example.line:{width}}  # {example.what}" for example in told.examples]
            parts.append(notebook.fenced("\n".join(lines), "sh") + "\n")
            codes = [f"{code} {meaning}" for code, meaning in told.codes.items()]
            parts.append(f"[Ends with](exit-codes.md) {'; '.join(codes)}.\n")
    named = [f"| `{name}` | {_text(told)} |" for name, told in METAVARS.items() if told]
    parts.append("\n".join(("## What stands for a value\n", "| it says | you write |", "|---|---|", *named)))
    return "\n".join(parts)


def called(action: argparse.Action) -> str:
    """How an option is written, or what stands for a word."""
    value = _value(action)
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{name}{' ' + value if value else ''}`" for name in action.option_strings)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    one = action.metavar if isinstance(action.metavar, str) else (action.dest.upper() if not action.choices else "")
    one = one or "{" + ",".join(map(str, action.choices or ())) + "}"
    return f"[{one}]" if action.nargs == "?" else f"[{one} ...]" if action.nargs == "*" else one


def _cell(text: str, found: argparse.ArgumentParser, action: argparse.Action | None = None) -> str:
    """A help as it is printed, as a cell of a table."""
    values = {**vars(action), "prog": found.prog} if action else {"prog": found.prog}
    return _text(text % values if "%" in text else text)


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("\n", " ")


def exit_codes() -> str:
    """Every code with what earns it."""
    rows: list[tuple[int, str, str, str]]
    rows = [(code, word, MEANINGS[word], "yes" if word in JUDGEMENTS else "") for word, code in CODES.items()]
    rows.append((REFUSED, "refused", "what was asked for cannot be done, one message says why; a usage error, too", ""))
    rows.append((UNFORESEEN, "unforeseen", "something nobody foresaw; one line names a log file", ""))
    body = [f"| {code} | {word} | {text} | {judged} |" for code, word, text, judged in sorted(rows)]
    head = ["| code | in a word | meaning | only once it is on the disk |", "|---|---|---|---|"]
    return "\n".join((*head, *body))


def tables() -> str:
    """The tables of a run and their columns."""
    parts = []
    for name, own in TABLES.items():
        rows = [f"| `{one.name}` | {one.dtype} | {one.unit} | {one.meaning} |" for one in own]
        parts.append("\n".join((f"## `run.{name}`\n", "| name | dtype | unit | meaning |", "|---|---|---|---|", *rows)))
    return "\n\n".join(parts)


def file_formats() -> str:
    """Every file with a schema: its keys, and where the schema is."""
    parts = []
    for name, (_, what) in TYPES.items():
        schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
        named = schema["$ref"].rpartition("/")[2] if "$ref" in schema else None
        own: Mapping[str, Any] = schema["$defs"][named] if named else schema
        required = set(own.get("required", ()))
        rows = [
            f"| `{key}` | {_type(value)} | {'yes' if key in required else ''} | "
            f"{value.get('description', '').replace('|', chr(92) + '|')} |"
            for key, value in own["properties"].items()
        ]
        head = f"## {what[0].upper()}{what[1:]}\n\n[`schemas/{name}.json`](../schemas/{name}.json)\n"
        parts.append("\n".join((head, "| key | type | always there | |", "|---|---|---|---|", *rows)))
    return "\n\n".join(parts)


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return f"`{value['$ref'].rpartition('/')[2]}`"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_type(one) for one in value["anyOf"]))
    kind = value.get("type", "any")
    if kind == "array" and isinstance(value.get("items"), dict):
        return f"array of {_type(value['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def functions() -> str:
    """The Python API: what mkdocstrings is to draw, functions first."""
    here = {node.name for node in ast.parse(Path(bench.__file__).read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)}  # fmt: skip
    errors = [name for name in bench.__all__ if name.endswith("Error") or name == "Unsupported"]
    names = [name for name in bench.__all__ if not name.startswith("__") and name not in errors]
    calls = [name for name in names if name[0].islower() and name not in ("ladder_suite", "register", "watch")]
    others = [name for name in names if name not in calls]

    def blocks(of: list[str]) -> str:
        homes = {name: "bench" if name in here else HOMES[name] for name in sorted(of)}
        # By the name that users have for it, wherever it is written down.
        return "\n\n".join(
            f'::: {home}.{name}\n    options:\n      heading: "bench.{name}"\n' for name, home in homes.items()
        )

    told = "\n\n".join(f'::: bench.errors.{name}\n    options:\n      heading: "bench.{name}"\n' for name in errors)
    return (
        f"## What commands do\n\n{blocks(calls)}\n\n## What one writes with\n\n{blocks(others)}\n\n## Errors\n\n{told}"
    )


PARTS: Mapping[str, Callable[[], str]] = {
    "command-line": command_line,
    "exit-codes": exit_codes,
    "columns": tables,
    "file-formats": file_formats,
    "python": functions,
    "notebook": notebook.markdown,
}
