"""`bench check`: a sound suite passes, and each fault is found by the check that is for it, in real arms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Silent, call

import bench
from bench.commands.check import CheckedSuite, check_suite, covering
from bench.commands.selection import Selection, plan_selection
from bench.engine.fleet import Fleet
from bench.errors import SpecError
from bench.plan import discovery

SUITE = '''
from bench import Suite, Workload


def build(point):
    import torch

    data = torch.randn(64, 8)
    lr, samples = 0.1, 8
    model = torch.nn.Linear(8, 8)
    batches = torch.utils.data.DataLoader(data, batch_size=8)

    def loss(model, batch):
        return (model(batch) - batch).square().mean()

    # here
    return Workload(
        model=model, loss=loss, optimizer=lambda parameters: torch.optim.SGD(parameters, lr), batches=batches,
        samples=samples, lightning=lambda: None,
    )


def more(**axes):
    return {"axes": {"size": (1, 2), "loop": ("plain",), **axes}}


def ends(job):
    """Takes two batches and leaves"""
    for index, batch in enumerate(job.stream(job.workload.batches)):
        if index:
            return


suite = Suite(
    name="mine", title="t", compare="size", baseline=1, build=build, **more(),  # more
)
'''
PASSED = ["import", "size=1", "size=2", "loop=plain", "same weights", "same batches", "samples", "loss", "gradients"]
PASSED += ["update", "twin", "batches again"]


def checked(folder: Path, fleet: Fleet, here: str = "", more: str = "", top: str = "") -> CheckedSuite:
    """What is found of the suite with these lines in its build, its declaration and at its top."""
    path = folder / "mine.py"
    path.write_text(
        top + SUITE.replace("# here", here).replace("**more(),", more if "**more" in more else f"**more(), {more}")
    )
    found = check_suite(Selection((str(path),)), Silent(), fleet)
    assert found.file == str(path)
    return found


def states(found: CheckedSuite) -> dict[str, str]:
    return {check.name: check.state for check in found.checks}


def reasons(found: CheckedSuite) -> dict[str, str]:
    return {check.name: check.reason for check in found.checks if check.state != "ok"}


LIT = """
def lit():
    import time
    from lightning.pytorch import LightningModule

    class Lit(LightningModule):
        def training_step(self, batch, batch_idx):
            {step}
            return self(batch).sum()

"""


@pytest.mark.parametrize("measures", [False, True])
def test_measuring_code_in_a_hook_is_told(tmp_path: Path, fleet: Fleet, measures: bool) -> None:
    """With file, line, hook, and what to do instead; a note, as a name in a text is no measurement yet."""
    top = LIT.format(step="began = time.perf_counter()" if measures else "time.sleep(0)")
    found = checked(tmp_path, fleet, top=top)
    (told,) = [check for check in found.checks if check.name == "hooks"]
    assert found.ok
    assert told.state == ("note" if measures else "ok")
    if measures:
        assert f"{tmp_path / 'mine.py'}:8: Lit.training_step measures by time.perf_counter" in told.reason
        assert "put it into a callback" in told.reason
    else:
        assert told.reason == "none of Lit measures"


def test_a_sound_suite_passes_every_check(tmp_path: Path, fleet: Fleet) -> None:
    found = checked(tmp_path, fleet)
    assert states(found) == dict.fromkeys(PASSED, "ok"), reasons(found)
    assert found.ok


UNSEEDED = "torch.Generator().manual_seed(__import__('time').time_ns() % 2**31)"
FAULTS = {
    "other weights": (f"torch.nn.init.normal_(model.weight, generator={UNSEEDED})", "",
                      {"same weights": "begins with other weights", "twin": "unequal-work: "}),
    "other batches": (f"batches = [torch.rand(8, 8, generator={UNSEEDED})] * 4", "",
                      {"same batches": "gives other batches", "twin": "unequal-work: "}),
    "a generator": ("batches = (batch for batch in [*batches] * 30)", "",
                    {"size=1": "unsupported: the workload's `batches` is exhausted after one pass"}),
    "an object of one pass": ("class Once:\n        def __init__(self, of): self.of = iter(of)\n"
                              "        def __iter__(self): return self.of\n    batches = Once([*batches] * 30)", "",
                              {"batches again": "exhausted after one pass"}),
    "an epoch of one batch": ("batches = [data[:8]]", "", {"batches again": "an epoch has 1 batch"}),
    "samples that are not": ("samples = 5", "", {"samples": "5 samples a batch are declared, and batches had 8"}),
    "a loss that is not finite": ("def loss(model, batch):\n        return model(batch).square().sum() * 1e999", "",
                                  {"loss": "not finite: inf, nan, nan, nan", "size=1": "unequal-work: "}),
    "no gradient": ("def loss(model, batch):\n        return (0 * model(batch)).sum()", "",
                    {"gradients": "all were zero", "update": "the weights are those of the start"}),
    "no update": ("lr = 0.0", "", {"update": "the weights are those of the start"}),
    "a value that raises": ("if point['size'] == 2: raise OSError('no such size')", "",
                            {"size=2": "crashed: OSError: no such size"}),
    "a value of another axis": ("if point['more'] == 9: raise OSError('nine')", "**more(more=(8, 9)),",
                                {"more=9": "mine[size=1,more=9]: crashed: OSError: nine"}),
    "a loop that leaves": ("", 'loops={"ends": ends}, **more(loop=("plain", "ends")),',
                           {"loop=ends": "ended by itself"}),
    "functions of its own": ("", "workers=lambda point: -1,", {"plan": "its `workers`: TypeError: gave -1"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_its_check(fault: str, tmp_path: Path, fleet: Fleet) -> None:
    here, more, expected = FAULTS[fault]
    found = checked(tmp_path, fleet, here, more)
    assert not found.ok
    for name, words in expected.items():
        assert states(found)[name] == "failed", found
        assert words in reasons(found)[name]


def test_what_cannot_run_here_is_not_applicable_and_what_is_slow_is_noted(tmp_path: Path, fleet: Fleet) -> None:
    more = 'refuses=lambda point: "two is too many" if point["size"] == 2 else None,'
    found = checked(tmp_path, fleet, more=more, top="import torch\nother = None\n")
    assert found.ok
    assert reasons(found)["size=2"] == "two is too many"
    assert states(found)["size=2"] == "not applicable"
    assert "with torch; all commands wait for it" in reasons(found)["import"]


def test_every_value_is_in_few_cells(tmp_path: Path, processes: None) -> None:
    path = tmp_path / "mine.py"
    axes = '{"size": (1, 2), "more": (1, 2, 3, 4), "loop": ("plain", "ends")}'
    refuses = 'lambda point: "no" if point["more"] == 3 and point["loop"] == "plain" else None'
    path.write_text(SUITE.replace("**more(),", f'axes={axes}, loops={{"ends": ends}}, refuses={refuses},'))
    plan, _ = plan_selection(Selection((str(path),)))
    found = covering(plan, discovery.suite_of_file(str(path))[0])
    assert {(axis, value): cell.id for (axis, value), cell in found.cells.items()} == {
        ("size", 1): "mine[size=1,more=1,loop=plain]",
        ("size", 2): "mine[size=2,more=1,loop=plain]",
        ("more", 1): "mine[size=1,more=1,loop=plain]",
        ("more", 2): "mine[size=1,more=2,loop=plain]",
        ("more", 3): "mine[size=1,more=3,loop=ends]",
        ("more", 4): "mine[size=1,more=4,loop=plain]",
        ("loop", "plain"): "mine[size=1,more=1,loop=plain]",
        ("loop", "ends"): "mine[size=1,more=1,loop=ends]",
    }
    assert len(found.plan.groups) == 5
    assert len(found.plan.cells) == 11  # a baseline and a twin each, and size=2 once


@pytest.mark.long
def test_the_command_ends_as_its_checks_do(tmp_path: Path) -> None:
    path = tmp_path / "my suite.py"
    path.write_text(SUITE)
    (tmp_path / "broken.py").write_text("suite = 1 +")
    done = call("check", "mine", "--suites", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"mine: all {len(PASSED)} checks that apply passed\n" in done.stdout
    assert "broken.py" in done.stderr
    path.write_text(SUITE.replace("# here", "samples = 5"))
    done = call("check", str(path), "--format", "json", cwd=tmp_path)
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert (told["suite"], told["file"], told["ok"]) == ("mine", str(path), False)
    assert "samples" in [check["name"] for check in told["checks"] if check["state"] == "failed"]
    for word in ("nosuch", "broken.py", "./broken.py", "my suite"):
        assert call("check", word, cwd=tmp_path).returncode == 2
    assert sorted(one.name for one in tmp_path.iterdir() if one.name != "__pycache__") == ["broken.py", "my suite.py"]


def test_python_takes_a_path_and_says_what_is_wrong(tmp_path: Path, processes: None) -> None:
    with pytest.raises(SpecError, match=r"nosuch\.py: no such suite file"):
        bench.check(tmp_path / "nosuch.py")
    with pytest.raises(SpecError, match="suite: 3 is not possible; allowed: a text"):
        bench.check(3)
