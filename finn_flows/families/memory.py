"""The memories of a family: block RAMs, and RAMs made of LUTs."""

import math
from dataclasses import dataclass

SHAPES_18 = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


@dataclass(frozen=True)
class BlockRam:
    """A family's block RAM.

    Attributes:
        name: what reports call it.
        kbit: its capacity.
        shapes: the (bits of a word, words) that one may have.
    """

    name: str
    kbit: int
    shapes: tuple[tuple[int, int], ...]

    def count(self, width: int, depth: int) -> int:
        """Return how many a memory of `depth` words of `width` bits takes in the best of the shapes."""
        return min(math.ceil(width / bits) * math.ceil(depth / words) for bits, words in self.shapes)


def ram16x4(width: int, depth: int) -> int:
    """Return the LUTs of a RAM of 4-input LUTs: six for 16 words of 4 bits, and multiplexers between banks."""
    banks = math.ceil(depth / 16)
    return 6 * math.ceil(width / 4) * banks + width * (banks - 1)
