"""A training script, as an arm of a race. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Script:
    """A training script, as an arm.

    Attributes:
        label: its value of the axis `script`: what the user wrote, and what differs besides.
        argv: its file's real path, or the name of a module, then its arguments.
        module: whether it is run as `python -m` runs a module.
        folder: that it is started in.
        environ: variables that it gets besides.
        files: whose imports it makes besides its own file's, as a module that it trains has them.
        changes: what else is made of the training before it begins, for `bench.arm.changes`; plain JSON.
    """

    label: str
    argv: tuple[str, ...]
    module: bool
    folder: str
    environ: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def own_folder(self) -> str:
        """The folder of its files: the one that it is started in, or, if its file lies elsewhere, that of its file."""
        inside = self.module or Path(self.argv[0]).is_relative_to(Path(self.folder).resolve())
        return self.folder if inside else str(Path(self.argv[0]).parent)

    @property
    def threads(self) -> int | None:
        """Threads that its environment asks for; None where it does not."""
        text = self.environ.get("OMP_NUM_THREADS", "")
        return int(text) if text.isdecimal() and int(text) else None
