"""Mutations of what counts a step: calls, allocations, operators, and what gates make of them."""

from __future__ import annotations

from .harness import Mutant

COUNTS = "tests/commands/test_counts.py"
GATE = "tests/commands/test_counted_gate.py"
CALLS = "tests/arm/test_call_count.py"
KERNEL = "tests/arm/test_kernel_and_allocator.py"

COUNTED: tuple[Mutant, ...] = (
    Mutant(61, "what the stream does in a step is counted as the loop's", "bench/arm/step_counts.py",
           'if not name.startswith(OURS)}', 'if name}',
           (f"{COUNTS}::test_what_does_no_more_differs_in_nothing_else",)),
    Mutant(61, "the samples of a batch are counted among the loop's calls", "bench/arm/step_counts.py",
           "            self._calls.paused = True\n", "            self._calls.paused = False\n",
           (f"{COUNTS}::test_what_does_no_more_differs_in_nothing_else",)),
    Mutant(61, "the steps hold a period and a half", "bench/results/step_counts.py",
           "PERIOD: Final = 50", "PERIOD: Final = 25",
           (f"{COUNTS}::test_steps_are_whole_periods",)),
    Mutant(61, "each cell is counted once", "bench/engine/counted_launches.py",
           "INTERPRETERS = 2", "INTERPRETERS = 1",
           (f"{COUNTS}::test_every_exact_count_is_the_same_in_interpreters_of_other_hash_seeds",)),
    Mutant(61, "comprehensions are calls in Python 3.11", "bench/arm/call_count.py",
           "if code.co_name not in INLINED:", "if code.co_name:",
           (f"{CALLS}::test_a_known_number_of_calls",)),
    Mutant(61, "blocks that are asked for with calloc go by", "bench/arm/allocation_count.py",
           "(usual.malloc, usual.calloc, usual.realloc)]", "(usual.malloc,)] + [usual.calloc, usual.realloc]",
           (f"{KERNEL}::test_as_many_blocks_as_were_asked_for",)),
    Mutant(61, "system calls are counted as they return, too", "bench/arm/system_call_tracer.py",
           "elif info.op == ENTRY and marks:", "elif marks:",
           (f"{KERNEL}::test_as_many_system_calls_as_were_made",)),
    Mutant(61, "what only tells a profiler is an operator", "bench/arm/operator_count.py",
           "if name.startswith(PROFILER_MARKS):", "if not name:",
           ("tests/arm/test_operator_count.py::test_what_only_tells_a_profiler_is_no_operator",)),
    Mutant(61, "every copy makes the host wait", "bench/arm/operator_count.py",
           "tensors}) > 1", "tensors}) > 0",
           ("tests/arm/test_operator_count.py::test_the_host_waits_for_copies_between_devices",
            "tests/arm/test_operator_count.py::test_what_copies_and_what_the_host_waits_for")),
    Mutant(61, "counts that are not exact are compared", "bench/analysis/count_differences.py",
           "if theirs is None or not mine.exact or not theirs.exact:", "if theirs is None:",
           ("tests/analysis/test_count_differences.py::"
            "test_what_is_not_exact_or_refused_on_either_side_tells_nothing",)),
    Mutant(61, "more calls fail a gate that was not asked", "bench/commands/gate_exact.py",
           'if wanted else "told"', "", (f"{GATE}::test_more_is_a_regression_for_those_who_ask",)),
    Mutant(61, "a gate passes without the count that it was asked for", "bench/commands/gate_judgement.py",
           'if one.verdict == "unsteady" and one.wanted]', 'if one.wanted and one.verdict == "lost"]',
           (f"{GATE}::test_without_a_count_that_was_asked_for_nothing_passes",)),
)  # fmt: skip
