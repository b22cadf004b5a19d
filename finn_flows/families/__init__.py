"""Families of FPGAs, one file each with everything that this project knows about the family.

To add a family, write a file here and add it to `FAMILIES`. `family.py` defines what a family provides.
"""

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families.ecp5 import ECP5
from zerocross.finn_flows.families.family import Family
from zerocross.finn_flows.families.gowin import GOWIN
from zerocross.finn_flows.families.ice40 import ICE40
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.families.series7 import SERIES7
from zerocross.finn_flows.families.ultrascale import ULTRASCALE

FAMILIES: dict[str, Family] = {family.name: family for family in (SERIES7, ULTRASCALE, ECP5, ICE40, GOWIN)}
PARTS: dict[str, Part] = {part.name: part for family in FAMILIES.values() for part in family.parts}


class UnknownFamily(FlowError):
    """No family has the name; the message lists the known ones."""


def get_family(name: str) -> Family:
    """Return the family of that name.

    Raises:
        UnknownFamily: if there is none.
    """
    if name not in FAMILIES:
        raise UnknownFamily(f"unknown family of parts {name!r}: known families are {', '.join(FAMILIES)}")
    return FAMILIES[name]
