"""FPGA parts, by their own names or the names of boards.

The parts of a family are in the family's file in `families/`, the boards in `boards.py`.
"""

import difflib

from zerocross.finn_flows.boards import BOARDS, SHORT_NAMES
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import PARTS
from zerocross.finn_flows.families.part import Part

__all__ = ["Part", "UnknownPart", "get_part"]


class UnknownPart(FlowError):
    """No part or board has the name; the message lists similar known names."""


def get_part(name: str) -> Part:
    """Return the part of a name, or the part on the board of that name; upper and lower case are equal.

    Raises:
        UnknownPart: If no part or board has the name. The message lists similar known names.
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
