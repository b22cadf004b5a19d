"""PLL settings of a part for clocks other than the board's own."""

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.pll import Pll, PllPrimitive, within

_TOLERANCE = 0.05


class Unreachable(FlowError):
    """The part's PLL cannot generate a clock; the message gives the range or the nearest frequency."""


def primitive(family: str) -> PllPrimitive:
    """Return a family's PLL.

    Raises:
        Unreachable: If open tools do not support a PLL of the family.
    """
    found = get_family(family).pll
    if found is None:
        raise Unreachable(f"open tools support no PLL of {family} parts: use the board's own clock")
    return found


def pll(family: str, input_mhz: float, wanted_mhz: float, die: str = "") -> Pll:
    """Return the PLL settings that are nearest to a requested clock.

    Args:
        family: Name of the family.
        input_mhz: Clock of the board in MHz.
        wanted_mhz: Requested clock in MHz.
        die: Name of the die, where the family's dies differ.

    Raises:
        Unreachable: If a clock is out of the PLL's range, if no setting is within 5% of the requested clock, or if there is
            no PLL.
    """
    kind = primitive(family)
    limits = kind.limits_of(die)
    for what, value, (low, high) in (
        ("accepts clocks of", input_mhz, limits.input),
        ("generates clocks of", wanted_mhz, limits.output),
    ):
        if not low <= value <= high:
            raise Unreachable(f"the PLL of {family} parts {what} {low:g} to {high:g} MHz, not {value:g}")
    candidates = (
        found for found in kind.settings(input_mhz, limits) if within(found.output_mhz, limits.output)
    )
    best = min(
        candidates,
        key=lambda found: (round(abs(found.output_mhz - wanted_mhz), 9), kind.rank(found)),
        default=None,
    )
    if best is None or abs(best.output_mhz - wanted_mhz) > _TOLERANCE * wanted_mhz:
        nearest = f"; the nearest is {best.output_mhz:.4g} MHz" if best else ""
        raise Unreachable(f"no PLL setting generates {wanted_mhz:g} MHz from {input_mhz:g} MHz{nearest}")
    return best
