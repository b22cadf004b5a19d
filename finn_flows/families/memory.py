"""The memories of a family: block RAMs, and RAMs made of LUTs."""

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

SHAPES_18 = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
SHAPES_36 = ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768))


@dataclass(frozen=True)
class RamCell:
    """A cell that Yosys makes of block RAM.

    Attributes:
        shapes: Possible pairs of bits per word and number of words.
        cost: Its cost in LUTs, by which Yosys chooses: `cost` in Yosys' description of the family's block RAMs.
        block_rams: Block RAMs of the family that the cell takes.
    """

    shapes: tuple[tuple[int, int], ...]
    cost: int
    block_rams: int = 1


class Layout(NamedTuple):
    """A memory in block RAM.

    Attributes:
        cost: Its cost in LUTs, by which Yosys chooses.
        block_rams: Number of block RAMs.
        banks: Number of memories that the words are distributed to. A multiplexer selects one bank's word.
    """

    cost: float
    block_rams: int
    banks: int


@dataclass(frozen=True)
class BlockRam:
    """A family's block RAM.

    Attributes:
        name: Name in reports.
        kbit: Capacity in kbit.
        cells: The cells that Yosys makes of it.
    """

    name: str
    kbit: int
    cells: tuple[RamCell, ...]

    def layout(self, width: int, depth: int) -> Layout:
        """Return how Yosys lays out a memory of `depth` words of `width` bits.

        A memory that is deeper than a cell is distributed to banks, which share the bits of a cell. Yosys' pass
        `memory_libmap` compares the cost of the cells and half a LUT per bit of each bank after the first.
        """
        return _layout(self, width, depth)


@cache
def _layout(ram: BlockRam, width: int, depth: int) -> Layout:
    found = []
    for cell in ram.cells:
        for bits, words in cell.shapes:
            banks = math.ceil(depth / words)
            count = math.ceil(width * banks / bits)
            cost = cell.cost * count + 0.5 * width * (banks - 1)
            found.append(Layout(cost, cell.block_rams * count, banks))
    return min(found, key=lambda each: (each.cost, each.banks))


def multiplexer(ways: int, lut_inputs: int) -> int:
    """Return the LUTs per bit of a multiplexer of `ways` words, as Yosys maps it behind a memory's banks.

    A 6-input LUT selects one of four bits. Counted for 2 to 16 ways on memories alone; off by at most two LUTs, at 7 and 9
    ways of 6-input LUTs and at 8 ways on Gowin.
    """
    return math.ceil((ways - 1) / 3) if lut_inputs == 6 else round(0.85 * (ways - 1))


def ram16x4(width: int, depth: int) -> int:
    """Return the LUTs of a RAM of 4-input LUTs: six per 16 words of 4 bits, and multiplexers between banks."""
    banks = math.ceil(depth / 16)
    return 6 * math.ceil(width / 4) * banks + width * (banks - 1)


def ram16x4_cost(width: int, depth: int) -> float:
    """Return the cost by which Yosys compares a RAM of 4-input LUTs with block RAMs.

    Four for each 16 words of 4 bits, half for each bit that the banks' words and write enables are selected by, and two
    for each bit of the register behind it.
    """
    banks = math.ceil(depth / 16)
    return 4 * math.ceil(width * banks / 4) + 0.5 * (width * (banks - 1) + banks) + 2 * width
