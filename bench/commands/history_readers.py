"""Runs that no cache has are read by several processes at once. They only fill it: whoever needs a run looks there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench.commands.history_cache import cached_points, content_digest, kept_place
from bench.errors import RunError
from bench.machine.cores import usable_cores
from bench.machine.process_env import PACKAGE_PARENT

LEAST_RUNS = 32  # runs for each process: it imports pandas for 2 s, and reads a run in a tenth of one


def read_ahead(folders: Sequence[Path], *, processes: int | None = None) -> dict[Path, str]:
    """Have the points of these runs in the cache; gives the digests of their contents, of those that can be read.

    Args:
        processes: that share what no cache has; None: one a core, if there are LEAST_RUNS runs for each.
    """
    digests = dict(_digests(folders))
    missing = [folder for folder, digest in digests.items() if not kept_place(digest).exists()]
    if processes is None:
        processes = min(len(usable_cores()) or os.cpu_count() or 1, len(missing) // LEAST_RUNS)
    processes = min(processes, len(missing))
    if processes < 2:
        return digests
    shares = [missing[number::processes] for number in range(processes)]
    with ExitStack() as stack:
        others = [stack.enter_context(_reader(share)) for share in shares[1:]]
        _read(shares[0], digests)
        for other in others:
            other.wait()
    return digests


def _digests(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        with suppress(RunError):  # whoever needs the run is told
            yield folder, content_digest(folder)


@contextmanager
def _reader(folders: Sequence[Path]) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that reads these runs; killed on leaving, if it is still there."""
    path = os.pathsep.join([str(PACKAGE_PARENT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "bench.commands.history_readers"],
        stdin=subprocess.PIPE,
        # Whatever keeps it from reading a run, whoever needs the run meets it again, and says so.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is ours
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(b"\0".join(os.fsencode(folder.absolute()) for folder in folders))
            process.stdin.close()
        yield process
    finally:
        process.kill()
        process.wait()


def _read(folders: Sequence[Path], digests: Mapping[Path, str] | None = None) -> None:
    for folder in folders:
        with suppress(RunError):  # as above
            digest = content_digest(folder) if digests is None else digests[folder]
            cached_points(folder, digest)
            if not kept_place(digest).exists():
                return  # nothing can be kept here, so that all of it would be read once more


if __name__ == "__main__":
    _read([Path(os.fsdecode(name)) for name in sys.stdin.buffer.read().split(b"\0")])
