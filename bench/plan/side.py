"""A side of a comparison of environments: an interpreter, and whose code it imports first. No torch."""

from __future__ import annotations

from dataclasses import dataclass

SIDE = "@"  # begins the entry of a preload that is no module: the name of the side whose interpreter it is


@dataclass(frozen=True)
class Side:
    """An environment that is compared with others: its interpreter, and the folders at the front of its path."""

    name: str
    python: str
    paths: tuple[str, ...]
