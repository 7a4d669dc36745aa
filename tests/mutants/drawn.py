"""Mutations of figures: what is drawn is what was measured, and what the table beside it says."""

from __future__ import annotations

from .harness import Mutant

FIGURES = "tests/report/test_figures.py"
DRAWING = "tests/report/test_drawing.py"
LOGS = "tests/report/test_cell_logs.py"

DRAWN: tuple[Mutant, ...] = (
    Mutant(42, "a part that was not seen is drawn as none of the step", "bench/report/share_figure.py",
           "for word, share in known if share is not None]", "for word, one in known for share in [one or 0.0]]",
           (f"{FIGURES}::test_a_part_without_a_share_has_no_bar_of_nothing",)),
    Mutant(42, "shares are rounded otherwise than in the table", "bench/report/share_figure.py",
           "percent(share, signed=False))", "percent(share, signed=False, digits=4))",
           (f"{FIGURES}::test_parts_are_the_shares_of_the_table_to_the_letter",)),
    Mutant(42, "the ideal line is that of one device", "bench/report/scaling_figure.py",
           'each * int(cell.point[axis]), told', "each, told",
           (f"{FIGURES}::test_a_planted_efficiency_is_drawn_below_the_line_of_as_many",)),
    Mutant(42, "compiled lines begin where the others do", "bench/report/break_even_figure.py",
           "return self.usual + self.extra + steps", "return self.usual + steps",
           (f"{FIGURES}::test_lines_cross_after_as_many_steps_as_were_planted",)),
    Mutant(42, "the line of a drift is that of a turn and not of a step", "bench/report/cell_figure.py",
           "level + samples.drift.estimate * (end - middle)", "level + 8 * samples.drift.estimate * (end - middle)",
           (f"{FIGURES}::test_a_planted_drift_is_the_slope_of_the_line",)),
    Mutant(42, "a loss that is not finite is a gap of none", "bench/report/precision_figure.py",
           "gap = statistics.median(gaps) if gaps else None", "gap = statistics.median(gaps) if gaps else 0.0",
           (f"{FIGURES}::test_a_planted_gap_of_the_loss_is_the_height_of_its_mark",)),
    Mutant(42, "every bar of a waterfall begins at the lowest rung", "bench/report/ladder_figure.py",
           "start = levels.get(row.price.over, 0.0) if not row.price.twin else 0.0", "start = 0.0",
           ("tests/analysis/test_ladder.py::"
            "test_a_bar_begins_where_the_rung_below_ends_and_ends_at_what_all_to_it_cost",)),
    Mutant(42, "the calculator's mark is told a scale of milliseconds", "bench/report/cost_figure.py",
           '"x0": x0 * wide, ', '"x0": x0, ',
           (f"{FIGURES}::test_the_element_of_the_cost_says_where_its_axes_lie",)),
    Mutant(42, "text is as small as it was", "bench/report/drawing.py", "NARROW = 5.0", "NARROW = 10.5",
           (f"{DRAWING}::test_text_is_nine_pixels_high_on_a_telephone_and_figures_have_names",)),
    Mutant(42, "a colour is lost on white pages", "bench/report/drawing.py", '"#c76a15"', '"#de8f05"',
           (f"{DRAWING}::test_every_colour_is_told_from_a_white_page_and_from_a_dark_one",)),
    Mutant(42, "any file that a run names is shown as its log", "bench/report/cell_logs.py",
           "if not path.is_relative_to(logs) or not path.is_file():", "if not path.is_file():",
           (f"{LOGS}::test_nothing_is_shown_that_is_no_log_of_the_run",
            f"{LOGS}::test_an_absolute_path_is_none_of_the_run")),
)  # fmt: skip
