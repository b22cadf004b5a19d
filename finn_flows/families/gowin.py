"""Gowin GW1N and GW2A (LittleBee and Arora), with Project Apicula and nextpnr-himbaechel."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from zerocross.finn_flows.families import gowin_block_ram
from zerocross.finn_flows.families.cell import Cell
from zerocross.finn_flows.families.family import Family, SynthesisFlow
from zerocross.finn_flows.families.memory import SHAPES_18, BlockRam, RamCell, ram16x4
from zerocross.finn_flows.families.part import Device, Part
from zerocross.finn_flows.families.pll import Limits, Pll, PllPrimitive, within
from zerocross.finn_flows.families.router import Pin, Router, Tool

_NAME = "gowin"
_BLOCK_RAMS = r"SPX?9?|SDPX?9?B|DPX?9?B|pROMX?9?"  # types of cells


class _Pll(PllPrimitive):
    """rPLL. Limits and search are those of gowin_pll, so the settings are the same."""

    limits = Limits((3, 400), (3, 400), (400, 1200), (3.125, 600))
    gw2a = Limits((3, 500), (3, 500), (500, 1250), (3.90625, 625))
    declaration = (
        '(* blackbox *) module rPLL #(parameter FCLKIN = "100.0", parameter IDIV_SEL = 0, parameter FBDIV_SEL = 0,',
        "    parameter ODIV_SEL = 8",
        ") (",
        "    input CLKIN, CLKFB, RESET, RESET_P, input [5:0] FBDSEL, IDSEL, ODSEL, input [3:0] PSDA, DUTYDA, FDLY,",
        "    output CLKOUT, LOCK",
        ");",
        "endmodule",
    )

    def limits_of(self, die: str) -> Limits:
        """A GW2A's oscillator is faster than a GW1N's."""
        return self.gw2a if die.startswith("GW2A") else self.limits

    def settings(self, input_mhz: float, limits: Limits) -> Iterator[Pll]:
        """Output = input / (IDIV + 1) * (FBDIV + 1), oscillator = output * ODIV."""
        for idiv in range(64):
            if not within(input_mhz / (idiv + 1), limits.detector):
                continue
            for fbdiv in range(64):
                output = input_mhz * (fbdiv + 1) / (idiv + 1)
                for odiv in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                    if within(output * odiv, limits.oscillator):
                        parameters = {
                            "FCLKIN": f'"{input_mhz:g}"',
                            "IDIV_SEL": f"{idiv}",
                            "FBDIV_SEL": f"{fbdiv}",
                            "ODIV_SEL": f"{odiv}",
                        }
                        yield Pll(_NAME, input_mhz, output, output * odiv, parameters)

    def instance(self, settings: Pll, at_pad: bool) -> list[str]:
        """Unused inputs are tied to 0."""
        zeros = {"RESET": 1, "RESET_P": 1, "CLKFB": 1, "FBDSEL": 6, "IDSEL": 6, "ODSEL": 6}
        zeros |= {"PSDA": 4, "DUTYDA": 4, "FDLY": 4}
        tied = ", ".join(f".{port}({width}'b0)" for port, width in zeros.items())
        return [
            f"  rPLL #({settings.given}) pll (.CLKIN(clk), .CLKOUT(design_clk), .LOCK(locked),",
            f"    {tied});",
        ]


class _Router(Router):
    """nextpnr-himbaechel and gowin_pack. All pins must be given."""

    name = "himbaechel-gowin"
    constraints = "pins.cst"
    routed = Router.netlist
    bitstream = "design.fs"
    resources: Mapping[str, str] = {
        "LUT4": "lut",
        "DFF": "ff",
        "ALU": "carry",
        "RAM16SDP4": "lut_memory",
        "BSRAM": "bram",
        "MULT18X18": "dsp",
        "rPLL": "pll",
        "IOB": "pin",
    }
    types: Mapping[str, str] = {
        "LUT[1-4]": "lut",
        r"DFF\w*": "ff",
        "ALU": "carry",
        "RAM16SDP4": "lut_memory",
        _BLOCK_RAMS: "bram",
        "MULT18X18": "dsp",
        "rPLL": "pll",
        "[IO]BUF": "pin",
    }
    carry = ("CIN", "COUT")

    def pins(self, pins: Sequence[Pin], clock_mhz: float | None) -> list[str]:
        """Write Gowin's CST, which has no clocks."""
        lines = []
        for pin in pins:
            pull = " PULL_MODE=UP" if pin.pull_up else ""
            if pin.site:
                lines += [f'IO_LOC "{pin.port}" {pin.site};']
                lines += [f'IO_PORT "{pin.port}" IO_TYPE={pin.standard}{pull};']
        return lines

    def arguments(self, device: Device) -> tuple[str, ...]:
        """The device's name includes package and speed grade. The die is a further option."""
        options = ("-o", f"family={device.die}", "-o", f"cst={self.constraints}")
        return ("--device", device.name, *options)

    def packer(self, device: Device, target: str) -> Tool:
        """Return gowin_pack from Apicula, whose wheel is called apycula."""
        return Tool("apycula.gowin_pack", "main", "apycula", ("-d", device.die, "-o", target, self.routed))


_part = partial(Part, family=_NAME, lut_inputs=4, block_kbit=18)

GOWIN = Family(
    name=_NAME,
    label="Gowin",
    lut_inputs=4,
    block_ram=BlockRam("BSRAM (18 kbit)", 18, (RamCell(SHAPES_18, 128),)),
    lut_ram=ram16x4,
    lut4={"product": 1.39, "unrolled": 1.75, "crossings": 2.0, "count": 2.35, "other": 1.43},
    # Without wide multiplexers, like ECP5. Without carries (-noalu), products use 7% more LUTs.
    synthesis=SynthesisFlow(
        "synth_gowin -family {device} -nowidelut",
        devices={"gw2": "gw2a", "": "gw1n"},
        no_pads="-noiopads",
    ),
    # Each LUT1..LUT4 and each ALU (a carry bit) counts as a LUT. 16 words of 4 bits (RAM16SDP4) are six LUTs, like ECP5.
    # MUX2_LUT5..8 use none.
    cells=(
        Cell("LUT[1-4]", lut=1),
        Cell("ALU", lut=1, carry=1),
        Cell(r"RAM16S\w+", lut=6, memory=True),
        Cell(r"DFF\w*", ff=1),
        Cell(_BLOCK_RAMS, bram=1, kbit=18),
        Cell(r"MULT\w+|PADD\w+", dsp=1),
    ),
    # Gowin DS117 (GW1NR), DS102 (GW2A) and DS226 (GW2AR). Place and route needs pins; these are the pins of a Tang Nano, and
    # of a Tang Primer for the GW2A.
    parts=(
        _part(
            "gw1nr-9",
            8_640,
            6_480,
            26,
            20,
            device=Device("GW1NR-LV9QN88PC6/I5", die="GW1N-9C", pins={"clock": "52", "rx": "18", "tx": "17"}),
        ),
        _part(
            "gw2a-18",
            20_736,
            15_552,
            46,
            48,
            device=Device(
                "GW2A-LV18PG256C8/I7", die="GW2A-18C", pins={"clock": "H11", "rx": "T13", "tx": "M11"}
            ),
        ),
        _part(
            "gw2ar-18",
            20_736,
            15_552,
            46,
            48,
            device=Device("GW2AR-LV18QN88C8/I7", die="GW2A-18C", pins={"clock": "4", "rx": "70", "tx": "69"}),
        ),
    ),
    library="gowin",
    block_ram_models=gowin_block_ram.models,
    pll=_Pll(),
    router=_Router(),
)
