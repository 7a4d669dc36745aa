"""FSDP1, which Lightning's `fsdp` is, on two ranks over gloo: read back as what it is, its weights made whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import call

from bench.machine.cores import layout
from bench.results import store

SUITES = Path(__file__).parent / "suites"


@pytest.mark.skipif(len(layout(1).usable) < 2, reason="two ranks need two cores, as bench itself says of such cells")
def test_fsdp1_is_seen_as_fsdp_and_ends_with_fsdp2s_weights(tmp_path: Path) -> None:
    where = ("--suites", str(SUITES), "--out", str(tmp_path))
    done = call("run", "sharded", *where, "--budget", "4s", "--no-instrument")
    (folder,) = tmp_path.glob("2*")
    records = store.read_run(folder).records
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    assert done.returncode == 0, done.stderr
    first = {str(record.point["loop"]): record for record in records if record.launch == 0 and not record.twin}
    assert {record.effective["strategy"] for record in first.values()} == {"fsdp"}
    for name in ("initial_weights", "final_weights", "losses", "optimizer_updates"):
        assert first["fsdp1"].ledger[name] == first["plain"].ledger[name], name
    assert first["fsdp1"].ledger["rank_differences"] == []
    assert first["fsdp1"].ledger["initial_weights"] != first["fsdp1"].ledger["final_weights"]
