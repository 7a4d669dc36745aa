"""docs/adding/metric.md is followed to the letter: a callback that comes by its entry point, in a real run."""

from __future__ import annotations

from pathlib import Path

import pytest
from adding import files_of, follow, its_test, python

PAGE = "metric.md"


def test_it_is_right_where_the_answer_is_known(tmp_path: Path) -> None:
    """The page's first test, which starts no process."""
    for name, text in files_of(PAGE).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    known = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "half_of_the_gradients")
    assert "1 passed" in python(*known, folder=tmp_path).stdout


@pytest.mark.long  # a budget that has room for an instrumented launch on a busy machine
def test_the_page_is_followed_to_the_letter(tmp_path: Path) -> None:
    follow(PAGE, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["test_zero_gradients.py", "zero_gradients.py"]
    done = its_test(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
