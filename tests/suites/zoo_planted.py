"""A slowdown of a known size in the zoo's LightningModules: a step of `fifth` takes a fifth more than one of `none`."""

from __future__ import annotations

from dataclasses import replace

from .zoo import suite as zoo

suite = replace(
    zoo,
    name="zoo-planted",
    title="a slowdown of a fifth in LightningModules of many kinds",
    axes={**zoo.axes, "loop": ("by-hand",), "planted": ("none", "fifth"), "burning": (True,)},
    compare="planted",
    baseline="none",
)
