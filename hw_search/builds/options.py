"""What is asked of a build."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zerocross.finn_flows.assembly import Styles
from zerocross.finn_flows.chip.memory import choose_ram_styles
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.nodes import CrossingSite
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.rtl.design import Design
from zerocross.hw_search.errors import UserError
from zerocross.models.errors import nearest

_STYLES = ("block", "distributed")


@dataclass(frozen=True)
class BuildOptions:
    """What is asked of a build.

    Attributes:
        target: a board or part.
        clock_mhz: the design's clock; the board's own where it is None.
        cycles: most cycles an image may take in any node, instead of the search's folding.
        images: how many images of the test set are run through every form of the network, at most.
        weights: "block" or "distributed" by layer, where the choice is not to be left to the cost.
        implementations: "comparators", "search", "table" or "table in block RAM" by activation layer, likewise.
        gate_level: also simulate the mapped netlist.
        route: place and route, and make a bitstream, where open tools can.
        route_seed: of place and route.
        baud: of the serial line.
    """

    target: str
    clock_mhz: float | None = None
    cycles: int | None = None
    images: int = 1000
    weights: Mapping[str, str] = field(default_factory=dict)
    implementations: Mapping[str, str] = field(default_factory=dict)
    gate_level: bool = False
    route: bool = True
    route_seed: int = 1
    baud: int = 115_200


def choose_styles(options: BuildOptions, net: IntegerNetwork, plan: Design, part: Part) -> Styles:
    """Choose how memories and crossings are built: by cost and by what the part has, unless told.

    Raises:
        UserError: if an option names no layer of the network, or no style.
        zerocross.finn_flows.errors.FlowError: if an option asks for what cannot be.
    """
    for layer, style in options.weights.items():
        if style not in _STYLES:
            raise UserError(f"--weights {layer}={style}: weights are kept as {' or '.join(_STYLES)}")
    for layer, implementation in options.implementations.items():
        if layer not in net.tables:
            raise UserError(
                f"--implementation {layer}: no activation has that name: {nearest(layer, net.tables)}"
            )
        if implementation not in IMPLEMENTATIONS:
            raise UserError(
                f"--implementation {layer}={implementation}: crossings are built as {', '.join(IMPLEMENTATIONS)}"
            )
    taken = sum(
        element.node.price().bram18 for element in plan.elements if isinstance(element.node, CrossingSite)
    )
    weights = choose_ram_styles(plan.products, part, options.weights, taken_kbit=18 * taken)
    return Styles(
        {layer: style for layer, style in weights.items() if style != "constants"},
        dict(options.implementations),
    )
