"""What a search found: the sentence that is the claim, the final race, and the trials; as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.analysis.tuning import Finalist
from bench.borders import csv_cell, markdown_text, one_line
from bench.commands.tune import Tuned, as_json
from bench.commands.tune_study import TrialRow
from bench.report.markdown_parts import Part, entry, markdown_page, table_head, table_row
from bench.report.text_layout import align_rows, titled_list, wrap_text
from bench.report.units import percent, quantity

SHOWN_TRIALS = 12  # of a table; all are in `--format csv`, `json` and on the page
TRIAL_HEADER = ("configuration", "state", "samples/s", "over default", "memory", "loss", "why")


def claim_sentence(found: Tuned) -> str:
    """The one sentence that all of it comes to."""
    winner = found.winner
    if winner is not None and winner.ratio is not None:
        speed = f"{_times(winner)} the samples/s of the default ({found.default})"
        return f"{winner.label} trains {speed}{_memory_words(winner)}{_loss_words(found, winner)}: `{found.command}`"
    if found.interrupted:
        return f"interrupted after {_tried(found)}; nothing is claimed"
    if not found.result.finalists:
        why = "; ".join(found.result.notes) or _no_finalist(found)
        return f"nothing is claimed of {_tried(found)}: {why}"
    return (
        f"nothing that was tried is known to be better than the default ({found.default}), of {_tried(found)}: "
        + "; ".join(f"{one.label}: {one.reason}" for one in found.result.finalists)
    )


def _no_finalist(found: Tuned) -> str:
    if found.result.ended == "budget":
        return "the budget ended before any went all the way; give it more: --resume and a larger --budget"
    return "all of them failed or broke a limit, and why is in the table"


def _tried(found: Tuned) -> str:
    raced = sum(bool(row.seen) or row.word == "failed" for row in found.trials)
    return f"{raced} of {found.space_size} configurations"


def _times(one: Finalist) -> str:
    """`2.3x [2.2, 2.4]`."""
    ratio = one.ratio
    if ratio is None:
        return "–"
    if ratio.low is None or ratio.high is None:
        return f"{ratio.estimate:.3g}x"
    return f"{ratio.estimate:.3g}x [{ratio.low:.3g}, {ratio.high:.3g}]"


def _memory_words(one: Finalist) -> str:
    return "" if one.memory_ratio is None else f" at {one.memory_ratio:.2g}x its peak memory"


def _loss_words(found: Tuned, one: Finalist) -> str:
    if not found.loss_is_judged:
        return ", its loss not looked at"
    margin = f"{100 * found.limits.loss_margin:.3g} %"  # that someone chose, without zeros that tell a precision
    told = "" if one.lag is None else f" ({_share(one.lag.estimate)} here)"
    return f", validation loss after {found.epochs} epochs within {margin} of the default's{told}"


def _share(value: Any) -> str:
    """A relative difference; of a study it may come as a word."""
    number = float(value)
    return percent(number) if abs(number) < float("inf") else "not finite"


def render_tuned(found: Tuned) -> str:
    """For the console: the claim first."""
    lines = [*wrap_text(claim_sentence(found)), ""]
    if found.config is not None and found.config.unsaid:
        unsaid = ", ".join(found.config.unsaid)
        lines += [*wrap_text(f"The command has no word for {unsaid}; the claim is with it."), ""]
    if found.result.finalists:
        lines += ["Final race, which alone is the claim:", *align_rows(_finalist_rows(found), keep=(0, 1, 4)), ""]
    rows = _trial_rows(found)
    shown = rows[:SHOWN_TRIALS]
    more = f", the best {SHOWN_TRIALS} of {len(rows)}" if len(rows) > SHOWN_TRIALS else ""
    if rows:
        table = align_rows([TRIAL_HEADER, *shown], left=(0, 1, 6), keep=(0, 1, 3), elsewhere="--format csv")
        lines += [f"Trials by their last race{more}:", *table, ""]
    lines += titled_list("", list(_notes(found))) if found.result.notes and found.result.finalists else []
    lines += wrap_text(
        f"{found.spent:.0f} s in all. Study {found.study} in {found.storage}; optuna-dashboard sqlite:///"
        f"{found.storage} shows it. Races: {found.folder}."
    )
    return "\n".join(lines).rstrip() + "\n"


def _notes(found: Tuned) -> Iterator[str]:
    yield from found.result.notes


def _finalist_rows(found: Tuned) -> list[list[str]]:
    rows = [["configuration", "over default", "memory", "loss above", "verdict"]]
    for one in found.result.finalists:
        lag = one.lag
        told = "–" if lag is None else percent(lag.estimate, lag.low, lag.high)
        memory = "–" if one.memory_ratio is None else f"{one.memory_ratio:.2f}x"
        rows.append([one.label, _times(one), memory, told, one.word])
    return rows


def last_seen(row: TrialRow) -> Mapping[str, Any]:
    """What the longest race of a trial told; nothing where there was none."""
    return row.seen[max(row.seen, key=int)] if row.seen else {}


def ranked_trials(found: Tuned) -> list[TrialRow]:
    """Complete ones first, then pruned ones, then failed ones; the fastest first."""
    order = ("complete", "running", "pruned", "failed")
    return sorted(found.trials, key=lambda row: (order.index(row.word), -float(last_seen(row).get("ratio") or 0.0)))


def _trial_rows(found: Tuned) -> list[list[str]]:
    return [[one_line(text) for text in trial_cells(row)] for row in ranked_trials(found)]


def trial_cells(row: TrialRow) -> list[str]:
    """A trial as the cells of a table, under TRIAL_HEADER."""
    seen = last_seen(row)
    rate, ratio, memory, lag = (seen.get(name) for name in ("samples_per_second", "ratio", "peak_memory", "loss_lag"))
    state = {"complete": "all the way", "running": "undecided"}.get(row.word, row.word)
    return [
        row.label,
        state,
        "–" if rate is None else quantity(float(rate), "samples/s"),
        "–" if ratio is None else f"{float(ratio):.3g}x",
        "–" if memory is None else quantity(float(memory), "bytes"),
        "–" if lag is None else _share(lag),
        row.reason,
    ]


def tune_markdown(found: Tuned) -> str:
    """Markdown: the claim, the final race, all trials."""
    parts = [Part("", [markdown_text(claim_sentence(found)), ""])]
    if found.result.finalists:
        header, *rows = _finalist_rows(found)
        parts.append(_table_part("the final race", header, rows))
    return markdown_page(
        [*parts, _table_part("trials", TRIAL_HEADER, _trial_rows(found))], "All of it: `bench tune --format csv`."
    )


def _table_part(name: str, header: Any, rows: Any) -> Part:
    head = table_head(header, left=range(len(header)))
    return Part(name, head, [table_row([*map(entry, row)]) for row in rows], [""])


def tune_csv(found: Tuned) -> str:
    """CSV: one line a trial, in SI units without prefixes."""
    out = io.StringIO()
    axes = [text.partition("=")[0] for text in found.axes]
    writer = csv.writer(out, lineterminator="\n")
    figures = ("samples_per_second", "ratio", "peak_memory", "loss_lag")
    writer.writerow(map(csv_cell, ["trial", "configuration", *axes, "state", *figures, "reason"]))
    for row in found.trials:
        seen = last_seen(row)
        own = [row.configuration.get(axis, "") for axis in axes]
        told = ["" if seen.get(name) is None else seen[name] for name in figures]
        writer.writerow(map(csv_cell, [row.number, row.label, *own, row.word, *told, row.reason]))
    return out.getvalue()


TUNE_FORMATS: Mapping[str, Callable[[Tuned], str]] = {
    "table": render_tuned,
    "md": tune_markdown,
    "csv": tune_csv,
    "json": lambda found: as_json(found) + "\n",
}
