"""An explanation as text: one sentence, what it is made of, and the functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis.explain import SLOWER_WORK, ExplainedPart, Explanation
from bench.borders import one_line
from bench.plan.cell import as_text
from bench.report.text_layout import align_rows, wrap_text
from bench.report.units import percent, quantity
from bench.results.store import StoredRun

_MOST_ENTRIES = 5  # of a sentence
_MOST_FUNCTIONS = 12  # in the table; `--format json` has all
_LONGEST = 64  # letters of a function's name


def cell_names(run: StoredRun, explanation: Explanation) -> tuple[str, str]:
    """How the two cells are called: by the values of the compared axis, or by their ids where these are alike."""
    points = {cell["id"]: cell for cell in run.info["plan"]["cells"]}
    found = []
    for cell in (explanation.base, explanation.own):
        planned = points[cell]
        value = as_text(planned["point"][run.info["plan"]["suites"][planned["suite"]]["compare"]])
        found.append(f"{value} (twin)" if planned["twin"] else value)
    return (found[0], found[1]) if found[0] != found[1] else (explanation.base, explanation.own)


def explained_sentence(explanation: Explanation, names: tuple[str, str]) -> str:
    """`87 % of +1.06 ms [1.02, 1.10] a step that trainer takes more than plain: 31 % logger connector, ...`."""
    found = explanation.difference
    much = quantity(found.estimate, "s", found.low, found.high, signed=True)
    base, own = (one_line(name) for name in names)
    if found.low is not None and found.low <= 0:
        return f"{own} takes {much} a step more than {base}, which is not told from zero: there is nothing to explain"
    told = [part for part in explanation.told if part.kind == "own"]
    entries = [f"{share_text(explanation, part)} {part.name}" for part in told[:_MOST_ENTRIES]]
    rest = told[_MOST_ENTRIES:]
    if rest:
        entries.append(f"{_percent(explanation.share(sum(part.more for part in rest)))} in {len(rest)} smaller ones")
    work = explanation.same_work
    if work.told:
        entries.append(f"{share_text(explanation, work)} {SLOWER_WORK if work.more > 0 else 'the same work, faster'}")
    what = ", ".join(entries) if entries else "no function's difference is told from its samples' noise"
    once = "" if found.low is not None else ", of one launch, so without an interval"
    return f"{_percent(explanation.explained)} of {much} a step that {own} takes more than {base}{once}: {what}"


def share_text(explanation: Explanation, part: ExplainedPart) -> str:
    """Of the difference, in percent."""
    return _percent(explanation.share(part.more))


def _percent(value: float) -> str:
    return percent(value, signed=False) if abs(value) < 0.095 else f"{100 * value:.0f} %"


def sampled_note(explanation: Explanation) -> str:
    """How it was found, and what sampling cost."""
    first, second = explanation.samples
    costs = " and ".join(f"{100 * (one - 1):.0f} %" for one in explanation.overhead)
    seen = quantity(explanation.launch_difference, "s", signed=True)
    return (
        f"How much is from timed launches; how it divides from {first} and {second} samples of call stacks, in a "
        f"launch that is not timed: sampling made its steps {costs} longer, which is taken off, and those that were "
        f"not sampled differ by {seen} of processor time. Named is what differs by more than 2 standard errors of its "
        "samples."
    )


def render_explanation(explanation: Explanation, names: tuple[str, str]) -> str:
    """The sentence, the entries, the functions that take most, the note."""
    base, own = names
    lines = wrap_text(explained_sentence(explanation, names) + ".")
    lines += [
        "",
        *_table(explanation, ["", own, base, "more", "share", "±"], explanation.entries, explanation.base_step),
    ]
    told = [part for part in explanation.functions if part.told][:_MOST_FUNCTIONS]
    if told:
        lines += ["", "  Functions, with what they call of torch and the standard library:"]
        lines += _table(explanation, ["", own, base, "more", "share", "±"], told, explanation.base_step)
    lines += ["", *wrap_text(sampled_note(explanation))]
    for note in explanation.notes:
        lines += wrap_text(note)
    return "\n".join(lines) + "\n"


def _table(explanation: Explanation, head: Sequence[str], parts: Sequence[ExplainedPart], step: float) -> list[str]:
    rows = [list(head)]
    for part in parts:
        rows.append(
            [
                short_function(part.name),
                *(quantity(value, "s") for value in (part.own, part.base)),
                quantity(part.more, "s", signed=True),
                share_text(explanation, part),
                _percent(explanation.share(part.error)),
            ]
        )
    return align_rows(rows)


def short_function(name: str, letters: int = _LONGEST) -> str:
    """A function by the last two parts of its module and its qualified name; plain words stay as they are."""
    module, colon, inner = name.partition(":")
    if not colon:
        return name
    text = f"{'.'.join(module.split('.')[-2:])}:{inner.replace('.<locals>', '')}"
    return text if len(text) <= letters else f"...{text[3 - letters :]}"


def explanation_document(run: StoredRun, explanation: Explanation) -> Mapping[str, object]:
    """As plain JSON data, with its sentence."""
    return {
        "run": run.id,
        "sentence": explained_sentence(explanation, cell_names(run, explanation)),
        **explanation.to_json(),
    }
