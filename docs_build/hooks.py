"""mkdocs' hooks: a comment `<!-- generated: NAME -->` of a page becomes what `pages.PARTS` or `figures.FIGURES` make.

So a page stands in the repository with its title and its place in the navigation, and links to it lead somewhere there,
too; only what the code knows better is put in when the site is built.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path

from docs_build import figures, notebook, pages  # noqa: E402  # found only once the path is set

MARKER = re.compile(r"^<!-- generated: (\w[\w-]*)(?: (\S.*?))? -->$", re.MULTILINE)
# Folders of dated pages: all of each are in the navigation, the newest first where they are dated.
SERIES = (("Measured", "measurements", True), ("Decisions", "decisions", False))


def on_config(config: Any) -> Any:
    """Every page of SERIES gets its place."""
    (project,) = [entry["The project"] for entry in config.nav if "The project" in entry]
    for title, folder, newest_first in SERIES:
        names = sorted((path.name for path in (ROOT / "docs" / folder).glob("*.md")), reverse=newest_first)
        project.append({title: [f"{folder}/{name}" for name in names]})
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Figures and the notebook's pictures, as files of the site."""
    from mkdocs.structure.files import File

    for name, draw in figures.FIGURES.items():
        files.append(File.generated(config, f"figures/{name}.svg", content=draw()))
    for name, content in notebook.pictures().items():
        files.append(File.generated(config, f"notebook/{name}", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Put in what a page's comments ask for."""
    up = "../" * page.file.src_uri.count("/")

    def made(found: re.Match[str]) -> str:
        name, rest = found[1], found[2] or ""
        if name == "figure":
            which, alt = rest.split(" ", 1)
            if which not in figures.FIGURES:
                raise KeyError(f"{page.file.src_uri}: no figure {which!r}; there are: {', '.join(figures.FIGURES)}")
            return f"![{alt}]({up}figures/{which}.svg)"
        if name not in pages.PARTS:
            raise KeyError(f"{page.file.src_uri}: nothing makes {name!r}; allowed: {', '.join(pages.PARTS)}, figure")
        return pages.PARTS[name]()

    return MARKER.sub(made, markdown)
