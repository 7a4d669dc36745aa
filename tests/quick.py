"""`nox -s quick`: the quick tests, their files shared out to as many processes as there are cores, up to four.

The first process says what it does as it does it; what the others said comes after it. With a path among the arguments,
or on one core, there is one process only, as with `pytest -m quick`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

MOST = 4
NOTHING = 5  # pytest's exit code where no test was selected


def shares(arguments: Sequence[str]) -> int:
    """How many processes; one where a path is named, which every one of them would take for its own."""
    named = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if named else min(MOST, cores)


def exit_code(codes: Sequence[int]) -> int:
    """The worst, and that nothing was selected only if no process had anything."""
    ran = [code for code in codes if code != NOTHING]
    return max(ran, key=abs) if ran else NOTHING


def main(arguments: Sequence[str]) -> int:
    count = shares(arguments)
    command = [sys.executable, "-m", "pytest", "-m", "quick"]
    if sys.stdout.isatty():
        command.append("--color=yes")
    with ExitStack() as stack:
        first = subprocess.Popen([*command, f"--share=1/{count}", *arguments])
        others = []
        for number in range(2, count + 1):
            said = stack.enter_context(tempfile.TemporaryFile())
            own = [f"--share={number}/{count}", "-o", f"cache_dir=.pytest_cache/share-{number}"]
            others.append((subprocess.Popen([*command, *own, *arguments], stdout=said, stderr=subprocess.STDOUT), said))
        codes = [first.wait()]
        for process, said in others:
            codes.append(process.wait())
            said.seek(0)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
    return exit_code(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
