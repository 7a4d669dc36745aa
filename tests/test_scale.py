"""`python -m peers.scale`: it measures what it says, of a few nodes and strangers; docs/scale.md has what many gave."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT

FEW = ("--arms", "4", "--nodes", "2", "--ranks", "2", "--strangers", "64", "--cells", "8", "--launches", "6")


def figures(only: str, *more: str) -> dict[str, str]:
    """What it prints, by what it is of."""
    command = [sys.executable, "-m", "peers.scale", f"--only={only}", *(more or FEW)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line]
    return {line[:72].strip(): line[72:].split("(")[0].strip() for line in lines}


def test_fake_arms_take_turns_and_come_to_their_end() -> None:
    found = figures("arms,nodes")
    assert {"a round, wall, an arm", "4 ranks asked for, taken in, ready; wall", "all nodes gone; wall"} <= {*found}
    assert found["bytes of a turn of 45 steps, both ways"] == "1502 B"


def test_few_strangers_keep_nobody_out() -> None:
    found = figures("strangers")
    assert "64 strangers in" in found


@pytest.mark.long
def test_ten_thousand_strangers_keep_nobody_out() -> None:
    found = figures("strangers", "--strangers", "10000")
    assert int(found["lines of strangers.log"]) <= 6
    assert int(found["at the door at once, at most"]) <= 1024


@pytest.mark.long
def test_a_made_up_run_is_read_shown_and_reported() -> None:
    found = figures("records")
    assert {f"{what}: {unit}" for what in ("read", "show", "report") for unit in ("wall", "memory")} <= {*found}
