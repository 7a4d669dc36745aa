"""Takes the picture of README: the top of a report's page, in Debian's chromium, 1200 px wide.

python -m tests.picture reports/RUN/index.html
python -m tests.picture reports/RUN/index.html --out docs/images/report.png --height 900
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "report.png"
WIDTH = 1200
QUIET = ("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars")  # fmt: skip


def take(page: Path, out: Path, height: int) -> None:
    """Write the picture of a page.

    Raises:
        FileNotFoundError: there is no page, or no chromium.
        RuntimeError: chromium wrote no picture.
    """
    if not page.is_file():
        raise FileNotFoundError(f"{page}: there is no such page; `bench report` writes one")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise FileNotFoundError("there is no chromium on PATH")
    with tempfile.TemporaryDirectory() as profile:
        # Chromium's sandbox refuses to run as root.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        where = [f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}", f"--screenshot={out.resolve()}"]
        command = [program, *QUIET, *sandbox, *where, page.resolve().as_uri()]
        out.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if not out.is_file():
        raise RuntimeError(f"chromium wrote no picture (exit code {done.returncode}): {done.stderr[-500:]}")


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(description="the picture of README, from a report's page")
    wanted.add_argument("page", type=Path, help="a report's page")
    wanted.add_argument("--out", type=Path, default=OUT, help="the picture; default: docs/images/report.png")
    wanted.add_argument("--height", type=int, default=1050, help="pixels; default: 1050")
    given = wanted.parse_args()
    try:
        take(given.page, given.out, given.height)
    except (FileNotFoundError, RuntimeError) as error:
        sys.exit(f"tests.picture: {error}")
    print(given.out)
