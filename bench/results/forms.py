"""The forms of what a record has as plain mappings: its ledger and its settings, as far as the program reads them."""

from __future__ import annotations

from typing import TypedDict

from bench.results.decoding import Count, Number

# What a loop notes under names that begin so, it has found by itself, as a tuner does: results and no settings.
FOUND = "found_"
RANK_AXES = ("devices", "num_nodes")  # the axes that say, together, how many ranks there are


class LedgerForm(TypedDict, total=False):
    """What a ledger's values are, as far as the program reads them; see `bench.results.work_ledger`."""

    steps: Count
    samples: Count
    smallest_batch: Count
    largest_batch: Count
    declared_samples: Count | None
    samples_digest: str
    audited: Count
    forward: Count
    backward: Count
    optimizer_updates: Count
    losses: list[float]
    nonzero_gradients: Number
    initial_weights: str
    final_weights: str
    rank_differences: list[str]
    audited_updates: Count
    audited_changes: Count
    optimizers: list[str]
    learning_rates: list[float]
    faults: list[str]
    equal: str
    validation_declared: bool
    validation_batches: Count
    validation_losses: list[float]


class SettingsForm(TypedDict, total=False):
    """The same for settings; of several ranks that differ, a setting is the list of theirs."""

    precision: str | list[str | None]
    accelerator: str | list[str | None]
    compilations_timed: Count
    recompiles: Count | list[Count | None]
