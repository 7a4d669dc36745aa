"""A search's page: the claim, its picture of speed, memory and loss, and every trial. One file, nothing fetched."""

from __future__ import annotations

import math
from dataclasses import dataclass

import matplotlib
import seaborn as sns
from matplotlib.figure import Figure

from bench.analysis.tuning import RacedConfiguration, pareto_front
from bench.commands.tune import Tuned, default_of
from bench.report.drawing import INK, NARROW, STYLE, TEXT, Drawing, figure_text, svg
from bench.report.html import template_environment
from bench.report.tune import TRIAL_HEADER, claim_sentence, last_seen, ranked_trials, trial_cells
from bench.report.units import scale

_FAINT = "#8a8f98"
LOSS_SHOWN = 0.2  # losses further above the default's than this have all one colour


@dataclass(frozen=True)
class TriedPoint:
    """A configuration in the picture.

    Attributes:
        speed: samples a second over the default's.
        memory: bytes at the peak.
        lag: of its loss, relative; None where nobody looks at it.
        kept: whether it broke no limit.
    """

    label: str
    speed: float
    memory: float
    lag: float | None
    kept: bool


def tried_points(found: Tuned) -> list[TriedPoint]:
    """The default, and every trial that was raced, by its longest race; finalists by the final one."""
    final = {one.label: one.raced for one in found.result.finalists}
    points = []
    default = default_of(found)
    if default is not None and default.limited_memory:
        points.append(TriedPoint(found.default, 1.0, default.limited_memory, default.lag, kept=True))
    for row in found.trials:
        own: RacedConfiguration | None = final.get(row.label)
        seen = last_seen(row)
        ratio = own.ratio if own is not None and own.ratio else seen.get("ratio")
        memory = own.limited_memory if own is not None and own.limited_memory else seen.get("peak_memory")
        lag = own.lag if own is not None and own.lags else seen.get("loss_lag")
        if ratio and memory:
            kept = row.word != "failed" and not row.broken
            told = None if lag is None else float(lag)
            points.append(TriedPoint(row.label, float(ratio), float(memory), told, kept))
    return list({point.label: point for point in points}.values())  # of a second look the later trial


def _short(label: str, default: str) -> str:
    """What a configuration has other than the default; the default's name is that it is it."""
    usual = default.split(",")
    return ", ".join(part for part in label.split(",") if part not in usual) or "default"


def draw_tuned(found: Tuned) -> Drawing | None:
    """Speed against memory, losses as colours, the front of those that keep all limits as a line."""
    points = tried_points(found)
    if len(points) < 2:
        return None
    factor, unit = scale(max(point.memory for point in points), "bytes")
    front = pareto_front({point.label: (point.speed, point.memory) for point in points if point.kept})
    with matplotlib.rc_context({**STYLE, "axes.grid.axis": "both"}):
        figure = Figure(figsize=(NARROW, 4.4), layout="constrained")
        panel = figure.subplots()
        on = sorted((one for one in points if one.label in front), key=lambda one: one.memory)
        panel.step(
            [one.memory / factor for one in on],
            [one.speed for one in on],
            where="post",
            color=INK,
            linewidth=0.9,
            alpha=0.6,
        )
        colours = sns.color_palette("viridis_r", as_cmap=True)
        judged = found.loss_is_judged
        for point in points:
            lag = 0.0 if point.lag is None or not judged else min(max(point.lag, 0.0), LOSS_SHOWN)
            colour = colours(0.1 + 0.8 * lag / LOSS_SHOWN) if math.isfinite(lag) else _FAINT
            marker = "D" if point.label == found.default else "o" if point.kept else "x"
            panel.scatter(
                point.memory / factor, point.speed, s=46, marker=marker, color=[colour], linewidths=1.4, zorder=3
            )
        named = dict.fromkeys([found.default, *front[:6]])
        for number, point in enumerate(one for one in points if one.label in named):
            panel.annotate(
                figure_text(_short(point.label, found.default), 30),
                (point.memory / factor, point.speed),
                xytext=(0, 6 if number % 2 else -14),
                textcoords="offset points",
                ha="center",
                fontsize=TEXT,
            )
        if found.limits.memory is not None:
            panel.axvline(found.limits.memory / factor, color=_FAINT, linestyle="--", linewidth=1)
        panel.axhline(1.0, color=INK, linewidth=0.6, alpha=0.5)
        panel.set_xlabel(f"peak memory, {unit}")
        panel.set_ylabel("samples/s over the default's")
        panel.margins(x=0.16, y=0.12)
    loss = (
        f"Colour: validation loss above the default's, from none (light) to {100 * LOSS_SHOWN:.0f} % and more (dark). "
        if judged
        else "The loss was not looked at. "
    )
    return Drawing(
        "Speed, memory, loss",
        "Diamond: the default. Dots: configurations that keep all limits; crosses: those that break one. "
        + loss
        + "Line: nothing that was tried is faster without more memory. By its longest race each; only the final race's "
        "figures are a claim.",
        svg(figure, "tuned", "Speed, memory, loss"),
    )


def render_tune_page(found: Tuned) -> str:
    """The page of a search."""
    return (
        template_environment()
        .get_template("tune.html.jinja")
        .render(
            found=found,
            claim=claim_sentence(found),
            drawing=draw_tuned(found),
            header=TRIAL_HEADER,
            rows=[(row, trial_cells(row)) for row in ranked_trials(found)],
        )
    )
