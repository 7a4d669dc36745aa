"""`bench merge` on folders: runs are found with their history, bad input has a message each, formats hold one table."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from histories import save
from merged_runs import CPU_BOX, GPU_BOX, MachineTruth, run_on, shifted

import bench
from bench import cli
from bench.analysis.merge import merge_runs
from bench.analysis.merge_values import Merge
from bench.commands.merge import named_texts, price_of_an_hour
from bench.errors import RunError, SpecError
from bench.report import merge as layout
from bench.report import merge_page
from bench.results import baselines, store

SMALL: dict[str, Any] = {"lengths": {32: 2e-3}, "launches": 3}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines of one run each, and the runs that tell how the first one's differ, in the same folder."""
    folder = tmp_path_factory.mktemp("merge") / "results"
    for number in range(1, 5):
        save(run_on(CPU_BOX, number, **SMALL), folder)
    save(run_on(GPU_BOX, 9, **SMALL), folder)
    return folder


CPU, GPU = "20260101-000001-cafe", "20260101-000009-beef"


def merged(out: Path, *words: str) -> Sequence[str]:
    return ["merge", CPU, GPU, "--out", str(out), *words]


# The command.


def test_runs_that_lie_beside_them_tell_how_runs_differ(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.exit_code(merged(out, "--format", "json")) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["machine"]: row for row in found["works"][1]["rows"]}
    assert rows["example-cpu-2-00ghz-2c"]["figures"]["throughput"]["known"] == 4
    assert rows["example-gpu-80gb"]["figures"]["throughput"]["spread"] == "launches"
    # Elsewhere there are none; and in Python it is the same.
    assert cli.exit_code(merged(out, "--format", "json", "--history", str(tmp_path))) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["works"][1]["rows"][0]["figures"]["throughput"]["known"] == 1
    assert json.loads(json.dumps(bench.merge(CPU, GPU, out=out).to_json())) == found


def test_a_named_run_has_the_history_of_its_folder(out: Path) -> None:
    baselines.save_baseline("mine", store.read_run(out / CPU), out)
    try:
        found = bench.merge("mine", out / GPU, out=out)
    finally:
        baselines.delete("mine", out)
    row = next(row for row in found.works[0].rows if row.accelerator == "cpu")
    assert row.figures["throughput"].known == 4


def test_labels_and_prices_go_by_name(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--label", f"{GPU}=box", "--price", "box=2.50/h", "--price", "example-cpu-2-00ghz-2c=0.1"]
    assert cli.exit_code(merged(out, *words)) == 0
    said = capsys.readouterr().out
    assert "box: 1 run (20260101-000009-beef); Example GPU 80GB; 2.5 an hour and node" in said
    assert "per million samples" in said
    found = bench.merge(CPU, GPU, out=out, labels={GPU: "box"}, prices={"box": "2.50/h"})
    assert found.machines[1].price == 2.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["merge", CPU, CPU], "is named twice"),
        (["merge", CPU], "no cell is common to two machines, and no machine has two runs"),
        (["merge", CPU, "nowhere"], "unknown run 'nowhere'; allowed: 20260101-000001-cafe"),
        (["merge", CPU, GPU, "--label", "other=box"], "unknown run of a label 'other'; allowed: 20260101-000001-cafe"),
        (["merge", CPU, GPU, "--label", "box"], "--label: 'box' is not of the form RUN=NAME"),
        (["merge", CPU, GPU, "--label", f"{GPU}=a", "--label", f"{GPU}=b"], f"--label: '{GPU}' is there twice"),
        (["merge", CPU, GPU, "--price", "box=2.50/h"], "unknown machine of a price 'box'; allowed: example-cpu"),
        (["merge", CPU, GPU, "--price", "box=cheap"], "price of box: 'cheap' is no price for an hour"),
        (["merge", CPU, GPU, "--price", "box=-1"], "price of box: '-1' is no price for an hour"),
        (["merge", CPU, GPU, "--baseline", "box"], "unknown machine 'box'; allowed: example-cpu-2-00ghz-2c"),
        (["merge", CPU, GPU, "--history", "nowhere"], "history: nowhere is no folder"),
    ],
)
def test_what_is_asked_wrongly_has_one_message(
    out: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.exit_code([*words, "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("bench: ") == 1
    assert message in said.err


def test_runs_that_cannot_be_read_have_a_message_each(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "gate"
    save(replace(run_on(CPU_BOX, 5, **SMALL), info={**run_on(CPU_BOX, 5, **SMALL).info, "run": "screen"}), gate)
    (gate / store.GATE).write_text("{}")
    cut = save(run_on(GPU_BOX, 6, **SMALL), tmp_path)
    (cut / store.RECORDS).write_text((cut / store.RECORDS).read_text()[:-40])
    other = save(run_on(GPU_BOX, 7, **SMALL), tmp_path)
    (other / store.RUN).write_text((other / store.RUN).read_text().replace('"schema": 7', '"schema": 77'))
    spoiled = save(run_on(GPU_BOX, 8, **SMALL), tmp_path)
    lines = (spoiled / store.RECORDS).read_text().splitlines()
    (spoiled / store.RECORDS).write_text("\n".join([*lines[1:], ""]))
    names = map(str, (gate, cut, other, spoiled, tmp_path))
    assert cli.exit_code(["merge", CPU, *names, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    for words in (
        f"{gate}: a gate's folder, and no run; its runs are {gate / 'screen'}",
        f"{cut / store.RECORDS}: truncated",
        f"{other / store.RUN}: unknown schema version 77",
        f"{spoiled}/{store.RECORDS}: ",
        f"{tmp_path}: not a run",
    ):
        assert words in said
    assert len(said.strip().splitlines()) == 5


def test_without_any_ratio_it_is_invalid(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run_on(GPU_BOX, 6, **SMALL)
    other = replace(
        made,
        records=tuple(
            replace(one, ledger={**one.ledger, "initial_weights": "cc" * 8}) if one.ledger else one
            for one in made.records
        ),
    )
    folder = save(other, tmp_path)
    assert cli.exit_code(["merge", CPU, str(folder), "--out", str(out)]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "invalid: no cell has a ratio: " in said
    assert "initial_weights: other digests" in said


def test_words_of_options() -> None:
    assert named_texts("--label", ["a=b=c", " d = e "], "RUN=NAME") == {"a=b": "c", "d": "e"}
    with pytest.raises(SpecError) as raised:
        named_texts("--label", ["=b", "a=", "a"], "RUN=NAME")
    assert len(raised.value.mistakes) == 3
    assert [price_of_an_hour("box", text) for text in ("2.50", "2.50/h", "2.50/hour", 3)] == [2.5, 2.5, 2.5, 3.0]
    for wrong in ("", "0", "nan", "inf", "2.50/day", True):
        with pytest.raises(SpecError, match="price of box"):
            price_of_an_hour("box", wrong)


def test_python_refuses_what_is_no_mapping_and_no_run() -> None:
    with pytest.raises(SpecError, match="runs: none is named"):
        bench.merge()
    with pytest.raises(SpecError, match=r"labels: \['a=b'\] is not possible; allowed: a mapping"):
        bench.merge("a", labels=["a=b"])  # type: ignore[arg-type]  # what is refused
    with pytest.raises(RunError, match="unknown run"):
        bench.merge("a", out="nowhere")


# What it prints.


@cache
def several() -> Merge:
    """Three machines: one run each of two, nodes of the third; a cell that one cannot run, and another work."""
    nodes = [
        shifted(
            run_on(
                MachineTruth(environment={"cpu": "Node CPU"}),
                20 + at,
                f"node{at}",
                launch_sd=0.0,
                turn_sd=0.0,
                drift_sd=0.0,
            ),
            "fabric",
            0.01 * at,
        )
        for at in range(4)
    ]
    still = {"launch_sd": 0.0, "turn_sd": 0.0, "drift_sd": 0.0}
    gpu = replace(GPU_BOX, environment={**GPU_BOX.environment, "torch": "2.14.0"})
    failures = {("fabric", 256, -1): ("unsupported", "no such kernel")}
    runs = [run_on(CPU_BOX, 1, **still), run_on(gpu, 2, failures=failures, **still), *nodes]
    return merge_runs(runs, labels={runs[1].id: "box"}, prices={"box": 2.5, "example-cpu-2-00ghz-2c": 0.08})


GOLDEN = """\
What is compared: the machines differ in
          example-cpu-2-00ghz-2c    box                 node-cpu-2c
  cpu     Example(R) CPU @ 2.00GHz  Other CPU @ 3.0GHz  Node CPU
  cores   2                         16                  2
  device  none is recorded          Example GPU 80GB    none is recorded

What else differs, by accident, and may be in every figure below:
         example-cpu-2-00ghz-2c  box     node-cpu-2c
  torch  2.13.0                  2.14.0  2.13.0

Machines:
  - example-cpu-2-00ghz-2c: 1 run (20260101-000001-cafe); 0.08 an hour and node
  - box: 1 run (20260101-000002-beef); Example GPU 80GB; 2.5 an hour and node
  - node-cpu-2c: 4 runs (20260101-000020-cafe, 20260101-000021-cafe, 20260101-000022-cafe, 20260101-000023-cafe); nodes
    node0, node1, node2, node3

overhead[batch_size=32,loop=fabric]
                                                   throughput  over the baseline's  per million samples
  example-cpu-2-00ghz-2c (cpu)               14.5 k samples/s             baseline              0.00153
  box (cuda)                                  175 k samples/s     12.0 [6.8, 21.2]              0.00398
  node-cpu-2c (cpu)             14.3 k samples/s [14.0, 14.6]    0.99 [0.66, 1.47]                    –
                                           per joule    memory  of the ceiling
  example-cpu-2-00ghz-2c (cpu)                     –   300 MiB               –
  box (cuda)                    640 samples/J (seen)  1024 MiB            31 %
  node-cpu-2c (cpu)                                –   300 MiB               –
    box (cuda) over example-cpu-2-00ghz-2c (cpu): price per million 2.6 [1.5, 4.6].

overhead[batch_size=32,loop=plain]
                                      throughput  over the baseline's  per million samples
  example-cpu-2-00ghz-2c (cpu)  16.0 k samples/s             baseline              0.00139
  box (cuda)                     192 k samples/s     12.0 [6.8, 21.2]              0.00362
  node-cpu-2c (cpu)             16.0 k samples/s    1.00 [0.67, 1.49]                    –
                                           per joule    memory  of the ceiling
  example-cpu-2-00ghz-2c (cpu)                     –   300 MiB               –
  box (cuda)                    640 samples/J (seen)  1024 MiB            31 %
  node-cpu-2c (cpu)                                –   300 MiB               –
    box (cuda) over example-cpu-2-00ghz-2c (cpu): price per million 2.6 [1.5, 4.6].

overhead[batch_size=256,loop=fabric]
                                                   throughput  over the baseline's  per million samples
  example-cpu-2-00ghz-2c (cpu)               31.2 k samples/s             baseline             0.000712
  box (cuda)                                      unsupported
  node-cpu-2c (cpu)             30.8 k samples/s [30.1, 31.4]    0.99 [0.66, 1.47]                    –
                                 memory
  example-cpu-2-00ghz-2c (cpu)  300 MiB
  node-cpu-2c (cpu)             300 MiB
    box (cuda): unsupported: no such kernel

overhead[batch_size=256,loop=plain]
                                      throughput  over the baseline's  per million samples
  example-cpu-2-00ghz-2c (cpu)  32.0 k samples/s             baseline             0.000694
  box (cuda)                     384 k samples/s     12.0 [6.8, 21.2]              0.00181
  node-cpu-2c (cpu)             32.0 k samples/s    1.00 [0.67, 1.49]                    –
                                           per joule    memory  of the ceiling
  example-cpu-2-00ghz-2c (cpu)                     –   300 MiB               –
  box (cuda)                    640 samples/J (seen)  1024 MiB            31 %
  node-cpu-2c (cpu)                                –   300 MiB               –
    box (cuda) over example-cpu-2-00ghz-2c (cpu): price per million 2.6 [1.5, 4.6].

Paired on each node, over nodes (a random effect): node-cpu-2c
                                                                          ratio  on each                  launches
  overhead[loop=fabric,batch_size=256,data=synthetic]      1.040 [1.019, 1.062]  4 nodes, 1.025 to 1.056        16
  overhead[loop=plain,batch_size=256,data=synthetic]#twin  1.000 [1.000, 1.000]  4 nodes, 1.000 to 1.000        16
  overhead[loop=fabric,batch_size=32,data=synthetic]       1.117 [1.094, 1.140]  4 nodes, 1.100 to 1.133        16
  overhead[loop=plain,batch_size=32,data=synthetic]#twin   1.000 [1.000, 1.000]  4 nodes, 1.000 to 1.000        16

box (cuda) trains 12.0 times [6.8, 21.2] as many samples a second as example-cpu-2-00ghz-2c (cpu), in 3 of 3 works.
Between node-cpu-2c (cpu) and example-cpu-2-00ghz-2c (cpu) no difference in speed is told: no interval excludes 1.
Intervals of throughput: launches only, run-to-run spread unknown: example-cpu-2-00ghz-2c (cpu), box (cuda); as runs of
the machine differ (4 runs): node-cpu-2c (cpu).
Intervals of its ratios: as runs were ever seen to differ: box (cuda), node-cpu-2c (cpu).
Equal to the baseline's work in 7 rows: as many samples a step; the same first weights and losses; as many passes and
updates a step.
Nothing is paired across machines. A figure of a single run has an interval over its launches only, which says nothing
of the next run; a ratio of such figures has what runs were ever seen to differ by (sd of 20 % a run) in its interval.
More runs of the same machines, here or in the folder that they lie in, tell their own spread.
The device's memory and shares of ceilings come from instrumented launches, on either side, and so does energy that is
marked as seen.
"""


def test_the_table_is_the_golden_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert layout.console(several()) == GOLDEN


def test_differences_stand_before_any_figure_in_every_format() -> None:
    found = several()
    for text in (layout.console(found), layout.markdown(found), merge_page.render_merge_page(found)):
        figures = text.index("samples/s")
        for words in ("Other CPU @ 3.0GHz", "2.14.0", "by accident"):
            assert text.index(words) < figures


def test_csv_has_every_figure_and_every_paired_ratio() -> None:
    found = several()
    rows = list(csv.DictReader(io.StringIO(layout.merge_csv(found))))
    machines, nodes = ([row for row in rows if row["table"] == kind] for kind in ("machines", "nodes"))
    assert len(machines) == sum(len(work.rows) for work in found.works)
    values = [row.figures["throughput"].estimate for work in found.works for row in work.rows if row.figures]
    assert [float(row["throughput_estimate"]) for row in machines if row["throughput_estimate"]] == values
    assert {row["reason"] for row in machines} == {"", "no such kernel"}
    assert [float(row["step_ratio"]) for row in nodes] == [one.ratio.estimate for one in found.nodes]
    assert {row["step_ratio_clusters"] for row in nodes} == {"nodes"}


def test_the_page_holds_its_figures_and_fetches_nothing() -> None:
    found = several()
    page = merge_page.render_merge_page(found)
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, flags=re.DOTALL)
    assert data is not None
    assert json.loads(data[1]) == json.loads(json.dumps(found.to_json()))
    assert page.count("<svg") == 1
    assert not re.search(r'(src|href)="https?:', page)
    for row in (row for work in found.works for row in work.rows):
        assert row.name in page
    assert "no such kernel" in page


def test_a_hostile_label_is_text_everywhere() -> None:
    runs = [run_on(CPU_BOX, 1, **SMALL), run_on(GPU_BOX, 2, **SMALL)]
    found = merge_runs(runs, labels={runs[1].id: "=1+1<b>|\x1b[2J$x$"})
    for text in (layout.console(found), layout.markdown(found)):
        assert "\x1b" not in text
    assert "<b>" not in layout.markdown(found)
    assert "<b>" not in merge_page.render_merge_page(found)
    cells = [cell for row in csv.reader(io.StringIO(layout.merge_csv(found))) for cell in row]
    assert any(cell.startswith("'=1+1") for cell in cells)
    assert not any(cell.startswith("=") for cell in cells)
