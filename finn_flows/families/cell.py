"""The resources that a cell of a family's library uses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """The resources of each cell with a matching library name. Cells without a match use none.

    Attributes:
        names: Regular expression that must match the whole name.
        lut: LUTs.
        memory: Whether these LUTs are memory or shift registers.
        carry: Carry cells.
        ff: Flip-flops.
        bram: Block RAMs of the family's own size.
        kbit: Capacity of its block RAMs in kbit.
        dsp: DSP slices or multipliers.
    """

    names: str
    lut: int = 0
    memory: bool = False
    carry: int = 0
    ff: int = 0
    bram: int = 0
    kbit: int = 0
    dsp: int = 0
