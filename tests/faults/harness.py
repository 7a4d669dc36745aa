"""Does what the table says, in a sandbox, with real processes, and looks at what came of it."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from . import judge
from .descendants import PATIENCE, Watch, adopting
from .fault import Fault
from .judge import ENDED_BY_LIMIT, Done, Seen
from .sandbox import PRELUDE, Sandbox, Template, remove

INJECTION_SECONDS = 90.0
AFTER_SECONDS = 120.0
TAIL = 200_000  # characters of output that are looked at, of each end


def attempt(fault: Fault, template: Template, *, keep: bool = False, patience: float = PATIENCE) -> Seen:
    """Try one fault.

    Args:
        patience: seconds in which its processes may end by themselves.
        keep: whether the sandbox is left there, to be looked at; its path is printed.
    """
    seen = Seen()
    missing = [need for need in fault.needs if not can(need)]
    if missing:
        seen.untried = f"this machine has no {', '.join(missing)}"
        return seen
    began = time.monotonic()
    if any(name in str(fault.deed) for name in ("$GOOD", "$BAD")):
        template.with_run()
    sandbox = template.sandbox()
    watch = Watch(sandbox.mark)
    try:
        with adopting():
            try:
                _do(fault, sandbox, watch, seen, patience)
            finally:
                watch.end()
    finally:
        if keep:
            print(f"{fault.id}: {sandbox.folder}")
        else:
            remove(sandbox.folder)
    seen.seconds = time.monotonic() - began
    return seen


def _do(fault: Fault, sandbox: Sandbox, watch: Watch, seen: Seen, patience: float) -> None:
    texts = (fault.before, fault.during, fault.check, *fault.commands, *fault.after, *fault.reads)
    if any("$BAD" in text for text in texts):
        _inject('cp -r "$GOOD" "$BAD" && cp -r "reports/${GOOD#*/}" "reports/${BAD#*/}"', sandbox)
    if fault.before and (wrong := _inject(fault.before, sandbox)):
        seen.untried = wrong
        return
    kept = {path: _digest(sandbox, path) for path in fault.keeps}
    for number, command in enumerate(fault.commands):
        before = sandbox.runs()
        during = fault.during if number == 0 else ""
        done, wrong = execute(command, sandbox, fault.limit, during)
        if wrong:
            seen.untried = f"{wrong}; {done.code}: {judge.last(done.err)}"
        seen.commands.append(done)
        seen.survivors += [one.told for one in watch.survivors(0.5 if done.code == ENDED_BY_LIMIT else patience)]
        watch.end()
        if reason := judge.earned(done, sandbox, before):
            seen.unearned.append(reason)
    for path in sandbox.runs():
        if path.name not in (Path(sandbox.environment["GOOD"]).name, Path(sandbox.environment["BAD"]).name):
            seen.records[path.name], wrong_lines = judge.read_records(path)
            seen.damaged += wrong_lines
    seen.changed = [path for path, digest in kept.items() if _digest(sandbox, path) != digest]
    for command, into in [(one, seen.after) for one in fault.after] + [(one, seen.reads) for one in fault.reads]:
        into.append(execute(command, sandbox, AFTER_SECONDS)[0])
        seen.survivors += [f"after `{command}`: {one.told}" for one in watch.survivors(patience)]
        watch.end()
    if fault.check:
        seen.check = _inject(fault.check, sandbox) or None
    if sandbox.temporary.is_dir():
        seen.left = sorted(path.name for path in sandbox.temporary.iterdir())


def execute(command: str, sandbox: Sandbox, limit: float, during: str = "") -> tuple[Done, str]:
    """Run one line of shell to its end, with an injection beside it; gives what it did, and what the injection said
    where it failed."""
    text = f"exec {command}" if re.fullmatch(r"bench [^;|&<>`(){}\n]*", command) else command
    began = time.monotonic()
    outputs = [sandbox.folder / f".{name}" for name in ("out", "err")]
    wrong = ""
    with open(outputs[0], "wb") as out, open(outputs[1], "wb") as err:
        process = subprocess.Popen(
            ["sh", "-c", text], cwd=sandbox.folder, env=sandbox.environment, stdin=subprocess.DEVNULL, stdout=out,
            stderr=err, start_new_session=True,
        )  # fmt: skip
        if during:
            wrong = _inject(during, sandbox, process)
        try:
            code = process.wait(max(0.1, limit - (time.monotonic() - began)))
        except subprocess.TimeoutExpired:
            code = ENDED_BY_LIMIT
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    said = [_read(path) for path in outputs]
    return Done(command, code, said[0], said[1], time.monotonic() - began), wrong


def _inject(text: str, sandbox: Sandbox, beside: subprocess.Popen[bytes] | None = None) -> str:
    """Do something to the sandbox or to what runs in it; gives what it said where it failed, else ""."""
    environment = {**sandbox.environment, "BENCH_PID": str(beside.pid) if beside else "0"}
    with open(sandbox.folder / ".inject", "wb") as said:
        process = subprocess.Popen(
            ["sh", "-c", f"{PRELUDE}\n{text}"], cwd=sandbox.folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=said, stderr=said,
        )  # fmt: skip
        try:
            code = process.wait(INJECTION_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = ENDED_BY_LIMIT
    if code == 0:
        return ""
    return f"{judge.last(_read(sandbox.folder / '.inject'))} ({code})"


def _read(path: Path) -> str:
    data = path.read_bytes()
    data = data if len(data) <= 2 * TAIL else data[:TAIL] + b"\n...\n" + data[-TAIL:]
    return data.decode("utf-8", errors="backslashreplace")


def _digest(sandbox: Sandbox, pattern: str) -> str:
    """Of the files that a path or pattern means, names and bytes."""
    digest, folder = hashlib.sha256(), sandbox.folder
    for name in ("GOOD", "BAD"):
        pattern = pattern.replace(f"${name}", sandbox.environment[name])
    for path in sorted(folder.glob(pattern)):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.name != "lock":
                digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()


@lru_cache
def can(need: str) -> bool:
    """Whether this machine has what a fault needs."""
    probes: dict[str, Sequence[str]] = {
        "mount": ("unshare", *namespaces(), "sh", "-c", "mount -t tmpfs -o size=64k t /mnt"),
    }
    try:
        return subprocess.run(probes[need], capture_output=True, check=False, timeout=20).returncode == 0
    except OSError:
        return False


def namespaces() -> tuple[str, ...]:
    """Options of `unshare` for mounts of one's own, as root or not."""
    return ("-m",) if os.geteuid() == 0 else ("-rm",)
