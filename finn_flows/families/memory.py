"""The memories of a family: block RAMs, and RAMs made of LUTs."""

import math
from dataclasses import dataclass

SHAPES_18 = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


@dataclass(frozen=True)
class BlockRam:
    """A family's block RAM.

    Attributes:
        name: Name in reports.
        kbit: Capacity in kbit.
        shapes: Possible pairs of bits per word and number of words.
    """

    name: str
    kbit: int
    shapes: tuple[tuple[int, int], ...]

    def count(self, width: int, depth: int) -> int:
        """Return the number of block RAMs that a memory of `depth` words of `width` bits uses with the best shape.

        A memory that is deeper than a shape is as many memories side by side, which share the bits of a block RAM.
        """
        return min(math.ceil(width * math.ceil(depth / words) / bits) for bits, words in self.shapes)


def ram16x4(width: int, depth: int) -> int:
    """Return the LUTs of a RAM of 4-input LUTs: six per 16 words of 4 bits, and multiplexers between banks."""
    banks = math.ceil(depth / 16)
    return 6 * math.ceil(width / 4) * banks + width * (banks - 1)
