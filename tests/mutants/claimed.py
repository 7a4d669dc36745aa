"""Mutations of the rules for what is claimed: intervals, break-even, the fastest, histories, races, comparisons."""

from __future__ import annotations

from .harness import Mutant

CLAIMED: tuple[Mutant, ...] = (
    Mutant(60, "launches of one interpreter are taken for independent ones", "bench/stats/intervals.py",
           "    if sets is None or len(set(sets))", "    if True or len(set(sets))",
           ("tests/stats/test_intervals.py::test_sets_by_hand",
            "tests/stats/test_intervals.py::test_intervals_over_sets_cover_whatever_their_layout_does")),
    Mutant(60, "two sets of interpreters are thought to know what layouts do", "bench/stats/intervals.py",
           "SETS_FOR_THEIR_OWN = 4", "SETS_FOR_THEIR_OWN = 2",
           ("tests/stats/test_intervals.py::test_sets_by_hand",)),
    Mutant(60, "too few sets have no layout of their own", "bench/stats/intervals.py",
           "math.hypot(own, layout)", "math.hypot(own, 0 * layout)",
           ("tests/stats/test_intervals.py::test_intervals_over_sets_cover_whatever_their_layout_does",)),
    Mutant(60, "launches are left out as if the rest had been all of them", "bench/stats/intervals.py",
           "squares / (taken * (taken - 1))", "squares / (n * (n - 1))",
           ("tests/stats/test_intervals.py::test_from_ten_launches_on_the_mean_of_those_in_the_middle",)),
)  # fmt: skip
