"""Faults of arms and of ranks. Those of one command are done in one run, and judged each by its own cell."""

# ruff: noqa: E501 - rows of a table, one a fault, with shell text that is not broken

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .fault import Fault, codes

RUN = "bench run faulty --suites suites --threads 1 --no-instrument --budget 3s --timeout 12s"
CRASHED, TIMEOUT, OK = ("crashed",), ("timeout",), ("ok",)


def together(
    area: str,
    deeds: Mapping[str, Mapping[str, Any]],
    *,
    outcome: tuple[str, ...] = CRASHED,
    options: str = "",
    after: Sequence[str] = ("bench show",),
    **more: Any,
) -> list[Fault]:
    """Faults that one run does: deeds of suites/misdeeds.py, by name, with what each has of its own."""
    command = f"{RUN}{options} --set fault=none,{','.join(deeds)}"
    found = []
    for name, own in deeds.items():
        values = {"outcomes": {name: outcome}, "codes": codes(3), "after": tuple(after), "listed": "", **more, **own}
        values.setdefault("what", name.replace("-", " "))
        if all(set(words) <= {"ok"} for words in values["outcomes"].values()) and len(deeds) == 1:
            values["codes"] = codes(0)
        found.append(Fault(f"{area}.{name}", commands=(command,), limit=180.0, **values))
    return found


def alone(name: str, what: str, outcome: tuple[str, ...], listed: str = "", **more: Any) -> Fault:
    """A fault that may disturb others, so in a run of its own."""
    more = {"codes": codes(0) if set(outcome) <= {"ok"} else codes(3), "after": ("bench show",), **more}
    options = more.pop("options", "")
    command = f"{RUN}{options} --set fault=none,{name}"
    return Fault(
        f"arm.{name}", what, (command,), outcomes={name: outcome}, listed=listed, limit=more.pop("limit", 120.0), **more
    )


def row(listed: str, what: str = "", **more: Any) -> dict[str, Any]:
    return {"listed": listed, **({"what": what} if what else {}), **more}


FAULTS: tuple[Fault, ...] = (
    *together(
        "arm",
        {
            "raise": row("raises in loss", "raises in its loss", reason="no mood", quick=True),
            "build-raise": row("raises in build", "raises in build", reason="no mood", quick=True),
            "sys-exit": row("sys.exit(0) in loss", "sys.exit(0) in its loss", quick=True),
            "build-sys-exit": row("sys.exit(0) in build", "sys.exit(0) in build", quick=True),
            "exit-7": row("os._exit(7)", "os._exit(7)", reason="status 7", quick=True),
            "exit-0": row("os._exit(0)", "os._exit(0)", reason="status 0", quick=True),
            "sigkill": row("SIGKILL", "SIGKILL to itself", reason="SIGKILL", quick=True),
        },
        after=("bench show", "bench report", "bench verify"),
    ),
    *together(  # each of these three spoiled a whole run
        "arm",
        {
            "surrogate": row("message with a lone surrogate", "a message with a lone surrogate", quick=True),
            "socket-5-bytes": row("writes 5 bytes into its socket", "writes 5 bytes into its socket", quick=True,
                                  outcomes={"socket-5-bytes": ("crashed", "internal")}),
            "child-setsid": row("child in a session of its own (setsid, daemon)", "leaves a child in a session of its own",
                                quick=True, outcomes={"child-setsid": OK}),
        },
        after=("bench show", "bench report", "bench verify"),
    ),
    *together(
        "arm",
        {
            "sigsegv": row("SIGSEGV", "SIGSEGV to itself", reason="SIGSEGV"),
            "crash-in-c": {"what": "reads address 0 in C", "reason": "SIGSEGV"},
            "sigterm": row("SIGTERM / SIGSTOP itself", "SIGTERM to itself", reason="SIGTERM"),
            "kill-group": row("kills its process group", "kills its process group"),
            "recursion": row("RecursionError", "recurses without end", reason="RecursionError"),
            "keyboard-interrupt": row("KeyboardInterrupt; other BaseException", "KeyboardInterrupt"),
            "base-exception": row("KeyboardInterrupt; other BaseException", "a BaseException of its own"),
            "stop-iteration": row("StopIteration early", "StopIteration"),
            "exit-1": {"what": "os._exit(1)", "reason": "status 1"},
            "exit-3": {"what": "os._exit(3)", "reason": "status 3"},
        },
    ),
    *together(
        "arm",
        {
            "unprintable": row("exception whose __str__ raises; empty; 1 MB", "an exception whose __str__ raises"),
            "wordless": row("exception whose __str__ raises; empty; 1 MB", "an exception without words"),
            "megabyte": row("exception whose __str__ raises; empty; 1 MB", "a message of 1 MB"),
            "close-all": row("closes all descriptors", "closes all its descriptors"),
            "build-sys-exit-words": {"what": "sys.exit('enough') in build"},
            "generator-exit": {"what": "GeneratorExit"},
            "cancelled": {"what": "asyncio.CancelledError"},
            "group": {"what": "an ExceptionGroup"},
            "many-lines": {"what": "a message of 5,000 empty lines"},
            "build-import": {"what": "imports in build what is not there", "reason": "no_such_module"},
        },
    ),
    *together(
        "arm",
        {
            "html": row("message with HTML, ESC, NUL, RTL", "a message with HTML"),
            "escapes": row("message with HTML, ESC, NUL, RTL", "a message with escape sequences"),
            "nul": row("message with HTML, ESC, NUL, RTL", "a message with NUL"),
            "right-to-left": row("message with HTML, ESC, NUL, RTL", "a message with direction characters"),
            "bell": {"what": "a message with BEL, BS and DEL"},
            "line-separators": {"what": "a message with every kind of line's end"},
            "mathtext": {"what": "a message with broken mathtext"},
            "markdown": {"what": "a message with Markdown"},
            "formula": {"what": "a message that is a spreadsheet's formula"},
            "jinja": {"what": "a message that is a template"},
            "percent": {"what": "a message with formats of all kinds"},
            "json": {"what": "a message with a line of JSON"},
        },
        after=(
            "bench show",
            "bench show --format md",
            "bench show --format csv",
            "bench show --format json",
            "bench report",
            "bench verify",
        ),
    ),
    *together(
        "arm",
        {
            "surrogate-file": row("message with a lone surrogate", "fails to open a file whose name is not UTF-8"),
            "surrogate-pair": {"what": "a message with surrogates in the wrong order"},
            "build-surrogate": {"what": "the same in build"},
            "last-words-not-utf8": {"what": "last words that are not UTF-8", "reason": "status 9"},
            "print-escapes-and-exit": {"what": "last words with escape sequences", "reason": "status 9"},
        },
        after=("bench show", "bench show --format md", "bench show --format json", "bench report", "bench verify"),
    ),
    *together(
        "arm",
        {
            "nan": row("NaN loss; inf loss", "a loss of NaN", outcomes={"nan": ("unequal-work",)}),
            "inf": row("NaN loss; inf loss", "a loss of inf", outcomes={"inf": ("unequal-work",)}),
            "none-loss": row("None loss; int; vector", "None for a loss"),
            "int-loss": row("None loss; int; vector", "an int for a loss"),
            "vector": row("None loss; int; vector", "a vector for a loss"),
            "str-loss": {"what": "a str for a loss"},
            "empty-vector": {"what": "an empty vector for a loss", "outcomes": {"empty-vector": CRASHED}},
            "detached": {"what": "a loss without gradient"},
            "complex": {"what": "a complex loss"},
            "bool": {"what": "a bool for a loss"},
            "negative-zero": {
                "what": "a loss of -0 once: other work, unseen only in the losses",
                "outcomes": {"negative-zero": ("unequal-work",)},
            },
        },
    ),
    *together(
        "arm",
        {
            "loader-empty": row("empty DataLoader", "a loader without batches"),
            "loader-one-batch": row("loader of 1 batch", "a loader of one batch",
                                    outcomes={"loader-one-batch": ("unequal-settings", "unequal-work", "ok")}),
            "loader-len-1030": row("len() 1030, -1; batch None", "a loader of 10^30 batches"),
            "loader-len-negative": row("len() 1030, -1; batch None", "a loader of -1 batches"),
            "loader-batch-none": row("len() 1030, -1; batch None", "None for a batch"),
            "loader-enospc": row("loader raises ENOSPC", "a loader that finds the disk full", reason="No space left"),
            "loader-len-raises": {"what": "a loader whose len() raises ValueError"},
            "loader-len-str": {"what": "a loader whose len() is a str",
                               "outcomes": {"loader-len-str": ("crashed", "unequal-settings", "unequal-work", "ok")}},
            "loader-batch-str": {"what": "a str for a batch"},
            "loader-interrupt": {"what": "a loader that raises KeyboardInterrupt"},
            "loader-exit": {"what": "a loader that calls sys.exit(0)"},
            "loader-not-iterable": {"what": "an int for a loader"},
        },
    ),
    *together(
        "arm",
        {
            "worker-exits": row("loader worker dies", "its loader's worker exits"),
            "worker-killed": row("loader worker dies", "its loader's worker is killed"),
            "worker-raises": {"what": "its loader's worker raises"},
            "worker-hangs": {"what": "its loader's worker hangs", "outcomes": {"worker-hangs": TIMEOUT}},
        },
    ),
    *together(
        "arm",
        {
            "hang": row("hangs in loss", "hangs in its loss"),
            "build-hang": row("hangs in build", "hangs in build"),
            "hang-in-c": row("hangs in C; with all signals blocked", "hangs in C"),
            "hang-deaf": row("hangs in C; with all signals blocked", "hangs with all signals blocked"),
            "sigstop": row("SIGTERM / SIGSTOP itself", "SIGSTOP to itself"),
        },
        outcome=TIMEOUT,
        options=" --timeout 8s",
    ),
    *together(
        "arm",
        {
            "hang-with-gil": {"what": "hangs in C and keeps the interpreter's lock"},
            "spin": {"what": "spins"},
            "deadlock": {"what": "waits for a lock that it holds"},
            "sigusr2": {"what": "SIGUSR2, which is the tool's own, to itself, and hangs"},
            "stop-group": {"what": "stops its process group"},
            "sighup": {"what": "SIGHUP to itself", "outcomes": {"sighup": CRASHED}},
            "sigabrt": {"what": "SIGABRT to itself", "outcomes": {"sigabrt": CRASHED}},
            "sigquit": {"what": "SIGQUIT to itself", "outcomes": {"sigquit": CRASHED}},
        },
        outcome=TIMEOUT,
        options=" --timeout 8s",
    ),
    alone("allocate", "allocates without end", ("oom",), "endless allocation, --memory-limit 700MiB",
          options=" --memory-limit 700MiB"),
    alone("allocate-bytes", "allocates without end, outside of torch", ("oom",), options=" --memory-limit 500MiB"),
    alone("print-100mb", "prints 100 MB", OK, "prints 100 MB"),
    *together(
        "arm",
        {
            "child": row("child that stays, same session", "leaves a child in its session"),
            "child-own-group": {"what": "leaves a child in a group of its own"},
            "remove-cwd": row("removes its working folder", "removes its working folder"),
            "few-descriptors": {"what": "takes its own descriptors away by a limit",
                                "outcomes": {"few-descriptors": ("ok", "crashed")}},
            "chdir-root": {"what": "changes its folder to /"},
            "locked-folder": {"what": "leaves a folder in its scratch that cannot be entered"},
            "deep-folder": {"what": "leaves 600 folders, one in another, in its scratch"},
            "fifo-in-scratch": {"what": "leaves a FIFO and links to / and to themselves in its scratch"},
            "sparse-file": {"what": "leaves a file of 1 TiB, sparse, in its scratch",
                            "outcomes": {"sparse-file": ("ok", "crashed")}},
            "print-no-newline": {"what": "prints 8 MB in one line"},
            "print-binary": {"what": "prints all bytes there are"},
        },
        outcome=OK,
        codes=codes(0, 3),
        check="test -d /usr",
    ),
    *together(
        "arm",
        {
            "log-removed": {"what": "removes its own log"},
            "close-standard": {"what": "closes its standard streams"},
            "environment": {"what": "clears its environment, and lets nobody read what it writes"},
            "multiprocessing": {"what": "forks a process that stays"},
            "thread": {"what": "a thread of it raises, another one stays"},
            "atexit": {"what": "waits for ever when it is to leave"},
        },
        outcome=OK,
        codes=codes(0, 3),
    ),
    *together(
        "arm",
        {
            "daemon": row("child in a session of its own (setsid, daemon)",
                          "forks twice into a session of its own, and stays, deaf to SIGTERM"),
            "build-daemon": {"what": "the same in build"},
            "daemon-and-die": {"what": "the same, and the arm dies", "outcomes": {"daemon-and-die": CRASHED}},
            "child-bare": {"what": "leaves a child with neither session, environment, folder nor parent of ours"},
            "child-deaf": {"what": "leaves a child in a session of its own that is deaf to SIGTERM, SIGHUP and SIGINT"},
            "child-stopped": {"what": "leaves a child in a session of its own that is stopped"},
            "child-keeps-forking": {"what": "leaves a child in a session of its own that forks another one every 0.2 s"},
        },
        outcome=OK,
    ),
    *together(
        "arm",
        {
            "socket-noise": {"what": "writes 32 bytes of noise into its socket"},
            "socket-list": {"what": "sends a list for a message"},
            "socket-no-op": {"what": "sends a message without its kind"},
            "socket-wrong-op": {"what": "sends a message that is the fork server's"},
            "socket-wrong-types": {"what": "sends a message with fields of the wrong type"},
            "socket-nan": {"what": "sends NaN for a time"},
            "socket-surrogate": {"what": "sends a lone surrogate"},
            "socket-wrong-outcome": {"what": "sends an outcome that is none"},
            "socket-deep": {"what": "sends 200,000 brackets"},
            "socket-result": {"what": "sends a result without a ledger"},
            "socket-binary": {"what": "sends a message that is not UTF-8"},
            "socket-closed": {"what": "closes its socket"},
        },
        outcome=("crashed", "internal"),
    ),
    *together(
        "arm",
        {
            "socket-half": {"what": "sends a half message and hangs"},
            "socket-huge": {"what": "says that 2 GB will come, and hangs"},
            "socket-huge-64": {"what": "says that 2^60 bytes will come, and hangs"},
            "socket-shut": {"what": "shuts its side of the socket, and hangs"},
        },
        outcome=("crashed", "timeout", "internal"),
        options=" --timeout 8s",
    ),
    *(
        alone(f"fork-server-{name}", f"sends {name.upper()} to its fork server", ("void", "crashed", "internal", "timeout", "ok"),
              listed, codes=codes(0, 3), options=" --timeout 10s", limit=180.0)
        for name, listed in (
            ("sigkill", "kills its fork server (SIGKILL; SIGINT the same)"),
            ("sigint", "kills its fork server (SIGKILL; SIGINT the same)"),
            ("sigterm", ""),
            ("sigstop", ""),
        )
    ),
    Fault(
        "arm.conductor-sigterm",
        "sends SIGTERM to the conductor",
        (f"{RUN} --set fault=none,conductor-sigterm",),
        codes(130),
        after=("bench run --resume $(ls results | tail -n 1) --suites suites --budget 3s || test $? = 3 -o $? = 130",),
    ),
    *together(
        "rank",
        {
            "exit-7": row("1 of 2 DDP ranks exits / is killed", "rank 1 of 2 exits", reason="rank 1"),
            "sigkill": row("1 of 2 DDP ranks exits / is killed", "rank 1 of 2 is killed", reason="rank 1"),
            "build-raise": {"what": "rank 1 of 2 raises in build", "reason": "rank 1"},
            "raise": {"what": "rank 1 of 2 raises in its loss", "reason": "rank 1"},
        },
        options=" --set devices=2 --set strategy=ddp",
    ),
    *together(
        "rank",
        {
            "hang": row("1 of 2 hangs", "rank 1 of 2 hangs", reason="rank 1"),
            "sigstop": {"what": "rank 1 of 2 is stopped", "reason": "rank 1"},
        },
        outcome=TIMEOUT,
        options=" --set devices=2 --set strategy=ddp --timeout 10s",
    ),
    *together(
        "arm",
        {
            f"knock-{name}": {
                "what": f"begins another conversation with the conductor, whose first message is {what}", "listed": listed,
            }
            for name, what, listed in (
                ("list", "a list", "first message with key is no JSON object"),
                ("number", "a number", "first message with key is no JSON object"),
                ("no-json", "no JSON", "first message with key is no JSON object"),
                ("not-utf8", "not UTF-8", ""),
                ("no-role", "without a role", ""),
                ("strange-id", "of an arm that is not there", ""),
                ("fork-server", "of a fork server that is not there", ""),
            )
        },
        outcome=OK,
        codes=codes(0),
    ),
)  # fmt: skip
