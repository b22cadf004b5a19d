"""Xilinx 7 series: Artix, Kintex and Zynq. Vivado does place and route."""

import math
from functools import partial

from zerocross.finn_flows.families import series7_block_ram
from zerocross.finn_flows.families.cell import Cell
from zerocross.finn_flows.families.family import Family, SynthesisFlow
from zerocross.finn_flows.families.memory import SHAPES_18, SHAPES_36, BlockRam, RamCell
from zerocross.finn_flows.families.part import Part


def lut_ram(width: int, depth: int) -> int:
    """Return the LUTs of a RAM: four LUTs hold 32 words of 6 bits, or 64 words of 3 bits."""
    return 4 * math.ceil(width / 6) if depth <= 32 else 4 * math.ceil(width / 3) * math.ceil(depth / 64)


_part = partial(Part, family="7-series", lut_inputs=6, block_kbit=18)

SERIES7 = Family(
    name="7-series",
    label="7-series",
    lut_inputs=6,
    block_ram=BlockRam("BRAM18", 18, (RamCell(SHAPES_18, 129), RamCell(SHAPES_36, 257, block_rams=2))),
    lut_ram=lut_ram,
    synthesis=SynthesisFlow("synth_xilinx -family xc7 -flatten -noiopad -noclkbuf", link_until="prepare"),
    # Each LUT1..LUT6 and each inverter counts as a LUT. Two small LUTs that the placer may put into one count as two. LUT
    # memories and shift registers count as the LUTs of their size (RAM32M: 4). Wide multiplexers (MUXF7..9) and carries
    # are separate from the LUTs and use none. A RAMB36 counts as two block RAMs.
    cells=(
        Cell(r"LUT\d|INV", lut=1),
        Cell(r"SRL\w+", lut=1, memory=True),
        Cell(r"RAM(32|64)X1S", lut=1, memory=True),
        Cell(r"RAM(32|64)X1D|RAM128X1S", lut=2, memory=True),
        Cell(r"RAM(32|64)M|RAM128X1D|RAM256X1S", lut=4, memory=True),
        Cell(r"RAM32M16|RAM64M8|RAM256X1D|RAM512X1S|RAM64X8SW|RAM32X16DR8", lut=8, memory=True),
        Cell(r"CARRY[48]", carry=1),
        Cell(r"FD\w+", ff=1),
        Cell(r"RAMB18\w+", bram=1, kbit=18),
        Cell(r"RAMB36\w+", bram=2, kbit=36),
        Cell(r"DSP48\w+", dsp=1),
    ),
    # Xilinx DS180 (Artix, Kintex) and DS190 (Zynq)
    parts=(
        _part("xc7z007s", 14_400, 28_800, 100, 66, finn_part="xc7z007sclg400-1"),
        _part("xc7z010", 17_600, 35_200, 120, 80, finn_part="xc7z010clg400-1"),
        _part("xc7z020", 53_200, 106_400, 280, 220, finn_part="xc7z020clg400-1"),
        _part("xc7z045", 218_600, 437_200, 1_090, 900, finn_part="xc7z045ffg900-2"),
        _part("xc7a35t", 20_800, 41_600, 100, 90, finn_part="xc7a35tcpg236-1"),
        _part("xc7a50t", 32_600, 65_200, 150, 120, finn_part="xc7a50tcsg324-1"),
        _part("xc7a100t", 63_400, 126_800, 270, 240, finn_part="xc7a100tcsg324-1"),
        _part("xc7a200t", 134_600, 269_200, 730, 740, finn_part="xc7a200tsbg484-1"),
        _part("xc7k160t", 101_400, 202_800, 650, 600, finn_part="xc7k160tffg676-2"),
        _part("xc7k325t", 203_800, 407_600, 890, 840, finn_part="xc7k325tffg900-2"),
    ),
    library="xilinx",
    block_ram_models=series7_block_ram.models,
)
