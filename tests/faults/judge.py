"""The marks of one fault, from what its commands printed and left. Every mark that does not hold has its reason."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .fault import Fault
from .sandbox import Sandbox

TRACEBACKS = re.compile(r"Traceback \(most recent call last\)|^Exception (?:in thread|ignored in)", re.MULTILINE)
FAILED = {"unequal-work", "unequal-settings", "oom", "timeout", "crashed", "internal"}
# What the innocent may be: fine, too noisy to tell, or in a launch that was made again.
INNOCENT = {"ok", "noisy", "void"}
LONGEST_MESSAGE = 4000  # characters; what is longer is no message
ENDED_BY_LIMIT = 124


@dataclass(frozen=True)
class Done:
    """A command that has ended: its line, its exit code (negative: a signal's number), what it printed."""

    command: str
    code: int
    out: str
    err: str
    seconds: float = 0.0


@dataclass
class Seen:
    """All that was seen of one deed.

    Attributes:
        commands, after, reads: what the fault's commands did, in order.
        survivors: processes that were left, in words.
        changed: files that were to be kept and were not.
        check: what the fault's own check said, None where it held.
        records: of runs that the commands made, as JSON data, by the run's folder.
        unearned: why exit codes of the commands are not earned.
        damaged: lines of these records that are no strict JSON, behind the value of their cell.
        left: entries of the temporary folder that were left.
        untried: why the fault could not be tried, or "".
    """

    commands: list[Done] = field(default_factory=list)
    after: list[Done] = field(default_factory=list)
    reads: list[Done] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    check: str | None = None
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    unearned: list[str] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    untried: str = ""
    seconds: float = 0.0


def marks(fault: Fault, seen: Seen) -> dict[str, str]:
    """Why each mark does not hold, by its letter; "" where it does."""
    return {
        "L": "; ".join([*lost(fault, seen), *(why for value, why in seen.damaged if value not in others(fault))]),
        "T": "; ".join(mistyped(fault, seen)),
        "B": "; ".join(tracebacks(seen)),
        "P": "; ".join(f"left: {one}" for one in seen.survivors if not mentions(one, others(fault))),
        "A": "; ".join(unusable(seen)),
    }


def tracebacks(seen: Seen) -> list[str]:
    """The last line of each traceback that reached a user."""
    found = []
    for done in (*seen.commands, *seen.after, *seen.reads):
        for text in (done.out, done.err):
            if begun := TRACEBACKS.search(text):
                found.append(f"`{brief(done.command)}`: {last(text[begun.start() :])}")
    return found


def brief(command: str) -> str:
    """A command as it is told: its beginning and its end, where it is long."""
    command = shown(command.replace("\n", " "))
    return command if len(command) <= 90 else f"{command[:55]} ... {command[-30:]}"


def last(text: str) -> str:
    """The last line that says something, short."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return shown(lines[-1])[:160] if lines else "(nothing)"


def shown(text: str) -> str:
    """Text with what is no plain character escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def mistyped(fault: Fault, seen: Seen) -> list[str]:
    """What is not told, or told as something else."""
    main = seen.commands[0]
    found = list(seen.unearned)
    for number, done in enumerate(seen.commands):
        if done.code == ENDED_BY_LIMIT:
            found.append(f"`{brief(done.command)}` did not end")
        elif number == 0 and done.code not in fault.codes:
            allowed = ", ".join(map(str, sorted(fault.codes)))
            found.append(f"exit code {done.code}, allowed: {allowed}: {last(done.err or done.out)}")
        # Of several cells of one run each answers for its own lines.
        told = [line for line in (done.out + done.err).split("\n") if not mentions(line, others(fault))]
        if wild := controls("\n".join(told)):
            found.append(f"`{brief(done.command)}` prints control characters: {wild}")
    text = "\n".join(done.out + done.err for done in seen.commands)
    if fault.says and not re.search(fault.says, text):
        found.append(f"does not say /{fault.says}/: {last(main.err or main.out)}")
    if fault.never and (said := re.search(fault.never, text)):
        found.append(f"says {shown(said[0])[:80]!r}")
    if fault.outcomes:
        found += outcomes(fault, seen)
    return found


def controls(text: str) -> str:
    """Escape sequences, control and direction characters that would reach a terminal; newline, tab and the return of a
    progress bar are meant."""
    wild = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\t\r"}
    return " ".join(sorted(f"U+{ord(char):04X}" for char in wild))


def outcomes(fault: Fault, seen: Seen) -> list[str]:
    """Cells whose outcome, or its reason, is not what the fault must make of them."""
    found = []
    told: dict[str, list[tuple[str, str]]] = {}
    for records in seen.records.values():
        for record in records:
            own = told.setdefault(str(record.get("point", {}).get("fault")), [])
            if record.get("outcome") != "ok":
                own.append((str(record.get("outcome")), str(record.get("reason"))))
    for value, allowed in fault.outcomes.items():
        if value not in told:
            found.append(f"no record of {value}")
            continue
        bad = told[value] or [("ok", "")]
        if wrong := [one for one in bad if one[0] not in allowed]:
            found.append(f"{value} is {wrong[0][0]} ({shown(wrong[0][1])[:120]}), allowed: {', '.join(allowed)}")
        elif fault.reason and not any(re.search(fault.reason, reason) for _, reason in bad):
            found.append(f"the reason of {value} does not say /{fault.reason}/: {shown(bad[0][1])[:120]}")
    return found


def lost(fault: Fault, seen: Seen) -> list[str]:
    """What was destroyed, taken in silence, or blamed on the innocent."""
    found = [f"{path} was changed" for path in seen.changed]
    if seen.check is not None:
        found.append(seen.check)
    if fault.codes == {2} and seen.commands[0].code == 0:
        found.append("taken without a word")
    if fault.outcomes:
        guilty = set(fault.outcomes) | shared(fault)
        records = [record for records in seen.records.values() for record in records]
        for record in records:
            value = str(record.get("point", {}).get("fault"))
            if value not in guilty and record.get("outcome") not in INNOCENT:
                reason = shown(str(record.get("reason")))[:100]
                found.append(f"blamed: {record.get('cell')} is {record.get('outcome')} ({reason})")
                break
        # Where every launch was disturbed, and that is told, nobody was measured.
        if not any(record.get("outcome") == "void" or (record.get("outcome") == "ok" and record.get("turns"))
                   for record in records):  # fmt: skip
            found.append("nothing was measured of those that are fine")
    return found


def others(fault: Fault) -> set[str]:
    """What other faults of the same command answer for."""
    return shared(fault) - set(fault.outcomes)


def mentions(line: str, values: set[str]) -> bool:
    """Whether a line is told of a cell with one of these values."""
    return any(re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", line) for value in values)


def shared(fault: Fault) -> set[str]:
    """Values of the axis `fault` that the same command asks for too."""
    named = re.search(r"--set fault=(\S+)", fault.commands[0])
    return {value for value in named[1].split(",") if value != "none"} if named else set()


def unusable(seen: Seen) -> list[str]:
    """What does not work afterwards."""
    found = [
        f"`{brief(done.command)}`: {done.code}: {last(done.err or done.out)}" for done in seen.after if done.code != 0
    ]
    found += [
        f"`{brief(done.command)}`: {done.code}: {last(done.err or done.out)}"
        for done in seen.reads
        if done.code not in (0, 2, 3)
    ]
    killed = seen.commands and seen.commands[0].code == -9 and not seen.after
    if not killed:
        found += [f"left in the temporary folder: {name}" for name in seen.left if name.startswith("bench-")]
    return found


def earned(done: Done, sandbox: Sandbox, before: Sequence[Path]) -> str:
    """Why this exit code is not earned, or "": 0 only if what was asked for was done, 1 only by a gate.json that says
    regression, 3 and 4 likewise, 2 with a message, 70 with the name of a log file.

    Args:
        before: folders of runs that were there before the command.
    """
    words = re.search(r"\bbench (\w+)", done.command)
    command = words[1] if words else ""
    silent = re.search(r"2>&-|2> ?/dev/(full|null)", done.command)
    runs = [path for path in sandbox.runs() if path not in before] or sandbox.runs()[-1:]
    folder = sandbox.folder / "results"
    gates = sorted(folder.glob("*/gate.json"), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
    verdict = _verdict(gates[-1]) if gates else None
    outcome = {str(record.get("outcome")) for path in runs for record in read_records(path)[0]}
    if done.code == 1 and verdict != 1:
        return f"1 without a regression: {last(done.err or done.out)}"
    if done.code == 4 and verdict != 4:
        return "4 without a gate that is inconclusive"
    if done.code == 0 and command == "gate" and verdict != 0:
        return "0 without a gate that passed"
    if done.code == 0 and command in ("run", "versions"):
        if not any(_finished(path) for path in runs):
            return "0 without a finished run"
        if outcome & FAILED:
            return f"0 although cells failed: {', '.join(sorted(outcome & FAILED))}"
    if done.code == 3:
        earned_by = {
            "gate": verdict == 3,
            "run": bool(outcome & {*FAILED, "void"}),
            "versions": bool(outcome & {*FAILED, "void"}),
            "verify": bool(done.out.strip()) and "as the records give them" not in done.out,
        }
        if not earned_by.get(command, True):
            return f"3 of `{command}` without what earns it"
    if done.code in (2, 70) and not silent:
        message = [line for line in done.err.splitlines() if line.startswith("bench")]
        if not message:
            return f"{done.code} without a message: {last(done.err)}"
        if len(done.err) > LONGEST_MESSAGE:
            return f"{done.code} with {len(done.err)} characters of a message"
        if done.code == 70 and not any(Path(path).is_file() for path in re.findall(r"/\S+\w", message[-1])):
            return f"70 without a log file that is there: {last(done.err)}"
    if done.code == 130 and "interrupted" not in done.out + done.err:
        return "130 without a word"
    return ""


def _verdict(path: Path) -> int | None:
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["exit_code"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _finished(path: Path) -> bool:
    try:
        return bool(json.loads((path / "run.json").read_text(encoding="utf-8")).get("finished"))
    except (OSError, ValueError, AttributeError):
        return False


def read_records(path: Path) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """The records of a run's folder as JSON data, and what is wrong with them: lines that are no strict JSON, each
    behind the value of its cell on the axis `fault`."""
    found, wrong = [], []
    if not (path / "records.jsonl").is_file():  # a pipe would keep us waiting, /dev/zero has no end
        return [], []
    try:
        lines = (path / "records.jsonl").read_bytes().splitlines()
    except OSError:
        return [], []
    for number, line in enumerate(lines, start=1):
        value = re.search(rb'"fault":"([^"]*)"', line)
        try:
            record = json.loads(line.decode())
            if isinstance(record, dict):
                found.append(record)
            json.loads(line.decode(), parse_constant=_refuse)
            json.dumps(record, ensure_ascii=False).encode()  # no lone surrogates
        except (RecursionError, ValueError) as error:
            own = value[1].decode(errors="replace") if value else ""
            wrong.append((own, f"{path.name}/records.jsonl:{number}: {error}"))
    return found, wrong


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
