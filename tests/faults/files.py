"""Faults of what is read back: records, run.json, pages, gates, baselines, confirmations, caches."""

# ruff: noqa: E501 - rows of a table, one a fault, with shell text that is not broken

from __future__ import annotations

from .fault import Fault, codes

RECORDS, INFO = '"$BAD/records.jsonl"', '"$BAD/run.json"'
SHOW = 'bench show "$BAD"'
TYPES = "wrong types in records (7 ways)"
KEYS = "run.json: 8 keys missing or of wrong type; 200,000 brackets"


def record(name: str, what: str, edit: str, listed: str = "", *, says: str = r"records\.jsonl", line: int = 2,
           quick: bool = False, commands: tuple[str, ...] = (SHOW,), allowed: frozenset[int] = codes(2)) -> Fault:
    """A line of the records is another one: refused by name of file, and the good run is still read."""
    return Fault(f"record.{name}", what, commands, allowed, before=f"edit {RECORDS} {line} '{edit}'", says=says,
                 keeps=("$BAD/records.jsonl", "$BAD/run.json", "$GOOD"), after=('bench show "$GOOD"',), listed=listed,
                 quick=quick)  # fmt: skip


def records(name: str, what: str, before: str, listed: str = "", *, says: str = r"records\.jsonl",
            commands: tuple[str, ...] = (SHOW,), quick: bool = False, allowed: frozenset[int] = codes(2)) -> Fault:
    return Fault(f"record.{name}", what, commands, allowed, before=before, says=says,
                 keeps=("$BAD/records.jsonl", "$GOOD"), after=('bench show "$GOOD"',), listed=listed, quick=quick)  # fmt: skip


def info(name: str, what: str, edit: str, listed: str = "", *, quick: bool = False, says: str = r"run\.json",
         commands: tuple[str, ...] = (SHOW, 'bench report "$BAD" -o page.html')) -> Fault:  # fmt: skip
    return Fault(f"info.{name}", what, commands, codes(2), before=f"edit {INFO} 0 '{edit}'", says=says,
                 keeps=("$BAD", "$GOOD"), after=('bench show "$GOOD"',), listed=listed, quick=quick)  # fmt: skip


RECORD_FAULTS = (
    record("type-twin", "`twin` is a str", 'r["twin"] = "yes"', TYPES, quick=True),
    record("type-launch", "`launch` is a str", 'r["launch"] = "0"', TYPES, quick=True),
    record("type-launch-float", "`launch` is a float", 'r["launch"] = 0.5', TYPES),
    record("type-point", "`point` is a list", 'r["point"] = [1]', TYPES, quick=True),
    record("type-cell", "`cell` is a number", 'r["cell"] = 7', TYPES, quick=True),
    record("type-outcome", "`outcome` is a list", 'r["outcome"] = ["ok"]', TYPES),
    record("type-reason", "`reason` is a number", 'r.update(outcome="crashed", reason=3)', TYPES),
    record("type-turns", "`turns` is a list", 'r["turns"] = [1, 2]', TYPES, quick=True),
    record("type-counted", "a time of `turns` is a str", 'r["turns"]["seconds"][0][1] = "0.003"', TYPES, quick=True),
    record("type-steps", "`turns.steps` is a str", 'r["turns"]["steps"] = "many"', TYPES),
    record("type-round", "`turns.round` has a float", 'r["turns"]["round"][0] = 0.5', TYPES),
    record("type-memory", "`memory` is a list", 'r["memory"] = [1]', TYPES, quick=True),
    record("type-extra", "a metric in `extra` is a str", 'r["extra"] = {"x": "much"}', TYPES),
    record("type-effective", "`effective` is null", 'r["effective"] = None'),
    record("type-requested", "`requested` is a str", 'r["requested"] = "loop"'),
    record("type-ledger", "`ledger` is a number", 'r["ledger"] = 3'),
    record("type-ledger-losses", "`ledger.losses` is a str", 'r["ledger"]["losses"] = "low"'),
    record("type-warmup", "`warmup` is a str", 'r["warmup"] = "warm"'),
    record("type-cores", "`cores` has a str", 'r["cores"] = ["first"]'),
    record("type-samples", "`samples_per_step` is a str", 'r["samples_per_step"] = "8"'),
    record("type-started", "`started` is a number", 'r["started"] = 5'),
    record("type-instrumented", "`instrumented` is a number", 'r["instrumented"] = 0.0'),
    record("type-declared", "`declared` has a number", 'r["declared"] = [3]'),
    record("type-suite", "`suite` is null", 'r["suite"] = None'),
    record("type-bool-for-int", "`fork_server` is a bool", 'r["fork_server"] = True'),
    record("type-bool-for-time", "a time is a bool", 'r["turns"]["seconds"][0][1] = True'),
    record("list", "a line is a list", "r = [1, 2]", TYPES),
    record("string", "a line is a str", 'r = "record"'),
    record("null", "a line is null", "r = None"),
    record("unknown-field", "a field that is none", 'r["colour"] = "blue"'),
    record("missing-field", "`group` is missing", 'del r["group"]'),
    record("huge-int", "a launch of 5,000 digits", 'r["launch"] = 0; r = "RAW:" + __import__("json").dumps(r).replace("\\"launch\\": 0", "\\"launch\\": " + "9" * 5000)'),
    record("nested", "200,000 brackets in a record", 'r = "RAW:" + "[" * 200000'),
    record("columns", "columns of unequal length", 'r["turns"]["began"].pop()'),
    record("wrong-outcome", "an outcome that is none", 'r["outcome"] = "splendid"'),
    record("ok-with-reason", "ok with a reason", 'r["reason"] = "because"'),
    record("schema", "another schema", 'r["schema"] = 99', "other schema", quick=True),
    record("schema-true", "`true` for a schema", 'r["schema"] = True', "other schema"),
    record("schema-str", "a str for a schema", 'r["schema"] = "2"'),
    record("time-nan", "a time is NaN", 'r["turns"]["seconds"][0][1] = nan', "NaN / negative / zero times", quick=True),
    record("time-negative", "a time is negative", 'r["turns"]["seconds"][0][1] = -1.0', "NaN / negative / zero times"),
    record("time-zero", "a time is 0", 'r["turns"]["seconds"][0][1] = 0.0', "NaN / negative / zero times"),
    record("time-inf", "a time is infinite", 'r["turns"]["seconds"][0][1] = inf'),
    record("time-huge", "a time is 1e999", 'r = "RAW:" + __import__("json").dumps(r).replace("\\"seconds\\": [[", "\\"seconds\\": [[1e999, ", 1)'),
    record("first-negative", "a first step's time is negative", 'r["turns"]["seconds"][0][0] = -1.0'),
    record("samples-negative", "`samples_per_step` is negative", 'r["samples_per_step"] = -8'),
    record("extra-nan", "NaN in a callback's own metric",
           'r["extra"] = {"x": nan}; r["declared"] = [{"name": "x", "unit": "1", "better": "lower", "description": "", "part_of": "", "limit": None}]',
           "NaN or inf in memory/extra (a callback's own metric)", quick=True),
    record("memory-inf", "inf in `memory`", 'r["memory"]["peak_memory_host"] = inf',
           "NaN or inf in memory/extra (a callback's own metric)"),
    record("memory-nan", "NaN in `memory`", 'r["memory"]["peak_memory_host"] = nan',
           "NaN or inf in memory/extra (a callback's own metric)"),
    record("limit-nan", "NaN for a metric's limit",
           'r["extra"] = {"x": 1.0}; r["declared"] = [{"name": "x", "unit": "1", "better": "lower", "description": "", "part_of": "", "limit": nan}]'),
    record("duplicate", "a line stands there twice", 'r = "RAW:" + __import__("json").dumps(r) + "\\n" + __import__("json").dumps(r)'),
    record("other-cell", "a record of a cell that is not planned", 'r["cell"] = "tiny[spins=99]"'),
    record("exchanged", "final weights of a record are zeroed", 'r["ledger"]["final_weights"] = "0" * 64',
           commands=('bench verify "$BAD"',), says="records", allowed=codes(2, 3)),
    records("cut", "the last line is cut", f"truncate -s -40 {RECORDS}", "records cut mid-line", quick=True),
    records("cut-newline", "the newline at the end is cut", f"truncate -s -1 {RECORDS}", "records cut mid-line"),
    records("garbage", "a line of garbage", f"echo garbage >> {RECORDS}", "garbage / binary / empty line", quick=True),
    records("binary", "a line of bytes", f"head -c 300 /dev/urandom >> {RECORDS}; echo >> {RECORDS}", "garbage / binary / empty line"),
    records("nul", "a line of NUL", f"head -c 300 /dev/zero >> {RECORDS}; echo >> {RECORDS}"),
    records("bom", "a byte order mark at the start", f"printf '\\357\\273\\277' | cat - {RECORDS} > x; mv x {RECORDS}"),
    records("crlf", "lines end as on Windows", f"sed -i 's/$/\\r/' {RECORDS}", allowed=codes(0, 2), says=""),
    records("blank-line", "one blank line at the end", f"echo >> {RECORDS}", "garbage / binary / empty line",
            allowed=codes(0, 2), says=""),
    records("blank-middle", "a blank line in the middle", f"sed -i '2i\\\\' {RECORDS}"),
    records("line-lost", "one whole line is lost", f"sed -i 2d {RECORDS}", "whole lines lost, or all", quick=True,
            commands=('bench verify "$BAD"', SHOW), allowed=codes(2, 3)),
    records("lines-lost", "the last lines are lost", f"sed -i '3,$d' {RECORDS}", "whole lines lost, or all",
            commands=('bench verify "$BAD"', SHOW), allowed=codes(2, 3)),
    records("all-lost", "all lines are lost", f": > {RECORDS}", "whole lines lost, or all",
            commands=('bench verify "$BAD"', SHOW), allowed=codes(2, 3)),
    records("file-lost", "records.jsonl is gone", f"rm {RECORDS}", "whole lines lost, or all",
            commands=('bench verify "$BAD"', SHOW), allowed=codes(2, 3)),
    records("swapped", "two lines are exchanged", f"sed -i '2{{h;d}};3G' {RECORDS}", commands=('bench verify "$BAD"', SHOW), allowed=codes(2, 3)),
    records("others", "the records of another run", f"sed 's/\"launch\":/\"launch\":1/' {RECORDS} > x; cat x > {RECORDS}",
            commands=('bench verify "$BAD"', SHOW), allowed=codes(2, 3)),
    records("folder", "records.jsonl is a folder", f"rm {RECORDS}; mkdir {RECORDS}", "records.jsonl a folder; page not UTF-8",
            quick=True),
    Fault("record.fifo", "records.jsonl is a FIFO", (SHOW,), codes(2), before=f"rm {RECORDS}; mkfifo {RECORDS}",
          says=r"records\.jsonl", after=('bench show "$GOOD"',), limit=20.0),
    records("link-loop", "records.jsonl is a link to itself", f"rm {RECORDS}; ln -s records.jsonl {RECORDS}"),
    Fault("record.dev-zero", "records.jsonl is a link to /dev/zero", (f"ulimit -v 4000000; {SHOW}",), codes(2),
          before=f"rm {RECORDS}; ln -s /dev/zero {RECORDS}", says=r"records\.jsonl", after=('bench show "$GOOD"',), limit=30.0),
)  # fmt: skip

INFO_FAULTS = (
    *(
        Fault(f"info.{name}", f"run.json {what}", (SHOW,), codes(2), before=before, says=r"run\.json|unknown run|not a run", quick=quick,
              listed="run.json missing / cut / empty" if listed else "", after=('bench show "$GOOD"',), keeps=("$GOOD", "$BAD"))
        for name, what, before, listed, quick in (
            ("missing", "is missing", f"rm {INFO}", True, False),
            ("cut", "is cut", f"truncate -s 1000 {INFO}", True, True),
            ("empty", "is empty", f": > {INFO}", True, False),
            ("folder", "is a folder", f"rm {INFO}; mkdir {INFO}", False, False),
            ("binary", "is binary", f"head -c 900 /dev/urandom > {INFO}", False, False),
            ("array", "is a list", f"echo '[]' > {INFO}", False, False),
            ("null", "is null", f"echo null > {INFO}", False, False),
            ("nan", "has NaN", f"edit {INFO} 0 'r[\"options\"][\"budget\"] = nan'", False, False),
        )
    ),
    info("no-plan", "`plan` is missing", 'del r["plan"]', KEYS, quick=True),
    info("plan-number", "`plan` is a number", 'r["plan"] = 3', KEYS, quick=True),
    info("plan-list", "`plan` is a list", 'r["plan"] = []', KEYS),
    info("cells-null", "`plan.cells` is null", 'r["plan"]["cells"] = None', KEYS, quick=True),
    info("cell-no-point", "a planned cell without its point", 'del r["plan"]["cells"][0]["point"]', KEYS),
    info("suites-list", "`plan.suites` is a list", 'r["plan"]["suites"] = ["tiny"]', KEYS),
    info("environment-missing", "`environment` is missing", 'del r["environment"]', KEYS),
    info("environment-str", "`environment` is a str", 'r["environment"] = "here"', KEYS),
    info("started-number", "`started` is a number", 'r["started"] = 5', KEYS),
    info("options-null", "`options` is null", 'r["options"] = None', KEYS),
    info("stops-list", "`stops` is a list", 'r["stops"] = ["done"]', KEYS),
    info("timing-str", "`timing` is a str", 'r["timing"] = "long"'),
    info("run-number", "`run` is a number", 'r["run"] = 12'),
    info("files-list", "`files` is a list", 'r["files"] = []'),
    info("groups-numbers", "`plan.groups` has numbers", 'r["plan"]["groups"] = [1]'),
    info("cell-str", "a planned cell is a str", 'r["plan"]["cells"][0] = "tiny"'),
    info("argv-number", "`argv` has a number", 'r["argv"] = [1]'),
    info("schema-true", "`true` for a schema", 'r["schema"] = True', commands=(SHOW,)),
    info("schema-99", "a schema of the future", 'r["schema"] = 99', "other schema", commands=(SHOW,), quick=True),
    info("brackets", "200,000 brackets", 'r = "RAW:" + "[" * 200000', KEYS, quick=True, commands=(SHOW,)),
    info("huge-int", "a number of 10,000 digits", 'r = "RAW:" + __import__("json").dumps(r).replace("\\"schema\\": ", "\\"x\\": " + "9" * 10000 + ", \\"schema\\": ")', commands=(SHOW,)),
)  # fmt: skip

ONE_BAD = "one bad run among good ones: history, export asv"
NEIGHBOURS = tuple(
    Fault(f"neighbour.{command.split()[1]}-{name}", f"a bad run among good ones ({what}): {command}", (command,), codes(0),
          before=edit, listed=ONE_BAD if listed else "", says=says, quick=quick)
    for name, what, edit, listed in (
        ("type", "a field of the wrong type", f"edit {RECORDS} 2 'r[\"point\"] = [1]'", True),
        ("plan", "`plan` is a number", f"edit {INFO} 0 'r[\"plan\"] = 3'", True),
        ("environment", "no environment", f"edit {INFO} 0 'del r[\"environment\"]'", False),
        ("bytes", "bytes for run.json", f"head -c 900 /dev/urandom > {INFO}", False),
        ("folder", "records.jsonl is a folder", f"rm {RECORDS}; mkdir {RECORDS}", False),
        ("nan", "NaN in a metric", f"edit {RECORDS} 2 'r[\"memory\"][\"peak_memory_host\"] = nan'", False),
    )
    for command, says, quick in (
        ("bench history", "zzzz", name in ("type", "plan")),
        ('bench export asv "$GOOD"', "", False),
    )
)  # fmt: skip

PAGES = (
    Fault("page.figure-edited", "a figure of the records is edited, the page is as it was", ('bench verify "$BAD"',), codes(2, 3),
          before=f"edit {RECORDS} 1 'r[\"turns\"][\"counted\"] = [2 * x for x in r[\"turns\"][\"counted\"]]'",
          listed="edited figure, page unchanged", quick=True, says="step_time|records"),
    Fault("page.digit", "a digit of the page is another one", ('bench verify "$BAD"',), codes(3), quick=True,
          before="\"$PYTHON\" - \"$BADPAGE\" <<'E'\nimport re, sys\np = sys.argv[1]\ns = open(p).read()\n"
                 "t = re.sub(r'(\\d)(\\d)( µs)', lambda m: m[1] + str((int(m[2]) + 1) % 10) + m[3], s, count=1)\n"
                 "assert s != t\nopen(p, 'w').write(t)\nE"),
    Fault("page.drawing-removed", "a drawing is removed from the page", ('bench verify "$BAD"',), codes(3), quick=True,
          before="\"$PYTHON\" - \"$BADPAGE\" <<'E'\nimport re, sys\np = sys.argv[1]\ns = open(p).read()\n"
                 "t = re.sub(r'(?s)<svg.*?</svg>', '', s, count=1)\nassert s != t\nopen(p, 'w').write(t)\nE"),
    Fault("page.outcome-edited", "an outcome word of the page is another one", ('bench verify "$BAD"',), codes(3),
          before="\"$PYTHON\" - \"$BADPAGE\" <<'E'\nimport re, sys\np = sys.argv[1]\ns = open(p).read()\n"
                 "t = re.sub(r'>(ok|noisy)<', '>crashed<', s, count=1)\nassert s != t\nopen(p, 'w').write(t)\nE"),
    Fault("page.environment-edited", "the processor's name on the page is another one", ('bench verify "$BAD"',), codes(3),
          before="\"$PYTHON\" - \"$BAD\" \"$BADPAGE\" <<'E'\nimport html, json, sys\np = sys.argv[2]\n"
                 "cpu = html.escape(json.load(open(sys.argv[1] + '/run.json'))['environment']['cpu'])\n"
                 "s = open(p).read()\nassert cpu in s\nopen(p, 'w').write(s.replace(cpu, 'Another processor'))\nE"),
    Fault("page.not-utf8", "the page is not UTF-8", ('bench verify "$BAD"',), codes(2, 3),
          before='printf "\\377\\376" >> "$BADPAGE"', listed="records.jsonl a folder; page not UTF-8", quick=True,
          says="report|page"),
    Fault("page.folder", "the page is a folder", ('bench verify "$BAD"', 'bench report "$BAD"'), codes(2),
          before='rm "$BADPAGE"; mkdir "$BADPAGE"', says="report", quick=True),
    Fault("page.empty", "the page is empty", ('bench verify "$BAD"',), codes(2, 3), before=': > "$BADPAGE"'),
    Fault("page.cut", "the page is cut", ('bench verify "$BAD"',), codes(2, 3), before='truncate -s 9000 "$BADPAGE"'),
    Fault("page.other-run", "the page is that of another run", ('bench verify "$BAD" --report other.html',), codes(2, 3),
          before=f"edit {RECORDS} 1 'r[\"warmup\"][0] = 9.0'; bench report \"$BAD\" -o other.html || :; "
                 "[ -f other.html ] || cp README.md other.html 2>/dev/null || echo '<html></html>' > other.html; cp \"$GOOD/records.jsonl\" \"$BAD/\"; sed -i 's/ µs/9 µs/' other.html"),
    Fault("confirmations.broken", "confirmations.jsonl has garbage", ("bench history",), codes(0, 2),
          before="echo '{garbage' > results/confirmations.jsonl", says=r"confirmations\.jsonl",
          listed="confirmations.jsonl broken", quick=True, after=('bench show "$GOOD"',)),
    Fault("confirmations.types", "confirmations.jsonl has lines of the wrong types", ("bench history",), codes(0, 2),
          before="echo '{\"before\": 3, \"after\": [], \"cell\": null}' > results/confirmations.jsonl", says=r"confirmations\.jsonl"),
    Fault("confirmations.list", "a line of confirmations.jsonl is a list", ("bench history",), codes(0, 2),
          before="echo '[1]' > results/confirmations.jsonl", says=r"confirmations\.jsonl"),
    Fault("confirmations.folder", "confirmations.jsonl is a folder", ("bench history",), codes(0, 2),
          before="mkdir results/confirmations.jsonl", says=r"confirmations\.jsonl"),
)  # fmt: skip
FAULTS = (*RECORD_FAULTS, *INFO_FAULTS, *NEIGHBOURS, *PAGES)
