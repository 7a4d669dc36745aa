"""Orders of turns: balanced, random, seeded. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator


def williams_square(count: int) -> list[list[int]]:
    """Orders of `count` arms in which each arm stands once at each place and follows each other arm equally often.

    Williams (1949): for an even count one square of `count` orders does both; for an odd count it takes the square and
    its mirror image, 2 * `count` orders. Who ran before matters: it leaves its data in the caches.
    """
    if count == 1:
        return [[0]]
    zigzag = [0]
    low, high = 1, count - 1
    while len(zigzag) < count:
        zigzag.append(low)
        low += 1
        if len(zigzag) < count:
            zigzag.append(high)
            high -= 1
    square = [[(item + shift) % count for item in zigzag] for shift in range(count)]
    return square if count % 2 == 0 else square + [order[::-1] for order in square]


def block_length(count: int) -> int:
    """Rounds in one balanced block."""
    return len(williams_square(count))


def rounds(count: int, generator: random.Random) -> Iterator[list[int]]:
    """Orders for round after round, without end: balanced blocks, each with its arms and its orders shuffled afresh."""
    while True:
        names = list(range(count))
        generator.shuffle(names)
        block = williams_square(count)
        generator.shuffle(block)
        for order in block:
            yield [names[item] for item in order]
