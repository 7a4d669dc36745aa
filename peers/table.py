"""The table and the picture from the raw file: `python -m peers.table FILE.json` makes both again. No torch."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
TARGET = 0.01  # the ratio is to be known to plus or minus this
LAUNCH = "bench, one launch"


@dataclass(frozen=True)
class Row:
    """What is known of one tool.

    Attributes:
        log_ratios: of A to A, one an estimate.
        walls: seconds of each estimate.
        step: seconds, median over both sides of all estimates.
        sd: of the log ratios; None with fewer than two.
        sd_low, sd_high: its 95 % interval.
        seconds: calculated, until a ratio is known to TARGET; with the ends that follow from those of the sd.
    """

    title: str
    log_ratios: Sequence[float]
    walls: Sequence[float]
    step: float | None
    sd: float | None = None
    sd_low: float | None = None
    sd_high: float | None = None
    seconds: float | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None


def sd_interval(sd: float, n: int) -> tuple[float, float]:
    """95 % interval of a standard deviation from `n` normal values (chi-square with n - 1 degrees of freedom)."""
    from scipy.stats import chi2

    low, high = (float(chi2.ppf(share, n - 1)) for share in (0.975, 0.025))
    return sd * math.sqrt((n - 1) / low), sd * math.sqrt((n - 1) / high)


def time_to_target(sd: float, wall: float, target: float = TARGET) -> float:
    """Seconds until the mean of as many estimates is known to +- `target` at 95 %: (1.96 sd / target)^2 of them.

    Never less than one estimate: there is no ratio before that.
    """
    return max(1.0, (1.96 * sd / target) ** 2) * wall


def make_row(title: str, log_ratios: Sequence[float], walls: Sequence[float], step: float | None) -> Row:
    """A row from one value an estimate."""
    if len(log_ratios) < 2:
        return Row(title, log_ratios, walls, step)
    sd, wall = statistics.stdev(log_ratios), statistics.median(walls)
    low, high = sd_interval(sd, len(log_ratios))
    times = (time_to_target(value, wall) for value in (sd, low, high))
    return Row(title, log_ratios, walls, step, sd, low, high, *times)


def rows(raw: Mapping[str, Any]) -> list[Row]:
    """A row a tool in the raw file's order; `bench` has one more, for its launches."""
    made = []
    for name, tool in raw["tools"].items():
        own = [estimate for estimate in raw["estimates"] if estimate["tool"] == name]
        sides = [seconds for estimate in own for seconds in estimate["seconds"]]
        step = statistics.median(sides) if sides else None
        ratios, walls = ([estimate[key] for estimate in own] for key in ("log_ratio", "wall"))
        made.append(make_row(tool["title"], ratios, walls, step))
        launches = [estimate for estimate in own if estimate["details"].get("launches")]
        if launches:
            ratios = [ratio for estimate in launches for ratio in estimate["details"]["launches"]]
            # What a run takes besides its launches, interpreters first of all, is shared out among them.
            walls = [
                estimate["wall"] / len(estimate["details"]["launches"])
                for estimate in launches
                for _ in estimate["details"]["launches"]
            ]
            made.append(make_row(LAUNCH, ratios, walls, step))
    return made


def markdown(raw: Mapping[str, Any], name: str) -> str:
    """The page: what ran, the table, the picture, other statistics, what each number is."""
    facts = raw["environment"]
    found = rows(raw)
    versions = [f"{tool['title']} {tool['version']}" for tool in raw["tools"].values()]
    lines = [
        f"# A against A with {len(raw['tools'])} tools, {raw['started'][:10]}",
        "",
        f"{facts['cpu']}, {facts['cores_usable']} cores{', virtual' if facts['virtual_machine'] else ''}, kernel "
        f"{facts['kernel']}, Python {facts['python']}, torch {facts['torch']}, commit {facts['commit'][:10]}. "
        f"{'; '.join(versions)}. One run of {span(raw['seconds'])}, `{' '.join(raw['argv'])}`.",
        "",
    ]
    if raw["quick"]:
        lines += ["**A smoke test, with `--quick`: no figure here means anything.**", ""]
    lines += [
        "The step is the autoencoder's at batch 64 in plain PyTorch, one thread, the same core for all. How it was "
        "done, and what each column is: [docs/peers.md](../peers.md).",
        "",
        "| tool | n | step | A/A ratio | sd of the log ratio [95 %] | one estimate | until a ratio is known to ±1 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        entries = row.title, str(len(row.log_ratios)), step(row.step), ratio(row), spread(row), wall(row), until(row)
        lines.append(f"| {' | '.join(entries)} |")
    lines += ["", f"![the same as a picture]({name}.svg)", ""]
    lines += ["One estimate is:", ""]
    lines += [f"- {tool['title']}: {tool['how']}" for tool in raw["tools"].values()]
    lines += [f"- {LAUNCH}: of the same runs, each launch by itself, with its share of the run's wall time", ""]
    lines += other_statistics(raw)
    for failed in raw["failed"]:
        lines += [f"Failed: {failed['tool']}, estimate {failed['number']}: {' '.join(failed['reason'].split())}", ""]
    if raw["left_out"]:
        lines += [f"Left out, as they would not have ended within the budget: {', '.join(raw['left_out'])}.", ""]
    lines += [f"Raw: [{name}.json]({name}.json); `python -m peers.table {name}.json` makes this page again.", ""]
    return "\n".join(lines)


def other_statistics(raw: Mapping[str, Any]) -> list[str]:
    """The sd of the A/A log ratio had the tool's samples been reduced otherwise."""
    lines = []
    for name, tool in raw["tools"].items():
        logs = [estimate["log_ratios"] for estimate in raw["estimates"] if estimate["tool"] == name]
        if len(logs) < 2 or not logs[0]:
            continue
        sds = [f"{percent(statistics.stdev(log[key] for log in logs))} by {key}" for key in logs[0]]
        lines.append(f"- {tool['title']}: {', '.join(sds)}")
    return ["The sd, had the same samples been reduced by another statistic:", "", *lines, ""] if lines else []


def percent(share: float) -> str:
    """Two significant digits."""
    return f"{float(f'{100 * share:.2g}'):g} %"


def span(seconds: float) -> str:
    """Seconds, minutes or hours, with two significant digits or whole ones."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds)} s"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{float(f'{value:.2g}'):g}"


def step(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:.2f} ms"


def ratio(row: Row) -> str:
    return f"{math.exp(statistics.fmean(row.log_ratios)):.4f}" if row.log_ratios else "–"


def spread(row: Row) -> str:
    if row.sd is None or row.sd_low is None or row.sd_high is None:
        return "–"
    return f"{percent(row.sd)} [{percent(row.sd_low)}, {percent(row.sd_high)}]"


def wall(row: Row) -> str:
    return span(statistics.median(row.walls)) if row.walls else "–"


def until(row: Row) -> str:
    if row.seconds is None or row.seconds_low is None or row.seconds_high is None:
        return "–"
    return f"{span(row.seconds)} [{span(row.seconds_low)}, {span(row.seconds_high)}]"


def picture(raw: Mapping[str, Any], path: Path) -> None:
    """Every ratio of A to A, and the time until one is known to 1 %, as an SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    found = [row for row in rows(raw) if row.log_ratios][::-1]
    # Text as text, and the same file from the same figures.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "peers", "font.size": 8}):
        figure, (left, right) = pyplot.subplots(
            1, 2, figsize=(8.5, 0.9 + 0.33 * len(found)), sharey=True, layout="constrained"
        )
        for height, row in enumerate(found):
            colour = "C3" if row.title.startswith("bench") else "C0"
            values = [100 * math.expm1(value) for value in row.log_ratios]
            left.plot(values, [height] * len(values), "o", color=colour, markersize=4, alpha=0.5, markeredgewidth=0)
            if row.seconds is None or row.seconds_low is None or row.seconds_high is None:
                continue
            right.plot([row.seconds_low, row.seconds_high], [height, height], color=colour, alpha=0.4, linewidth=3)
            right.plot([row.seconds], [height], "o", color=colour, markersize=5)
        left.set_yticks(range(len(found)), [row.title for row in found])
        left.axvline(0, color="0.5", linewidth=0.8, zorder=0)
        left.axvspan(-1, 1, color="0.92", zorder=0)
        left.set_xlabel("A over A, %; each dot one estimate (band: ±1 %)")
        right.set_xscale("log")
        marks = {10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36000: "10 h", 360000: "100 h"}
        right.set_xticks(list(marks), list(marks.values()))
        right.minorticks_off()
        right.set_xlabel("until a ratio is known to ±1 % (95 %), calculated")
        right.grid(axis="x", color="0.9")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_ylim(-0.6, len(found) - 0.4)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def write(raw: Mapping[str, Any], base: Path) -> list[Path]:
    """Table and picture beside the raw file; gives the three paths."""
    text, drawn = Path(f"{base}.md"), Path(f"{base}.svg")
    text.write_text(markdown(raw, base.name), encoding="utf-8")
    picture(raw, drawn)
    return [Path(f"{base}.json"), text, drawn]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="peers.table", description=__doc__, allow_abbrev=False)
    parser.add_argument("file", type=Path, help="the raw file; table and picture are written beside it")
    asked = parser.parse_args(arguments)
    try:
        raw = json.loads(asked.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        parser.error(f"{asked.file}: not readable as a raw file: {error}")
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        parser.error(f"{asked.file}: not a raw file of schema {SCHEMA}")
    print("\n".join(map(str, write(raw, asked.file.with_suffix("")))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
