"""loopmark under its own name: the package `bench`, made sure of.

Other distributions install a package and a script `bench`, too. Where one of them is found first, or has written over
ours, the script `loopmark` says so, instead of failing somewhere inside of it.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import packages_distributions
from pathlib import Path


def bench_package() -> Path:
    """The folder of the package `bench` that is beside this one.

    Raises:
        ImportError: another package of that name is found first, or has written over ours; says which.
    """
    ours = Path(__file__).resolve().parent.parent / "bench"
    try:
        package = importlib.import_module("bench")
    except (Exception, SystemExit) as error:  # whatever the other one does while it is imported
        text = " ".join(str(error).split())
        raise ImportError(_other(f"{type(error).__name__}: {text}" if text else type(error).__name__)) from error
    where = getattr(package, "__file__", None)
    if where is None or Path(where).resolve().parent != ours or "Workload" not in getattr(package, "__all__", ()):
        raise ImportError(_other(f"found at {where}"))
    return ours


def _other(why: str) -> str:
    owners = sorted({*packages_distributions().get("bench", ())} - {"loopmark"})
    whose = f" (of {', '.join(owners)}?)" if owners else ""
    return (
        f"the package `bench` that Python finds is not loopmark's{whose}: {why}. Install loopmark into an environment "
        "of its own, or leave out what comes before it on the path (PYTHONPATH, the working folder)"
    )


def main() -> None:
    """The script `loopmark`: does what `bench` does."""
    try:
        bench_package()
    except ImportError as error:
        print(f"loopmark: {error}", file=sys.stderr)
        sys.exit(2)
    from bench.__main__ import main as command

    command()
