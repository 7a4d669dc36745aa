"""Which tool when: rounds in random order, so that no tool has the machine's quiet hour to itself. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping


def rounds(repeats: Mapping[str, int], generator: random.Random) -> list[list[str]]:
    """As many rounds as the largest number of repeats; who has fewer sits out rounds that are evenly spread.

    Args:
        repeats: estimates of each tool, 1 or more.
    """
    most = max(repeats.values())
    made = []
    for number in range(most):
        names = [name for name, count in repeats.items() if (number + 1) * count // most > number * count // most]
        generator.shuffle(names)
        made.append(names)
    return made
