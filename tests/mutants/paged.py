"""Mutations of pages of several runs, of the index and of histories' caches."""

from __future__ import annotations

from .harness import Mutant

CACHES, HISTORIES = "tests/commands/test_history_cache.py", "tests/report/test_history_page.py"
BESIDE, INDEXES = "tests/report/test_side_by_side.py", "tests/report/test_index_page.py"
PARTS, VERIFIED = "tests/report/test_page_parts.py", "tests/report/test_verify.py"

PAGED: tuple[Mutant, ...] = (
    Mutant(25, "a run that was changed has the points that it had", "bench/commands/history_cache.py",
           "for name in (store.RUN, store.RECORDS, store.ANCHOR):", "for name in (store.RUN, store.ANCHOR):",
           (f"{CACHES}::test_whatever_changes_in_a_run_is_seen",)),
    Mutant(25, "points that other code made are taken", "bench/commands/history_cache.py",
           'return files.cache_folder() / "history" / code_digest()', 'return files.cache_folder() / "history"',
           (f"{CACHES}::test_other_code_reads_anew",)),
    Mutant(25, "what a spoilt file says is believed", "bench/commands/history_cache.py",
           "        if hashlib.sha256(packed).hexdigest().encode() != checksum:\n            return None\n", "",
           (f"{CACHES}::test_a_spoilt_file_is_made_anew_with_no_word_lost",)),
    Mutant(25, "all runs side by side have the ratio of the first", "bench/analysis/side_by_side.py",
           "None if cell.versus is None else cell.versus.of_work",
           "None if known.versus is None else known.versus.of_work",
           (f"{BESIDE}::test_each_run_keeps_its_own_ratio_and_none_is_pooled",)),
    Mutant(25, "runs side by side did the same work, whatever they did", "bench/analysis/side_by_side.py",
           "            if first is None:\n", "            if True:\n",
           (f"{BESIDE}::test_unequal_work_is_told",)),
    Mutant(25, "a page is that of the run, however that went on", "bench/report/index_page.py",
           "about.digest == run_digest(folder)", "about.digest",
           (f"{INDEXES}::test_a_run_that_went_on_since_is_said_to_have",)),
    Mutant(25, "a change is drawn a commit late", "bench/report/history_page.py",
           "return (across[index - 1] + across[index]) / 2 if index", "return across[index] + 0.5 if index",
           (f"{HISTORIES}::test_a_planted_step_is_marked_at_its_commit",)),
    Mutant(25, "a page's script is whatever it is", "bench/report/verify.py",
           "if page.scripts != fresh.scripts:", "if not page.scripts:",
           (f"{VERIFIED}::test_each_part_of_the_page_that_was_changed_is_named",)),
    Mutant(25, "elements of a page are compared where its libraries are ours", "bench/report/pages.py",
           ' for name, value in attrs if name != "data-drawn-by")', ' for name, value in attrs[:0])',
           (f"{VERIFIED}::test_each_part_of_the_page_that_was_changed_is_named",)),
    Mutant(25, "steps beyond what was measured are offered", "bench/report/step_choices.py",
           "return [step for step in found if low <= step <= high]", "return found",
           (f"{PARTS}::test_steps_to_choose_are_close_and_within",)),
    Mutant(25, "an arm in a sentence of one's own step has no twin beside it", "bench/report/step_choices.py",
           "return sorted([*twins, *fitted]", "return sorted([*fitted]",
           (f"{PARTS}::test_a_chosen_step_says_what_a_page_for_that_step_says",)),
)  # fmt: skip
