"""Command lines become scripts, or one message that says what is wrong with all of them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SpecError
from bench.plan.scripts import RACE, installed_imports, parse_script, parse_scripts, race_plan
from bench.plan.side import SIDE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("import torch\n", encoding="utf-8")
    (tmp_path / "other.py").write_text("import torch\n", encoding="utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "train.py").write_text("import torch\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "command", ["train.py --lr 0.1", "python train.py --lr 0.1", "/usr/bin/python3 ./train.py --lr 0.1"]
)
def test_a_script_is_its_real_file_and_its_arguments(command: str, folder: Path) -> None:
    script = parse_script(command, str(folder))
    assert script.argv == (str(folder / "train.py"), "--lr", "0.1")
    assert not script.module
    assert script.folder == str(folder)


def test_a_module_is_found_in_the_folder(folder: Path) -> None:
    script = parse_script("python -m package.train --lr 0.1", str(folder))
    assert script.argv == ("package.train", "--lr", "0.1")
    assert script.module
    assert script.label == "-m package.train --lr 0.1"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("nowhere.py", "no such file; allowed: a file of Python"),
        ("package", "a folder; allowed: a file of Python"),
        ("", "names no file"),
        ("python", "names no file"),
        ("train.py 'unclosed", "No closing quotation"),
        ("torchrun --nproc-per-node 2 train.py", "with --devices N"),
        ("accelerate launch train.py", "with --devices N"),
        ("python -m torch.distributed.run train.py", "torch.distributed.run starts processes of its own"),
        ("-m", "-m names no module"),
        ("-m nowhere_at_all.train", "no module 'nowhere_at_all.train'"),
        ("broken.py", "it is no Python: SyntaxError"),
        ("binary.py", "it is no Python: "),
    ],
)
def test_what_is_no_script_is_told(command: str, told: str, folder: Path) -> None:
    (folder / "broken.py").write_text("def", encoding="utf-8")
    (folder / "binary.py").write_bytes(b"\x00\xff")
    with pytest.raises(SpecError, match=told.replace("(", r"\(")):
        parse_scripts(["train.py", command], folder=str(folder))


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    with pytest.raises(SpecError) as caught:
        parse_scripts(["nowhere.py", "elsewhere.py"], ["NAME", "=1", "OMP_NUM_THREADS=none"], str(folder))
    assert len(caught.value.mistakes) == 5


def test_one_variable_stands_beside_the_script_and_several_are_an_arm_each(folder: Path) -> None:
    labels = [script.label for script in parse_scripts(["train.py"], ["A=1"], str(folder))]
    assert labels == ["train.py", "train.py A=1"]
    scripts = parse_scripts(["train.py", "other.py"], ["A=1", "A=2 B='x y'"], str(folder))
    assert [script.label for script in scripts] == [
        *("train.py A=1", "train.py A=2 B='x y'", "other.py A=1", "other.py A=2 B='x y'"),
    ]
    assert scripts[-1].environ == {"A": "2", "B": "x y"}
    with pytest.raises(SpecError, match="there twice"):
        parse_scripts(["train.py", "train.py"], folder=str(folder))


@given(st.lists(st.text(min_size=1).filter(lambda text: "\x00" not in text), max_size=4))
def test_arguments_arrive_as_a_shell_would_give_them(arguments: list[str]) -> None:
    script = parse_script(shlex.join([__file__, *arguments]), "/")
    assert list(script.argv[1:]) == arguments


def test_what_is_imported_beforehand_is_what_stands_at_the_top_and_comes_from_outside(folder: Path) -> None:
    (folder / "train.py").write_text(
        "import os, helper\nfrom package import train\nimport bench\nimport wandb\nfrom msgspec import json\n"
        "def late():\n    import hypothesis\n",
        encoding="utf-8",
    )
    (folder / "helper.py").write_text("import jinja2\nfrom . import train\n", encoding="utf-8")
    found = installed_imports(parse_script("train.py", str(folder)))
    assert found == ("torch", "msgspec", "msgspec:json", "jinja2")


def test_scripts_that_import_the_same_share_interpreters_and_others_do_not(folder: Path) -> None:
    (folder / "other.py").write_text("import jinja2\n", encoding="utf-8")
    (folder / "same.py").write_text("import torch\n", encoding="utf-8")
    scripts = parse_scripts(["train.py", "same.py", "other.py"], folder=str(folder))
    scripts += parse_scripts(["train.py"], ["A=1 OMP_NUM_THREADS=2", "A=2"], str(folder))
    plan, sides = race_plan(scripts, devices=2)
    (group,) = plan.groups
    assert [cell.twin for cell in group.cells] == [False, True, False, False, False, False]
    used = [cell.preload[-1].removeprefix(SIDE) for cell in group.cells]
    assert used == ["scripts-1", "scripts-1", "scripts-1", "scripts-2", "scripts-3", "scripts-4"]
    assert sides["scripts-2"].imports == ("torch", "jinja2")
    assert sides["scripts-3"].environ == {"A": "1", "OMP_NUM_THREADS": "2"}
    assert [cell.point["threads"] for cell in group.cells] == [1, 1, 1, 1, 2, 1]
    assert {cell.point["devices"] for cell in group.cells} == {2}
    assert group.cells[0].baseline == f"{RACE}[script=train.py]"
