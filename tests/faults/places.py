"""Faults of places: full and read-only disks, folders that are not there, limits; and of the terminal."""

# ruff: noqa: E501 - rows of a table, one a fault, with shell text that is not broken

from __future__ import annotations

from .fault import Fault, codes

RUN = "bench run tiny --suites suites --threads 1 --no-instrument --budget 4s --timeout 20s"
GATE = "bench gate tiny --suites suites --threads 1 --budget 15s --launch 300ms --timeout 20s"
FULL = "No space left|full|cannot be written"
KEPT = """
cat $(new results/*/records.jsonl) | "$PYTHON" -c 'import json, sys; [json.loads(line) for line in sys.stdin]' ||
  die "a half line is left"
"""

PLACES = (
    Fault("place.disk-full", "the disk is full after some records",
          (f"smalldisk 100k results {RUN.replace('4s', '60s')} --precision-goal 0.001%",), codes(2), says=FULL, check=KEPT,
          before="rm -rf results/*", listed="disk full in a run (200k tmpfs)", needs=("mount",),
          after=('bench run --resume "$(ls -d results/*-* | tail -n 1)" --suites suites --budget 1s', "bench show")),
    Fault("place.disk-full-first", "the disk is full at the first record", (f"smalldisk 20k results {RUN}",), codes(2),
          says=FULL, check=KEPT, before="rm -rf results/*", listed="disk full at the first record", needs=("mount",),
          after=("bench list",), quick=True),
    Fault("place.disk-full-at-once", "the disk is full from the start",
          (f"smalldisk 4k results {RUN}",), codes(2), says=FULL, before="rm -rf results/*; : > results/x",
          needs=("mount",), after=("bench list",)),
    Fault("place.disk-full-gate", "the disk is full in a gate", (f"smalldisk 40k results {GATE}",), codes(2), says=FULL,
          before="rm -rf results/*", listed="disk full in a gate", needs=("mount",), after=("bench list",)),
    Fault("place.disk-full-baseline", "the disk is full: baseline save",
          ('smalldisk +4k results bench baseline save x "$GOOD"',), codes(2), says=FULL, keeps=("$GOOD",),
          check='[ -z "$(ls -A results/baselines 2>/dev/null)" ] || die "half a baseline is left"',
          listed="disk full: baseline save", needs=("mount",), after=('bench show "$GOOD"',), quick=True),
    Fault("place.disk-full-report", "the disk is full: report over an older page",
          ('smalldisk +4k reports bench report "$GOOD"',), codes(2), says=FULL, keeps=("$GOOD",),
          listed="disk full: report over an older page", needs=("mount",), after=('bench verify "$GOOD"',), quick=True),
    Fault("place.disk-full-history", "the disk is full: history's page over an older one",
          ("smalldisk +4k results bench history --html results/history.html",), codes(2), says=FULL,
          before="head -c 3000 /dev/zero > results/history.html", keeps=("results/history.html",), needs=("mount",),
          after=('bench show "$GOOD"',)),
    Fault("place.disk-full-export", "the disk is full: export",
          ("mkdir asv; smalldisk 1k asv bench export asv --results-dir asv",), codes(2), says=FULL, needs=("mount",),
          after=("bench export asv",)),
    Fault("place.disk-full-temporary", "the temporary folder's disk is full", (f"smalldisk 4k tmp {RUN}",), codes(0, 2, 3),
          before="head -c 100000 /dev/zero > tmp/filler || :; head -c 3000 /dev/zero > tmp/filler", needs=("mount",),
          after=("bench list",)),
    *(
        Fault(f"place.file-size-{size}", f"no file may be larger than {size} blocks of 512 bytes: {what}",
              (f"ulimit -f {size}; exec {command}",), codes(2, -25), listed="ulimit -f" if size == 16 else "",
              after=("bench list",), quick=size == 16, keeps=("$GOOD",) if "GOOD" in command else (),
              never="Traceback")
        for size, what, command in ((16, "report", 'bench report "$GOOD"'), (24, "run", RUN.replace("4s", "20s")),
                                    (4, "gate", GATE), (8, "baseline save", 'bench baseline save x "$GOOD"'))
    ),
    Fault("place.out-read-only", "--out is read-only", (f"unwritable results {RUN}",), codes(2), says="cannot be written",
          needs=("mount",), listed="read-only out; out is a file", after=('bench show "$GOOD"',), quick=True),
    Fault("place.out-a-file", "--out is a file", (f"{RUN} --out .gitignore",), codes(2), says="cannot be written",
          listed="read-only out; out is a file", quick=True),
    Fault("place.out-long", "--out has 5,000 characters", (f"{RUN} --out {'o' * 5000}",), codes(2), says="long|written"),
    Fault("place.out-link-loop", "--out is a link to itself", (f"{RUN} --out loop",), codes(2), before="ln -s loop loop"),
    Fault("place.out-dev-null", "--out is /dev/null", (f"{RUN} --out /dev/null",), codes(2), says="/dev/null"),
    Fault("place.read-only-readers", "results/ is read-only: what only reads works",
          ('unwritable results bench show "$GOOD"', 'unwritable results bench verify "$GOOD"', "unwritable results bench export asv"),
          codes(0), needs=("mount",), keeps=("$GOOD",), quick=True),
    Fault("place.read-only-report", "reports/ is read-only: report", ('unwritable reports bench report "$GOOD"',), codes(2),
          says="cannot be written", needs=("mount",), keeps=("$GOOD",), quick=True),
    Fault("place.read-only-resume", "results/ is read-only: --resume",
          ('unwritable results bench run --resume "$GOOD" --suites suites',), codes(2), says="cannot be written",
          needs=("mount",), keeps=("$GOOD",)),
    Fault("place.tmpdir-read-only", "TMPDIR is read-only", (f"unwritable tmp {RUN}",), codes(0, 3), needs=("mount",),
          listed="TMPDIR read-only", after=("bench show",)),
    Fault("place.tmpdir-long", "TMPDIR has 120 characters", (f'export TMPDIR="$PWD/{"t" * 120}"; exec {RUN}',),
          codes(0, 2, 3), before=f"mkdir {'t' * 120}", listed="TMPDIR of 120 characters", after=("bench list",)),
    Fault("place.tmpdir-missing", "TMPDIR is not there", (f"export TMPDIR=$PWD/nowhere; exec {RUN}",), codes(0, 2, 3),
          after=("bench list",)),
    Fault("place.tmpdir-not-utf8", "TMPDIR's name is not UTF-8",
          (f"export TMPDIR=\"$(printf 't\\377')\"; mkdir -p \"$TMPDIR\"; exec {RUN}",), codes(0, 2, 3), after=("bench list",)),
    Fault("place.home-read-only", "HOME is read-only", (f"unwritable home {RUN}",), codes(0, 3), needs=("mount",),
          listed="HOME read-only / missing", after=("bench show",)),
    Fault("place.home-missing", "HOME is not set", (f"unset HOME; exec {RUN}",), codes(0, 3),
          listed="HOME read-only / missing", after=("bench show",)),
    Fault("place.cwd-deleted", "the working folder is deleted before: run",
          (f"mkdir w; cd w; rmdir ../w; exec {RUN}",), codes(2), listed="cwd deleted: run", after=("bench list",),
          says="folder|directory", quick=True),
    *(
        Fault(f"place.cwd-deleted-{name}", f"the working folder is deleted before: {name}",
              (f"mkdir w; cd w; rmdir ../w; exec bench {words}",), codes(*allowed), after=("bench list",), quick=name == "list",
              listed="cwd deleted: run" if name == "list" else "")
        for name, words, allowed in (("list", "list", (0, 2)), ("show", "show", (2,)), ("env", "env", (0, 2)),
                                     ("gate", "gate --against origin/main", (2,)),
                                     ("trace", "trace", (2,)), ("baseline", "baseline list", (0, 2)))
    ),
    Fault("place.descriptors", "ulimit -n 20", (f"ulimit -n 20; exec {RUN}",), codes(0, 2, 3), listed="ulimit -n 20",
          after=("bench show",)),
    Fault("place.memory", "ulimit -v of 300 MB", (f"ulimit -v 300000; exec {RUN}",), codes(2, 3, 70), after=("bench list",)),
    Fault("place.cpu-seconds", "ulimit -t 3", (f"ulimit -t 3; exec {RUN}",), codes(0, 2, 3, -9, -24, 137, 152), after=("bench list",)),
    Fault("place.cache-unwritable", "the user's cache cannot be written: versions",
          ('XDG_CACHE_HOME=/dev/null/no exec bench versions "idna==3.6" "idna==3.7" --suite tiny --suites suites --budget 2s',),
          codes(2), listed="user cache unwritable: versions", says="/dev/null|cache", after=("bench list",), quick=True),
    Fault("place.cache-a-file", "the user's cache is a file: a gate",
          (f"XDG_CACHE_HOME=$PWD/.gitignore exec {GATE}",), codes(0, 2, 3, 4), after=("bench list",)),
    Fault("place.results-a-link", "results/ is a link that leads nowhere", (f"rm -rf results; ln -s /nowhere/at/all results; exec {RUN}",),
          codes(2), says="results", after=("bench list",)),
    Fault("place.report-over-folder", "the page's file is a folder", ('bench report "$GOOD" -o suites',), codes(2),
          says="suites", keeps=("suites", "$GOOD"), quick=True),
    Fault("place.report-dev-full", "the page goes to /dev/full", ('bench report "$GOOD" -o /dev/full',), codes(2),
          says="/dev/full", keeps=("$GOOD",), check="[ -c /dev/full ] || die 'the device was replaced'", quick=True),
)  # fmt: skip

SHOW = 'bench show "$GOOD"'
ARMS_OUTPUT = """edit "$BAD/records.jsonl" 1 'r.update(outcome="crashed", reason="\\x1b]0;title\\x07\\x1b[31mred \\u202etxet \\x9b2J")'"""

TERMINAL = (
    *(
        Fault(f"terminal.full-{name}", f"stdout is full: {name}", (f"{command} > /dev/full",), codes(2), quick=quick,
              says="output|No space|full|written", listed="stdout full: show, run, gate" if listed else "", after=("bench list",))
        for name, command, listed, quick in (
            ("show", SHOW, True, True), ("run", RUN, True, False), ("gate", GATE, True, False),
            ("list", "bench list", False, True), ("env", "bench env", False, True), ("verify", 'bench verify "$GOOD"', False, False),
            ("json", f"{SHOW} --format json", False, False), ("baseline", "bench baseline list", False, True),
            ("help", "bench --help", False, True), ("version", "bench --version", False, True),
        )
    ),
    *(
        Fault(f"terminal.closed-{name}", f"stdout is closed: {name}", (f"{command} >&-",), codes(*allowed), quick=quick,
              after=("bench list",), keeps=("$GOOD",))
        for name, command, allowed, quick in (("show", SHOW, (0, 2), True), ("list", "bench list", (0, 2), True),
                                              ("run", RUN, (0, 2), False), ("gate", GATE, (2,), False))
    ),
    Fault("terminal.head", "show | head", (f"{SHOW} | head -n 1",), codes(0), listed="`show | head`", quick=True),
    Fault("terminal.head-run", "run | head -c 1", (f"{RUN} | head -c 1 > /dev/null",), codes(0), after=("bench show",)),
    Fault("terminal.head-pipefail", "the exit code of show where its reader has gone",
          ('"$PYTHON" -c "import subprocess, os, sys; r, w = os.pipe(); os.close(r); '
           "sys.exit(subprocess.run(['bench', 'show', '$GOOD'], stdout=w).returncode)\"",), codes(0, 2), quick=True),
    Fault("terminal.gate-reader-gone", "the reader of a gate has gone",
          (f'"$PYTHON" -c "import subprocess, os, sys; r, w = os.pipe(); os.close(r); '
           f'c = subprocess.run(\'{GATE}\'.split(), stdout=w).returncode; sys.exit(c)" # {GATE}',), codes(0, 2, 3, 4)),
    Fault("terminal.stderr-closed", "stderr is closed: run", (f"{RUN} 2>&-",), codes(0, 2, 3), listed="stderr closed",
          after=("bench show",)),
    Fault("terminal.stderr-closed-list", "stderr is closed: list", ("bench list 2>&-",), codes(0), listed="stderr closed", quick=True),
    Fault("terminal.stderr-full", "stderr is full: run", (f"{RUN} 2> /dev/full",), codes(0, 2, 3), after=("bench show",)),
    Fault("terminal.stderr-full-bad", "stderr is full: a wrong command", ("bench run nosuch 2> /dev/full",), codes(2), quick=True),
    Fault("terminal.all-closed", "all three are closed: show", (f"{SHOW} <&- >&- 2>&-",), codes(0, 2), quick=True),
    Fault("terminal.stdin-closed", "stdin is closed", (f"{RUN} <&-",), codes(0), listed="stdin closed", after=("bench show",)),
    *(
        Fault(f"terminal.ascii-{name}", f"stdout takes ASCII: {name}", (f"LC_ALL=C PYTHONIOENCODING=ascii exec {command}",),
              codes(*allowed), listed="ASCII stdout: show, run, gate" if listed else "", after=("bench list",), quick=name in ("show", "list"))
        for name, command, allowed, listed in (
            ("show", SHOW, (0,), True), ("run", RUN, (0,), True), ("gate", GATE, (0, 3, 4), True),
            ("list", "bench list", (0,), False), ("md", f"{SHOW} --format md", (0,), False),
            ("verify", 'bench verify "$GOOD"', (0,), False), ("history", "bench history", (0,), False),
            ("bad", "bench run µ", (2,), False),
        )
    ),
    Fault("terminal.latin-1", "stdout takes latin-1", (f"PYTHONIOENCODING=latin-1 exec {SHOW}",), codes(0),
          listed="latin-1 stdout", quick=True),
    Fault("terminal.cp437", "stdout takes cp437", (f"PYTHONIOENCODING=cp437 exec {SHOW}",), codes(0)),
    Fault("terminal.dumb", "TERM is not set, and 0 columns", (f"unset TERM; COLUMNS=0 LINES=0 exec {SHOW}",), codes(0)),
    Fault("terminal.columns-40", "40 columns", (f"COLUMNS=40 exec {SHOW}",), codes(0), listed="40 columns"),
    *(
        Fault(f"terminal.escapes-{name}", f"escape sequences of arms: {name}", (command,), codes(*allowed), before=ARMS_OUTPUT,
              listed="ESC / BEL / RTL of arms in show, gate" if name == "show" else "", quick=name in ("show", "md"))
        for name, command, allowed in (
            ("show", 'bench show "$BAD"', (0, 2)), ("md", 'bench show "$BAD" --format md', (0, 2)), ("csv", 'bench show "$BAD" --format csv', (0, 2)),
            ("compare", 'bench compare "$GOOD" "$BAD"', (0, 2, 3)),
        )
    ),
    Fault("terminal.escapes-gate", "escape sequences of arms: gate",
          ("bench gate faulty --suites suites --threads 1 --budget 15s --launch 300ms --timeout 20s --set fault=none,escapes,right-to-left",),
          codes(3), listed="ESC / BEL / RTL of arms in show, gate", after=("bench list",)),
    Fault("terminal.escapes-argument", "escape sequences in a command's words",
          ("bench run \"$(printf '\\033[31mred')\" -k \"$(printf 'x\\007')\"",), codes(2), quick=True),
    Fault("terminal.surrogate-argument", "a word that is not UTF-8", ("bench run \"$(printf 'a\\377b')\"",), codes(2), quick=True),
)  # fmt: skip
FAULTS = (*PLACES, *TERMINAL)
