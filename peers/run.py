"""Measure with every tool, A against A, and write the raw file, the table and the picture: `python -m peers.run`."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.cli.arguments import as_duration, positive
from bench.errors import one_of
from bench.machine import environment
from bench.machine.cores import layout
from bench.machine.process_env import arm_environment
from peers import table
from peers.schedule import rounds
from peers.tool import ROOT, Place, Tool, ToolFailed
from peers.with_asv import ASV
from peers.with_bench import BENCH
from peers.with_pyperf import PYPERF
from peers.with_pytest_benchmark import PYTEST_BENCHMARK
from peers.with_torch import TORCH, TORCH_2S

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (TORCH, TORCH_2S, PYTEST_BENCHMARK, ASV, PYPERF, BENCH)}
REPEATS = 8
THREADS = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0; 2 what was asked for cannot be done; 3 an estimate failed, the table says which."""
    asked = parse(arguments)
    repeats = repeats_of(asked)
    raw = head(asked, repeats)
    base = asked.out / asked.name
    asked.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    for number, total, name in turns(repeats, random.Random(asked.seed)):
        elapsed = time.monotonic() - began
        last = [estimate["wall"] for estimate in raw["estimates"] if estimate["tool"] == name]
        if asked.budget is not None and elapsed + max(last, default=0.0) > asked.budget:
            raw["left_out"].append(name)
            continue
        print(f"[{elapsed:5.0f} s] {number} of {total}: {name}", file=sys.stderr, flush=True)
        raw["estimates" if add(raw, TOOLS[name], number, asked.quick) else "failed"][-1]["began"] = round(elapsed, 3)
        raw["seconds"] = round(time.monotonic() - began, 3)
        Path(f"{base}.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    written = table.write(raw, base)
    print("\n".join(map(str, written)))
    return 3 if raw["failed"] else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="peers", description=__doc__, allow_abbrev=False)
    parser.add_argument("--repeats", type=positive, metavar="N", help=f"estimates of each tool; default: {REPEATS}")
    parser.add_argument(
        "--fewer",
        action="append",
        default=[],
        metavar="TOOL=N",
        help="of this tool N only, spread over all rounds; for a slow one",
    )
    parser.add_argument("--budget", type=as_duration, metavar="TIME", help="start nothing that would end after this")
    parser.add_argument("--tools", default=",".join(TOOLS), metavar="T1,T2", help=f"default: {','.join(TOOLS)}")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the order; default: 0")
    parser.add_argument("--quick", action="store_true", help="each tool once, as short as it can: does it all work?")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: results/peers; with --quick a scratch folder")
    parser.add_argument("--name", default=f"{datetime.now(UTC):%Y-%m-%d}-peers", help="of the files in DIR")
    asked = parser.parse_args(arguments)
    names = asked.tools.split(",")
    mistakes = [one_of("tool", name, TOOLS) for name in names if name not in TOOLS]
    for part in asked.fewer:
        name, _, count = part.partition("=")
        if name not in names or not count.isdigit() or int(count) < 1:
            mistakes.append(f"--fewer {part!r} is not TOOL=N with a tool that is measured and N of 1 or more")
    if mistakes:
        parser.error("; ".join(mistakes))
    asked.tools = list(dict.fromkeys(names))
    asked.out = asked.out or (Path(tempfile.mkdtemp(prefix="peers-")) if asked.quick else ROOT / "results" / "peers")
    return asked


def repeats_of(asked: argparse.Namespace) -> dict[str, int]:
    """How many estimates of each tool."""
    most = asked.repeats or (1 if asked.quick else REPEATS)
    fewer = {name: int(count) for name, _, count in (part.partition("=") for part in asked.fewer)}
    return {name: min(most, fewer.get(name, most)) for name in asked.tools}


def head(asked: argparse.Namespace, repeats: Mapping[str, int]) -> dict[str, Any]:
    """The raw file before the first estimate."""
    return {
        "schema": table.SCHEMA,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": ["python", "-m", "peers.run", *sys.argv[1:]],
        "quick": asked.quick,
        "repeats": dict(repeats),
        "budget": asked.budget,
        "seed": asked.seed,
        "tools": {
            name: {"title": TOOLS[name].title, "how": TOOLS[name].how, "version": version_of(TOOLS[name].package)}
            for name in repeats
        },
        "environment": environment.environment(THREADS),
        "cores": list(layout(THREADS).arms),
        "estimates": [],
        "failed": [],
        "left_out": [],
        "seconds": 0.0,
    }


def version_of(package: str) -> str:
    from bench.results.version import __version__

    if package == "loopmark":  # need not be installed: it runs from the checkout
        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def turns(repeats: Mapping[str, int], generator: random.Random) -> Iterator[tuple[int, int, str]]:
    """Number from 1, how many in all, and the tool."""
    order = [name for names in rounds(repeats, generator) for name in names]
    for number, name in enumerate(order, start=1):
        yield number, len(order), name


def add(raw: dict[str, Any], tool: Tool, number: int, quick: bool) -> bool:
    """Make one estimate and put it, or why there is none, into the raw file; gives whether there is one."""
    # The same variables for all, as `bench` gives them to its arms: the step is then the same to the last page fault.
    variables, _ = arm_environment(THREADS, number)
    paths = [str(ROOT), *filter(None, [variables.get("PYTHONPATH")])]
    variables |= {"PYTHONPATH": ":".join(paths)}
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        place = Place(Path(folder), layout(THREADS).arms, variables, quick)
        try:
            raw["estimates"].append({"tool": tool.name, "number": number, **asdict(tool.estimate(place))})
        except ToolFailed as failed:
            raw["failed"].append({"tool": tool.name, "number": number, "reason": str(failed)})
            print(f"{tool.name} failed: {failed}", file=sys.stderr)
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
