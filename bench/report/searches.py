"""What searches found, in words."""

from __future__ import annotations

from bench.analysis.searches import FoundSetting
from bench.analysis.summary import Summary
from bench.report.tables import label
from bench.report.units import quantity


def search_sentences(summary: Summary, group: str) -> list[str]:
    """A sentence a search of this group."""
    points = {cell.id: cell.point for cell in summary.cells}
    axis = {cell.id: summary.compare[cell.suite] for cell in summary.cells}
    return [
        f"{label(axis[search.cell], points[search.cell].get(axis[search.cell]))} found {_found(search)}{_took(search)}."
        for search in summary.searches
        if search.group == group and search.cell in points
    ]


def _found(search: FoundSetting) -> str:
    texts = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in search.values]
    counts = {text: texts.count(text) for text in dict.fromkeys(texts)}
    if len(counts) == 1:
        return f"{search.setting} {texts[0]}" + (f" in each of {len(texts)} launches" if len(texts) > 1 else "")
    told = ", ".join(text + (f" ({count} times)" if count > 1 else "") for text, count in counts.items())
    return f"{search.setting} {told} in {len(texts)} launches"


def _took(search: FoundSetting) -> str:
    took = search.seconds
    return "" if took is None else f"; the search took {quantity(took.estimate, 's', took.low, took.high)}"
