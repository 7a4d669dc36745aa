"""What the help of each command teaches besides its options: where it belongs, examples, exit codes, its words.

One table, read by `bench COMMAND --help`, by completion and by the reference of the documentation. A new command has
an entry in COMMAND_HELP, a new metavar one in METAVARS; tests hold both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GROUPS: Mapping[str, str] = {
    "measure": "measure",
    "gate": "say whether it is slower",
    "read": "read what was measured",
    "commits": "over many commits",
    "cluster": "on a cluster",
    "tool": "the tool itself",
}


@dataclass(frozen=True)
class Example:
    """A command line that is taken as it stands, and what it does."""

    line: str
    what: str


@dataclass(frozen=True)
class CommandHelp:
    """What the help of one command has besides its options.

    Attributes:
        group: where it stands in the list of commands, a key of GROUPS.
        examples: at least one.
        exits: its own exit codes; those of EVERY_COMMAND are not repeated.
        done: what 0 means.
    """

    group: str
    examples: tuple[Example, ...]
    exits: Mapping[int, str] = field(default_factory=dict)
    done: str = "done"

    @property
    def codes(self) -> dict[int, str]:
        """Every exit code that it may have, with its meaning."""
        return dict(sorted({0: self.done, **self.exits, **EVERY_COMMAND}.items()))


# What any command may end with, whatever it does.
EVERY_COMMAND: Mapping[int, str] = {
    2: "what was asked for cannot be done",
    70: "something unforeseen; a log that is named says what",
    130: "interrupted; what was measured is kept",
}
_CELLS_FAILED = {3: "cells of it failed"}


def _examples(*lines: tuple[str, str]) -> tuple[Example, ...]:
    return tuple(Example(*line) for line in lines)


COMMAND_HELP: Mapping[str, CommandHelp] = {
    "list": CommandHelp(
        "measure",
        _examples(
            ("bench list", "all suites"),
            ("bench list overhead --set accelerator=cpu,cuda", "what of it can run here, and why not"),
        ),
    ),
    "run": CommandHelp(
        "measure",
        _examples(
            ("bench run", "plain PyTorch, Fabric and Trainer, three minutes"),
            ('bench run overhead --budget 10m -k "batch_size=64"', "some of its cells, more exactly"),
            ("bench run overhead --set precision=32-true,bf16-mixed --compare precision", "another question"),
            ('bench run --until "trainer < 5%"', "until that is decided"),
        ),
        _CELLS_FAILED,
        "measured",
    ),
    "check": CommandHelp(
        "measure",
        _examples(("bench check overhead", "one that is here"), ("bench check suites/mine.py", "your own")),
        {3: "a check failed"},
        "every check passed",
    ),
    "race": CommandHelp(
        "measure",
        _examples(
            ('bench race "train.py" "train.py --precision bf16-mixed"', "which is faster, and by how much"),
            ("bench race train.py --env OMP_NUM_THREADS=1 --env OMP_NUM_THREADS=2", "under two settings"),
        ),
        {3: "a script failed, or did other work"},
        "measured",
    ),
    "versions": CommandHelp(
        "measure",
        _examples(
            ('bench versions "lightning==2.5.*" "lightning==2.6.*"', "two releases"),
            ("bench versions git:main .", "a branch against the files here"),
        ),
        _CELLS_FAILED,
        "measured",
    ),
    "trace": CommandHelp(
        "measure", _examples(('bench trace overhead -k "batch_size=64"', "with torch's profiler")), _CELLS_FAILED
    ),
    "counts": CommandHelp("measure", _examples(("bench counts null", "over an empty step")), _CELLS_FAILED),
    "explain": CommandHelp(
        "read",
        _examples(("bench explain plain trainer", "of the newest run; samples stacks where it has none")),
        {3: "an arm was lost while its stacks were sampled"},
    ),
    "doctor": CommandHelp(
        "measure",
        _examples(
            ("bench doctor train.py -- --epochs 3", "a script, with its own arguments"),
            ("bench doctor package.module:LitModel --data package.module:Data", "a LightningModule"),
            ("bench doctor train.py --fix", "the advice as a patch"),
        ),
        {3: "the training itself failed"},
    ),
    "tune": CommandHelp(
        "measure",
        _examples(
            ("bench tune", "the suite that comes with it"),
            ("bench tune train.py --arg workers=0,2,4", "an argument of a script"),
        ),
    ),
    "train": CommandHelp(
        "measure",
        _examples(
            ("bench train fit --trainer.max_epochs 5", "the autoencoder"),
            ("bench train fit --print_config", "all there is to set, as YAML"),
        ),
    ),
    "gate": CommandHelp(
        "gate",
        _examples(
            ("bench gate --against origin/main", "the code here against a commit"),
            ("bench gate overhead --against HEAD~1 --margin 2% --budget 5m", "with another margin"),
            ("bench gate --against origin/main --no-more calls", "calls are counted, too, and may not grow"),
        ),
        {1: "regression", 3: "invalid: what was measured is no ground for a verdict", 4: "inconclusive"},
        "pass, or improvement",
    ),
    "compare": CommandHelp(
        "gate",
        _examples(("bench compare main RUN", "a baseline and a run")),
        {3: "invalid: they are not comparable"},
        "compared",
    ),
    "baseline": CommandHelp(
        "gate",
        _examples(("bench baseline save main", "the newest run"), ("bench baseline list", "all that have a name")),
    ),
    "show": CommandHelp(
        "read",
        _examples(
            ("bench show", "the newest run"), ("bench show RUN --step 40ms --format md", "for steps of another length")
        ),
    ),
    "report": CommandHelp(
        "read",
        _examples(
            ("bench report", "of the newest run"),
            ("bench report RUN_A RUN_B", "two side by side"),
            ("bench report --format pdf", "by a browser, where there is one"),
        ),
    ),
    "export": CommandHelp(
        "read",
        _examples(
            ("bench export parquet", "the tables of the newest run"),
            ("bench export csv RUN --what cells,launches", "some of them"),
            ("bench export asv", "for asv's own pages"),
        ),
    ),
    "verify": CommandHelp(
        "read",
        _examples(("bench verify", "of the newest run")),
        {3: "a figure is not what the records give"},
        "every figure is",
    ),
    "merge": CommandHelp(
        "read",
        _examples(("bench merge RUN_A RUN_B --price cpu=0.40/h", "two machines, with what one costs")),
        {3: "invalid: they are not comparable"},
        "merged",
    ),
    "env": CommandHelp(
        "read",
        _examples(
            ("bench env", "as runs record it"),
            ("bench env --calibrate", "what this machine can do at most"),
            ("bench env --fit", "what a gate would see here"),
        ),
    ),
    "history": CommandHelp(
        "commits",
        _examples(
            ("bench history", "of all runs that are here"),
            ("bench history --suite overhead --html history.html", "as a page"),
        ),
    ),
    "confirm": CommandHelp("commits", _examples(("bench confirm HEAD~1 HEAD", "the change between them")), {}, "raced"),
    "submit": CommandHelp(
        "cluster",
        _examples(
            ("bench submit scaling --nodes 2 --budget 20m", "one job of two nodes"),
            ("bench submit overhead --array 4", "four tasks that share the groups"),
        ),
        {},
        "it is in the queue",
    ),
    "status": CommandHelp("cluster", _examples(("bench status", "of all jobs"))),
    "cancel": CommandHelp("cluster", _examples(("bench cancel JOB", "by its name, folder or number"))),
    "selftest": CommandHelp(
        "tool",
        _examples(("bench selftest --quick", "a glance"), ("bench selftest --power", "known slowdowns, gated")),
        {3: "a figure is worse than is promised"},
        "every figure is as promised",
    ),
    "completion": CommandHelp(
        "tool", _examples(("bench completion bash", "to be read by the shell: docs/terminal.md"))
    ),
    "help": CommandHelp("tool", _examples(("bench help run", "the same as bench run --help"))),
}

# What stands for a value in usages and helps. "": the option's own help says it.
METAVARS: Mapping[str, str] = {
    "AXIS": "an axis of the suite, e.g. precision; bench list has them",
    "AXIS=V1,V2": "an axis and the values to take of it, e.g. batch_size=64,512",
    "CELL": "",
    "CHECK": "",
    "COMMAND": "",
    "COMMIT_A": "",
    "COMMIT_B": "",
    "CONDITION": "",
    "DIR": "a folder",
    "EXPR": 'parts of cells\' ids with and, or, not and brackets, e.g. "fabric and not 512"',
    "FILE": "a file that is written",
    "FORMAT": "",
    "HASH": "a commit, as git takes it",
    "HOST": "a name or an address",
    "JOB": "",
    "K/N": "two whole numbers, e.g. 2/8",
    "LOSS": "a number, e.g. 0.03",
    "METRIC": "",
    "N": "a whole number",
    "NAME": "a word",
    "NAME=2.50/h": "a machine's name, and a number",
    "NAME=V1,V2": "a name and the values to choose from",
    "NAME=VALUE": "",
    "OTHER": "",
    "P": "a share: 1% or 0.01",
    "REQ": "a requirement as pip takes it",
    "REV": "a commit, as git takes it",
    "RUN": "",
    "TABLES": "names of tables, e.g. turns,cells",
    "RUN=NAME": "",
    "SCRIPT": "a Python file, with its arguments in the same quotes",
    "SHELL": "",
    "SIDE": "",
    "SIZE": "bytes: 4GiB, 512MiB or a number",
    "SUITE": "a suite's name, or the path of its file",
    "TARGET": "",
    "TEXT": "",
    "TIME": "90, 90s, 12ms, 3m or 1h",
    "WHAT": "",
    "WORK": "",
}

# What the environment says to all commands; docs/terminal.md.
ENVIRONMENT: Mapping[str, str] = {
    "BENCH_BUDGET": "the budget where none is given, and the largest that is taken",
    "COLUMNS": "the width of what is printed, 40 to 200; else the terminal's, or 120",
    "NO_COLOR, FORCE_COLOR": "no colour; colour in a pipe, too",
}
