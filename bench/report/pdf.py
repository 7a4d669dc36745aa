"""A page as PDF, printed by a browser that is on this machine: no network, a profile of its own, a bounded time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.borders import one_line
from bench.errors import RunError

# Programs by the names that distributions give them, in the order in which they are tried; where macOS has one.
BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
PRINT_PATIENCE = 120.0  # seconds for one browser; a page of 5 MB takes 5 s on two slow cores
# No name is looked up, and nothing is done that browsers do on their own: updates, synchronisation, first-run pages, a
# header and a footer with the date.
_ARGUMENTS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--disable-extensions"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
    *("--disable-dev-shm-usage", "--disable-breakpad", "--host-resolver-rules=MAP * ~NOTFOUND"),
    *("--no-pdf-header-footer", "--print-to-pdf-no-header"),
)
# The page is whole without its scripts, and a table that a script pages is not; headless Chromium prints nothing at all
# where scripts are switched off by `--blink-settings`, so they are taken out of the page.
_SCRIPTS = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)


def found_browsers() -> list[str]:
    """The browsers that are on this machine and can print, by path; one program under two names counts once."""
    paths = [path for path in map(shutil.which, BROWSERS) if path is not None]
    return list({os.path.realpath(path): path for path in reversed(paths)}.values())[::-1]


def print_page(page: str, *, patience: float = PRINT_PATIENCE, browsers: Sequence[str] | None = None) -> bytes:
    """A page of HTML as PDF.

    Args:
        patience: seconds that a browser may take.
        browsers: programs to try, one after the other; None: those that are found.

    Raises:
        RunError: there is none, or none prints; says what each said.
    """
    browsers = found_browsers() if browsers is None else browsers
    if not browsers:
        names = ", ".join(name for name in BROWSERS if "/" not in name)
        raise RunError(
            f"a PDF is printed by a browser, and none of {names} is in PATH; install one, "
            "or open the page (`bench report`) in any browser and print it there"
        )
    reasons = []
    for browser in browsers:
        # Chromium as a snap sees no files but those of the user that are not hidden: it says so, the next one is tried.
        with tempfile.TemporaryDirectory(prefix="loopmark-pdf-", ignore_cleanup_errors=True) as folder:
            try:
                return _printed(browser, page, Path(folder), patience)
            except (OSError, RunError) as error:
                reasons.append(f"{browser}: {error.strerror if isinstance(error, OSError) else error}")
    raise RunError(f"no PDF was made: {'; '.join(reasons)}; open the page (`bench report`) in a browser and print it")


def _printed(browser: str, page: str, folder: Path, patience: float) -> bytes:
    source, target, log = folder / "page.html", folder / "page.pdf", folder / "log"
    source.write_text(_SCRIPTS.sub("", page), encoding="utf-8")
    # Chromium's sandbox does not start as root, and there protects nobody: the page is our own and has no script.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [browser, *_ARGUMENTS, *sandbox, f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={target}"]
    with open(log, "wb") as said:
        process = subprocess.Popen(
            [*command, source.as_uri()],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # so that all of its processes can be ended
        )
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            raise RunError(f"did not print within {patience:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    made = target.read_bytes() if target.exists() else b""
    if not made.startswith(b"%PDF-") or b"%%EOF" not in made[-1024:]:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = next((one_line(line)[:200] for line in reversed(lines) if line.strip()), "nothing")
        raise RunError(f"printed no PDF (exit code {code}), and said last: {last}")
    return made
