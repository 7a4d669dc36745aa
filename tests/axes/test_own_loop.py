"""A loop is one file: found by looking, refused with one message, and raced as docs/adding/loop.md says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from adding import files_of, follow, install, its_test, python
from conftest import ROOT

PAGE = "loop.md"


def test_the_page_is_followed_to_the_letter(tmp_path: Path) -> None:
    follow(PAGE, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["my_item.py", "plain_item.py", "test_plain_item.py"]
    done = its_test(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.long
def test_the_shorter_way_of_the_page_needs_its_suites_file_alone(tmp_path: Path) -> None:
    text = files_of(PAGE)["my_item.py"]
    (tmp_path / "my_item.py").write_text(text)
    listed = python("-m", "bench", "list", "my_item.py", folder=tmp_path)
    assert "  its own loop item: Plain PyTorch that reads the loss at every step\n" in listed.stdout, listed.stderr
    assert "  my-item[loop=item]\n" in listed.stdout
    bare = text.replace('@register("item", preload=("torch",))\n', "").replace("from bench", "import bench\nfrom bench")
    for way in ('loops={"item": item}', 'loops={"item": bench.Loop(item, ("torch", "json"))}'):
        (tmp_path / "my_item.py").write_text(bare.replace("build=build,", f"build=build,\n    {way},"))
        words = ("run", "my_item.py", "--budget", "2s", "--no-instrument")
        done = python("-m", "bench", *words, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "unequal-work" not in done.stdout
    page = (ROOT / "docs" / "adding" / PAGE).read_text(encoding="utf-8")
    assert '`loops={"item": bench.Loop(item, ("torch", "lightning"))}`' in page


def test_one_file_in_the_package_is_enough(tmp_path: Path) -> None:
    for name in ("bench", "suites"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "bench" / "axes" / "loops" / "plain_item.py").write_text(files_of(PAGE)["plain_item.py"])
    done = python("-m", "bench", "list", "overhead", "--set", "loop=plain-item", folder=tmp_path, root=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "overhead[loop=plain-item,batch_size=64]\n" in done.stdout


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            'register("plain", preload=("torch",))(print)',
            "loop 'plain' is registered twice: bench.axes.loops.plain and ",
        ),
        ("import no_such_module", "entry point bench.loops:mine: does not import: ModuleNotFoundError: "),
    ],
)
def test_what_is_no_loop_is_one_line_and_not_one_of_every_suite(tmp_path: Path, code: str, words: str) -> None:
    install(tmp_path, "mine", "bench.loops", mine="mine")
    (tmp_path / "mine.py").write_text(f"from bench.axes.loops import register\n{code}\n")
    done = python("-m", "bench", "list", folder=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert words in line
