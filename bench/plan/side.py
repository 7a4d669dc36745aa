"""A side of a comparison: an interpreter, whose code it imports first, and under which variables. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SIDE = "@"  # begins the entry of a preload that is no module: the name of the side whose interpreter it is


@dataclass(frozen=True)
class Side:
    """An environment that is compared with others: its interpreter, and the folders at the front of its path.

    Attributes:
        imports: what its interpreter imports besides, as `module` or `module:name`, as far as that can be imported.
        environ: variables of its interpreter, from its start on.
    """

    name: str
    python: str
    paths: tuple[str, ...]
    imports: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
