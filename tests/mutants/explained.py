"""Mutations of what samples call stacks, and of what says whose time a stack is."""

from __future__ import annotations

from .harness import Mutant

EXPLAINED, SAMPLER = "tests/analysis/test_explain.py", "tests/arm/test_stack_sampler.py"
COMMAND, FLAME = "tests/commands/test_explain_command.py", "tests/report/test_flame.py"

EXPLAINED_ROWS: tuple[Mutant, ...] = (
    Mutant(22, "what sampling costs is read as the functions'", "bench/analysis/explain.py",
           "seconds * step / whole, samples)", "seconds / sampled.steps, samples)",
           (f"{EXPLAINED}::test_a_planted_millisecond_comes_back_by_name",)),
    Mutant(22, "held time is a part of the step", "bench/analysis/explain.py",
           'found = [one for one in found if one[0].kind != "ours"]', "found = list(found)",
           (f"{EXPLAINED}::test_a_planted_millisecond_comes_back_by_name",)),
    Mutant(22, "the sampler goes on while an arm is held", "bench/arm/stack_sampler.py",
           "signal.setitimer(signal.ITIMER_REAL, 0.0)", "signal.setitimer(signal.ITIMER_REAL, 0.005)",
           (f"{SAMPLER}::test_the_handler_that_was_there_is_back_and_no_signal_comes_any_more",)),
    Mutant(22, "a stack is the outermost function's that the table knows", "bench/analysis/stack_owners.py",
           "for place in range(len(stack) - 1, -1, -1):", "for place in range(len(stack)):",
           (f"{EXPLAINED}::test_the_table_says_whose_a_stack_is",)),
    Mutant(22, "noise of samples is told as a difference", "bench/analysis/explain.py",
           "return abs(self.more) > _TOLD * self.error", "return abs(self.more) > 0",
           (f"{EXPLAINED}::test_noise_of_samples_is_told_as_such",)),
    Mutant(22, "cells of unlike work are explained", "bench/commands/explain.py",
           "if a != b and group_of[a] == group_of[b]]", "if a != b]",
           (f"{COMMAND}::test_cells_of_two_groups_are_no_pair",)),
    Mutant(22, "a difference that noise may be is explained", "bench/report/explain.py",
           "if found.low is not None and found.low <= 0:", "if found.low is not None and found.high <= 0:",
           (f"{FLAME}::test_a_difference_that_is_not_told_from_zero_is_not_explained",)),
)  # fmt: skip
