"""The executed notebook of examples/ as a page: its cells, what they printed, and the pictures that they drew."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "autoencoder.ipynb"


def _cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def pictures() -> dict[str, bytes]:
    """The pictures by the names that the page calls them by."""
    drawn = [output["data"]["image/png"] for cell in _cells() for output in cell.get("outputs", ())
             if "image/png" in output.get("data", {})]  # fmt: skip
    return {f"{number}.png": base64.b64decode("".join(data)) for number, data in enumerate(drawn)}


def markdown() -> str:
    """The page, without its title, which the page in docs/ has."""
    parts, drawn = [], 0
    for cell in _cells():
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            lines = source.splitlines()
            parts.append("\n".join(lines[1:] if lines[0].startswith("# ") else lines).strip())
            continue
        parts.append(fenced(source, "python"))
        printed = ""
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                parts.append(f"![What the cell above drew](notebook/{drawn}.png)")
                drawn += 1
            else:
                printed += "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
        if printed.strip():
            parts.append(fenced(printed.strip("\n"), "text"))
    return "\n\n".join(parts)


def fenced(text: str, language: str) -> str:
    """A block that no line of it ends early."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
