"""Mutations of what is said of trainings for a goal: those that miss it, and final losses that are as good."""

from __future__ import annotations

from .harness import Mutant

TIMES = "tests/stats/test_time_to_target.py"
RECORDS = "tests/analysis/test_convergence.py"
EQUAL = "tests/stats/test_equivalence.py"

REACHED: tuple[Mutant, ...] = (
    Mutant(33, "seeds from which a cell missed are left out of it", "bench/analysis/convergence.py",
           '    reason = next((f"{record.outcome}: {record.reason}"',
           "    attempts = tuple(one for one in attempts if one.seconds.reached)\n"
           '    reason = next((f"{record.outcome}: {record.reason}"',
           (f"{RECORDS}::test_trainings_that_missed_are_in_every_figure",)),
    Mutant(33, "a training that missed got there at its end", "bench/analysis/convergence.py",
           "    reached = at is not None\n", "    reached = True\n",
           (f"{RECORDS}::test_trainings_that_missed_are_in_every_figure",
            f"{RECORDS}::test_a_loss_that_is_not_finite_reaches_nothing_and_is_told")),
    Mutant(33, "a loss below every number is at the target", "bench/analysis/convergence.py",
           "if loss <= target and math.isfinite(loss)), None)", "if loss <= target), None)",
           (f"{RECORDS}::test_a_loss_that_is_not_finite_reaches_nothing_and_is_told",)),
    Mutant(33, "what missed has an end all the same", "bench/stats/time_to_target.py",
           "    return wait.amount if wait.reached else math.inf\n", "    return wait.amount\n",
           (f"{TIMES}::test_a_training_that_missed_is_at_least_as_long_as_it_was",)),
    Mutant(33, "a cell that missed took what it was given", "bench/stats/time_to_target.py",
           "if mine.reached else math.inf for", "if True else math.inf for",
           (f"{TIMES}::test_pairs_of_which_one_missed_keep_their_side",
            f"{TIMES}::test_what_censored_trainings_would_have_taken_never_leaves_the_bounds")),
    Mutant(33, "a baseline that missed took what it was given", "bench/stats/time_to_target.py",
           "if base.reached else -math.inf for", "if True else -math.inf for",
           (f"{TIMES}::test_pairs_of_which_one_missed_keep_their_side",)),
    Mutant(33, "five seeds are said to tell as much as six", "bench/stats/time_to_target.py",
           "return place, float(1 - 2 * tail)", "return place, max(0.95, float(1 - 2 * tail))",
           (f"{TIMES}::test_a_training_that_missed_is_at_least_as_long_as_it_was",)),
    Mutant(33, "time before the first batch is nobody's", "bench/analysis/convergence.py",
           'float(record.extra.get("setup_time", 0.0))', "0.0",
           (f"{RECORDS}::test_a_curve_is_what_the_record_has_set_up_and_first_epoch_included",)),
    Mutant(33, "groups that did not train together are said to have", "bench/analysis/convergence.py",
           "beside, interleaved=False)", "beside, interleaved=True)",
           (f"{RECORDS}::test_groups_along_another_axis_are_paired_by_seed_and_marked",
            "tests/report/test_convergence_report.py::test_what_did_not_train_together_is_said_so")),
    Mutant(33, "a figure leaves the seeds out that diverged", "bench/report/convergence_figure.py",
           "middle = statistics.median(loss for _, loss in own)",
           "middle = statistics.median([loss for _, loss in own if math.isfinite(loss)] or [math.inf])",
           ("tests/report/test_convergence_report.py::test_a_line_ends_where_the_middle_training_has_diverged",)),
    Mutant(34, "no difference that is seen is equality", "bench/stats/equivalence.py",
           "    if 1 / (1 + margin) < ratio.low and ratio.high < 1 + margin:", "    if wider.contains(1.0):",
           (f"{EQUAL}::test_no_difference_that_is_seen_is_not_equality",
            f"{EQUAL}::test_a_test_of_difference_would_call_unequal_losses_equal")),
    Mutant(34, "one test of two", "bench/stats/equivalence.py",
           "    if 1 / (1 + margin) < ratio.low and ratio.high < 1 + margin:", "    if ratio.low < 1 + margin:",
           (f"{EQUAL}::test_losses_at_the_margin_are_called_equivalent_in_one_case_of_twenty",)),
    Mutant(34, "pairs of which one diverged are left out", "bench/stats/equivalence.py",
           "    pairs = list(zip(losses, baseline, strict=True))\n",
           "    pairs = list(zip(losses, baseline, strict=True))\n"
           "    pairs = [pair for pair in pairs if all(map(math.isfinite, pair))] or pairs\n",
           (f"{EQUAL}::test_what_diverged_is_in_no_equivalence",)),
)  # fmt: skip
