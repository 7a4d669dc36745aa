"""A diagnosis as plain text: ranked advice, every line of it raced, then bounds, traps, and what the training does."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.ladder import PriceWord
from bench.analysis.savings import WORTH, Saving
from bench.borders import one_line
from bench.commands.diagnosis import BOUNDED, Diagnosis, PricedTrap, Tried, compatible
from bench.commands.source_edits import Patch
from bench.report.ladder import said_of
from bench.report.text_layout import align_rows, titled_list, wrap_text
from bench.report.units import percent, quantity
from bench.stats.intervals import Interval

# What a bound is about, and what cannot pay where it is small.
BOUND_WORDS = {
    "loader": "loader work",
    "logging": "less logging",
    "checkpoints": "fewer checkpoints",
    "syncs": "keeping values on the device",
    "optimizer": "work on the optimizer",
    "batch": "a larger batch",
}


def render_diagnosis(found: Diagnosis) -> str:
    """All of it, advice first."""
    if found.failed:
        return "\n".join(wrap_text(failed_line(found))) + "\n"
    lines = [*wrap_text(f"{found.target}: {_headline(found)}"), ""]
    for number, one in enumerate(found.advice, 1):
        lines += wrap_text(advice_sentence(one), f"  {number}. ")
        lines += wrap_text(_reason(one), "     ")
    if found.advice:
        lines.append("")
    lines += titled_list("Values to choose from that save too:", [advice_sentence(one) for one in found.also])
    lines += titled_list("Bounds, which are no advice:", [bound_sentence(one) for one in found.bounds])
    lines += titled_list("Traps that it falls into:", [trap_sentence(one) for one in found.traps])
    lines += titled_list("Raced, and no advice:", [unadvised_sentence(one) for one in found.unadvised])
    lines += titled_list("Not told:", [f"{title}: {reason}" for title, reason in found.untried])
    lines += _features(found)
    lines += _observed(found)
    lines += [line for text in _notes(found) for line in wrap_text(text)]
    return "\n".join(lines).rstrip() + "\n"


def failed_line(found: Diagnosis) -> str:
    """Why a training could not be looked at, and its log."""
    return f"{found.target}: {found.failed}; its log: {found.log}"


def _headline(found: Diagnosis) -> str:
    if found.interrupted:
        return "interrupted; what was raced until then:"
    if not (found.claims or found.bounds):
        return "nothing was told: give it more time, as with --budget 5m"
    if not found.advice:
        worth = percent(WORTH, signed=False, digits=1)
        return f"nothing to advise: nothing that was raced is known to save {worth} or more"
    kinds = "is one thing that saves" if len(found.advice) == 1 else f"are {len(found.advice)} things that save"
    return f"there {kinds} time, each raced against the training as it is:"


def saving_words(saving: Saving) -> str:
    """`3.1 s an epoch [2.8, 3.4] (12 %)`."""
    seconds = quantity(saving.seconds.estimate, "s", saving.seconds.low, saving.seconds.high)
    value, bracket, rest = seconds.partition(" [")
    per = "an epoch" if saving.per == "epoch" else "a step"
    share = percent(saving.share.estimate, signed=False)
    return f"{value} {per}{bracket}{rest} ({share})"


def advice_sentence(one: Tried) -> str:
    """`persistent_workers=True saves 3.1 s an epoch [2.8, 3.4] (12 %)`."""
    return f"{one.trial.title} saves {saving_words(one.saving)}"


def _reason(one: Tried) -> str:
    otherwise = f"; {one.trial.otherwise}" if one.trial.otherwise else ""
    return f"{one.trial.why}{otherwise}"


def bound_sentence(one: Tried) -> str:
    """What a bound says: `a perfect loader saves 12 % [11, 13]: loader work can save no more`."""
    saving, what = one.saving, BOUND_WORDS.get(one.trial.name, one.trial.name)
    share = percent(saving.share.estimate, saving.share.low, saving.share.high, signed=False)
    if one.trial.name == "batch":
        more = f"; {one.trial.otherwise}" if one.trial.otherwise else ""
        return f"{one.trial.title}: {share} less time a sample{more}"
    if saving.most < BOUNDED:
        most = percent(max(saving.most, 0.0), signed=False)
        return f"bounded at {most}: no {what} can pay here ({one.trial.title}: {share})"
    if saving.share.low is None or saving.share.low <= saving.bias:
        most = percent(saving.most, signed=False)
        return f"bounded at {most}: {what} can save no more ({one.trial.title}: {share})"
    return f"{one.trial.title} ({one.trial.why}) saves {share}: {what} can save no more"


def trap_sentence(one: PricedTrap) -> str:
    """A trap as a fact, with its price where it has one."""
    if one.price is None:
        return f"{one.trap.told}; it has no price here" if not one.trap.remedies else f"{one.trap.told}; not priced"
    saving = one.price.saving
    if saving.is_known:
        return f"{one.trap.told}; its price, by {one.price.trial.title}: {saving_words(saving)}"
    return f"{one.trap.told}; its price, by {one.price.trial.title}, is within noise: {saving_words(saving)}"


def unadvised_sentence(one: Tried) -> str:
    """`num_workers=1 costs 2.1 ms an epoch [1.8, 2.3] (3.4 %)`, or that it cannot be told from nothing."""
    saving = one.saving
    if saving.costs:
        turned = quantity(
            -saving.seconds.estimate,
            "s",
            None if saving.seconds.high is None else -saving.seconds.high,
            None if saving.seconds.low is None else -saving.seconds.low,
        )
        value, bracket, rest = turned.partition(" [")
        per = "an epoch" if saving.per == "epoch" else "a step"
        return f"{one.trial.title} costs {value} {per}{bracket}{rest}"
    why = "too little to be worth it" if saving.share.low is not None and saving.share.low > saving.bias else "noise"
    return f"{one.trial.title}: {saving_words(saving)}: {why}"


def _features(found: Diagnosis) -> list[str]:
    """What each of Trainer's features costs over the one below, a line each."""
    rows = [["", "over", "a step", "an epoch besides"]]
    for price in found.features:
        if price.twin or not price.below:  # the lowest is over nothing
            continue
        figures = [_price(price.step, price.step_word), _price(price.epoch, price.epoch_word)]
        rows.append([price.value, price.over, *(figures if price.step else (price.reason, ""))])
    lines = ["Trainer's features, each over the one below:", *align_rows(rows, left=(0, 1)), ""]
    return lines if len(rows) > 1 else []


def _price(figure: Interval | None, word: PriceWord) -> str:
    """A price where it is told, else what may be said."""
    said = said_of(figure, word)
    if figure is None or said != "told":
        return said
    return quantity(figure.estimate, "s", figure.low, figure.high, signed=True)


def _observed(found: Diagnosis) -> list[str]:
    """What the training does: phases of a step, its loader, memory, slope."""
    seen = found.seen
    if not seen.step_seconds:
        return []
    rows = [["a step as it is, looked at", quantity(seen.step_seconds, "s"), "", ""]]
    for name, took in sorted(seen.seconds.items(), key=lambda one: -one[1]):
        calls = seen.calls.get(name)
        times = "" if calls is None else f"{calls:.3g} times"
        rows.append([f"  {name}", quantity(took, "s"), percent(took / seen.step_seconds, signed=False), times])
    if seen.between_seconds:
        rows.append(["between two epochs", quantity(seen.between_seconds, "s"), "", ""])
    if found.memory:
        rows.append(["peak memory", quantity(found.memory, "bytes"), "", ""])
    lines = [*align_rows(rows, headed=False), ""]
    return [*lines, *titled_list("It drifts:", [found.slope] if found.slope else [])]


def _notes(found: Diagnosis) -> Iterator[str]:
    if found.claims:
        several = f"The intervals of all {found.claims} remedies hold at once"
        intervals = several if found.claims > 1 else "The interval of the remedy holds"
        yield (
            f"{intervals} in 95 of 100 diagnoses, and so do those of the bounds. What looking costs is in the times of "
            "the step above, and in no other figure."
        )
    if len(found.advice) > 1:
        yield "Savings overlap: follow the first advice, and ask again."
    if found.seen.loaders > 1:
        yield f"It iterates {found.seen.loaders} training loaders; one of them is looked at."


def render_fix(found: Diagnosis, patch: Patch) -> str:
    """The change that the advice asks for: a patch, arguments, and what is done by hand."""
    told = [f"# {one_line(advice_sentence(one))}" for one in compatible(found.advice)]
    parts = ["\n".join(told)] if told else []  # `git apply` and `patch` pass over it
    parts += [patch.diff.rstrip("\n")] if patch.diff else []
    arguments = found.arguments()
    by_hand = [text for text in patch.by_hand if text not in arguments]
    parts += ["\n".join(f"# {one_line(text)}" for text in arguments)] if arguments else []
    parts += ["\n".join(f"# by hand: {one_line(text)}" for text in by_hand)] if by_hand else []
    return "\n".join(parts or ["# nothing to change"]) + "\n"
