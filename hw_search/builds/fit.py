"""Whether a design fits its part, from estimates: known in seconds, before simulation and synthesis."""

from zerocross.finn_flows.cost import element_costs
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.nodes import GroupedProduct, Product
from zerocross.finn_flows.rtl.design import Design

_DOUBT = 1.1  # estimates beyond the part by less may fit


class TooLarge(FlowError):
    """A design is estimated to be too large for its part; the message names the resource and the remedies."""


def check_fit(design: Design, part: Part, target: str) -> None:
    """Check the estimate of a design, without FIFOs and the board's serial line.

    Raises:
        TooLarge: If it needs over 10% more of a resource than the part has.
    """
    costs = [cost.zerocross for cost in element_costs(design, part).values()]
    family = get_family(part.family)
    needs = (
        (family.lut, sum(cost.lut for cost in costs), part.luts),
        (family.block_ram.name, -(-sum(cost.bram_kbit for cost in costs) // part.block_kbit), part.brams),
    )
    over = [(name, need, has) for name, need, has in needs if need > _DOUBT * has]
    if not over:
        return
    found = " and ".join(f"about {_about(need):,} of {has:,} {name}" for name, need, has in over)
    products = any(isinstance(element.node, Product | GroupedProduct) for element in design.elements)
    slower = "more --cycles, " if products else ""
    raise TooLarge(
        f"the design needs {found} of {target} (estimate): choose {slower}a larger --target or a smaller network; --anyway "
        "builds it all the same"
    )


def _about(number: float) -> int:
    """Return a number in two digits."""
    scale = 10 ** max(0, len(str(int(number))) - 2)
    return round(number / scale) * scale
