"""What a gate said, for people and for CI: text for a terminal, Markdown for a job summary, JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree

from bench.analysis.count_differences import per_step
from bench.borders import markdown_code, terminal
from bench.borders import markdown_text as safe
from bench.commands.gate_exact import A_STEP, Exact
from bench.commands.gate_judgement import Gate
from bench.report.markdown_parts import Part, entry, listed, markdown_page, table_head, table_row
from bench.report.text_layout import lay_out, titled_list, wrap_text
from bench.report.units import quantity, ratio
from bench.stats.gate_rule import Decision
from bench.stats.intervals import Interval
from bench.stats.rounding import percent_of

# The element that a verdict becomes in JUnit XML, and the counter that counts it.
JUNIT_KINDS = {
    "regression": ("failure", "failures"),
    "invalid": ("error", "errors"),
    "inconclusive": ("skipped", "skipped"),
}
MARKS = {"pass": "✅", "improvement": "✅", "regression": "❌", "invalid": "⚠️", "inconclusive": "❔"}
GATE_COLUMNS = ("cell", "verdict", "typical [95 %]", "mean [95 %]", "n", "sd", "could see", "why")


def percent_or_dash(value: float | None, *, signed: bool = False) -> str:
    """A fraction as percent with two digits, or a dash."""
    return "–" if value is None else percent_of(value, signed=signed)


def _ratio(found: Interval | None) -> str:
    return "–" if found is None else ratio(found.estimate, found.low, found.high)


def decision_row(one: Decision) -> list[str]:
    return [
        one.cell,
        one.verdict,
        _ratio(one.ratio),
        _ratio(one.mean),
        str(one.n),
        percent_or_dash(one.sd),
        percent_or_dash(one.detectable, signed=True),
        one.reason,
    ]


def headline(gate: Gate) -> str:
    """The verdict in one line."""
    cells = [one for one in gate.decisions if not one.twin]
    counts: dict[str, int] = {}
    for one in cells:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    told = ", ".join(f"{n} {verdict}" for verdict, n in counts.items()) or "no cell"
    return f"gate: {gate.verdict} ({told})"


def notes(gate: Gate, tally: str) -> list[str]:
    """What a reader needs to judge the verdict."""
    rule = gate.rule
    launches = ", ".join(f"{name} {n}" for name, n in gate.launches.items()) or "none"
    return [
        f"equivalence margin {percent_or_dash(rule.margin)} (harmless), target {percent_or_dash(rule.target)} "
        f"(promised to be caught), of the typical (median) and of the mean step; false alarms in at most "
        f"{percent_or_dash(rule.alpha)} of gates; "
        f"launches: {launches}; {gate.seconds:.0f} s of at most {gate.budget:.0f} s",
        '"could see" is the minimum detectable effect, the smallest slowdown that this gate would have called a '
        "regression with 90 %, in the step that decided: the larger of "
        f"the target and, by the noncentral t distribution, what {rule.looks[-1]} launches of that sd tell from the "
        'margin; "–" where no launch was judged',
        tally,
    ]


def exact_lines(gate: Gate) -> list[str]:
    """Metrics without statistics that differ, or say nothing."""
    return [f"{one.cell}: {_exact(one)}" for one in gate.exact if one.verdict != "pass"]


def _exact(one: Exact) -> str:
    values = f"{one.metric} {quantity(one.base, one.unit)} to {quantity(one.head, one.unit)}"
    if one.unit == A_STEP:
        values = f"{one.metric} {per_step(one.base)} to {per_step(one.head)} a step"
    if one.verdict == "told":
        return f"{values}: another, and not judged{one.why and f': {one.why}'}"
    if one.why:
        known = "" if one.why.startswith("not counted") else values.removeprefix(one.metric)
        return f"{one.metric}{known}: {'not judged' if one.verdict == 'unsteady' else one.verdict}: {one.why}"
    if one.verdict == "unsteady":
        return f"{values}: not judged, the twin or the launches differ by more than {quantity(one.tolerance, one.unit)}"
    return f"{values}: {one.verdict}"


def console(gate: Gate, tally: str) -> str:
    """For a terminal: what differs first, then the cells, then on what it rests."""
    lines = titled_list("What differs between the sides besides the compared axis:", gate.differences)
    names = {one.cell: f"({number})" for number, one in enumerate(gate.decisions, start=1)}
    if gate.decisions:
        table = [["", *GATE_COLUMNS[1:-1]]] + [[names[one.cell], *decision_row(one)[1:-1]] for one in gate.decisions]
        laid = lay_out(table, left=(), keep=(0, 1, 2, 3))
        lines += laid.header
        for row, one in zip(laid.rows, gate.decisions, strict=True):
            lines += wrap_text(f"{names[one.cell]} {one.cell}{' (the A/A control)' if one.twin else ''}: {one.reason}")
            lines += row
        lines += [*laid.note, ""]
    lines += titled_list("Without statistics:", exact_lines(gate))
    lines += titled_list("Not gated:", [f"{cell}: {reason}" for cell, reason in gate.skipped])
    lines += titled_list("Why:", gate.reasons)
    for note in notes(gate, tally):
        lines += wrap_text(note)
    return "\n".join([*lines, "", headline(gate)]) + "\n"


def markdown(gate: Gate, tally: str) -> str:
    """For a job summary or a comment."""
    parts = [Part("", [f"## {MARKS[gate.verdict]} {headline(gate)}", ""])]
    parts += listed("What differs between the sides besides the compared axis:", gate.differences)
    if gate.decisions:
        head = table_head(GATE_COLUMNS, left=(0, 1, len(GATE_COLUMNS) - 1))
        rows = [table_row([markdown_code(one.cell), *map(entry, decision_row(one)[1:])]) for one in gate.decisions]
        parts.append(Part("cells", head, rows, [""]))
    parts += listed("Without statistics:", exact_lines(gate))
    parts += listed("Not gated:", [f"{cell}: {reason}" for cell, reason in gate.skipped])
    parts += listed("Why:", gate.reasons)
    parts.append(Part("notes", (), [f"<sub>{safe(note)}</sub>\n" for note in notes(gate, tally)]))
    return markdown_page(parts, "All of it: gate.json in the folder of this gate.")


def junit(gate: Gate, tally: str) -> str:
    """JUnit XML: a regression is a failure, an invalid cell an error, an inconclusive one is skipped."""
    cells = [one for one in gate.decisions if not one.twin or one.verdict == "invalid"]
    suite = ElementTree.Element("testsuite", name="bench gate", time=f"{gate.seconds:.3f}")
    counts = {"failures": 0, "errors": 0, "skipped": 0}
    for one in cells:
        case = ElementTree.SubElement(suite, "testcase", classname=terminal(one.group), name=terminal(one.cell))
        if one.verdict in JUNIT_KINDS:
            tag, counter = JUNIT_KINDS[one.verdict]
            counts[counter] += 1
            ElementTree.SubElement(case, tag, message=terminal(f"{one.verdict}: {one.reason}"))
        seen = ElementTree.SubElement(case, "system-out")
        seen.text = terminal(
            "; ".join(f"{name}: {text}" for name, text in zip(GATE_COLUMNS, decision_row(one), strict=True))
        )
    for cell, reason in gate.skipped:
        case = ElementTree.SubElement(suite, "testcase", classname="not gated", name=terminal(cell))
        counts["skipped"] += 1
        ElementTree.SubElement(case, "skipped", message=terminal(reason))
    if gate.verdict == "invalid" and not cells:  # measured nothing: it must not look like a suite that passed
        case = ElementTree.SubElement(suite, "testcase", classname="bench gate", name="measured")
        counts["errors"] += 1
        ElementTree.SubElement(case, "error", message=terminal("; ".join(gate.reasons)))
    for name, count in {"tests": len(suite), **counts}.items():
        suite.set(name, str(count))
    text = ElementTree.SubElement(suite, "system-out")
    text.text = terminal("\n".join([headline(gate), *gate.differences, *notes(gate, tally)]))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"
