"""The parser of `bench train`: jsonargparse's, whose mistakes become one line with thing, value and what is allowed."""

from __future__ import annotations

import difflib
import importlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from bench.borders import one_line
from bench.errors import BenchError, quote, without_middle
from bench.results.files import read_bytes

yaml: Any = importlib.import_module("yaml")  # it has no types
NEAR = 3  # names that a message suggests


class ParsingError(Exception):
    """What jsonargparse says of words that it cannot read."""


class TrainingParser(LightningArgumentParser):
    """Raises where jsonargparse would print its usage, a screen of it, and leave."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise ParsingError(message) from ex


def in_one_line(message: str, known: Iterable[str]) -> str:
    """jsonargparse's message in one line of our own words.

    Args:
        message: of `ParsingError`.
        known: all options that there are, without dashes.
    """
    text = one_line(message)
    if found := re.match(r"unrecognized arguments: (\S+)", text):
        word = found[1].partition("=")[0]
        return f"unknown option {quote(word)}{_near(word.lstrip('-'), known, '--')}"
    if found := re.search(r"[Ss]ubcommand '(\w+)' does not accept option '([^']+)'", text):
        return f"{found[1]}: unknown key {quote(found[2])}{_near(found[2], known, '')}"
    if found := re.search(r"Problems parsing config: (.*)", text):
        return f"--config is not readable as YAML: {without_middle(found[1])}"
    if found := re.match(r'Parser key "([^"]+)": (.*)', text):
        return f"--{found[1]}: {_of_value(found[2])}"
    if 'expected "subcommand"' in text:
        return "no subcommand was named; allowed: fit, validate, test, predict"
    return without_middle(text)


def _of_value(text: str) -> str:
    text = re.sub(r"<class '([\w.]+)'>", r"\1", text).replace("NoneType", "null")
    if found := re.match(r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors: .*", text):
        value = text.rpartition("Given value: ")[2]
        kinds = re.sub(r"\b(?:\w+\.)+(?=\w)", "", found[1])
        kinds = re.sub(r"Literal\[(.*?)\]", r"\1", kinds)
        return f"{quote(value)} is not possible; allowed: {without_middle(kinds)}"
    if found := re.match(r"Expected an? (.*?)\. Got value: (.*)", text):
        return f"{quote(found[2])} is not possible; allowed: {found[1]}"
    return without_middle(text)


def _near(word: str, known: Iterable[str], dashes: str) -> str:
    """What the word may have been meant to be: names like it, or those that are alike after their last dot."""
    names = sorted(set(known))
    alike = difflib.get_close_matches(word, names, NEAR)
    if not alike:
        ends = {name.rpartition(".")[2]: name for name in names}
        alike = [ends[end] for end in difflib.get_close_matches(word.rpartition(".")[2], list(ends), NEAR)]
    if alike:
        return f"; near: {', '.join(dashes + name for name in alike)}"
    return "; allowed: those that `bench train fit --help` names"


def check_config_files(words: Sequence[str]) -> list[dict[str, object]]:
    """Read the files of `--config` before jsonargparse does, to which an empty one is a text; gives their contents.

    Raises:
        BenchError: one is not there, not YAML, empty, of several documents, no mapping, or of several runs.
    """
    return [_config(value) for value in values_of(words, ("--config", "-c"))]


def _config(value: str) -> dict[str, object]:
    path = Path(value)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise BenchError(f"--config {quote(value)}: {what}; allowed: a YAML file")
    try:
        documents = list(yaml.safe_load_all(read_bytes(path)))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BenchError(f"--config {value}: is not readable as YAML: {one_line(str(error))}") from None
    if len(documents) > 1:
        raise BenchError(f"--config {value}: has {len(documents)} documents; allowed: one, of one run")
    content = documents[0] if documents else None
    if content is None:
        raise BenchError(f"--config {value}: is empty; allowed: what `bench train fit --print_config` prints")
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise BenchError(f"--config {value}: holds {quote(content)}; allowed: names with values, `trainer: ...`")
    try:
        json.dumps(content, default=str)
    except (ValueError, RecursionError, TypeError):
        raise BenchError(f"--config {value}: has a value that holds itself, or a name that is none") from None
    runs = [name for name in SUBCOMMANDS if name in content]
    if len(runs) > 1:
        raise BenchError(f"--config {value}: is of several runs ({', '.join(runs)}); allowed: one in a file")
    return content


SUBCOMMANDS = ("fit", "validate", "test", "predict")


def values_of(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """What options are given on a command line: `--name VALUE` and `--name=VALUE`."""
    found = []
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in options:
            found += [value] if equals else list(words[index + 1 : index + 2])
    return found


def names_own_class(words: Sequence[str], configs: Sequence[dict[str, object]], key: str) -> bool:
    """Whether a class of the user's is named for the `model` or the `data`, on the command line or in a file."""
    if values_of(words, (f"--{key}", f"--{key}.class_path")):
        return True
    sections = [part for content in configs for part in (content, *map(content.get, SUBCOMMANDS))]
    found = [part.get(key) for part in sections if isinstance(part, dict)]
    return any(isinstance(value, str) or (isinstance(value, dict) and "class_path" in value) for value in found)
