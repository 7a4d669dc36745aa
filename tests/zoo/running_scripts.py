"""The training scripts of the zoo as a user starts them, each in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"


def run_script(name: str, folder: Path, *options: str, launcher: tuple[str, ...] = ()) -> str:
    """What a script printed; it must end well, leave its checkpoint, and write nowhere but into its folder."""
    command = [sys.executable, *launcher, str(SCRIPTS / name), "--epochs", "1", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert [file for file in (folder / "checkpoints").rglob("*") if file.is_file()]
    return done.stdout
