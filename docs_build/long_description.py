"""The package's long description: README, with links that lead somewhere where the package index shows it.

hatchling loads this file by its path when it builds the package; docs/decisions/0021-documentation.md says why.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z][a-z0-9+.-]*:|#)([^)\s]+)\)")
VARIABLE = "LOOPMARK_REPOSITORY"


class LongDescription(MetadataHookInterface):  # type: ignore[misc]  # hatchling is not there to be looked at
    """Sets `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling with the metadata of pyproject.toml."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        base = os.environ.get(VARIABLE) or metadata.get("urls", {}).get("Repository")
        metadata["readme"] = {"content-type": "text/markdown", "text": long_description(text, base)}


def long_description(text: str, base: str | None, revision: str = "HEAD") -> str:
    """README as the package index shows it; code blocks stay as they are.

    Args:
        base: the repository's address, https://HOST/OWNER/NAME. None: a link becomes its words, a picture its
            alternative text, and nothing leads nowhere.
        revision: a branch, tag or commit of it; HEAD is its main branch's.

    Raises:
        ValueError: the base is no address of the web.
    """
    if base is not None and not re.fullmatch(r"https://[^\s/]+/\S+", base):
        raise ValueError(f"{VARIABLE}={base!r} is no repository's address; allowed: https://HOST/OWNER/NAME")

    def absolute(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if base is None:
            return f"*{words}*" if picture else words
        return f"{picture}[{words}]({base.rstrip('/')}/{'raw' if picture else 'blob'}/{revision}/{target})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else LINK.sub(absolute, part) for part in parts)
