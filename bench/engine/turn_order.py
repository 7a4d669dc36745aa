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


# Of more arms than this a launch need not end with a whole block: of 20 arms with turns of a tenth of a second a block
# takes 40 s, in which six launches could be made of six rounds each. Orders are drawn anew in each launch, so what its
# places do to an arm is then noise between launches, which intervals hold, and no bias.
MOST_IN_BLOCKS = 12


def rounds_to_end(count: int) -> int:
    """A launch ends after a multiple of so many rounds."""
    return block_length(count) if count <= MOST_IN_BLOCKS else 1


def rounds(count: int, generator: random.Random) -> Iterator[list[int]]:
    """Orders for round after round, without end: balanced blocks, each with its arms and its orders shuffled afresh."""
    while True:
        names = list(range(count))
        generator.shuffle(names)
        block = williams_square(count)
        generator.shuffle(block)
        for order in block:
            yield [names[item] for item in order]
