"""Clocks that a board does not have: the settings of a part's phase-locked loop that come nearest to them."""

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.pll import Pll, PllPrimitive, within

_TOLERANCE = 0.05


class Unreachable(FlowError):
    """A clock that no setting of the part's PLL comes near to; the message gives the range or the nearest."""


def primitive(family: str) -> PllPrimitive:
    """Return a family's PLL.

    Raises:
        Unreachable: if it has none that open tools set.
    """
    found = get_family(family).pll
    if found is None:
        raise Unreachable(f"open tools set no PLL of {family} parts: ask for the board's own clock")
    return found


def pll(family: str, input_mhz: float, wanted_mhz: float) -> Pll:
    """Find the PLL settings that come nearest to a clock.

    Args:
        family: the family's name.
        input_mhz: the board's clock.
        wanted_mhz: the clock wanted.

    Raises:
        Unreachable: if a clock is out of the PLL's range, nothing comes within 5% of the clock wanted, or there is no
            PLL.
    """
    kind = primitive(family)
    limits = kind.limits
    for what, value, (low, high) in (
        ("takes clocks of", input_mhz, limits.input),
        ("gives clocks of", wanted_mhz, limits.output),
    ):
        if not low <= value <= high:
            raise Unreachable(f"the PLL of {family} parts {what} {low:g} to {high:g} MHz, not {value:g}")
    candidates = (found for found in kind.settings(input_mhz) if within(found.output_mhz, limits.output))
    best = min(
        candidates,
        key=lambda found: (round(abs(found.output_mhz - wanted_mhz), 9), kind.rank(found)),
        default=None,
    )
    if best is None or abs(best.output_mhz - wanted_mhz) > _TOLERANCE * wanted_mhz:
        nearest = f"; the nearest is {best.output_mhz:.4g} MHz" if best else ""
        raise Unreachable(f"no PLL setting makes {wanted_mhz:g} MHz of {input_mhz:g} MHz{nearest}")
    return best
