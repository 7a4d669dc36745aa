"""The parser of the command line: no empty value, one line for a mistake, and what was meant; helps that teach."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from bench.cli.command_help import COMMAND_HELP, ENVIRONMENT, GROUPS, METAVARS, CommandHelp
from bench.cli.output import complain, say
from bench.errors import SpecError, close_match
from bench.machine.terminal import terminal_width
from bench.plan import quantities
from bench.report.text_layout import definitions, wrap_text

# Titles of groups of options, in the order of a help.
MEASURING, CELL_OPTIONS, MACHINES, WRITTEN = "how it measures", "which cells", "on which machines", "what is written"
HELP_SECTIONS = ("positional arguments", "options", CELL_OPTIONS, MEASURING, MACHINES, WRITTEN)


class HelpLayout(argparse.HelpFormatter):
    """Helps in the width of the terminal, as all that is printed."""

    def __init__(self, prog: str, **named: Any) -> None:
        super().__init__(prog, **{"width": terminal_width(), "max_help_position": 30, **named})


class Parser(argparse.ArgumentParser):
    """A parser of which no option and no word takes an empty value, as an unset variable of a shell script gives one.

    argparse looks converters up by `type` in a registry, where `None` stands for options that name none: so one rule
    serves every option there is, and those still to come. Subcommands are parsers of this class as well.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": HelpLayout, **named})
        for kind, read in ((None, word), (Path, path), (int, whole)):
            self.register("type", kind, read)
        self.color = False  # Python 3.14 paints helps by rules of its own
        self.suggest_on_error = False  # and suggests in words of its own
        self.rest: str | None = None  # the name under which what follows `--` is kept, unread; None: it is read
        self.unread: str | None = None  # the name under which all words are kept, unread, for another program's parser
        self.own_help: CommandHelp | None = None  # of a command
        self.commands: argparse._SubParsersAction[Parser] | None = None  # of the program itself

    def section(self, title: str) -> argparse._ArgumentGroup:
        """The group of options with this title, made where there is none yet."""
        found = next((group for group in self._action_groups if group.title == title), None)
        return found or self.add_argument_group(title)

    def parse_known_args(  # type: ignore[override]  # of its overloads the one that is called
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As in argparse, which takes no words behind an option that stands between them and the first ones.

        What is unknown is an error of the parser that does not know it: the command, and not the program.
        """
        words = list(sys.argv[1:] if args is None else args)
        if self.unread is not None:
            found, _ = super().parse_known_args([], namespace)
            setattr(found, self.unread, words)
            return found, []
        behind: list[str] | None = None
        if self.rest is not None and "--" in words:
            at = words.index("--")
            words, behind = words[:at], words[at + 1 :]
        found, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        if behind is not None:
            assert self.rest is not None
            setattr(found, self.rest, behind)
        return found, []

    def _unknown(self, words: Sequence[str]) -> str:
        """What is said of words that nothing takes."""
        options = [name for action in shown_options(self) for name in action.option_strings]
        told = []
        for one in words:
            if one.startswith("-"):
                name = one.partition("=")[0]
                told.append(f"unknown option {name!r}{meant(name, options)}")
            elif not told:
                told.append(f"{one!r} is one word too many")
        return "; ".join(told)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As in argparse; says what was meant."""
        if action.choices is not None and value not in action.choices:
            names = [str(name) for name in action.choices]
            told = f"{value!r} is unknown{meant(str(value), names) or ';'} allowed: {', '.join(names)}"
            raise argparse.ArgumentError(action, told)

    def error(self, message: str) -> NoReturn:
        """One message, and where to read on; the whole usage would hide it."""
        complain(f"{message}\n{self.prog} --help says what it takes")
        raise SystemExit(2)

    def add_subparsers(self, **named: Any) -> argparse._SubParsersAction[Parser]:  # type: ignore[override]  # narrower
        """As in argparse. What follows a command is the command's own, which says better whose value is empty."""
        self.commands = super().add_subparsers(**named)
        self.commands.type = str
        return self.commands

    def format_usage(self) -> str:
        """As in argparse, which does not break a usage that was given."""
        words = re.findall(r"\[[^\]]{0,30}\]+|\S+", super().format_usage())
        return "\n".join(_joined(words, "", " " * 6, "")) + "\n"

    def format_help(self) -> str:
        """Usage, what it does, options by groups; then what its words mean, examples, and exit codes."""
        places = {title: place for place, title in enumerate(HELP_SECTIONS)}
        self._action_groups.sort(key=lambda group: places.get(group.title or "", len(places)))
        whole = super().format_help()
        _, _, rest = whole.partition("\n\n")
        lines = [self.format_usage(), rest.rstrip("\n")]
        if self.commands is not None:
            lines += _commands(self.commands)
            lines += ["", "environment:", *definitions(ENVIRONMENT.items())]
        if self.own_help is not None:
            lines += _taught(self.own_help, _metavars(self))
        return "\n".join(lines) + "\n"

    def _print_message(self, message: str, file: Any = None) -> None:
        if message and file in (None, sys.stdout):
            say(message, end="", coloured=True)
        elif message:
            super()._print_message(message, file)


def _commands(found: argparse._SubParsersAction[Parser]) -> list[str]:
    """The commands by what they are for."""
    texts = {action.dest: action.help or "" for action in found._choices_actions}
    lines: list[str] = []
    for group, title in GROUPS.items():
        names = [name for name in texts if name in COMMAND_HELP and COMMAND_HELP[name].group == group]
        lines += ["", f"{title}:", *definitions([(name, texts[name].replace("%%", "%")) for name in names], 12)]
    if others := [name for name in texts if name not in COMMAND_HELP]:
        lines += ["", "others:", *definitions([(name, texts[name]) for name in others], 12)]
    return lines


def _metavars(parser: Parser) -> dict[str, str]:
    """What the words of a usage mean, those that no option explains itself."""
    names = dict.fromkeys(str(action.metavar) for action in parser._actions if action.help is not argparse.SUPPRESS)
    return {name: METAVARS[name] for name in names if METAVARS.get(name)}


def _taught(own: CommandHelp, words: Mapping[str, str]) -> list[str]:
    lines = ["", "words:", *definitions(words.items(), 12)] if words else []
    lines += ["", "examples:"]
    for one in own.examples:
        lines += [*_command_lines(one.line), *wrap_text(one.what, "      ")]
    return [*lines, "", "exit codes:", *definitions([(str(code), told) for code, told in own.codes.items()], 5)]


def _command_lines(line: str) -> list[str]:
    """A command line in lines that a shell takes as one."""
    return _joined(re.findall(r'(?:[^\s"]|"[^"]*")+', line), "  ", "    ", " \\")


def _joined(words: Sequence[str], start: str, indent: str, end: str) -> list[str]:
    """Words in lines of the terminal's width, none torn apart; `end` is at the end of lines that go on."""
    lines, now = [], start
    for word in words:
        if now.strip() and len(now) + 1 + len(word) + len(end) > terminal_width():
            lines.append(now + end)
            now = indent
        now += f" {word}" if now.strip() else word
    return [*lines, now]


def shown_options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options that the help has; old names of options are none of them."""
    return [action for action in parser._actions if action.option_strings and action.help is not argparse.SUPPRESS]


def meant(word: str, names: Iterable[str]) -> str:
    """`; did you mean 'run'?`, where a name is like the word."""
    found = close_match(word, names)
    return f"; did you mean {found!r}?" if found else ""


def word(text: str) -> str:
    """A text that says something."""
    if not text.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is empty; allowed: any other text (is a variable of the shell not set?)"
        )
    return text


def path(text: str) -> Path:
    """A file or folder. An empty text would be the working folder."""
    return Path(word(text))


def whole(text: str) -> int:
    """A whole number."""
    try:
        return quantities.ANY_WHOLE.read(word(text))
    except SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
