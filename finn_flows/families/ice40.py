"""Lattice iCE40: HX, LP and UltraPlus, with Project IceStorm and nextpnr-ice40."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from zerocross.finn_flows.families.cell import Cell
from zerocross.finn_flows.families.family import Family, LogicCells, SynthesisFlow
from zerocross.finn_flows.families.memory import BlockRam, RamCell
from zerocross.finn_flows.families.part import Device, Part
from zerocross.finn_flows.families.pll import Limits, Pll, PllPrimitive, within
from zerocross.finn_flows.families.router import Pin, Router, Tool

_NAME = "ice40"


class _Pll(PllPrimitive):
    """SB_PLL40. Limits and search are those of icepll, so the settings are the same."""

    limits = Limits((10, 133), (10, 133), (533, 1066), (16, 275))
    declaration = tuple(
        line
        for primitive, pin in (("PAD", "PACKAGEPIN"), ("CORE", "REFERENCECLK"))
        for line in (
            f"(* blackbox *) module SB_PLL40_{primitive} #(",
            '    parameter FEEDBACK_PATH = "SIMPLE", parameter [3:0] DIVR = 0, parameter [6:0] DIVF = 0,',
            "    parameter [2:0] DIVQ = 0, parameter [2:0] FILTER_RANGE = 0",
            f") (input {pin}, RESETB, BYPASS, output PLLOUTCORE, LOCK);",
            "endmodule",
        )
    )

    def settings(self, input_mhz: float, limits: Limits) -> Iterator[Pll]:
        """Oscillator = input / (DIVR + 1) * (DIVF + 1), output = oscillator / 2**DIVQ."""
        for divr in range(16):
            detector = input_mhz / (divr + 1)
            if not within(detector, limits.detector):
                continue
            for divf in range(128):
                oscillator = detector * (divf + 1)
                if not within(oscillator, limits.oscillator):
                    continue
                for divq in range(1, 7):
                    parameters = {
                        "DIVR": f"4'd{divr}",
                        "DIVF": f"7'd{divf}",
                        "DIVQ": f"3'd{divq}",
                        "FILTER_RANGE": f"3'd{_filter_range(detector)}",
                    }
                    yield Pll(_NAME, input_mhz, oscillator / 2**divq, oscillator, parameters)

    def instance(self, settings: Pll, at_pad: bool) -> list[str]:
        """A clock at the PLL's own pin needs another primitive than a clock from the fabric."""
        primitive, pin = ("PAD", "PACKAGEPIN") if at_pad else ("CORE", "REFERENCECLK")
        return [
            f'  SB_PLL40_{primitive} #(.FEEDBACK_PATH("SIMPLE"), {settings.given}) pll (',
            f"    .{pin}(clk), .PLLOUTCORE(design_clk), .LOCK(locked), .RESETB(1'b1), .BYPASS(1'b0));",
        ]


def _filter_range(detector_mhz: float) -> int:
    return 1 + sum(detector_mhz >= bound for bound in (17, 26, 44, 66, 101))


class _Router(Router):
    """nextpnr-ice40 and icepack. Its logic cells hold a LUT and a flip-flop each."""

    name = _NAME
    constraints = "pins.pcf"
    routed = "routed.asc"
    bitstream = "design.bin"
    resources: Mapping[str, str] = {
        "ICESTORM_LC": "lut",
        "ICESTORM_RAM": "bram",
        "ICESTORM_DSP": "dsp",
        "ICESTORM_PLL": "pll",
        "SB_IO": "pin",
    }
    cell = "logic cells"
    carry = ("CIN", "COUT")

    def pins(self, pins: Sequence[Pin], clock_mhz: float | None) -> list[str]:
        """Write IceStorm's PCF, which has no IO standards."""
        lines = [
            f"set_io {'-pullup yes ' if pin.pull_up else ''}{pin.port} {pin.site}" for pin in pins if pin.site
        ]
        return lines + ([f"set_frequency clk {clock_mhz:g}"] if clock_mhz else [])

    def arguments(self, device: Device) -> tuple[str, ...]:
        """Each device is an option, such as --up5k."""
        files = ("--pcf", self.constraints, "--pcf-allow-unconstrained", "--asc", self.routed)
        return (f"--{device.name}", "--package", device.package, *files)

    def packer(self, device: Device, target: str) -> Tool:
        """Return icepack from nextpnr's wheel."""
        return Tool(self.module, "run_icepack", self.wheel, (self.routed, target))


_part = partial(Part, family=_NAME, lut_inputs=4, block_kbit=4)

ICE40 = Family(
    name=_NAME,
    label="iCE40",
    lut_inputs=4,
    block_ram=BlockRam("EBR (4 kbit)", 4, (RamCell(((16, 256), (8, 512), (4, 1024), (2, 2048)), 64),)),
    lut_ram=None,
    lut4={"product": 1.77, "unrolled": 1.75, "crossings": 2.14, "count": 2.06, "other": 1.68},
    logic_cells={
        "product": LogicCells(1.08, 2.12, 29.3),
        "unrolled": LogicCells(0.641, 2.54, 0.0),
        "crossings": LogicCells(0.879, 0.0, 3.48),
        "count": LogicCells(1.46, 0.0, 0.0),
        "other": LogicCells(0.933, 0.43, 0.0684),
    },
    synthesis=SynthesisFlow(
        "synth_ice40 -device {device}",
        link_until="flatten",
        devices={"ice40up": "u", "ice40lp": "lp", "": "hx"},
    ),
    # An SB_LUT4 counts as a LUT. An SB_CARRY is in the logic cell of the LUT that it feeds; it needs a separate cell only
    # if nextpnr finds no such LUT.
    cells=(
        Cell("SB_LUT4", lut=1),
        Cell("SB_CARRY", carry=1),
        Cell(r"SB_DFF\w*", ff=1),
        Cell(r"SB_RAM40_4K\w*", bram=1, kbit=4),
        Cell("SB_MAC16", dsp=1),
    ),
    # Lattice FPGA-DS-02029 (HX and LP, 16 to 32 EBR) and FPGA-DS-02008 (UltraPlus, 30 EBR)
    parts=(
        _part("ice40hx1k", 1_280, 1_280, 16, 0, device=Device("hx1k", "tq144")),
        _part("ice40hx8k", 7_680, 7_680, 32, 0, device=Device("hx8k", "ct256")),
        _part("ice40lp8k", 7_680, 7_680, 32, 0, device=Device("lp8k", "cm81")),
        _part("ice40up5k", 5_280, 5_280, 30, 8, device=Device("up5k", "sg48")),
    ),
    library="ice40",
    pll=_Pll(),
    router=_Router(),
)
