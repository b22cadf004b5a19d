"""Lattice ECP5, with Project Trellis and nextpnr-ecp5."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from zerocross.finn_flows.families import ecp5_block_ram
from zerocross.finn_flows.families.cell import Cell
from zerocross.finn_flows.families.family import Family, SynthesisFlow
from zerocross.finn_flows.families.memory import SHAPES_18, BlockRam, RamCell, ram16x4
from zerocross.finn_flows.families.part import Device, Part
from zerocross.finn_flows.families.pll import Limits, Pll, PllPrimitive, within
from zerocross.finn_flows.families.router import Pin, Router, Tool

_NAME = "ecp5"


class _Pll(PllPrimitive):
    """EHXPLLL. Limits and search are those of ecppll, so the settings are the same."""

    limits = Limits((8, 400), (3.125, 400), (400, 800), (10, 400))
    declaration = (
        "(* blackbox *) module EHXPLLL #(",
        "    parameter CLKI_DIV = 1, parameter CLKFB_DIV = 1, parameter CLKOP_DIV = 8, parameter CLKOP_CPHASE = 0,",
        '    parameter CLKOP_FPHASE = 0, parameter CLKOP_ENABLE = "ENABLED", parameter FEEDBK_PATH = "CLKOP"',
        ") (",
        "    input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG,",
        "    input PLLWAKESYNC, ENCLKOP, output CLKOP, LOCK",
        ");",
        "endmodule",
    )

    def settings(self, input_mhz: float, limits: Limits) -> Iterator[Pll]:
        """Output = input / CLKI * CLKFB, oscillator = output * CLKOP; the output is fed back."""
        for input_divider in range(1, 129):
            detector = input_mhz / input_divider
            if not within(detector, limits.detector):
                continue
            for feedback in range(1, 81):
                for divider in range(1, 129):
                    oscillator = detector * feedback * divider
                    if within(oscillator, limits.oscillator):
                        parameters = {
                            "CLKI_DIV": f"{input_divider}",
                            "CLKFB_DIV": f"{feedback}",
                            "CLKOP_DIV": f"{divider}",
                            "CLKOP_CPHASE": f"{divider // 2}",
                        }
                        yield Pll(_NAME, input_mhz, detector * feedback, oscillator, parameters)

    def rank(self, settings: Pll) -> float:
        """Prefer the oscillator that is nearest the middle of its range."""
        return round(abs(settings.vco_mhz - 600), 9)

    def instance(self, settings: Pll, at_pad: bool) -> list[str]:
        """The loop filter is that of ecppll. The feedback path goes through the output's clock tree."""
        return [
            f'  (* FREQUENCY_PIN_CLKI="{settings.input_mhz:g}", FREQUENCY_PIN_CLKOP="{settings.output_mhz:g}",',
            '     ICP_CURRENT="12", LPF_RESISTOR="8", MFG_ENABLE_FILTEROPAMP="1", MFG_GMCREF_SEL="2" *)',
            f'  EHXPLLL #({settings.given}, .CLKOP_ENABLE("ENABLED"), .CLKOP_FPHASE(0), .FEEDBK_PATH("CLKOP")) pll (',
            "    .CLKI(clk), .CLKFB(design_clk), .CLKOP(design_clk), .LOCK(locked), .RST(1'b0), .STDBY(1'b0),",
            "    .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b1), .PHASESTEP(1'b1), .PHASELOADREG(1'b1),",
            "    .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0));",
        ]


class _Router(Router):
    """nextpnr-ecp5 and ecppack."""

    name = _NAME
    constraints = "pins.lpf"
    routed = "routed.config"
    bitstream = "design.bit"
    resources: Mapping[str, str] = {
        "TRELLIS_COMB": "lut",
        "TRELLIS_FF": "ff",
        "TRELLIS_RAMW": "lut_memory",
        "DP16KD": "bram",
        "MULT18X18D": "dsp",
        "EHXPLLL": "pll",
        "TRELLIS_IO": "pin",
    }
    carry = ("FCI", "FCO")

    def pins(self, pins: Sequence[Pin], clock_mhz: float | None) -> list[str]:
        """Write Lattice's LPF."""
        lines = []
        for pin in pins:
            pull = " PULLMODE=UP" if pin.pull_up else ""
            lines += [f'LOCATE COMP "{pin.port}" SITE "{pin.site}";'] if pin.site else []
            lines += [f'IOBUF PORT "{pin.port}" IO_TYPE={pin.standard}{pull};']
        return lines + ([f'FREQUENCY PORT "clk" {clock_mhz:g} MHZ;'] if clock_mhz else [])

    def arguments(self, device: Device) -> tuple[str, ...]:
        """Each device is an option, such as --25k."""
        where = (f"--{device.name}", "--package", device.package, "--speed", device.speed)
        return (*where, "--lpf", self.constraints, "--lpf-allow-unconstrained", "--textcfg", self.routed)

    def packer(self, device: Device, target: str) -> Tool:
        """Return ecppack from nextpnr's wheel."""
        arguments = ("--compress", "--input", self.routed, "--bit", target)
        return Tool(self.module, "run_ecppack", self.wheel, arguments)


_part = partial(Part, family=_NAME, lut_inputs=4, block_kbit=18)

ECP5 = Family(
    name=_NAME,
    label="ECP5",
    lut_inputs=4,
    block_ram=BlockRam("DP16KD (18 kbit)", 18, (RamCell(SHAPES_18, 128),)),
    lut_ram=ram16x4,
    lut4={"product": 1.52, "unrolled": 1.43, "crossings": 1.9, "count": 2.23, "other": 1.35},
    # Without wide multiplexers (-nowidelut) products use 8% fewer LUT4 on ECP5 and Gowin (64x64, SIMD 32, PE 16: 1616
    # and 1649 instead of 1751 and 1740), and comparators and tables as little as half. Only memories of random bits in LUTs
    # use twice as many. The option has no effect on 7-series.
    synthesis=SynthesisFlow("synth_ecp5 -nowidelut"),
    # A LUT4 counts as one LUT, a carry cell CCU2C (two bits) as two. 16 words of 4 bits (TRELLIS_DPR16X4) are three slices,
    # six LUTs. PFUMX and L6MUX21 join LUTs and use none. Place and route reports more LUTs, because it adds a carry cell
    # where a carry chain begins or ends in logic (six nodes: 2,024 after 1,762).
    cells=(
        Cell("LUT4", lut=1),
        Cell("CCU2C", lut=2, carry=1),
        Cell("TRELLIS_DPR16X4", lut=6, memory=True),
        Cell("TRELLIS_FF", ff=1),
        Cell("DP16KD|PDPW16KD", bram=1, kbit=18),
        Cell(r"MULT18X18\w+|ALU\w+", dsp=1),
    ),
    # Lattice FPGA-DS-02012; LUTs and block RAMs as nextpnr counts them. The 12F is sold with 12k LUTs and 32 block RAMs; its
    # silicon is that of a 25F, and open tools use all of it. The UM5G parts also have transceivers, which are not used here.
    parts=(
        _part("lfe5u-12f", 24_288, 24_288, 56, 28, device=Device("12k", "CABGA381", "6")),
        _part("lfe5u-25f", 24_288, 24_288, 56, 28, device=Device("25k", "CABGA381", "6")),
        _part("lfe5u-45f", 43_848, 43_848, 108, 72, device=Device("45k", "CABGA381", "6")),
        _part("lfe5u-85f", 83_640, 83_640, 208, 156, device=Device("85k", "CABGA381", "6")),
        _part("lfe5um5g-45f", 43_848, 43_848, 108, 72, device=Device("um5g-45k", "CABGA381", "8")),
        _part("lfe5um5g-85f", 83_640, 83_640, 208, 156, device=Device("um5g-85k", "CABGA381", "8")),
    ),
    library="ecp5",
    block_ram_models=ecp5_block_ram.models,
    pll=_Pll(),
    router=_Router(),
)
