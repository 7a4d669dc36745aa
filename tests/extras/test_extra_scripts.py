"""Training scripts of other libraries train, alone and as they stand; and the session of extras really had them all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import INSTALLED_LOOPS, ROOT

from bench.axes import loops

sys.path.insert(0, str(ROOT / "tests" / "zoo"))
from running_scripts import run_script

HALF_RIGHT = 0.5  # of validation points after an epoch; a tenth would be by chance


def test_no_package_of_a_loop_is_missing_here() -> None:
    """Where one is, these tests are not collected, unless `nox -s extras` runs them: there this one fails."""
    assert set(INSTALLED_LOOPS) == set(loops.registry())


@pytest.mark.parametrize("name", ["accelerate_loop.py", "transformers_trainer.py", "ignite_engine.py"])
def test_a_script_of_another_library_learns_and_saves(name: str, tmp_path: Path) -> None:
    printed = run_script(name, tmp_path).replace("'eval_accuracy':", "accuracy")
    assert float(printed.rsplit("accuracy", 1)[1].split()[0].rstrip(",}")) > HALF_RIGHT
