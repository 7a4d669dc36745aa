"""Faults of names and texts: suite files, axis values, selections, and where they are printed."""

# ruff: noqa: E501 - rows of a table, one a fault, with shell text that is not broken

from __future__ import annotations

from .fault import Fault, codes

LIST = "bench list hostile --suites suites"
HEAD = "from bench.spec import Suite\n"


def suite(name: str = "hostile", *, title: str = "a title", axes: str = '{"word": ("plain", "other")}', compare: str = "word",
          baseline: str = '"plain"', more: str = "") -> str:  # fmt: skip
    """The text of a suite file; arguments are Python."""
    return (
        f"{HEAD}from bench.spec import Point, Workload\n\n\ndef build(point: Point) -> Workload:\n"
        f"    from .parts import workload\n\n    return workload()\n\n\n{more if more.startswith('def') else ''}\n"
        f"suite = Suite(name={name!r}, title={title!r}, axes={axes}, compare={compare!r}, baseline={baseline}, build=build"
        f"{'' if more.startswith('def') or not more else ', ' + more})\n"
    )


def put(text: str, file: str = "suites/hostile.py") -> str:
    """Shell that writes a file of this text."""
    return f"cat > {file} <<'END_OF_FILE'\n{text}\nEND_OF_FILE\n"


ALL = ("bench list --suites suites",)


def file(name: str, what: str, text: str, listed: str = "", *, commands: tuple[str, ...] = ALL,
         says: str = "hostile", quick: bool = True, allowed: frozenset[int] | None = None,
         after: tuple[str, ...] = ("bench list",), before: str = "", limit: float = 40.0) -> Fault:  # fmt: skip
    """`allowed`: by default 0 where all suites are listed, the others with a word on this one; 2 where it is asked for."""
    if allowed is None:
        allowed = codes(0 if commands == ALL else 2)
    return Fault(f"suite.{name}", what, commands, allowed, before=before or put(text), says=says, listed=listed, quick=quick,
                 after=after, limit=limit)  # fmt: skip


SYNTAX = "suite: syntax error, NUL, encodings"
GUARD = "refuses/workers raise; KeyboardInterrupt at import"
WAYS = "FIFO / symlink loop named x.py in the folder"
GATE = "bench gate hostile --suites suites --threads 1 --budget 15s --launch 300ms"
EXITS = f"{HEAD}import sys\nsys.exit(0)\nsuite = 1"

SUITES = (
    file("syntax", "a syntax error", "suite = = 1", SYNTAX),
    file("nul", "NUL bytes", "", SYNTAX, before="printf 'suite = 1\\000\\000' > suites/hostile.py"),
    file("encoding", "an encoding that is none", "# -*- coding: nosuch -*-\nsuite = 1", SYNTAX),
    file("latin-1", "bytes that are not UTF-8", "", SYNTAX, before="printf 'suite = \"\\344\"' > suites/hostile.py"),
    file("utf-16", "UTF-16", "", before="printf '\\377\\376s\\000u\\000' > suites/hostile.py"),
    file("nested", "2,000 parentheses", "suite = " + "(" * 2000 + ")" * 2000),
    file("deep-minus", "100,000 minus signs", "", before="\"$PYTHON\" -c 'print(\"suite = \" + \"-\" * 100000 + \"1\")' > suites/hostile.py"),
    file("import", "imports what is not there", "import no_such_module\nsuite = 1", says="no_such_module"),
    file("no-suite", "`suite` is a number", "suite = 3"),
    file("two", "two suites in a file", suite() + suite("another").replace("suite = ", "second = "), "two suites in a file",
         allowed=codes(0), commands=(LIST,)),
    file("name-html", "a name of HTML", suite("<b>x</b>"), "suite name HTML, ../../x"),
    file("name-path", "a name of ../../x", suite("../../x"), "suite name HTML, ../../x"),
    file("name-newline", "a name with a newline at its end", suite("hostile\n")),
    file("name-300", "a name of 300 characters", suite("a" * 300), "suite name 300 characters", allowed=codes(0),
         commands=(f"bench list {'a' * 300} --suites suites",), says="aaa"),
    file("axis-newline", "an axis with a newline at its end", suite(axes='{"word\\n": ("plain", "other")}', compare="word\n")),
    file("hides", "another file's suite is called `overhead`", suite("overhead"),
         "another file's suite named `overhead`", says="overhead", commands=("bench list overhead --suites suites",)),
    file("hides-file", "a file called overhead.py with a suite of that name", "", says="overhead",
         before=put(suite("overhead"), "suites/overhead.py"), commands=("bench list overhead --suites suites",)),
    file("twice", "two files of one folder with a suite of the same name", "", says="hostile", commands=(LIST,),
         before=put(suite()) + put(suite(title="another"), "suites/again.py")),
    *(
        file(f"import-{name}", f"{what} when it is imported", f"{HEAD}{text}\nsuite = 1", GUARD if listed else "", says="hostile")
        for name, what, text, listed in (
            ("interrupt", "raises KeyboardInterrupt", "raise KeyboardInterrupt", True),
            ("exit-1", "calls sys.exit(1)", "import sys; sys.exit(1)", False),
            ("base", "raises a BaseException", "raise BaseException('x')", False),
            ("generator-exit", "raises GeneratorExit", "raise GeneratorExit", False),
            ("recursion", "recurses without end", "def f(): return f()\nf()", False),
            ("group", "raises a BaseExceptionGroup", "raise BaseExceptionGroup('x', [KeyboardInterrupt()])", False),
            ("unprintable", "raises what cannot be printed", "class E(Exception):\n    def __str__(self): raise ValueError\nraise E", False),
            ("surrogate", "raises words with a lone surrogate", "raise ValueError('\\udcff')", False),
            ("escapes", "raises words with escape sequences", "raise ValueError('\\x1b[31mred\\x07')", False),
            ("prints", "prints escape sequences and raises", "print('\\\\x1b[31m'); raise ValueError", False),
        )
    ),
    file("import-exit-list", "calls sys.exit(0) when it is imported: list", EXITS, commands=("bench list --suites suites",)),
    file("import-exit-run", "calls sys.exit(0) when it is imported: run", EXITS,
         commands=("bench run hostile --suites suites --budget 2s",)),
    file("import-exit-gate", "calls sys.exit(0) when it is imported: gate", EXITS, commands=(GATE,)),
    file("import-exit-other", "another file of the folder calls sys.exit(0): a gate of tiny", EXITS,
         commands=("bench gate tiny --suites suites --threads 1 --budget 15s --launch 300ms",), allowed=codes(0, 3, 4)),
    Fault("suite.import-os-exit", "calls os._exit(0) when it is imported: nothing can be said, but nothing may pass as done",
          (GATE,), codes(0, 2, 70), before=put(f"{HEAD}import os\nos._exit(0)\nsuite = 1"), after=("bench list",), quick=True),
    Fault("suite.import-thread", "leaves a thread when it is imported",
          ("bench list --suites suites",), codes(0, 2), before=put(suite() + "import threading, time\n"
          "threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"), after=("bench list",), quick=True),
    *(
        file(f"{where}-{name}", f"`{where}` {what}", suite(axes='{"word": ("plain", "other")}', more=f"def bad(point):\n    {text}\n").replace(
            "build=build", f"build=build, {where}=bad"), GUARD if listed else "", says="hostile", commands=(LIST,))
        for where in ("refuses", "workers")
        for name, what, text, listed in (
            ("raises", "raises", "raise ValueError('no')", True),
            ("interrupt", "raises KeyboardInterrupt", "raise KeyboardInterrupt", False),
            ("exit", "calls sys.exit(0)", "raise SystemExit(0)", False),
            ("type", "gives a thing of the wrong type", "return [object()]", False),
        )
    ),
    Fault("suite.fifo", "a FIFO called x.py lies in the folder", ("bench list --suites suites",), codes(0, 2),
          before="mkfifo suites/x.py", limit=15.0, listed=WAYS, quick=True, after=("bench list",)),
    file("link-loop", "a link to itself called x.py lies in the folder", "", WAYS, before="ln -s x.py suites/x.py",
         allowed=codes(0, 2), says=""),
    file("folder", "a folder called x.py lies in the folder", "", before="mkdir suites/x.py", allowed=codes(0, 2), says=""),
    file("dangling", "a link to nothing called x.py", "", before="ln -s nowhere suites/x.py", allowed=codes(0, 2), says=""),
    Fault("suite.dev-zero", "a link to /dev/zero called x.py", ("ulimit -v 4000000; bench list --suites suites",), codes(0, 2),
          before="ln -s /dev/zero suites/x.py", limit=20.0, quick=True, after=("bench list",)),
    Fault("suite.socket", "a socket called x.py", ("bench list --suites suites",), codes(0, 2), limit=15.0, quick=True,
          before="\"$PYTHON\" -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"suites/x.py\")'", after=("bench list",)),
    file("unreadable-name", "a file whose name is not UTF-8", "", allowed=codes(0, 2), says="",
         before="cp suites/tiny.py \"suites/$(printf 'x\\377.py')\""),
    file("folder-file", "--suites is a file", "", before=":", commands=("bench list --suites suites/tiny.py",), says="tiny.py"),
    file("folder-loop", "--suites is a link to itself", "", before="ln -s loop loop", commands=("bench list --suites loop",), says="loop"),
)  # fmt: skip

HOSTILE = {
    "html": "<script>alert(1)</script>",
    "path": "../../../etc/passwd",
    "long": "x" * 300,
    "emoji": "🔥👩‍💻",
    "right-to-left": "\u202etxet\u202c",
    "jinja": "{{ 7*7 }}{% x %}",
    "mathtext": "$a^$",
    "mathtext-2": "$\\frac{$ and \\alpha",
    "percent": "%s%d{0}",
    "pipe": "a|b",
    "newline": "a\nb",
    "image": "<img src=x onerror=alert(1)>",
    "formula": "=cmd|' /C calc'!A0",
    "formula-at": "@SUM(1)",
    "quote": "\"'`,;",
    "empty": "",
    "blank": "  ",
    "brackets": "x[y=z],#twin",
    "nul": "a\x00b",
    "escape": "\x1b[31mred",
    "dots": "..",
}  # fmt: skip
TEXTS = "axis values, reasons, titles, environment: HTML, ../, 300, emoji, RTL, jinja"
ROWS = {"mathtext": "`$a^$` in a value", "formula": "CSV: =cmd|…", "pipe": "Markdown of `show`: |, newline, < in ids, units",
        "newline": "Markdown of `show`: |, newline, < in ids, units", "image": "Markdown of `show`: |, newline, < in ids, units"}  # fmt: skip
LISTED = {"html", "path", "long", "emoji", "right-to-left", "jinja", *ROWS}
PAGE_IS_SAFE = """
for page in $(new reports/*/index.html); do
  ! grep -q -i -e '<script>alert' -e '<img src=x' -e 'javascript:alert' "$page" || die "the page has active elements"
done
"""
TABLE_IS_WHOLE = """
bench show --format md > md.txt
! grep -q -e '<script>' -e '<img' md.txt || die "Markdown has raw HTML"
"$PYTHON" - <<'E' || die "a row of Markdown is torn"
import re
rows = [line for line in open("md.txt", newline="\\n") if line.startswith("|")]
count = {len(re.findall(r"(?<!\\\\)\\|", row)) for row in rows}
raise SystemExit(0 if len(count) <= 1 else 1)
E
bench show --format csv > csv.txt
"$PYTHON" - <<'E' || die "a cell of CSV is a formula"
import csv
rows = [row for row in csv.reader(open("csv.txt", newline="")) if row]
assert len({len(row) for row in rows}) == 1, "torn"
bad = [cell for row in rows for cell in row if cell[:1] in "=@" and cell[:1] or cell[:1] in "+-" and cell[1:2].isalpha()]
raise SystemExit(1 if bad else 0)
E
"""

# One run has all hostile values on one axis; what prints it is judged. A value of its own where it spoils all.
TOGETHER = [name for name in HOSTILE if name not in ("mathtext", "mathtext-2", "nul", "long")]


def spoiled(names: list[str]) -> str:
    return put(suite(axes=repr({"word": ("plain", *(HOSTILE[name] for name in names))})))


VALUES = (
    *(
        Fault(f"value.{name}", f"a value of an axis: {name}", (
            "bench run hostile --suites suites --threads 1 --no-instrument --budget 3s --timeout 20s",), codes(0, 2, 3),
              before=spoiled(TOGETHER), check=PAGE_IS_SAFE + TABLE_IS_WHOLE, limit=180.0,
              listed=ROWS.get(name, TEXTS) if name in LISTED else "",
              after=("bench show", "bench show --format md", "bench show --format csv", "bench show --format json",
                     "bench report", "bench verify", "bench history"))
        for name in TOGETHER
    ),
    *(
        Fault(f"value.{name}", f"a value of an axis: {name}", (
            "bench run hostile --suites suites --threads 1 --no-instrument --budget 3s --timeout 20s",), codes(0, 2, 3),
              before=spoiled([name]), check=PAGE_IS_SAFE + TABLE_IS_WHOLE, limit=120.0,
              listed=ROWS.get(name, TEXTS) if name in LISTED else "",
              after=("bench list",) if name == "nul" else ("bench show", "bench report", "bench verify"))
        for name in ("mathtext", "mathtext-2", "nul", "long")
    ),
    Fault("value.surrogate", "a value of an axis with a lone surrogate", ("bench list hostile --suites suites",), codes(0, 2),
          before=put(suite(axes='{"word": ("plain", "\\udcff")}')), listed="axis value with a surrogate", quick=True, after=("bench list",)),
    Fault("value.float-nan", "a float axis whose declared value is NaN", ("bench list hostile --suites suites",), codes(2),
          before=put(suite(axes='{"rate": (0.1, float("nan"))}', compare="rate", baseline="0.1")), quick=True, says="nan|finite",
          after=("bench list",)),
    Fault("value.float-inf", "a float axis whose declared value is infinite", ("bench list hostile --suites suites",), codes(2),
          before=put(suite(axes='{"rate": (0.1, float("inf"))}', compare="rate", baseline="0.1")), quick=True, says="inf|finite",
          after=("bench list",)),
    *(
        Fault(f"value.set-lr-{value}", f"--set rate={value} of a float axis", (f"bench list hostile --suites suites --set rate=0.1,{value}",),
              codes(2), before=put(suite(axes='{"rate": (0.1, 0.2)}', compare="rate", baseline="0.1")), quick=True, says="rate",
              listed="--set lr=nan,inf of a float axis" if value in ("nan", "inf") else "", after=("bench list",))
        for value in ("nan", "inf", "-inf", "infinity", "1e999")
    ),
    *(
        Fault(f"value.set-spins-{name}", f"--set spins={shown}", (f"bench list tiny --suites suites --set spins=4,{text}",), codes(*allowed),
              quick=True, says=says, after=("bench list",), listed="--set 1012, -1, nan, 5,000 digits; width 109" if listed else "")
        for name, shown, text, allowed, says, listed in (
            ("1e12", "10^12", str(10**12), (0,), "", True), ("negative", "-1", "-1", (2,), "spins", True),
            ("nan", "nan", "nan", (2,), "spins", True), ("5000", "a number of 5,000 digits", "9" * 5000, (2,), "spins", True),
            ("underscore", "1_0", "1_0", (0, 2), "", False), ("other-digits", "digits of another script", "٣", (0, 2), "", False),
            ("empty", "nothing", "", (2,), "spins", False), ("blank", "a blank", "' '", (2,), "spins", False),
            ("twice", "the same value twice", "4", (0, 2), "", False),
        )
    ),
    Fault("value.set-spins-1e10", "10^10 spins a step: longer than the timeout", (
        "bench run tiny --suites suites --threads 1 --no-instrument --budget 3s --timeout 6s --set spins=1,10000000000",),
        codes(3), listed="--set 1012, -1, nan, 5,000 digits; width 109", after=("bench show",)),
    Fault("value.set-no-equals", "--set without a value", ("bench list tiny --suites suites --set spins",), codes(2), quick=True),
    Fault("value.select-parentheses", "-k with 2,000 parentheses", (f"bench list -k '{'(' * 2000}loop{')' * 2000}'",), codes(2),
          listed="-k with 2,000 parentheses; 100,000 minus signs", quick=True, says="-k"),
    Fault("value.select-minus", "-k with 100,000 minus signs", (f"bench list -k '{'-' * 100_000}'",), codes(2),
          listed="-k with 2,000 parentheses; 100,000 minus signs", quick=True, says="-k|matches|cell"),
    Fault("value.select-not", "-k with 20,000 times not", (f"bench list -k '{'not ' * 20_000}loop'",), codes(0, 2), quick=True),
    Fault("value.select-code", "-k with Python", ("bench list -k '__import__(\"os\").system(\"touch hacked\")'",), codes(2), quick=True,
          check="[ ! -e hacked ] || die 'code was run'"),
    Fault("value.select-empty", "-k with nothing", ("bench list -k ''",), codes(0, 2), quick=True),
    Fault("value.budget-huge", "--budget of 400 digits", (f"bench run tiny --suites suites --budget {'9' * 400}",), codes(2), quick=True,
          says="budget|time"),
    Fault("value.seed-huge", "--seed of 5,000 digits", (f"bench run tiny --suites suites --seed {'9' * 5000}",), codes(2), quick=True,
          says="seed"),
    Fault("value.threads-huge", "--threads 10^20", (f"bench run tiny --suites suites --threads {10**20}",), codes(2), quick=True,
          says="threads"),
    Fault("value.threads-superscript", "--threads ²", ("bench run tiny --suites suites --threads ²",), codes(2), quick=True, says="threads|number"),
    Fault("value.step-zero", "--step 0", ('bench show "$GOOD" --step 0',), codes(2), quick=True, says="step|time"),
    Fault("value.step-bare", "--step without a unit", ('bench show "$GOOD" --step 500',), codes(2), quick=True, says="step|unit"),
    Fault("value.memory-limit-huge", "--memory-limit of 400 digits", (f"bench run tiny --suites suites --memory-limit {'9' * 400}",),
          codes(2), quick=True, says="memory|size"),
    Fault("value.junit", "JUnit of NUL, ESC and ]]>", (
        "bench gate faulty --suites suites --threads 1 --budget 15s --launch 300ms --timeout 20s --set fault=none,nul,html,json --junit gate.xml",),
        codes(3), listed="JUnit: NUL, ESC, ]]>", after=("\"$PYTHON\" -c 'import xml.etree.ElementTree as e; e.parse(\"gate.xml\")'",)),
    Fault("value.environment", "a hostile variable in the environment of all", (
        "env \"X$(printf '\\377')=1\" \"Y=$(printf '\\033[31m')\" bench run tiny --suites suites --threads 1 --no-instrument --budget 3s",),
        codes(0), after=("bench show", "bench report")),
)  # fmt: skip
FAULTS = (*SUITES, *VALUES)
