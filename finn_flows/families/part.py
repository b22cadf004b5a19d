"""A part of a family: what it holds, and its name in the tools."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Device:
    """A part in one package, by nextpnr's names.

    Attributes:
        name: the device: "25k", "up5k", "GW1NR-LV9QN88PC6/I5".
        package: its package, where nextpnr asks for one.
        speed: its speed grade, where nextpnr asks for one.
        die: its die, where nextpnr asks for one (Gowin).
        pins: "clock", "rx" and "tx" for a bare part whose place and route needs pins.
    """

    name: str
    package: str = ""
    speed: str = ""
    die: str = ""
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """An FPGA and what it holds, by its maker's product table.

    Attributes:
        name: lower-case part name, without package and speed grade.
        luts: look-up tables of `lut_inputs` inputs.
        ffs: flip-flops.
        brams: block RAMs of the family's own size; UltraRAM and the UP5K's SPRAM are not counted.
        dsps: DSP slices (ECP5, iCE40, Gowin: 18x18 or 16x16 multipliers).
        family: the family's name.
        lut_inputs: inputs of a LUT.
        block_kbit: capacity of a block RAM.
        finn_part: the full name by which FINN knows the part; for parts it does not know, a 7-series stand-in.
        device: the bare part in its most common package, or None where no open tools place and route it.
    """

    name: str
    luts: int
    ffs: int
    brams: int
    dsps: int
    family: str
    lut_inputs: int
    block_kbit: int
    finn_part: str = "xc7z020clg400-1"
    device: Device | None = None

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
