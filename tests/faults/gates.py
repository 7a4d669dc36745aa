"""Faults of gates, versions and baselines; and of data that a suite reads."""

# ruff: noqa: E501 - rows of a table, one a fault, with shell text that is not broken

from __future__ import annotations

from .fault import Fault, codes

GATE = "bench gate tiny --suites suites --threads 1 --budget 15s --launch 300ms --timeout 20s"
VERSIONS = "bench versions {sides} --suite tiny --suites suites --threads 1 --budget 3s --timeout 20s"
AGAINST = "`gate --against origin/main`; `versions ../folder`, `git:feature/x`"
SHELL = "shell characters, options, newlines in versions / --against"
ONE = 'ls -d worktree* .git/worktrees/* 2>/dev/null | grep -q . && die "a worktree is left" || :'

GATES = (
    Fault("gate.against-origin-main", "`bench gate --against origin/main`", (f"{GATE} --against origin/main",), codes(0, 3, 4),
          listed=AGAINST, check=ONE, after=("bench list",), limit=180.0),
    Fault("gate.versions-folder", "`bench versions . ../folder`", (VERSIONS.format(sides=". ../other"),), codes(0, 2, 3),
          before="cp -r suites tmp/suites; mkdir -p ../other; cp -r suites ../other", listed=AGAINST, after=("bench show",), limit=120.0),
    Fault("gate.versions-feature", "`bench versions git:feature/x .`", (VERSIONS.format(sides="git:feature/x ."),), codes(0, 3),
          listed=AGAINST, check=ONE, after=("bench show", "bench report", "bench verify"), limit=120.0),
    Fault("gate.versions-long", "`bench versions` of a branch of 200 characters", (VERSIONS.format(sides=f"git:{'b' * 200}/x ."),),
          codes(0, 3), before=f"git branch {'b' * 200}/x", check=ONE, after=("bench show",), limit=120.0),
    Fault("gate.versions-strange", "`bench versions` of a branch with markup in its name",
          (VERSIONS.format(sides="'git:a<b>|$c^$&=d' ."),), codes(0, 3), before="git branch 'a<b>|$c^$&=d'", check=ONE,
          after=("bench show", "bench show --format md", "bench report", "bench verify"), limit=120.0),
    Fault("gate.against-empty", '`--against ""`, as an unset variable gives it', (f'{GATE} --against ""',), codes(2),
          listed='`--against ""`', quick=True, says="against", limit=120.0),
    Fault("gate.against-blank", '`--against " "`', (f'{GATE} --against " "',), codes(2), quick=True, limit=60.0),
    Fault("gate.against-itself", "`--against HEAD` with nothing changed: an honest question", (f"{GATE} --against HEAD",),
          codes(0, 2, 3, 4), limit=180.0),
    Fault("gate.against-nosuch", "a commit that is not there", (f"{GATE} --against nosuch",), codes(2), quick=True, says="nosuch", check=ONE),
    Fault("gate.against-option", "an option for a commit", (f"{GATE} --against=--help",), codes(2), listed=SHELL, quick=True),
    Fault("gate.against-shell", "shell characters for a commit", (f"{GATE} --against '$(touch hacked); x'",), codes(2), listed=SHELL,
          quick=True, check="[ ! -e hacked ] || die 'it was run'"),
    Fault("gate.against-newline", "a newline in a commit", (f"{GATE} --against \"$(printf 'a\\nb')\"",), codes(2), listed=SHELL, quick=True),
    Fault("gate.against-blob", "a file for a commit", (f"{GATE} --against HEAD:.gitignore",), codes(2), quick=True, check=ONE),
    Fault("gate.against-no-git", "no repository", (f"{GATE} --against main",), codes(2), before="rm -rf .git", quick=True, says="git"),
    Fault("gate.against-dirty", "files that no commit has", (f"{GATE} --against main",), codes(2), before="echo '# x' >> suites/tiny.py",
          quick=True, says="differs"),
    Fault("gate.against-broken-suite", "the other commit's suite does not import", (f"{GATE} --against broken",), codes(2, 3),
          before="git checkout -q -b broken && echo 'x = = 1' >> suites/parts.py && git commit -q -a -m x && git checkout -q main",
          check=ONE, limit=120.0, after=("bench list",)),
    Fault("gate.against-git-fails", "git fails", (f"{GATE} --against main",), codes(2), quick=True,
          before="printf '#!/bin/sh\\nexit 3\\n' > bin/git; chmod +x bin/git"),
    Fault("gate.all-crash", "all cells crash", (GATE.replace("tiny", "faulty") + " --set fault=none,raise",), codes(3), limit=120.0,
          check='grep -q \'"exit_code": 3\' $(new results/*/gate.json) || die "no verdict on the disk"'),
    Fault("gate.no-cell", "nothing to compare", (f"{GATE} --set spins=4",), codes(2, 3), quick=False),
    Fault("gate.summary-folder", "--summary is a folder", (f"{GATE} --summary suites",), codes(2), quick=True, says="suites"),
    Fault("gate.junit-nowhere", "--junit lies in no folder", (f"{GATE} --junit nowhere/x.xml",), codes(2), quick=True, says="nowhere"),
    Fault("gate.junit-full", "--junit is /dev/full", (f"{GATE} --junit /dev/full",), codes(2), says="/dev/full", limit=180.0),
    Fault("gate.tally-garbage", "the counts of earlier gates are garbage", (GATE,), codes(0, 2, 3, 4), limit=180.0,
          before="mkdir -p home/.cache/loopmark/tallies home/.cache/loopmark/calibrations; \"$PYTHON\" -c 'from bench.commands import false_alarms as tally; "
                 "p = tally._path(1)' 2>/dev/null; bench selftest -k nosuch > /dev/null 2>&1; "
                 "for f in home/.cache/loopmark/*/; do echo garbage > $f/x.json; done"),
)  # fmt: skip

VERSION_FAULTS = (
    *(
        Fault(f"versions.{name}", f"a side is {what}", (VERSIONS.format(sides=f"{text} ."),), codes(2), quick=True,
              listed=SHELL if listed else "", check="[ ! -e hacked ] || die 'it was run'")
        for name, what, text, listed in (
            ("shell", "shell text", "'idna; touch hacked'", True), ("option", "an option of git", "git:-h", True),
            ("option-uv", "an option of uv", "--index-url=http://localhost", True), ("newline", "two lines", "\"$(printf 'idna\\nx')\"", True),
            ("empty", "nothing", "''", False), ("empty-commit", "a commit without name", "git:", False),
            ("nosuch", "a folder that is not there", "../nowhere/at/all", False),
        )
    ),
    Fault("versions.no-resolve", "a requirement that does not resolve", (VERSIONS.format(sides='"idna==99999" "idna==3.7"'),), codes(2),
          listed="requirement that does not resolve / does not build", quick=True, says="idna"),
    Fault("versions.no-build", "a requirement that does not build", (VERSIONS.format(sides='"broken @ file://$PWD/broken" "idna==3.7"'),),
          codes(2), listed="requirement that does not resolve / does not build", says="broken", before="mkdir broken; "
          "printf '[build-system]\\nrequires = []\\nbuild-backend = \"nothing\"\\n' > broken/pyproject.toml", quick=True),
    Fault("versions.one", "one side only", ("bench versions . --suite tiny --suites suites",), codes(2), quick=True),
    Fault("versions.no-uv", "uv is not there", (f'PATH="$PWD/bin:/usr/bin:/bin" exec {VERSIONS.format(sides="idna==3.6 idna==3.7")}',),
          codes(2), quick=True),
)  # fmt: skip

SAVE = 'bench baseline save {name} "$GOOD"'
TAMPER = "edit results/baselines/x/records.jsonl 1 'r[\"warmup\"] = [1.0]'"
BASELINES = (
    *(
        Fault(f"baseline.{name}", f"a baseline called {what}", (SAVE.format(name=text),), codes(2), quick=True, listed=listed,
              keeps=("$GOOD",), says=r"baseline|bench", check="[ -z \"$(find results -newer bin/bench -name baseline.json)\" ] || die 'it was saved'")
        for name, what, text, listed in (
            ("path", "../../etc", "../../etc", "baseline ../../etc, a/b, ."), ("slash", "a/b", "a/b", "baseline ../../etc, a/b, ."),
            ("dot", ".", ".", "baseline ../../etc, a/b, ."), ("newline", "x and a newline", "\"$(printf 'x\\n.')\"", ""),
            ("newline-end", "x with a newline at its end", "'x\n'", "baseline ../../etc, a/b, ."),
            ("300", "by 300 characters", "x" * 300, "baseline name of 300 characters"), ("empty", "by nothing", "''", ""),
            ("unicode", "by letters of other scripts", "é", ""), ("option", "--help by its name", "-- --help", ""),
            ("escape", "by an escape sequence", "\"$(printf '\\033[31m')\"", ""),
        )
    ),
    Fault("baseline.twice", "save over an existing name", (SAVE.format(name="x"),), codes(2), before=SAVE.format(name="x") + " > /dev/null",
          keeps=("results/baselines",), listed="save over an existing name", quick=True, says="there already"),
    Fault("baseline.at-once", "ten saves of the same name at once: one is saved, whole", (
        'n=0; for i in 1 2 3 4 5 6; do bench baseline save x "$GOOD" > out$i 2>&1 & done; wait; cat out* | grep -c "^baseline x:" | grep -qx 1',),
        codes(0), quick=True, after=("bench baseline list", 'bench compare x "$GOOD"'), check='[ "$(ls -A results/baselines | grep -vx .lock)" = x ] || die "left: $(ls -A results/baselines | tr "\\n" " ")"'),
    Fault("baseline.tampered", "a baseline whose records were changed", ('bench compare x "$GOOD"',), codes(2),
          before=f"{SAVE.format(name='x')} > /dev/null; {TAMPER}", listed="tampered baseline", quick=True, says="not as it was|records"),
    Fault("baseline.tampered-by-path", "the same, shown by its path", ("bench show results/baselines/x",), codes(2),
          before=f"{SAVE.format(name='x')} > /dev/null; {TAMPER}", listed="tampered baseline", quick=True),
    Fault("baseline.no-checksum", "a baseline that was changed, and its checksum taken out", ('bench compare x "$GOOD"',), codes(2),
          before=f"{SAVE.format(name='x')} > /dev/null; {TAMPER}; edit results/baselines/x/baseline.json 0 'r[\"sha256\"].pop(\"records.jsonl\")'",
          listed="tampered, its checksum entry taken out", quick=True),
    *(
        Fault(f"baseline.{name}", f"baseline.json {what}", ("bench baseline list",), codes(0, 2), quick=True, says="baseline",
              before=f"{SAVE.format(name='x')} > /dev/null; {SAVE.format(name='good')} > /dev/null; {text}", after=('bench compare good "$GOOD"',))
        for name, what, text in (
            ("garbage", "is garbage", "echo garbage > results/baselines/x/baseline.json"),
            ("types", "has fields of the wrong types", "edit results/baselines/x/baseline.json 0 'r.update(sha256=[1], saved=3, run=None)'"),
            ("list", "is a list", "echo '[]' > results/baselines/x/baseline.json"),
            ("brackets", "has 200,000 brackets", "\"$PYTHON\" -c 'print(\"[\" * 200000)' > results/baselines/x/baseline.json"),
            ("checksum-path", "has a checksum of a file outside", "edit results/baselines/x/baseline.json 0 'r[\"sha256\"][\"../../../x\"] = \"0\"'"),
        )
    ),
    Fault("baseline.unfinished", "a run that is not finished", ('bench baseline save x "$BAD"',), codes(2), quick=True,
          before="edit \"$BAD/run.json\" 0 'r[\"finished\"] = None'"),
    Fault("baseline.delete-path", "delete ../..", ("bench baseline delete ../..",), codes(2), quick=True, keeps=("suites", "$GOOD")),
)  # fmt: skip

MNIST = "MNIST: truncated, giant dims, bomb, FIFO, folder is file / ro"
RAW = "mkdir -p data/MNIST/raw; cd data/MNIST/raw; "
FILES = "train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte"
DIGITS = (
    "BENCH_DATA_DIR=$PWD/data exec bench run overhead --threads 1 --no-instrument --budget 3s --timeout 20s "
    "--set data=mnist --set loop=plain --set batch_size=16"
)


def mnist(name: str, what: str, before: str, *, listed: bool = True, allowed: tuple[int, ...] = (0, 2, 3), limit: float = 90.0) -> Fault:
    return Fault(f"mnist.{name}", f"MNIST's files: {what}", (DIGITS,), codes(*allowed), before=before, says="MNIST|mnist|data",
                 listed=MNIST if listed else "", after=("bench show",), limit=limit)  # fmt: skip


def header(*dims: int, kind: int = 8) -> str:
    numbers = b"".join(size.to_bytes(4, "big") for size in dims)
    return "".join(f"\\{byte:03o}" for byte in bytes([0, 0, kind, len(dims)]) + numbers)


DATA = (
    mnist("truncated", "truncated", f"{RAW}for f in {FILES}; do printf '{header(60000, 28, 28)}' > $f; done"),
    mnist("giant", "4 giant dimensions", f"{RAW}for f in {FILES}; do printf '{header(2**31 - 1, 2**31 - 1, 2**31 - 1)}' > $f; done"),
    mnist("bomb", "a gzip bomb", f"{RAW}for f in {FILES}; do head -c 100000000 /dev/zero | gzip -1 > $f.gz; done", limit=120.0),
    mnist("fifo", "FIFOs", f"{RAW}for f in {FILES}; do mkfifo $f; done"),
    mnist("folder-is-file", "the folder is a file", "echo x > data"),
    mnist("pixels", "images of 32 by 32", f"{RAW}for f in {FILES}; do case $f in *images*) (printf '{header(60000, 32, 32)}'; head -c 61440000 /dev/zero) > $f;; "
          f"*) (printf '{header(60000)}'; head -c 60000 /dev/zero) > $f;; esac; done"),
    mnist("labels", "labels of 255", f"{RAW}for f in {FILES}; do case $f in *images*) (printf '{header(60000, 28, 28)}'; head -c 47040000 /dev/zero) > $f;; "
          f"*) (printf '{header(60000)}'; head -c 60000 /dev/zero | tr '\\000' '\\377') > $f;; esac; done"),
    mnist("text", "texts", f"{RAW}for f in {FILES}; do echo hello > $f; done", listed=False),
    mnist("empty", "empty", f"{RAW}for f in {FILES}; do : > $f; done", listed=False),
    mnist("folders", "folders", f"{RAW}for f in {FILES}; do mkdir $f; done", listed=False),
    Fault("clock.future", "a run was started when the clock stood in 2099: it is not the newest for ever", ("bench show",), codes(0),
          before='cp -r "$GOOD" results/20990101-000000-ffff; edit results/20990101-000000-ffff/run.json 0 '
                 "'r.update(run=\"20990101-000000-ffff\", started=\"2099-01-01T00:00:00+00:00\")'",
          listed="clock once in the future", quick=True, says="2099|future"),
)  # fmt: skip
FAULTS = (*GATES, *VERSION_FAULTS, *BASELINES, *DATA)
