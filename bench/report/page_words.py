"""The page's words and what each means, as docs/glossary.md has them: shown where they stand, and in a list."""

from __future__ import annotations

from collections.abc import Mapping

# A test holds these against docs/glossary.md.
PAGE_WORDS: Mapping[str, str] = {
    "suite": "One file in suites/: a workload, its axes, and which axis is compared.",
    "axis": "A named list of values, such as batch_size: 64, 512, 1536.",
    "cell": "One planned measurement: a suite and a point. Its id is readable and stable: "
    "overhead[loop=plain,batch_size=64,...].",
    "group": "The cells of a suite that differ only along the compared axis. They are raced against each other.",
    "baseline": "The cell of a group that all others are compared with. In bench baseline and bench compare, a run "
    "that somebody gave a name to.",
    "twin": "A second copy of the baseline cell, in every group, from another interpreter: the A/A control. It runs "
    "the same code, so what it differs by is noise. Its id ends in #twin.",
    "arm": "A live cell: the process that runs it.",
    "loop": "plain, fabric, trainer-barebones, trainer, by-hand, and as extras accelerate, ignite, "
    "transformers-trainer: one function each.",
    "turn": "A number of steps that one arm takes while all others are held; drawn anew for each round, from half to "
    "one and a half times a middle one of 45 ms.",
    "round": "One turn of every arm of a group, in balanced random order.",
    "launch": "One set of fresh processes for a group: start, warm-up, rounds, end. Launches are the statistical "
    "replicates; turns and rounds are not.",
    "instrumented launch": "A launch whose arms carry callbacks. It comes after the timed ones, shows where time and "
    "memory go, and is never compared.",
    "cold steps": "The steps of a turn's first 15 ms. They find cold caches: they tell of what hits certain steps, and "
    "nothing of how long a step is. The first of them is also kept as first_step_time.",
    "mean step": "What a user pays: step_time. Relative to what the machine did, folded by period, the rest "
    "winsorised. See methodology.",
    "typical step": "The median settled step: typical_step_time, typical_ratio.",
    "ratio": "The mean step of a cell over that of its group's baseline, from the rounds that both took: 1.036 is "
    "3.6 % slower.",
    "difference": "Seconds a step that a cell takes more than its group's baseline.",
    "fixed": "Of a cost: the part of every step that does not grow with the step.",
    "share": "Of a cost: the part that grows with the step, as a part of it.",
    "sweep": "The launches of the same number in all groups.",
    "sample": "One raw value of a metric; in throughput and samples_per_step, one training example, counted in every "
    "batch.",
    "estimate": "What a metric or a ratio is taken to be, with its 95 % interval.",
    "noise floor": "What the twin reads. A cost of that size is no finding.",
    "ledger": "The work that an arm did: samples and their digest, forward and backward passes, real optimizer "
    "updates, losses, gradients, digests of the weights.",
    "samples digest": "A short fingerprint of all samples that an arm was handed, in their order: equal digests, equal "
    "batches.",
    "outcome": "What became of a cell: ok, unsupported, downgraded, unequal-settings, unequal-work, oom, timeout, "
    "crashed, internal, drifting, noisy, void. Every one but ok comes with its reason.",
    "requested, effective": "A setting as it was asked for, and as it was read back from the arm.",
    "ceiling": "The most that this machine was measured to reach of one kind of work: matrix products in a dtype, a "
    "copy.",
    "precision goal": "How exactly every ratio of a group should be known (--precision-goal, ±1 %); a group that is "
    "there stops.",
}


def word_anchor(word: str) -> str:
    """Where a word is explained on the page, as an id."""
    return "word-" + "-".join("".join(letter if letter.isalnum() else " " for letter in word).split())
