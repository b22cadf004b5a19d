"""What mapped cells take of a part: LUTs, carries, flip-flops, block RAMs, DSPs, by family.

Counted is what a cell occupies, so that totals compare with a part's table:

- 7-series, UltraScale+: each LUT1..LUT6 is a LUT, and so is an inverter; two small LUTs that the placer may put
  into one are counted as two. LUT memories and shift registers take the LUTs of their size (RAM32M: 4). Wide
  multiplexers (MUXF7..9) and carries stand beside the LUTs and take none.
- ECP5: a LUT4 is a LUT, a carry cell CCU2C two. 16 words of 4 bits (TRELLIS_DPR16X4) take three slices, six LUTs.
  PFUMX and L6MUX21 join LUTs and take none. Place and route reports more: where a carry chain begins or ends in
  logic it adds a carry cell (six nodes: 2,024 after 1,762).
- iCE40: an SB_LUT4 is a LUT; an SB_CARRY lies in the logic cell of the LUT it feeds, and takes one of its own only
  where nextpnr finds no such LUT.
- Gowin: LUT1..LUT4 are LUTs, and so is each ALU (a carry bit); 16 words of 4 bits (RAM16SDP4) take six, as in ECP5.
  MUX2_LUT5..8 take none.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field


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


@dataclass(frozen=True)
class _Kind:
    """What each cell of the library's names that match takes."""

    names: str
    lut: int = 0
    memory: bool = False
    carry: int = 0
    ff: int = 0
    bram: int = 0
    kbit: int = 0
    dsp: int = 0


_XILINX = (
    _Kind(r"LUT\d|INV", lut=1),
    _Kind(r"SRL\w+", lut=1, memory=True),
    _Kind(r"RAM(32|64)X1S", lut=1, memory=True),
    _Kind(r"RAM(32|64)X1D|RAM128X1S", lut=2, memory=True),
    _Kind(r"RAM(32|64)M|RAM128X1D|RAM256X1S", lut=4, memory=True),
    _Kind(r"RAM32M16|RAM64M8|RAM256X1D|RAM512X1S|RAM64X8SW|RAM32X16DR8", lut=8, memory=True),
    _Kind(r"CARRY[48]", carry=1),
    _Kind(r"FD\w+", ff=1),
    _Kind(r"RAMB18\w+", bram=1, kbit=18),
    _Kind(r"RAMB36\w+", bram=2, kbit=36),
    _Kind(r"DSP48\w+", dsp=1),
)
_FAMILIES: dict[str, tuple[_Kind, ...]] = {
    "7-series": _XILINX,
    "ultrascale+": _XILINX,
    "ecp5": (
        _Kind("LUT4", lut=1),
        _Kind("CCU2C", lut=2, carry=1),
        _Kind("TRELLIS_DPR16X4", lut=6, memory=True),
        _Kind("TRELLIS_FF", ff=1),
        _Kind("DP16KD|PDPW16KD", bram=1, kbit=18),
        _Kind(r"MULT18X18\w+|ALU\w+", dsp=1),
    ),
    "ice40": (
        _Kind("SB_LUT4", lut=1),
        _Kind("SB_CARRY", carry=1),
        _Kind(r"SB_DFF\w*", ff=1),
        _Kind(r"SB_RAM40_4K\w*", bram=1, kbit=4),
        _Kind("SB_MAC16", dsp=1),
    ),
    "gowin": (
        _Kind("LUT[1-4]", lut=1),
        _Kind("ALU", lut=1, carry=1),
        _Kind(r"RAM16S\w+", lut=6, memory=True),
        _Kind(r"DFF\w*", ff=1),
        _Kind(r"SPX?9?|SDPX?9?B|DPX?9?B|pROMX?9?", bram=1, kbit=18),
        _Kind(r"MULT\w+|PADD\w+", dsp=1),
    ),
}


def count_cells(by_type: Mapping[str, int], family: str) -> Cells:
    """Count what cells take, by their library's names.

    Args:
        by_type: how many there are of each; names that take nothing (multiplexers, buffers) are passed over.
        family: see `zerocross.finn_flows.parts.Part`.
    """
    total = dict.fromkeys(("lut", "lut_memory", "carry", "ff", "bram", "bram_kbit", "dsp"), 0)
    for name, number in by_type.items():
        for kind in _FAMILIES[family]:
            if re.fullmatch(kind.names, name):
                total["lut"] += number * kind.lut
                total["lut_memory"] += number * kind.lut * kind.memory
                total["carry"] += number * kind.carry
                total["ff"] += number * kind.ff
                total["bram"] += number * kind.bram
                total["bram_kbit"] += number * kind.kbit
                total["dsp"] += number * kind.dsp
    return Cells(**total, by_type=dict(sorted(by_type.items())))
