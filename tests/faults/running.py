"""Faults of the processes of a run: signals, fork servers, folders that go, strangers, and what is gone on with."""

# ruff: noqa: E501 - rows of a table, one a fault, with shell text that is not broken

from __future__ import annotations

from typing import Any

from .fault import Fault, codes

LONG = "bench run tiny --suites suites --threads 1 --no-instrument --budget 10m --precision-goal 0.001% --timeout 8s"
SHORT = "bench run tiny --suites suites --threads 1 --no-instrument --budget 18s --precision-goal 0.001% --timeout 8s"
RESUME = 'bench run --resume "$(ls -d results/*-* | grep -v -e "$GOOD" | tail -n 1)" --suites suites --budget 1s'
INNOCENT = {"(all)": ("ok",)}

# Whole lines were kept, all are of cells that are fine, and every timed launch has its three cells.
ALL_OK = """
for path in $(new results/*/records.jsonl); do
  ! grep -v '"outcome":"ok"' "$path" || die "not ok: $(grep -v '"outcome":"ok"' "$path" | cut -c 1-60 | head -n 1)"
  [ $(($(wc -l < "$path") % 3)) = 0 ] || die "$(wc -l < "$path") records are no whole launches"
  [ -s "$path" ] || die "nothing was measured"
done
"""
NOT_BLAMED = """
for path in $(new results/*/records.jsonl); do
  ! grep -e '"outcome":"crashed"' -e '"outcome":"timeout"' "$path" | head -c 300 | grep -q . ||
    die "blamed: $(grep -o '"outcome":"[a-z]*","reason":"[^"]*' "$path" | grep -v '"ok"' | head -n 1)"
  grep -q '"outcome":"ok"' "$path" || die "nothing was measured"
done
"""


def running(name: str, what: str, during: str, listed: str = "", **more: Any) -> Fault:
    values: dict[str, Any] = {
        "commands": (LONG,), "codes": codes(130), "check": ALL_OK, "after": (RESUME, "bench show"), "limit": 100.0, **more,
    }  # fmt: skip
    return Fault(f"process.{name}", what, during=during, listed=listed, **values)


def interrupted(at: float, command: str, code: str, *words: str) -> str:
    """A command that gets SIGINT after so many seconds; the line ends with what `code` makes of its exit code `c`."""
    words_ = ", ".join(f"'{word}'" for word in ("bench", command, *words))
    send = f"p = subprocess.Popen([{words_}]); time.sleep({at}); p.send_signal(signal.SIGINT); c = p.wait()"
    return f'$PYTHON -c "import signal, subprocess, sys, time; {send}; sys.exit({code})"'


# Before the program's first line the interpreter itself is interrupted, and says so; that is not the program's.
FIRST = (
    '$PYTHON -c "import signal, subprocess as s, sys, time; '
    "p = s.Popen(['bench', 'list'], stdout=s.DEVNULL, stderr=s.PIPE, text=True); time.sleep({at}); "
    "p.send_signal(signal.SIGINT); e = p.communicate()[1]; ours = 'Traceback' in e and '/bench/' in e; "
    "print(e) if ours else None; sys.exit(9 if ours or p.returncode not in (0, 1, -2, 130) else 0)\""
)

PROCESSES = (
    running("sigterm", "SIGTERM", "records 3; kill -TERM $BENCH_PID", "SIGTERM", quick=True),
    running("sigint", "SIGINT", "records 3; kill -INT $BENCH_PID"),
    running("sigint-twice", "SIGINT twice", "records 3; kill -INT $BENCH_PID; sleep 0.2; kill -INT $BENCH_PID || :",
            "SIGINT twice"),
    running("signals-at-once", "SIGINT, SIGTERM and SIGINT at once",
            "records 3; kill -INT $BENCH_PID; kill -TERM $BENCH_PID; kill -INT $BENCH_PID || :",
            "SIGINT+SIGTERM+SIGINT at once"),
    running("sighup", "SIGHUP, as a closed terminal sends it", "records 3; kill -HUP $BENCH_PID", "SIGHUP / SIGQUIT"),
    running("sigquit", "SIGQUIT", "records 3; kill -QUIT $BENCH_PID", "SIGHUP / SIGQUIT"),
    running("sighup-group", "SIGHUP to all processes of the session", "records 3; kill -HUP -$BENCH_PID"),
    running("sigint-group", "Ctrl-C: SIGINT to the process group", "records 3; kill -INT -$BENCH_PID"),
    running("sigkill", "the conductor is killed", "records 3; kill -KILL $BENCH_PID", "conductor SIGKILL", codes=codes(-9)),
    running("sigkill-early", "the conductor is killed while interpreters start",
            "fork_servers_there; kill -KILL $BENCH_PID", codes=codes(-9), check=""),
    running("sigabrt", "SIGABRT", "records 3; kill -ABRT $BENCH_PID", codes=codes(-6)),
    running("sigusr1", "SIGUSR1 and SIGUSR2", "records 3; kill -USR1 $BENCH_PID", codes=codes(-10, 130)),
    running("sigint-starting", "SIGINT while interpreters start", "fork_servers_there; kill -INT $BENCH_PID",
            "SIGINT while interpreters start", check=""),
    running("sigterm-starting", "SIGTERM while interpreters start", "fork_servers_there; kill -TERM $BENCH_PID", check=""),
    running("fork-servers-between", "fork servers are killed between launches", "records 3; sleep 0.05; kill -KILL $(fork_servers)",
            "fork server SIGKILL between launches", commands=(SHORT,), codes=codes(0, 3), check=NOT_BLAMED),
    running("fork-servers-killed", "both fork servers are killed, arms live",
            "records 3; arms_there 3; sleep 0.4; kill -KILL $(fork_servers)", "both fork servers SIGKILL, arms live",
            commands=(SHORT,), codes=codes(0, 3), check=NOT_BLAMED),
    running("fork-server-killed-first", "one fork server is killed in the first launch", "arms_there 3; sleep 0.4; "
            "set -- $(fork_servers); kill -KILL $1", commands=(SHORT,), codes=codes(0, 3), check=NOT_BLAMED),
    running("fork-servers-sigterm", "both fork servers get SIGTERM, arms live",
            "records 3; arms_there 3; sleep 0.4; kill -TERM $(fork_servers)", commands=(SHORT,), codes=codes(0, 3),
            check=NOT_BLAMED),
    running("fork-servers-stopped", "both fork servers are stopped", "records 3; kill -STOP $(fork_servers)", "fork server SIGSTOP",
            commands=(SHORT,), codes=codes(0, 3), check=NOT_BLAMED),
    running("arm-killed", "one arm is killed from outside", "records 3; arms_there 3; set -- $(arms); kill -KILL $1",
            commands=(SHORT,), codes=codes(0, 3), check="", after=("bench show",)),
    running("arms-stopped-20", "all arms are stopped for 12 s, and go on",
            "records 3; arms_there 3; held=$(arms); kill -STOP $held; sleep 12; kill -CONT $held || :",
            commands=(SHORT,), codes=codes(0, 3), check="", after=("bench show",)),
    running("conductor-slept", "the conductor is stopped for 20 s with a --timeout of 8 s",
            "records 3; kill -STOP $BENCH_PID; sleep 20; kill -CONT $BENCH_PID", "conductor SIGSTOP 20 s (--timeout 8s)",
            commands=(SHORT.replace("18s", "45s"),), codes=codes(0, 3), check=NOT_BLAMED),
    running("all-slept", "a virtual machine is paused: conductor, fork servers and arms stop for 15 s",
            "records 3; held=\"$BENCH_PID $(fork_servers) $(arms)\"; kill -STOP $held; sleep 15; kill -CONT $held || :",
            commands=(SHORT.replace("18s", "45s"),), codes=codes(0, 3), check=NOT_BLAMED),
    running("conductor-slept-first", "the same in the first launch", "arms_there 3; sleep 0.3; kill -STOP $BENCH_PID; "
            "sleep 12; kill -CONT $BENCH_PID", commands=(SHORT.replace("18s", "45s"),), codes=codes(0, 3),
            check=NOT_BLAMED),
    running("logs-removed", "logs/ is removed while it runs", "records 3; rm -r $(run_folder)/logs",
            "logs/ removed while it runs", commands=(SHORT,), codes=codes(0, 2, 3), check=NOT_BLAMED),
    running("folder-removed", "the run's folder is removed while it runs", "records 3; rm -rf $(run_folder)",
            "run folder removed", codes=codes(2), check="", after=("bench list",), says=r"results/.*"),
    running("results-removed", "all of results/ is removed while it runs", "records 3; rm -rf results",
            codes=codes(2), check="", after=("bench list",), says=r"results"),
    running("folder-renamed", "the run's folder is renamed while it runs", "records 3; mv $(run_folder) results/other",
            codes=codes(0, 2, 3), check="", after=("bench show results/other",), commands=(SHORT,)),
    running("temporary-removed", "the temporary folder is removed while it runs", "records 3; rm -rf tmp/*",
            "temp folder removed", commands=(SHORT,), codes=codes(0, 2, 3), check=NOT_BLAMED),
    running("cwd-removed", "the working folder is removed while it runs",
            "records 3; mv work gone; rm -rf gone",
            commands=("mkdir work && cd work && exec " + SHORT.replace("--suites suites", "--suites ../suites --out ../results"),),
            codes=codes(0, 2, 3), check=NOT_BLAMED, after=("bench show",)),
    running("record-garbage", "a stranger appends garbage to the records while it runs",
            "records 3; echo garbage >> $(run_folder)/records.jsonl", commands=(SHORT,), codes=codes(2, 3), check="",
            after=(), says=r"records\.jsonl"),
    running("second-resume", "a second --resume while it runs",
            "records 3; for i in 1 2; do bench run --resume $(run_folder) --suites suites && die taken; [ $? = 2 ] || "
            "die not 2; done; kill -INT $BENCH_PID", "two `--resume` of one run"),
    running("resume-of-killed-twice", "killed, resumed, killed, resumed", "records 3; kill -KILL $BENCH_PID", codes=codes(-9),
            after=(RESUME, RESUME, "bench show")),
    Fault("process.first-moments", "SIGINT in the first 0.4 s", (
        *(FIRST.format(at=at) for at in (0.01, 0.03, 0.06, 0.09, 0.12, 0.2)),
    ), codes(0), listed="SIGINT in the first 0.4 s; while report/show run", quick=True),
    *(
        Fault(f"process.sigint-{name}", f"SIGINT while `bench {name}` works",
              tuple(interrupted(at, name, "c if c >= 0 else 128 - c", "$GOOD") for at in (0.3, 0.7, 1.2)),
              codes(0, 130), listed=listed, keeps=("$GOOD",) if name != "report" else ("$GOOD/records.jsonl",),
              after=(f"bench {name} \"$GOOD\"",))
        for name, listed in (("show", "SIGINT in the first 0.4 s; while report/show run"),
                             ("report", "SIGINT in the first 0.4 s; while report/show run"), ("verify", ""))
    ),
    running("sigint-printing", "SIGINT while the run prints its result",
            """until_ 'grep -q "\\"finished\\": \\"" "$(run_folder)/run.json"'; kill -INT $BENCH_PID || :""",
            "SIGINT while the run prints its result",
            commands=(SHORT.replace("18s", "3s"),), codes=codes(0, 130)),
    Fault("process.versions-killed", "`bench versions git:HEAD .` is killed",
          ("bench versions git:HEAD . --suite tiny --suites suites --budget 10m --precision-goal 0.001%",), codes(-9),
          during="records 4; kill -KILL $BENCH_PID", listed="SIGKILL of `versions git:HEAD .`", check="""
bench versions git:HEAD . --suite tiny --suites suites --budget 2s > /dev/null 2>&1
[ "$(git worktree list | wc -l)" = 1 ] || die "worktrees are left: $(git worktree list | tail -n 1)"
! ls -d tmp/bench-* 2> /dev/null || die "left in the temporary folder: $(ls tmp | head -n 3 | tr '\\n' ' ')"
""", after=("bench show",), limit=150.0),
    Fault("process.gate-sigterm", "SIGTERM to a gate", (
        "bench gate tiny --suites suites --budget 10m --launch 300ms",), codes(130), during="records 3; kill -TERM $BENCH_PID",
        after=("bench list",)),
    Fault("process.gate-sighup", "SIGHUP to a gate", (
        "bench gate tiny --suites suites --budget 10m --launch 300ms",), codes(130), during="records 3; kill -HUP $BENCH_PID",
        after=("bench list",)),
    Fault("process.trace-sigterm", "SIGTERM to a trace", (
        "bench trace tiny --suites suites --steps 5000000",), codes(130), during="arms_there 1; sleep 1; kill -TERM $BENCH_PID",
        after=("bench list",)),
)  # fmt: skip

STRANGERS = (
    *(Fault(
        f"stranger.{name}", f"a stranger at the conductor's socket: {what}", (SHORT.replace("18s", "6s"),), codes(0),
        during=f"fork_servers_there; knock {name}", check=ALL_OK, after=("bench show",), listed=listed, limit=100.0,
    )
    for name, what, listed in (
        ("garbage", "4 kB of noise", "garbage, wrong key, frames of 231 on the socket"),
        ("wrong-key", "a wrong key", "garbage, wrong key, frames of 231 on the socket"),
        ("huge-frame", "a frame of 2^31 bytes", "garbage, wrong key, frames of 231 on the socket"),
        ("silent", "it is silent", "silent connection (same user)"),
        ("huge-frame-64", "a frame of 2^62 bytes", ""),
        ("half-header", "half a header, then nothing", ""),
        ("zeros", "4 kB of zeros", ""),
        ("http", "HTTP", ""),
        ("hang-up", "it hangs up at once", ""),
        ("many", "100 connections that stay", ""),
    )),
    Fault("stranger.authkey", "the key is looked for in environments and arguments of all children",
          (SHORT.replace("18s", "6s"),), codes(0), listed="authkey in environ / argv of 6 children", limit=100.0,
          after=("bench show",), during="""
arms_there 1
for pid in $BENCH_PID $(fork_servers) $(arms); do
  tr '\\0' '\\n' < /proc/$pid/environ | grep -i -e authkey && die "in the environment of $pid"
  tr '\\0' '\\n' < /proc/$pid/cmdline | grep -i -E -e authkey -e '[0-9a-f]{32}' && die "in the arguments of $pid"
done
for door in tmp/bench-*; do [ "$(stat -c %a "$door")" = 700 ] || die "$door is open to others"; done
"""),
)  # fmt: skip


def resumed(name: str, what: str, between: str, listed: str = "", options: str = "", **more: Any) -> Fault:
    """A run that was measured in parts: something changes in between."""
    command = f'{more.pop("environ", "")}bench run --resume "$GOOD" --suites suites --budget 1s{options}'.lstrip()
    values: dict[str, Any] = {"codes": codes(2), "keeps": ("$GOOD/records.jsonl",), "after": ('bench show "$GOOD"',), **more}
    return Fault(f"resume.{name}", what, (command,), before=between or ":", listed=listed, **values)


RESUMING = (
    resumed("threads", "other --threads", "", "other --threads; no --suites", " --threads 2", quick=True, says="threads"),
    Fault("resume.no-suites", "without --suites: the run knows its file", ('bench run --resume "$GOOD" --budget 1s',), codes(0),
          after=('bench show "$GOOD"',), listed="other --threads; no --suites", quick=True),
    resumed("omp", "OMP_ and MKL_ variables are set", "", "OMP_/MKL_ variables set", environ="OMP_NUM_THREADS=7 MKL_NUM_THREADS=7 ",
            codes=codes(0), keeps=(), limit=60.0),
    resumed("suite-edited", "the suite's file was edited in between", "sed -i 's/BATCH, BATCHES = 8/BATCH, BATCHES = 64/' "
            "suites/parts.py; sed -i 's/a linear model/another model/' suites/tiny.py", "suite file edited in between",
            quick=True),
    resumed("helper-edited", "a helper of the suite's file was edited in between",
            "sed -i 's/BATCH, BATCHES = 8/BATCH, BATCHES = 64/' suites/parts.py"),
    resumed("suite-moved", "the suite's folder was moved, its files are the same", "cp -r suites other; rm -rf suites; "
            "mv other suites", codes=codes(0), keeps=(), limit=60.0),
    resumed("suite-removed", "the suite's file is gone", "rm suites/tiny.py", says="tiny"),
    resumed("axis-changed", "the suite has another axis", "sed -i 's/(1, 200)/(1, 200, 300)/; s/\"spins\": /\"depth\": (1,), \"spins\": /' suites/tiny.py"),
    resumed("seed", "another --seed", "", "other --seed", " --seed 7", quick=True, says="seed"),
    resumed("timeout", "another --timeout, which changes no figure", "", options=" --timeout 90s", codes=codes(0), keeps=(), limit=60.0),
    resumed("memory-limit", "another --memory-limit", "", options=" --memory-limit 3GiB", says="memory"),
    resumed("other-folder", "results/ was moved", "mkdir elsewhere; mv results elsewhere/results; ln -s elsewhere/results results",
            codes=codes(0), keeps=(), limit=60.0),
    resumed("record-lost", "a line of the records was lost in between", "sed -i 2d \"$GOOD/records.jsonl\"", keeps=()
            , says=r"records\.jsonl", after=()),
    resumed("half-line", "the last line is half written", "printf '{\"schema\":2,\"sui' >> \"$GOOD/records.jsonl\"",
            codes=codes(0), keeps=(), limit=60.0),
    resumed("environment", "the run is of another machine", "edit \"$GOOD/run.json\" 0 'r[\"environment\"][\"cpu\"] = \"other\"'",
            says="cpu|run.json", after=()),
)  # fmt: skip
FAULTS = (*PROCESSES, *STRANGERS, *RESUMING)
