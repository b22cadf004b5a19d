"""Xilinx UltraScale+: Zynq, RFSoC, Kria and Alveo. Cells are counted but not simulated, because block RAMs have no model."""

from dataclasses import replace
from functools import partial

from zerocross.finn_flows.families.family import SynthesisFlow
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.families.series7 import SERIES7

_part = partial(Part, family="ultrascale+", lut_inputs=6, block_kbit=18)

ULTRASCALE = replace(
    SERIES7,
    name="ultrascale+",
    label="UltraScale+",
    synthesis=SynthesisFlow("synth_xilinx -family xcup -flatten -noiopad -noclkbuf", link_until="prepare"),
    # Xilinx DS891 (Zynq), DS889 (RFSoC), DS987 (Kria), DS962 and DS963 (Alveo)
    parts=(
        _part("xczu2eg", 47_232, 94_464, 300, 240, finn_part="xczu2eg-sbva484-1-e"),
        _part("xczu3eg", 70_560, 141_120, 432, 360, finn_part="xczu3eg-sbva484-1-e"),
        _part("xczu7ev", 230_400, 460_800, 624, 1_728, finn_part="xczu7ev-ffvc1156-2-e"),
        _part("xczu9eg", 274_080, 548_160, 1_824, 2_520, finn_part="xczu9eg-ffvb1156-2-e"),
        _part("xczu28dr", 425_280, 850_560, 2_160, 4_272, finn_part="xczu28dr-ffvg1517-2-e"),
        _part("xczu48dr", 425_280, 850_560, 2_160, 4_272, finn_part="xczu48dr-ffvg1517-2-e"),
        _part("xck26", 117_120, 234_240, 288, 1_248, finn_part="xck26-sfvc784-2LV-c"),
        _part("xcu50", 871_680, 1_743_360, 2_688, 5_952, finn_part="xcu50-fsvh2104-2L-e"),
        _part("xcu200", 1_182_240, 2_364_480, 4_320, 6_840, finn_part="xcu200-fsgd2104-2-e"),
        _part("xcu250", 1_728_000, 3_456_000, 5_376, 12_288, finn_part="xcu250-figd2104-2L-e"),
        _part("xcu280", 1_303_680, 2_607_360, 4_032, 9_024, finn_part="xcu280-fsvh2892-2L-e"),
        _part("xcu55c", 1_303_680, 2_607_360, 4_032, 9_024, finn_part="xcu55c-fsvh2892-2L-e"),
    ),
    library="",
    block_ram_models=dict,
)
