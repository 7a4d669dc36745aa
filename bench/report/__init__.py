"""Summary -> one self-contained HTML page, Markdown, CSV, plain text."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.analysis.summary import Summary

# What `bench show --format` takes beside json: the module whose `render` makes it. docs/adding/report-format.md.
SUMMARY_FORMATS: Mapping[str, str] = {
    "table": "bench.report.console",
    "csv": "bench.report.csv",
    "md": "bench.report.markdown",
}


def renderer(name: str) -> Callable[[Summary], str]:
    """The function that makes this format, which is imported now, with pandas behind it."""
    render: Callable[[Summary], str] = importlib.import_module(SUMMARY_FORMATS[name]).render
    return render
