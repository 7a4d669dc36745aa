"""The figures of the site: from data in docs/, and from simulations with a known truth through the real `bench.stats`.

Each is a function that gives an SVG as text, and is seeded, so that a build draws what the last one drew.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy.signal import lfilter

from bench.stats.gate_rule import Rule, hidden_by_noise, smallest_detectable
from bench.stats.intervals import Interval, interval_of_differences
from bench.stats.step_times import pair_ratios
from tests import step_races

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLUE, RED, GREY, ORANGE = "#3b6fb6", "#c23b3b", "#8a8a8a", "#c9822b"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "loopmark",
    "font.size": 11,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def _svg(draw: Callable[[Any], None], height: float = 3.2) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, height), layout="constrained")
        draw(figure.subplots())
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def _ends(interval: Interval) -> tuple[float, float]:
    if interval.low is None or interval.high is None:
        raise ValueError("an interval of one launch has no ends to draw")
    return interval.low, interval.high


# --- why turns: data of docs/data and docs/measurements


def aa_noise() -> dict[str, tuple[float, float]]:
    """What each way of measuring reads of the same code: the least and the largest sd, in percent."""
    lines = (DOCS / "data" / "aa-noise.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["how"]: (float(row["sd_low"]), float(row["sd_high"])) for row in rows}


def aa() -> str:
    found = aa_noise()

    def draw(axes: Any) -> None:
        for place, (low, high) in enumerate(reversed(found.values())):
            axes.plot([low, high], [place, place], color=BLUE, linewidth=7, solid_capstyle="round")
            axes.annotate(f"{low:g} %" if low == high else f"{low:g} to {high:g} %", (high, place), xytext=(9, -4),
                          textcoords="offset points")  # fmt: skip
        axes.set_yticks(range(len(found)), [how.replace(", ", ",\n", 1) for how in reversed(found)], fontsize=9)
        axes.set(xscale="log", xlim=(0.5, 70), xlabel="sd of the A/A ratio (the truth is no difference)")
        axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5 %", "1 %", "2 %", "5 %", "10 %", "20 %", "50 %"])

    return _svg(draw, 4.2)


def peer_estimates() -> dict[str, list[float]]:
    """A/A ratios in percent by tool, as `nox -s peers` measured them in one hour on one machine."""
    kept = json.loads((DOCS / "measurements" / "2026-11-23-peers.json").read_text(encoding="utf-8"))
    found: dict[str, list[float]] = {}
    for one in kept["estimates"]:
        found.setdefault(kept["tools"][one["tool"]]["title"], []).append(100 * math.expm1(one["log_ratio"]))
    return found


def peers() -> str:
    found = peer_estimates()
    tools = sorted(found, key=lambda tool: max(map(abs, found[tool])), reverse=True)

    def draw(axes: Any) -> None:
        axes.axvline(0, color=GREY, linewidth=1)
        for place, tool in enumerate(reversed(tools)):
            axes.plot(found[tool], [place] * len(found[tool]), "o", color=BLUE, alpha=0.7, markeredgewidth=0)
        axes.set_yticks(range(len(tools)), list(reversed(tools)))
        axes.set(xlabel="what the same code differs from itself by, %; each point is one estimate")

    return _svg(draw)


def drifting_machine() -> tuple[Any, float, float]:
    """A machine that drifts: log step times along 800 steps, and the log ratio of two equal arms, measured one after
    the other, and in turns of ten steps."""
    rng = np.random.default_rng(7)
    drift = lfilter([1], [1, -0.995], rng.normal(0, 0.008, 1200))[400:]
    logs = drift + rng.normal(0, 0.02, 800)
    half, turns = logs[400:].mean() - logs[:400].mean(), logs.reshape(-1, 2, 10)
    return logs, float(half), float((turns[:, 1] - turns[:, 0]).mean())


def drift() -> str:
    logs, apart, turns = drifting_machine()

    def draw(axes: Any) -> None:
        steps = np.arange(len(logs))
        axes.plot(steps[:400], 1.4 * np.exp(logs[:400]), color=BLUE, linewidth=0.7)
        axes.plot(steps[400:], 1.4 * np.exp(logs[400:]), color=ORANGE, linewidth=0.7)
        axes.set(xlabel="step", ylabel="ms a step")
        axes.set_title(f"second half over first half {math.expm1(apart):+.1%}; in turns of ten steps "
                       f"{math.expm1(turns):+.1%}; the truth 0 %", fontsize=11, loc="left")  # fmt: skip

    return _svg(draw)


# --- statistics: a known truth through bench.stats

TRUTH = 0.03


def interval_runs(runs: int = 100, launches: int = 6) -> list[Interval]:
    """Intervals of so many runs, each of launches that scatter by 1.2 % about a true +3 %."""
    rng = np.random.default_rng(3)
    return [interval_of_differences(rng.normal(TRUTH, 0.012, launches).tolist()) for _ in range(runs)]


def intervals() -> str:
    found = interval_runs()
    missed = sum(not one.contains(TRUTH) for one in found)

    def draw(axes: Any) -> None:
        for place, one in enumerate(found):
            low, high = _ends(one)
            axes.plot(
                [place, place], [100 * low, 100 * high], color=BLUE if one.contains(TRUTH) else RED, linewidth=1.5
            )
        axes.axhline(100 * TRUTH, color=GREY, linewidth=1)
        axes.set(xlabel="run", ylabel="difference, %")
        axes.set_title(f"{len(found)} runs of 6 launches; {missed} miss the truth of +3 %", fontsize=11, loc="left")

    return _svg(draw)


def pooled_coverage(runs: int = 400) -> tuple[float, float]:
    """How often 95 % intervals hold the truth, over 6 launches and over their 150 turns taken for independent."""
    rng = np.random.default_rng(5)
    held = [0, 0]
    for _ in range(runs):
        turns = rng.normal(0, 0.012, 6)[:, None] + rng.normal(0, 0.012, (6, 25))
        for which, values in enumerate((turns.mean(axis=1), turns.ravel())):
            # One set a value: as values that share nothing. That is true of launches alone.
            held[which] += interval_of_differences(values.tolist()).contains(0.0)
    return held[0] / runs, held[1] / runs


def pooled() -> str:
    launches, turns = pooled_coverage()

    def draw(axes: Any) -> None:
        axes.barh([1, 0], [100 * launches, 100 * turns], color=[BLUE, RED], height=0.5)
        axes.axvline(95, color=GREY, linewidth=1)
        axes.set_yticks([1, 0], ["over launches", "over turns,\nas if independent"])
        axes.set(xlim=(0, 100), xlabel="runs whose 95 % interval holds the truth, %; the line is what it says")
        for place, share in ((1, launches), (0, turns)):
            axes.annotate(f"{share:.0%}", (100 * share, place), xytext=(-34, -4), textcoords="offset points", color="w")

    return _svg(draw, 2.2)


def twins() -> dict[str, Interval]:
    """A group in which the twin is no difference, one arm costs 0.7 % and another 5 %; 8 launches."""
    rng = np.random.default_rng(12)
    return {name: interval_of_differences(rng.normal(truth, 0.01, 8).tolist())
            for name, truth in (("twin (same code)", 0.0), ("an arm", 0.007), ("another arm", 0.05))}  # fmt: skip


def twin() -> str:
    found = twins()
    reach = max(map(abs, _ends(found["twin (same code)"])))

    def draw(axes: Any) -> None:
        axes.axvspan(-100 * reach, 100 * reach, color=GREY, alpha=0.25, linewidth=0)
        axes.axvline(0, color=GREY, linewidth=1)
        for place, (name, one) in enumerate(reversed(found.items())):
            low, high = _ends(one)
            told = name.startswith("twin") or abs(one.estimate) <= reach
            axes.plot([100 * low, 100 * high], [place] * 2, color=GREY if told else BLUE, linewidth=3)
            axes.plot([100 * one.estimate], [place], "o", color=GREY if told else BLUE)
        axes.set_yticks(range(len(found)), list(reversed(found)))
        axes.set(xlabel="difference from the baseline, %; shaded: all that the twin may show", ylim=(-0.6, 2.6))

    return _svg(draw, 2.4)


def mean_and_median() -> tuple[float, dict[str, tuple[float, float]]]:
    """The truth where every 20th step of an arm takes twice as long, and what is read: estimate, half width; in %."""
    rng = np.random.default_rng(1)
    arms = [step_races.TrueArm(), step_races.TrueArm(every=20, extra=1.0)]
    made = step_races.launches(rng, arms, step_races.Machine(spikes=0.01), 12)
    found = pair_ratios([(arm, base) for base, arm in made]).launches
    plain = [
        math.log(np.mean(np.concatenate(arm.seconds)) / np.mean(np.concatenate(base.seconds))) for base, arm in made
    ]
    read = {}
    for name, logs in (("median step", [one.typical for one in found]), ("plain mean, spikes and all", plain),
                       ("mean step, as loopmark has it", [one.mean for one in found])):  # fmt: skip
        one = interval_of_differences(logs)
        low, high = _ends(one)
        read[name] = (100 * math.expm1(one.estimate), 50 * (high - low))
    return 5.0, read


def means() -> str:
    truth, read = mean_and_median()

    def draw(axes: Any) -> None:
        axes.axvline(truth, color=GREY, linewidth=1)
        for place, (estimate, half) in enumerate(reversed(read.values())):
            axes.errorbar(estimate, place, xerr=half, fmt="o", color=BLUE, capsize=4, linewidth=2)
        axes.set_yticks(range(len(read)), list(reversed(read)))
        axes.set(xlabel="cost that is read, %; the line is the truth", ylim=(-0.6, 2.6), xlim=(-1, 8))

    return _svg(draw, 2.4)


def power_curves() -> tuple[list[float], dict[int, list[float]], list[float]]:
    """Noise of launches, what it hides after so many of them, and what a gate promises to see; fractions."""
    rule, sds = Rule(), [0.0025 * number for number in range(1, 21)]
    hidden = {
        n: [hidden_by_noise(sd, n, alpha / 2, rule) for sd in sds]
        for n, alpha in zip(rule.looks, rule.alphas, strict=True)
    }
    last, alpha = rule.looks[-1], rule.alphas[-1]
    return sds, hidden, [smallest_detectable(sd, last, alpha / 2, rule) for sd in sds]


def power() -> str:
    sds, hidden, promised = power_curves()

    def draw(axes: Any) -> None:
        for (n, curve), shade in zip(hidden.items(), (0.25, 0.45, 0.65, 1.0), strict=True):
            axes.plot([100 * sd for sd in sds], [100 * one for one in curve], color=BLUE, alpha=shade)
            axes.annotate(f"{n} launches", (100 * sds[-1], 100 * curve[-1]), xytext=(5, -4), textcoords="offset points",
                          fontsize=9, annotation_clip=False)  # fmt: skip
        axes.plot([100 * sd for sd in sds], [100 * one for one in promised], color=RED, linestyle="--", linewidth=1.5)
        axes.set(xlabel="noise: sd of launches, %", ylabel="slowdown that is seen, %", ylim=(0, 14), xlim=(0, 5.0))

    return _svg(draw)


FIGURES: Mapping[str, Callable[[], str]] = {
    "aa-noise": aa,
    "peers": peers,
    "drift": drift,
    "intervals": intervals,
    "pooled": pooled,
    "twin": twin,
    "mean-and-median": means,
    "power": power,
}
