"""The harness against itself: what is bad on purpose must be seen. Its commands are shell, no program of ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from . import report
from .descendants import Process, Watch
from .fault import MARKS, Fault, codes
from .harness import attempt
from .judge import marks
from .report import Tried
from .sandbox import Sandbox, Template
from .table import FAULTS, IN_TESTS, selected

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")

GATE = '{"exit_code": %d, "verdict": "%s"}'
# A stand-in for the program only in the words that the judge reads: the first two.
FINE = Fault("self.fine", "nothing bad", ("echo done # bench show",), codes(0))


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    with Template() as made:
        yield made


def broken(fault: Fault, template: Template) -> dict[str, str]:
    """The marks that do not hold, and why."""
    return {letter: why for letter, why in marks(fault, attempt(fault, template, patience=0.5)).items() if why}


def test_what_is_fine_holds_all_marks(template: Template) -> None:
    assert broken(FINE, template) == {}


@pytest.mark.parametrize(
    "leak",
    [
        "sleep 300 &",
        "setsid -f sleep 300",
        "env -i setsid -f sleep 300",  # neither session, group, environment nor parent of ours
        "setsid -f sh -c 'trap \"\" TERM HUP INT; sleep 300'",
        "(setsid -f sh -c 'kill -STOP $$; sleep 300')",
        '"$PYTHON" -c "import os, time; os.fork() or (os.setsid(), os.fork() and os._exit(0), time.sleep(300))"',
    ],
)
def test_a_process_that_is_left_is_found_wherever_it_went_and_ended(template: Template, leak: str) -> None:
    fault = replace(FINE, commands=(f"{leak} echo done",) if leak.endswith("&") else (f"{leak}; echo done",))
    assert list(broken(fault, template)) == ["P"]
    assert broken(FINE, template) == {}, "what one fault left is counted to the next"


@pytest.mark.parametrize("missed", [1, 2])
def test_who_slips_through_a_walk_over_processes_is_found_by_the_next(
    template: Template, missed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Born after the walk's list was made, of a parent that ended before its own entry was read."""
    living, walks = Watch.living, 0

    def blind(watch: Watch) -> list[Process]:
        nonlocal walks
        walks += 1
        return [] if walks <= missed else living(watch)

    monkeypatch.setattr(Watch, "living", blind)
    assert list(broken(replace(FINE, commands=("setsid -f sleep 300; echo done",)), template)) == ["P"]


@pytest.mark.parametrize(
    "line",
    [
        '"$PYTHON" -c "1 / 0"; exit 0',
        '"$PYTHON" -c "1 / 0" 2>&1; exit 0',
        '"$PYTHON" -c "import threading; threading.Thread(target=lambda: 1 / 0).start()"',
    ],
)
def test_a_traceback_is_seen_on_either_stream(template: Template, line: str) -> None:
    assert list(broken(replace(FINE, commands=(line,)), template)) == ["B"]


@pytest.mark.parametrize("code", [1, 3, 4])
def test_a_verdicts_code_needs_its_verdict_on_the_disk(template: Template, code: int) -> None:
    verdict = {1: "regression", 3: "invalid", 4: "inconclusive"}[code]
    gate = Fault("self.gate", "a code", (f"sh -c 'exit {code}' # bench gate",), codes(code))
    assert list(broken(gate, template)) == ["T"]
    there = "mkdir -p results/g; echo '%s' > results/g/gate.json"
    assert broken(replace(gate, before=there % (GATE % (code, verdict))), template) == {}
    assert list(broken(replace(gate, before=there % (GATE % (0, "pass"))), template)) == ["T"]


def test_a_zero_of_a_gate_or_a_run_is_earned(template: Template) -> None:
    for command in ("bench gate", "bench run"):
        fault = Fault("self.zero", "a code", (f"true # {command} tiny",), codes(0))
        assert list(broken(fault, template)) == ["T"]


def test_a_failing_code_needs_its_message_and_its_log(template: Template) -> None:
    silent = Fault("self.silent", "a code", ("exit 2",), codes(2))
    assert list(broken(silent, template)) == ["T"]
    assert broken(replace(silent, commands=("echo 'bench: no such run' >&2; exit 2",)), template) == {}
    log = Fault("self.log", "a code", ("echo 'bench: see /nowhere/at/all.log' >&2; exit 70",), codes(70))
    assert list(broken(log, template)) == ["T"]
    named = 'echo x > tmp/x.log; echo "bench: unforeseen, see $PWD/tmp/x.log" >&2; exit 70'
    assert broken(replace(log, commands=(named,)), template) == {}


def test_other_ways_to_be_bad(template: Template) -> None:
    assert list(broken(replace(FINE, codes=codes(2)), template)) == ["L", "T"]  # taken without a word
    assert list(broken(replace(FINE, says="sorry"), template)) == ["T"]
    assert list(broken(replace(FINE, never="done"), template)) == ["T"]
    assert list(broken(replace(FINE, commands=("printf '\\033[31m'",)), template)) == ["T"]
    assert list(broken(replace(FINE, after=("false",)), template)) == ["A"]
    assert list(broken(replace(FINE, check="die lost"), template)) == ["L"]
    assert list(broken(replace(FINE, commands=("rm suites/tiny.py",), keeps=("suites",)), template)) == ["L"]
    assert list(broken(replace(FINE, commands=("mkdir tmp/bench-x",)), template)) == ["A"]
    assert list(broken(replace(FINE, commands=("sleep 60",), limit=0.3), template)) == ["T"]


def records(*outcomes: tuple[str, str, str]) -> str:
    lines = [
        json.dumps({"point": {"fault": value}, "cell": value, "outcome": outcome, "reason": reason, "turns": {}})
        for value, outcome, reason in outcomes
    ]
    text = "\n".join(lines).replace('"turns": {}', '"turns": {"steps": 1}')
    return f"mkdir -p results/r; echo '{{}}' > results/r/run.json; cat > results/r/records.jsonl <<'E'\n{text}\nE\n"


def test_cells_are_judged_by_their_records(template: Template) -> None:
    run = "exit 3 # bench run faulty --set fault=none,raise"
    fault = Fault("self.cells", "a cell", (run,), codes(3), outcomes={"raise": ("crashed",)}, reason="mood")
    good = ("none", "ok", "")
    bad = ("raise", "crashed", "no mood")
    assert broken(replace(fault, before=records(good, bad)), template) == {}
    assert list(broken(replace(fault, before=records(good, ("raise", "crashed", ""))), template)) == ["T"]
    assert list(broken(replace(fault, before=records(good, ("raise", "timeout", "no mood"))), template)) == ["T"]
    assert list(broken(replace(fault, before=records(("none", "crashed", "x"), bad)), template)) == ["L"]
    torn = records(good, bad).replace("\nE\n", '\n{"outcome": NaN}\nE\n')
    assert list(broken(replace(fault, before=torn), template)) == ["L"]


def test_an_injection_that_does_not_work_is_told_as_not_tried(template: Template) -> None:
    assert attempt(replace(FINE, before="die 'cannot'"), template).untried.startswith("injection: cannot")
    assert attempt(replace(FINE, needs=("mount",)), template).untried in ("", "this machine has no mount")


def test_the_table_holds_what_was_asked_for() -> None:
    listed = [fault for fault in FAULTS if fault.listed]
    assert len(listed) >= 127
    assert len(FAULTS) - len(listed) >= 60
    assert len({fault.listed for fault in listed}) >= 90  # rows of the list; some hold several faults
    assert len(IN_TESTS) == 54, "the tests' own faults are in the table"
    for fault in FAULTS:
        assert "bench" in " ".join(fault.commands), fault.id
        assert fault.limit <= 180


def test_faults_are_selected_by_words() -> None:
    assert [fault.id for fault in selected(FAULTS, "arm.exit-7 or (arm. and exit-0)")] == ["arm.exit-7", "arm.exit-0"]
    for wrong in ("nosuchfault", "arm and", "("):
        with pytest.raises(ValueError, match="-k"):
            selected(FAULTS, wrong)


def test_what_does_not_hold_is_told() -> None:
    fault = replace(FINE, what="a | b $x$ <img>")
    tried = Tried(fault.id, 1, "", {**dict.fromkeys(MARKS, ""), "B": "Trace | back\n"}, 1.0)
    page = report.markdown([fault], {fault.id: tried})
    assert "0 of 1 faults hold all five marks; L 1, T 1, B 0, P 1, A 1" in page
    assert "Trace \\| back" in page
    assert "✓ ✓ ✗ ✓ ✓" in page
    assert "<img>" not in page
    untried = Tried(fault.id, None, "no mounts", {}, 0.0)
    assert "1 were not tried" in report.counts([fault], {fault.id: untried})


def test_a_campaign_is_gone_on_with(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("campaign") / "tried.json"
    tried = {"a.b": Tried("a.b", 0, "", dict.fromkeys(MARKS, ""), 1.5)}
    report.write(path, tried)
    assert report.read(path) == tried


def test_a_sandbox_is_a_copy(template: Template) -> None:
    one, other = template.sandbox(), template.sandbox()
    assert isinstance(one, Sandbox)
    assert one.folder != other.folder
    assert one.mark != other.mark
