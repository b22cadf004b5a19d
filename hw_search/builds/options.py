"""Options of a build."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zerocross.finn_flows.assembly import Styles
from zerocross.finn_flows.chip.memory import choose_ram_styles
from zerocross.finn_flows.chip.serial_line import BAUD
from zerocross.finn_flows.cost import estimate_plan
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.nodes import GroupedProduct, Product, Wired
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.rtl.design import Design
from zerocross.hw_search.builds.pixels import PixelScaling
from zerocross.hw_search.errors import UserError
from zerocross.models.errors import nearest

_STYLES = ("block", "distributed")

_FIFOS = 0.1
"""Share of the part's block RAM that weights leave for FIFOs that are not expected."""


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build.

    Attributes:
        target: Board or part to build for.
        clock_mhz: Clock of the design in MHz; None uses the board's own clock.
        cycles: Largest number of cycles per image in any node; None uses the folding from the search, or a default pace.
        images: Number of test images to run through every form of the network, at most.
        weights: "block" or "distributed" by layer. Other layers use block RAM if it saves LUTs and the part has room.
        implementations: "comparators", "search", "table" or "table in block RAM" by activation layer. Other layers use the
            cheapest one.
        gate_level: Whether to also simulate the mapped netlist.
        route: Whether to place and route and write a bitstream, if open tools support the target.
        route_seed: Seed of place and route.
        baud: Baud rate of the serial line.
        host_part: Whether the host may compute layers at the front of a file; see
            `zerocross.finn_flows.lowering.lower.lower`.
        anyway: Whether to build a design that is estimated to be too large for the part.
        scores: Whether the hardware answers with the scores of all classes instead of the class.
        pixels: Scaling of an image file's pixels to the network's input; None takes them as they are.
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
    baud: int = BAUD
    host_part: bool = False
    anyway: bool = False
    scores: bool = False
    pixels: PixelScaling | None = None


def choose_styles(options: BuildOptions, net: IntegerNetwork, plan: Design, part: Part) -> Styles:
    """Choose the implementations of memories and crossings by cost and available resources, unless an option sets them.

    Raises:
        UserError: If an option names an unknown layer or an unknown implementation.
        zerocross.finn_flows.errors.FlowError: If the layer cannot be built as the option requests.
    """
    for layer, style in options.weights.items():
        if style not in _STYLES:
            raise UserError(f"--weights {layer}={style}: choose {' or '.join(_STYLES)}")
    for layer, implementation in options.implementations.items():
        if layer not in net.tables:
            raise UserError(
                f"--implementation {layer}: no activation has that name: {nearest(layer, net.tables)}"
            )
        if any(element.layer == layer and isinstance(element.node, Wired) for element in plan.elements):
            raise UserError(
                f"--implementation {layer}: the layer is wired into lookup tables, so it has no choice of implementation: "
                "leave the option out"
            )
        if implementation not in IMPLEMENTATIONS:
            raise UserError(
                f"--implementation {layer}={implementation}: choose one of {', '.join(IMPLEMENTATIONS)}"
            )
    taken = _without_weights(plan, part) + _FIFOS * part.bram_kbit
    weights = choose_ram_styles(plan.products, part, options.weights, taken)
    return Styles(
        {layer: style for layer, style in weights.items() if style != "constants"},
        dict(options.implementations),
        part.lut_inputs,
    )


def _without_weights(plan: Design, part: Part) -> float:
    """Return the block RAM that a plan needs besides its weights, in kbit, with the FIFOs that are expected."""
    elements = tuple(
        replace(element, node=replace(element.node, ram_style="distributed"))
        if isinstance(element.node, Product | GroupedProduct)
        else element
        for element in plan.elements
    )
    return estimate_plan(replace(plan, elements=elements), part).zerocross.bram_kbit
