"""`bench completion`, `bench help`: what the command line says about itself."""

from __future__ import annotations

import argparse
import importlib.util
import re
from pathlib import Path
from typing import Any

from bench.cli.arguments import Adder
from bench.cli.command_parser import Parser, meant
from bench.cli.output import say
from bench.commands.endings import DONE, Ending
from bench.errors import BenchError, SpecError
from bench.plan import discovery

SHELLS = ("bash", "zsh", "tcsh")
COMPLETION_PACKAGE = "shtab"
# Metavars that name something on the disk; other paths are files.
_FOLDERS = ("DIR",)
_SUITES = "_bench_suites"  # a function of the shell


def add(command: Adder) -> None:
    """The commands of this file."""
    completing = command("completion", print_completion, "print what completes bench's words in a shell")
    completing.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    helping = command("help", print_help, "print the help of a command")
    helping.add_argument("topic", nargs="?", metavar="COMMAND", help="a command; default: the program")


def print_completion(arguments: argparse.Namespace) -> Ending:
    """`bench completion`"""
    if importlib.util.find_spec(COMPLETION_PACKAGE) is None:
        raise BenchError(
            f"`bench completion` needs {COMPLETION_PACKAGE}, which is not installed; run: "
            'pip install "loopmark[completion]"'
        )
    import shtab

    say(shtab.complete(with_paths(arguments.parser, shtab), arguments.shell, preamble=suites_function(arguments.shell)))
    return DONE


def with_paths(parser: Parser, shtab: Any) -> Parser:
    """The parser, with files and folders completed where an option or a word takes one."""
    if parser.commands is not None:
        parser.commands.help = "a command"  # shtab leaves out what the help leaves out
    for action in _every_action(parser):
        if action.type is Path:
            takes = shtab.DIRECTORY if action.metavar in _FOLDERS else shtab.FILE
            action.complete = takes  # type: ignore[attr-defined]  # shtab's way to be told
        elif action.dest == "topic" and parser.commands is not None:
            action.choices = list(parser.commands.choices)
        elif action.metavar == "SUITE":
            action.complete = dict.fromkeys(("bash", "zsh"), _SUITES) | {"tcsh": "f"}  # type: ignore[attr-defined]  # as above
        elif action.metavar in ("SCRIPT", "TARGET", "RUN"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # beside names, paths are taken
    return parser


def suites_function(shell: str) -> str:
    """A function of the shell that offers the suites that are here now, and files; "" where a shell has none."""
    names = " ".join(name for name in discovery.all_suites() if re.fullmatch(r"[\w.-]+", name))
    if shell == "bash":
        return f'{_SUITES}() {{\n  compgen -W "{names}" -- "$1"\n  compgen -f -- "$1"\n}}'
    if shell == "zsh":
        return f"{_SUITES}() {{\n  _alternative 'suites:suite:({names})' 'files:file:_files'\n}}"
    return ""


def _every_action(parser: Parser) -> list[argparse.Action]:
    found = list(parser._actions)
    for command in {} if parser.commands is None else parser.commands.choices.values():
        found += command._actions
    return found


def print_help(arguments: argparse.Namespace) -> Ending:
    """`bench help`"""
    top: Parser = arguments.parser
    assert top.commands is not None
    if arguments.topic is None:
        top.print_help()
    elif arguments.topic in top.commands.choices:
        top.commands.choices[arguments.topic].print_help()
    else:
        names = list(top.commands.choices)
        told = f"unknown command {arguments.topic!r}{meant(arguments.topic, names) or ';'} allowed: {', '.join(names)}"
        raise SpecError(told)
    return DONE
