"""Where a fault is tried: a folder with a git repository, suites, one real run that was made once, and the program."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TINY_RUN = "bench run tiny --suites suites --budget 10s --no-instrument --timeout 30s --threads 1"

# Words for `before`, `during` and `check`. Processes are found by the kernel's list of children: fork servers are those
# of the program, arms those of fork servers.
PRELUDE = r"""
set -u
die() { echo "injection: $*" >&2; exit 99; }
kin() { for pid in "$@"; do cat /proc/$pid/task/*/children 2>/dev/null; done; }
is_fork_server() { grep -q fork_server /proc/$1/cmdline 2>/dev/null; }
fork_servers() { for pid in $(kin $BENCH_PID); do is_fork_server $pid && echo $pid; done; }
arms() { kin $(fork_servers); }
new() { for path in "$@"; do case $path in "$GOOD"*|"$BAD"*) ;; *) [ -e "$path" ] && echo "$path";; esac; done; }
lines() { for path in $(new results/*/records.jsonl results/*/*/records.jsonl); do cat "$path"; done | wc -l; }
until_() { n=0; until eval "$1"; do n=$((n+1)); [ $n -gt 1200 ] && die "waited in vain: $1"; \
  [ -e /proc/$BENCH_PID/stat ] || die "bench ended before: $1"; sleep 0.05; done; }
records() { until_ "[ \$(lines) -ge $1 ]"; }
fork_servers_there() { until_ '[ -n "$(fork_servers)" ]'; }
arms_there() { until_ '[ $(arms | wc -w) -ge '"${1:-1}"' ]'; }
run_folder() { new results/2*-* | tail -n 1; }
"""


@dataclass(frozen=True)
class Sandbox:
    """A copy of the template that one fault may do anything to."""

    folder: Path
    mark: str

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.folder, self.mark)

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def runs(self) -> list[Path]:
        """The folders of runs and of gates' stages, oldest first."""
        results = self.folder / "results"
        found = [path.parent for pattern in ("*/run.json", "*/*/run.json") for path in results.glob(pattern)]
        return sorted(found, key=lambda path: path.stat().st_mtime)


def environment(folder: Path, mark: str) -> dict[str, str]:
    """Of all that a fault starts: a home, a temporary folder and git's identity of its own."""
    from .descendants import MARK

    dropped = ("BENCH_", "XDG_", "GIT_", "PYTEST", "PYTHON", "COLUMNS", "LC_", "LANG", "UV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    runs = sorted(path.parent.name for path in (folder / "reports").glob("[!.]*/index.html"))
    good = f"results/{runs[0]}" if runs else "results/none"
    return {
        **kept,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHON": sys.executable,
        "UV_OFFLINE": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_AUTHOR_NAME": "faults",
        "GIT_AUTHOR_EMAIL": "faults@example.invalid",
        "GIT_COMMITTER_NAME": "faults",
        "GIT_COMMITTER_EMAIL": "faults@example.invalid",
        "GOOD": good,
        "BAD": f"{good.rpartition('-')[0]}-zzzz",
        "BADPAGE": f"{good.rpartition('-')[0]}-zzzz/index.html".replace("results/", "reports/"),
        MARK: mark,
    }


class Template:
    """Made once: what every sandbox is a copy of. A context: on leaving, it and all sandboxes are gone.

    Its path is short: an AF_UNIX address has 108 bytes, and `TMPDIR` is within it.
    """

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="f-"))
        self._made = 0
        self.folder = self._home / "t"

    def __enter__(self) -> Template:
        for name in ("bin", "home", "tmp", "results"):
            (self.folder / name).mkdir(parents=True)
        shutil.copytree(HERE / "suites", self.folder / "suites", ignore=shutil.ignore_patterns("__pycache__"))
        script(self.folder / "bin" / "bench", f'exec {shlex.quote(sys.executable)} -m bench "$@"')
        for tool in sorted((HERE / "tools").glob("*.py")):
            line = f"exec env -u PYTHONPATH PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)}"
            script(self.folder / "bin" / tool.stem, f'{line} {shlex.quote(str(tool))} "$@"')
        for tool in sorted((HERE / "tools").glob("*.sh")):
            script(self.folder / "bin" / tool.stem, f'exec sh {shlex.quote(str(tool))} "$@"')
        git = "git init -q -b main && git add . && git commit -q -m one && git update-ref refs/remotes/origin/main HEAD"
        (self.folder / ".gitignore").write_text("results\nhome\ntmp\nbin\n__pycache__\n")
        self._shell(f"{git} && git branch feature/x && git tag v1")
        return self

    def with_run(self) -> Template:
        """With one real, finished run and its page."""
        if not list((self.folder / "reports").glob("*/index.html")):
            self._shell(TINY_RUN)
            self._shell("bench report")
        return self

    def _shell(self, text: str) -> None:
        done = subprocess.run(
            ["sh", "-c", text], cwd=self.folder, env=environment(self.folder, "template"), capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{text}: {done.returncode}\n{done.stdout}\n{done.stderr}")

    def sandbox(self) -> Sandbox:
        """A fresh copy."""
        self._made += 1
        folder = self._home / str(self._made)
        shutil.copytree(self.folder, folder, symlinks=True)
        return Sandbox(folder, f"{os.getpid()}-{self._made}-{os.urandom(4).hex()}")

    def __exit__(self, *_: object) -> None:
        remove(self._home)


def remove(folder: Path) -> None:
    """Remove what a fault has left of a sandbox, whatever rights it has taken from it."""
    subprocess.run(["chmod", "-R", "u+rwx", str(folder)], capture_output=True, check=False)
    subprocess.run(["rm", "-rf", str(folder)], capture_output=True, check=False)  # rmtree gives up on deep folders


def script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
