"""What mapped cells take of a part: LUTs, carries, flip-flops, block RAMs, DSPs.

Counted is what a cell occupies, so that totals compare with a part's table; each family's file says what its cells take.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from zerocross.finn_flows.families import get_family


@dataclass(frozen=True)
class Cells:
    """What cells take of a part.

    Attributes:
        lut: look-up tables, those of memories, shift registers and (ECP5, Gowin) carries included.
        lut_memory: of these, the ones used as memory or shift registers.
        carry: carry cells: CARRY4, CARRY8, CCU2C (two bits), SB_CARRY, ALU (one bit).
        ff: flip-flops.
        bram: the family's block RAMs; a RAMB36 counts as two.
        bram_kbit: their capacity.
        dsp: DSP slices or multipliers.
        by_type: cells by their library's name.
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
        """Block RAMs of 18 kbit that hold as much."""
        return math.ceil(self.bram_kbit / 18)


def count_cells(by_type: Mapping[str, int], family: str) -> Cells:
    """Count what cells take, by their library's names.

    Args:
        by_type: how many there are of each; names that take nothing (multiplexers, buffers) are passed over.
        family: the family's name.

    Raises:
        zerocross.finn_flows.families.UnknownFamily: if there is none of that name.
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
