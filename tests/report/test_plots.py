"""`Run.plot`: a page's figure, one at a time, with a title of its own, and with the figures that were planted."""

from __future__ import annotations

import io

import pytest
from convergences import reached_run
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic import FABRIC, PLAIN, TRAINER, cell_id, group_id, make

from bench.analysis.run import Run
from bench.analysis.summary import summarize
from bench.errors import RunError, SpecError
from bench.report import figures, plots
from bench.report.drawing import kept_figures
from bench.report.plots import PLOT_KINDS

RUN = Run(make(launches=4, instrument=1, launch_sd=0.001, turn_sd=0.002))
OF_RUN = ("ratios", "distribution", "cost", "phases", "memory", "cell")


def words(figure: Figure) -> str:
    """All that is written in a figure."""
    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("kind", OF_RUN)
def test_a_figure_of_each_kind_is_one_that_can_be_saved_and_has_a_title(kind: str) -> None:
    figure = RUN.plot(kind)
    assert isinstance(figure, Figure)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    assert out.getvalue().startswith(b"\x89PNG")
    title = figure.texts[-1]
    assert title.get_text()
    assert figure.get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    # Nothing of the figure reaches up to its title.
    figure.canvas.draw()
    box = title.get_window_extent()
    for axes in figure.axes:
        assert axes.get_tightbbox().y1 <= box.y0 + 1
    for legend in figure.legends:
        assert legend.get_window_extent().y1 <= box.y0 + 1


def test_the_group_is_the_one_nearest_to_your_step_or_the_one_that_is_named() -> None:
    """Steps of 0.8, 2.5 and 9 ms; a step of 12 ms is nearest to the last, one of 0.9 ms to the first."""
    assert "batch_size 2048" in words(RUN.plot("ratios"))
    assert "batch_size 32" in words(Run(RUN.stored, reference_step=0.9e-3).plot("ratios"))
    assert "batch_size 256" in words(RUN.plot("ratios", group=group_id(256)))
    assert cell_id(FABRIC, 256) in words(RUN.plot("cell", cell=cell_id(FABRIC, 256)))


def test_what_is_drawn_is_what_was_measured() -> None:
    (axes,) = RUN.plot("ratios", group=group_id(32)).axes
    summary = {cell.id: cell for cell in RUN.summary.cells}
    versus = summary[cell_id(TRAINER, 32)].versus
    assert versus is not None
    drawn = [float(x) for line in axes.lines for x in line.get_xdata()]
    assert any(x == pytest.approx(versus.ratio.estimate, rel=1e-9) for x in drawn)
    assert f"{versus.ratio.estimate:.3f}" in words(RUN.plot("ratios", group=group_id(32)))


def test_other_kinds_come_from_runs_that_have_them() -> None:
    goal = Run(reached_run())
    assert isinstance(goal.plot("goal"), Figure)
    for kind in set(PLOT_KINDS) - set(OF_RUN):
        with pytest.raises(RunError, match=f"run .*: nothing to draw '{kind}' from: "):
            RUN.plot(kind)


def test_a_failed_group_is_passed_over_where_none_is_named() -> None:
    failures = {(loop, 2048, launch): ("crashed", "x") for loop in (PLAIN, FABRIC, TRAINER) for launch in range(2)}
    run = Run(make(launches=2, failures=failures))
    assert "batch_size 256" in words(run.plot("ratios"))
    with pytest.raises(RunError, match=r"nothing of overhead.*2048.* to draw 'ratios' from"):
        run.plot("ratios", group=group_id(2048))


def test_wrong_words_are_told_with_what_is_allowed() -> None:
    with pytest.raises(SpecError, match="unknown kind of plot 'ratio'; allowed: ratios, distribution, cost"):
        RUN.plot("ratio")
    with pytest.raises(SpecError, match="unknown group 'x'; allowed: overhead"):
        RUN.plot(group="x")
    with pytest.raises(SpecError, match="unknown cell 'x'; allowed: overhead"):
        RUN.plot("cell", cell="x")
    with pytest.raises(SpecError, match="a plot of kind 'ratios' is of a group"):
        RUN.plot("ratios", cell=cell_id(PLAIN, 32))


def test_every_figure_of_a_page_has_a_kind() -> None:
    with kept_figures() as kept:
        figures.draw_run(RUN.stored, summarize(RUN.stored))
    assert len(kept) > 20
    for one in kept:
        kinds = [kind for kind in PLOT_KINDS.values() if kind.section == one.drawing.section]
        assert any(one.name.startswith(kind.prefix) for kind in kinds), one.name
    assert all(not one.drawing.svg for one in kept)
    assert all(one.svg for one in figures.draw_run(RUN.stored, summarize(RUN.stored), only=[group_id(32)]))
    assert plots.plot_run(RUN) is not plots.plot_run(RUN)
