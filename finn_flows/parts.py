"""FPGA parts, by their own names or the names of boards.

The parts of a family are in the family's file in `families/`, the boards in `boards.py`.
"""

from zerocross.finn_flows.boards import BOARDS, full_name, similar
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import PARTS
from zerocross.finn_flows.families.part import Part

__all__ = ["Part", "UnknownPart", "get_part"]


class UnknownPart(FlowError):
    """No part or board has the name; the message lists similar known names."""


def get_part(name: str) -> Part:
    """Return the part of a name, or the part on the board of that name; see `zerocross.finn_flows.boards.full_name`.

    Raises:
        UnknownPart: If no part or board has the name. The message lists similar known names.
    """
    key = full_name(name)
    key = BOARDS.get(key, key)
    if key in PARTS:
        return PARTS[key]
    raise UnknownPart(f"unknown part or board {name!r}: {similar(key, [*BOARDS, *PARTS])}")
