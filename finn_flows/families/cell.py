"""What a cell of a family's library takes of a part."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What each cell takes whose library name matches; cells that match nothing take nothing.

    Attributes:
        names: a regular expression that the whole name matches.
        lut: look-up tables.
        memory: whether these are used as memory or shift registers.
        carry: carry cells.
        ff: flip-flops.
        bram: block RAMs of the family's own size.
        kbit: capacity of its block RAMs.
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
