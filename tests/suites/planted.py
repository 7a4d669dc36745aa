"""Trainings of many kinds with a slowdown of a known size: a step of `fifth` takes a fifth more than one of `none`."""

from __future__ import annotations

from dataclasses import replace

from .trainings import suite as trainings

suite = replace(
    trainings,
    name="planted",
    title="a slowdown of a fifth in trainings of many kinds",
    axes={**trainings.axes, "loop": ("plain",), "planted": ("none", "fifth"), "burning": (True,)},
    compare="planted",
    baseline="none",
)
