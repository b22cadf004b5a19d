"""FPGA parts, by their own names or those of the boards that carry them.

The parts of a family are in its file in `families/`, the boards in `boards.py`.
"""

import difflib

from zerocross.finn_flows.boards import BOARDS, SHORT_NAMES
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import PARTS
from zerocross.finn_flows.families.part import Part

__all__ = ["Part", "UnknownPart", "get_part"]


class UnknownPart(FlowError):
    """No part or board has the name; the message gives the nearest known ones."""


def get_part(name: str) -> Part:
    """Return the part of that name, or the part on the board of that name; upper or lower case.

    Raises:
        UnknownPart: if there is none. The message names the nearest known names.
    """
    key = name.strip().lower()
    key = SHORT_NAMES.get(key, key)
    key = BOARDS.get(key, key)
    if key in PARTS:
        return PARTS[key]
    known = sorted({*BOARDS, *PARTS})
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(known)}"
    raise UnknownPart(f"unknown part or board {name!r}: {hint}")
