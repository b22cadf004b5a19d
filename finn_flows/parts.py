"""FPGA parts and boards, with the resources a design may use on them."""

import difflib
from dataclasses import dataclass

from zerocross.finn_flows.errors import FlowError


class UnknownPart(FlowError):
    """No part or board has the name; the message gives the nearest known ones."""


@dataclass(frozen=True)
class Part:
    """An FPGA and what it holds, by its maker's product table.

    Attributes:
        name: lower-case part name, without package and speed grade.
        family: `7-series`, `ultrascale+`, `ecp5`, `ice40` or `gowin`.
        luts: look-up tables of `lut_inputs` inputs.
        ffs: flip-flops.
        brams: block RAMs of the family's own size: RAMB18 (a RAMB36 counts as two), DP16KD and BSRAM of 18 kbit,
            iCE40's EBR of 4. UltraRAM and the UP5K's SPRAM are not counted.
        dsps: DSP slices (ECP5, iCE40, Gowin: 18x18 or 16x16 multipliers).
        lut_inputs: 6 for Xilinx, 4 for the others.
        finn_part: the full name by which FINN knows the part; for parts it does not know, a 7-series
            stand-in.
    """

    name: str
    family: str
    luts: int
    ffs: int
    brams: int
    dsps: int
    lut_inputs: int = 6
    finn_part: str = "xc7z020clg400-1"

    @property
    def block_kbit(self) -> int:
        """Capacity of one of its block RAMs."""
        return block_kbit(self.family)

    @property
    def bram_kbit(self) -> int:
        """Capacity of all its block RAMs."""
        return self.brams * self.block_kbit

    @property
    def bram18(self) -> int:
        """Block RAMs of 18 kbit that fit into this capacity."""
        return self.bram_kbit // 18

    @property
    def known_to_finn(self) -> bool:
        """Whether FINN's answers are about this part, and not about a stand-in."""
        return self.finn_part.startswith(self.name)


PARTS: tuple[Part, ...] = (
    # 7 series: Xilinx DS180 (Artix, Kintex) and DS190 (Zynq)
    Part("xc7z007s", "7-series", 14_400, 28_800, 100, 66, finn_part="xc7z007sclg400-1"),
    Part("xc7z010", "7-series", 17_600, 35_200, 120, 80, finn_part="xc7z010clg400-1"),
    Part("xc7z020", "7-series", 53_200, 106_400, 280, 220, finn_part="xc7z020clg400-1"),
    Part("xc7z045", "7-series", 218_600, 437_200, 1_090, 900, finn_part="xc7z045ffg900-2"),
    Part("xc7a35t", "7-series", 20_800, 41_600, 100, 90, finn_part="xc7a35tcpg236-1"),
    Part("xc7a50t", "7-series", 32_600, 65_200, 150, 120, finn_part="xc7a50tcsg324-1"),
    Part("xc7a100t", "7-series", 63_400, 126_800, 270, 240, finn_part="xc7a100tcsg324-1"),
    Part("xc7a200t", "7-series", 134_600, 269_200, 730, 740, finn_part="xc7a200tsbg484-1"),
    Part("xc7k160t", "7-series", 101_400, 202_800, 650, 600, finn_part="xc7k160tffg676-2"),
    Part("xc7k325t", "7-series", 203_800, 407_600, 890, 840, finn_part="xc7k325tffg900-2"),
    # UltraScale+: Xilinx DS891 (Zynq), DS889 (RFSoC), DS987 (Kria), DS962 and DS963 (Alveo)
    Part("xczu2eg", "ultrascale+", 47_232, 94_464, 300, 240, finn_part="xczu2eg-sbva484-1-e"),
    Part("xczu3eg", "ultrascale+", 70_560, 141_120, 432, 360, finn_part="xczu3eg-sbva484-1-e"),
    Part("xczu7ev", "ultrascale+", 230_400, 460_800, 624, 1_728, finn_part="xczu7ev-ffvc1156-2-e"),
    Part("xczu9eg", "ultrascale+", 274_080, 548_160, 1_824, 2_520, finn_part="xczu9eg-ffvb1156-2-e"),
    Part("xczu28dr", "ultrascale+", 425_280, 850_560, 2_160, 4_272, finn_part="xczu28dr-ffvg1517-2-e"),
    Part("xczu48dr", "ultrascale+", 425_280, 850_560, 2_160, 4_272, finn_part="xczu48dr-ffvg1517-2-e"),
    Part("xck26", "ultrascale+", 117_120, 234_240, 288, 1_248, finn_part="xck26-sfvc784-2LV-c"),
    Part("xcu50", "ultrascale+", 871_680, 1_743_360, 2_688, 5_952, finn_part="xcu50-fsvh2104-2L-e"),
    Part("xcu200", "ultrascale+", 1_182_240, 2_364_480, 4_320, 6_840, finn_part="xcu200-fsgd2104-2-e"),
    Part("xcu250", "ultrascale+", 1_728_000, 3_456_000, 5_376, 12_288, finn_part="xcu250-figd2104-2L-e"),
    Part("xcu280", "ultrascale+", 1_303_680, 2_607_360, 4_032, 9_024, finn_part="xcu280-fsvh2892-2L-e"),
    Part("xcu55c", "ultrascale+", 1_303_680, 2_607_360, 4_032, 9_024, finn_part="xcu55c-fsvh2892-2L-e"),
    # ECP5: Lattice FPGA-DS-02012; LUTs and block RAMs as the open place and route counts them. The 12F
    # is sold with 12k LUTs and 32 block RAMs; its silicon is that of a 25F, and open tools use it.
    Part("lfe5u-12f", "ecp5", 24_288, 24_288, 56, 28, lut_inputs=4),
    Part("lfe5u-25f", "ecp5", 24_288, 24_288, 56, 28, lut_inputs=4),
    Part("lfe5u-45f", "ecp5", 43_848, 43_848, 108, 72, lut_inputs=4),
    Part("lfe5u-85f", "ecp5", 83_640, 83_640, 208, 156, lut_inputs=4),
    # iCE40: Lattice FPGA-DS-02029 (HX, 16 to 32 EBR) and FPGA-DS-02008 (UltraPlus, 30 EBR)
    Part("ice40hx1k", "ice40", 1_280, 1_280, 16, 0, lut_inputs=4),
    Part("ice40hx8k", "ice40", 7_680, 7_680, 32, 0, lut_inputs=4),
    Part("ice40up5k", "ice40", 5_280, 5_280, 30, 8, lut_inputs=4),
    # Gowin: DS117 (GW1NR) and DS226 (GW2AR)
    Part("gw1nr-9", "gowin", 8_640, 6_480, 26, 20, lut_inputs=4),
    Part("gw2ar-18", "gowin", 20_736, 15_552, 46, 48, lut_inputs=4),
)

# Boards by name, and the parts on them; the pins of those with open place and route are in chip/boards.py.
BOARDS: dict[str, str] = {
    "pynq-z1": "xc7z020",
    "pynq-z2": "xc7z020",
    "zedboard": "xc7z020",
    "cora-z7-07s": "xc7z007s",
    "zybo-z7-10": "xc7z010",
    "zybo-z7-20": "xc7z020",
    "zc706": "xc7z045",
    "arty-a7-35": "xc7a35t",
    "arty-a7-100": "xc7a100t",
    "basys3": "xc7a35t",
    "nexys-video": "xc7a200t",
    "kc705": "xc7k325t",
    "genesys2": "xc7k325t",
    "ultra96": "xczu3eg",
    "ultra96-v2": "xczu3eg",
    "aup-zu3_8gb": "xczu3eg",
    "zcu102": "xczu9eg",
    "zcu104": "xczu7ev",
    "zcu111": "xczu28dr",
    "rfsoc2x2": "xczu28dr",
    "rfsoc4x2": "xczu48dr",
    "kv260_som": "xck26",
    "u50": "xcu50",
    "u200": "xcu200",
    "u250": "xcu250",
    "u280": "xcu280",
    "u55c": "xcu55c",
    "ulx3s-12f": "lfe5u-12f",
    "ulx3s-25f": "lfe5u-25f",
    "ulx3s-45f": "lfe5u-45f",
    "ulx3s-85f": "lfe5u-85f",
    "colorlight-5a-75b": "lfe5u-25f",
    "orangecrab-25f": "lfe5u-25f",
    "orangecrab-85f": "lfe5u-85f",
    "icestick": "ice40hx1k",
    "ice40hx8k-b-evn": "ice40hx8k",
    "icebreaker": "ice40up5k",
    "upduino": "ice40up5k",
    "tangnano9k": "gw1nr-9",
    "tangnano20k": "gw2ar-18",
}

SHORT_NAMES = {"ulx3s": "ulx3s-85f", "hx1k": "ice40hx1k", "hx8k": "ice40hx8k", "up5k": "ice40up5k"}

_BY_NAME = {part.name: part for part in PARTS}


def get_part(name: str) -> Part:
    """Return the part of that name, or the part on the board of that name; upper or lower case.

    Raises:
        UnknownPart: if there is none. The message names the nearest known names.
    """
    key = name.strip().lower()
    key = SHORT_NAMES.get(key, key)
    if key in BOARDS:
        return _BY_NAME[BOARDS[key]]
    if key in _BY_NAME:
        return _BY_NAME[key]
    known = sorted({*BOARDS, *_BY_NAME})
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(known)}"
    raise UnknownPart(f"unknown part or board {name!r}: {hint}")


def block_kbit(family: str) -> int:
    """Return the capacity of one of a family's block RAMs."""
    return 4 if family == "ice40" else 18
