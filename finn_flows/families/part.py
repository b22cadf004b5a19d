"""A part of a family: its resources, and its names in the tools."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Device:
    """A part in one package, by nextpnr's names.

    Attributes:
        name: Device: "25k", "up5k", "GW1NR-LV9QN88PC6/I5".
        package: Package, if nextpnr needs one.
        speed: Speed grade, if nextpnr needs one.
        die: Die, if nextpnr needs one (Gowin).
        pins: Pins "clock", "rx" and "tx" of a bare part, if place and route needs pins.
    """

    name: str
    package: str = ""
    speed: str = ""
    die: str = ""
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """An FPGA and its resources, from its maker's product table.

    Attributes:
        name: Lower-case part name, without package and speed grade.
        luts: LUTs of `lut_inputs` inputs.
        ffs: Flip-flops.
        brams: Block RAMs of the family's own size; UltraRAM and the UP5K's SPRAM are not counted.
        dsps: DSP slices (ECP5, iCE40, Gowin: 18x18 or 16x16 multipliers).
        family: Name of the family.
        lut_inputs: Inputs of a LUT.
        block_kbit: Capacity of a block RAM in kbit.
        finn_part: FINN's full name of the part; for parts that FINN does not know, a 7-series stand-in.
        device: Bare part in its most common package, or None if open tools do not place and route it.
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
        """Capacity of all block RAMs in kbit."""
        return self.brams * self.block_kbit

    @property
    def bram18(self) -> int:
        """Number of 18 kbit block RAMs that fit into this capacity."""
        return self.bram_kbit // 18

    @property
    def known_to_finn(self) -> bool:
        """Whether FINN's estimates are for this part and not for a stand-in."""
        return self.finn_part.startswith(self.name)
