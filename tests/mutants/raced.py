"""Mutations of what races scripts: which loader is the training's, where its turns are, what its work is told by."""

from __future__ import annotations

from .harness import Mutant

LOADERS = "tests/arm/test_script_loaders.py"
TRAINED = "tests/arm/test_trained_model.py"
SCRIPTS = "tests/plan/test_script_plans.py"
RACES = "tests/engine/test_script_races.py"

RACED: tuple[Mutant, ...] = (
    Mutant(32, "any loader's second batch is a turn", "bench/arm/script_loaders.py",
           "if not pulls.given or self.updates == pulls.updates_at_first:", "if not pulls.given:",
           (f"{LOADERS}::test_validation_and_sanity_checks_run_free",
            f"{LOADERS}::test_accumulation_is_found_at_its_first_update")),
    Mutant(32, "what else is iterated takes turns once the training has begun", "bench/arm/script_loaders.py",
           "return pulls is self.training and self._turns is not None", "return self._turns is not None",
           (f"{LOADERS}::test_validation_and_sanity_checks_run_free",)),
    Mutant(32, "an epoch that a loop leaves early goes on in its next one", "bench/arm/script_loaders.py",
           "        self._source.begin(original, original())\n", "",
           (f"{LOADERS}::test_a_loop_that_leaves_its_loader_early_ends_the_pass_and_not_the_turns",)),
    Mutant(32, "a short epoch is filled up with batches of the next one", "bench/arm/script_loaders.py",
           "self._source = PassesOfScript(self._other_length if real_epochs else None, refuse)",
           "self._source = PassesOfScript(None, refuse)",
           (f"{LOADERS}::test_epochs_of_other_lengths_are_refused",)),
    Mutant(32, "children of a script take its turns", "bench/arm/script_loaders.py",
           "        self._off = True\n", "",
           (f"{LOADERS}::test_children_of_a_script_iterate_as_they_are",)),
    Mutant(32, "a wrapper's own buffers are taken for what was learnt", "bench/arm/trained_model.py",
           "min(best, key=lambda one: sum(1 for _ in one[0].modules()))",
           "max(best, key=lambda one: sum(1 for _ in one[0].modules()))",
           (f"{TRAINED}::test_the_innermost_module_that_holds_all_is_taken_so_that_wrappers_do_not_count",)),
    Mutant(32, "batches that weights do not tell may be any", "bench/results/work_ledger.py",
           'startswith("samples_digest:") and kind in _TOLD_BY:', 'startswith("samples_digest:"):',
           ("tests/results/test_work_ledger.py::test_batches_that_are_fetched_ahead_are_told_by_what_was_learnt",)),
    Mutant(32, "scripts under other variables share an interpreter", "bench/plan/scripts.py",
           "if (own.imports, own.environ) == (imports, environ)", "if own.imports == imports",
           (f"{SCRIPTS}::test_scripts_that_import_the_same_share_interpreters_and_others_do_not",)),
    Mutant(32, "a script writes into its user's folder", "bench/arm/script_arm.py",
           "        os.chdir(self.folder)\n", "        os.chdir(folder)\n",
           (f"{RACES}::test_what_a_script_writes_goes_with_its_arm",)),
)  # fmt: skip
