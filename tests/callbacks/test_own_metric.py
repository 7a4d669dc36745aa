"""docs/adding/metric.md is followed to the letter: a callback that comes by its entry point, in a real run."""

from __future__ import annotations

from pathlib import Path

from adding import follow, its_test

PAGE = "metric.md"


def test_the_page_is_followed_to_the_letter(tmp_path: Path) -> None:
    follow(PAGE, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["test_zero_gradients.py", "zero_gradients.py"]
    done = its_test(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
