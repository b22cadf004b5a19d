"""The resources of mapped cells: LUTs, carries, flip-flops, block RAMs, DSPs.

The counts are the resources that a cell occupies, so totals compare with a part's table. Each family's file lists its cells.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from zerocross.finn_flows.families import get_family


@dataclass(frozen=True)
class Cells:
    """The resources of a set of cells.

    Attributes:
        lut: LUTs, including those of memories, shift registers and (ECP5, Gowin) carries.
        lut_memory: The part of these LUTs that is memory or shift registers.
        carry: Carry cells: CARRY4, CARRY8, CCU2C (two bits), SB_CARRY, ALU (one bit).
        ff: Flip-flops.
        bram: Block RAMs of the family's own size; a RAMB36 counts as two.
        bram_kbit: Capacity of the block RAMs in kbit.
        dsp: DSP slices or multipliers.
        by_type: Number of cells, by library name.
    """

    lut: int = 0
    lut_memory: int = 0
    carry: int = 0
    ff: int = 0
    bram: int = 0
    bram_kbit: int = 0
    dsp: int = 0
    by_type: Mapping[str, int] = field(default_factory=dict)

    @property
    def bram18(self) -> int:
        """Number of 18 kbit block RAMs with that capacity, rounded up."""
        return math.ceil(self.bram_kbit / 18)


def count_cells(by_type: Mapping[str, int], family: str) -> Cells:
    """Count the resources of cells.

    Args:
        by_type: Number of cells, by library name. Cells that use no resources (multiplexers, buffers) are ignored.
        family: Name of the family.

    Raises:
        zerocross.finn_flows.families.UnknownFamily: If no family has the name.
    """
    cells = get_family(family).cells
    total = dict.fromkeys(("lut", "lut_memory", "carry", "ff", "bram", "bram_kbit", "dsp"), 0)
    for name, number in by_type.items():
        for cell in cells:
            if re.fullmatch(cell.names, name):
                total["lut"] += number * cell.lut
                total["lut_memory"] += number * cell.lut * cell.memory
                total["carry"] += number * cell.carry
                total["ff"] += number * cell.ff
                total["bram"] += number * cell.bram
                total["bram_kbit"] += number * cell.kbit
                total["dsp"] += number * cell.dsp
    return Cells(**total, by_type=dict(sorted(by_type.items())))
