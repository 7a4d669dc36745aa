"""An accelerator is one file: found by looking, refused with one message, and trained on as docs/adding/ says."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from adding import files_of, follow, install, its_test, python
from conftest import ROOT

from bench.axes.accelerators import accelerator, accelerator_of_type, accelerators
from bench.axes.accelerators.base import Accelerator
from bench.axes.engine_axes import engine_axes
from bench.errors import SpecError
from bench.plan import plan

PAGE = "accelerator.md"


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose distributions are installed, in this process."""
    monkeypatch.syspath_prepend(tmp_path)
    accelerators.cache_clear()
    yield tmp_path
    accelerators.cache_clear()
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_the_axis_is_the_registry_and_cpu_comes_first() -> None:
    assert list(accelerators())[:5] == ["cpu", "cuda", "mps", "tpu", "xla-cpu"]
    assert engine_axes()["accelerator"] == tuple(accelerators())
    assert [one.name for one in accelerators().values()] == list(accelerators())
    with pytest.raises(SpecError, match="unknown accelerator 'gpu'; allowed: cpu, cuda, mps, tpu, xla-cpu"):
        accelerator("gpu")


def test_one_from_outside_is_a_value_of_the_axis(outside: Path) -> None:
    follow(PAGE, outside)
    assert list(accelerators())[5:] == ["cpu-again"]
    again = accelerator("cpu-again")
    assert again.device() == torch.device("cpu")
    assert not again.asynchronous
    assert again.kind(torch.device("cpu")) == "cpu-again"
    assert again.kind(torch.device("meta")) == "meta"  # what is not its own keeps torch's word
    assert accelerator_of_type("cpu").name == "cpu"  # nobody asked for another
    point = {axis: values[0] for axis, values in engine_axes().items()} | {"accelerator": "cpu-again"}
    assert plan.unsupported_reason(point) is None
    assert plan.unsupported_reason({**point, "precision": "64-true"}) == "cpu-again does no 64-bit floating point"
    assert "CUDA graphs" in str(plan.unsupported_reason({**point, "compile": "reduce-overhead"}))


def test_what_lightning_cannot_drive_and_packages_that_are_missing_are_reasons(outside: Path) -> None:
    install(outside, "odd", "bench.accelerators", odd="odd:Odd")
    code = files_of(PAGE)["cpu_again.py"].replace("CPUAgain", "Odd").replace('"cpu-again"', '"odd"')
    (outside / "odd.py").write_text(code.replace('lightning = "cpu"', 'lightning = ""'))
    point = {axis: values[0] for axis, values in engine_axes().items()} | {"accelerator": "odd"}
    assert plan.unsupported_reason(point) is None
    assert plan.unsupported_reason({**point, "loop": "fabric"}) == "Lightning does not drive odd"
    type(accelerator("odd")).packages = ("no_such_driver",)
    assert plan.unsupported_reason(point) == "the package 'no_such_driver' is not installed"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "Mine = 3",
            "entry point bench.accelerators:mine: 3 is no accelerator; allowed: a class derived from Accelerator",
        ),
        ("class Mine: name = 'mine'", "bench.accelerators:mine: <class 'mine.Mine'> is no accelerator"),
        ("class Mine(A): pass", r"bench.accelerators:mine: Mine.name is None; allowed: \[a-z\]"),
        ("class Mine(A): name = 'My,own'", r"Mine.name is 'My,own'; allowed: \[a-z\]"),
        (
            "class Mine(A): name = 'cuda'",
            "accelerator 'cuda' is registered twice: bench.axes.accelerators.cuda and mine",
        ),
        ("class Mine(A):\n name = 'mine'\n def __init__(self, x): pass", r"Mine\(\) fails: TypeError: "),
        ("raise OSError('no\\ndriver')", "bench.accelerators:mine: does not import: OSError: no driver"),
        ("import sys; sys.exit(3)", "bench.accelerators:mine: does not import: SystemExit: 3"),
        ("", "bench.accelerators:mine: does not import: AttributeError: "),
    ],
)
def test_what_is_no_accelerator_is_one_message(outside: Path, code: str, words: str) -> None:
    install(outside, "mine", "bench.accelerators", mine="mine:Mine")
    (outside / "mine.py").write_text(f"from bench.axes.accelerators.base import Accelerator as A\n{code}\n")
    with pytest.raises(SpecError, match=words) as refusal:
        accelerators()
    assert len(refusal.value.mistakes) == 1


def test_a_refusal_is_one_line_of_the_command_and_not_one_of_every_suite(outside: Path) -> None:
    install(outside, "mine", "bench.accelerators", mine="json:dumps")
    done = python("-m", "bench", "list", folder=outside)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "entry point bench.accelerators:mine: <function dumps" in line


def test_one_file_in_the_package_is_enough(tmp_path: Path) -> None:
    for name in ("bench", "suites"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = files_of(PAGE)["cpu_again.py"]
    (tmp_path / "bench" / "axes" / "accelerators" / "cpu_again.py").write_text(code)
    done = python("-m", "bench", "list", "overhead", "--set", "accelerator=cpu-again", folder=tmp_path, root=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "accelerator cpu-again: here" in done.stdout
    assert "overhead[loop=trainer,batch_size=64,accelerator=cpu-again]\n" in done.stdout


def test_the_page_is_followed_to_the_letter(tmp_path: Path) -> None:
    follow(PAGE, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["cpu_again.py", "test_cpu_again.py"]
    done = its_test(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_page_names_everything_that_is_asked_of_an_accelerator() -> None:
    text = (ROOT / "docs" / "adding" / PAGE).read_text(encoding="utf-8")
    asked = [name for name in (*Accelerator.__annotations__, *vars(Accelerator)) if not name.startswith("_")]
    assert len(asked) > 20
    assert [name for name in asked if f"`{name}`" not in text and f"`{name}()`" not in text] == []
