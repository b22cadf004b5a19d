"""The cost of a design, node by node: FINN's estimate and this project's own.

A search estimates plans, whose FIFOs are not sized yet. A build estimates designs as they are built.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zerocross.finn_flows.cost_model import Price, logic_cells, on_family
from zerocross.finn_flows.dead_lanes import remaining_price, unread_lanes
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import Network
from zerocross.finn_flows.nodes import Duplicate, Fifo, GroupedProduct, Product, WiredCount
from zerocross.finn_flows.nodes.fifo import expected_price, fifo_price
from zerocross.finn_flows.nodes.node import StockNode
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.parts import Part, get_part
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import INPUT, Design, Element, Source, is_wired
from zerocross.finn_flows.timing import pipeline_latency, waiting_words
from zerocross.finn_flows.vendor.stock_nodes import ask_finn

STAND_IN = "xc7z020"  # default part, from 7-series, the family that the prices were fitted to


@dataclass(frozen=True)
class Resources:
    """Resources of a node or a design.

    Attributes:
        lut: LUTs of the part's own kind.
        bram_kbit: Used block RAM capacity in kbit.
        dsp: DSPs.
        cells: What counts against the size of the part: logic cells on an iCE40, else LUTs.
    """

    lut: int = 0
    bram_kbit: int = 0
    dsp: int = 0
    cells: int = 0

    @property
    def bram18(self) -> int:
        """Number of 18 kbit block RAMs with that capacity, rounded up."""
        return math.ceil(self.bram_kbit / 18)

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.lut + other.lut,
            self.bram_kbit + other.bram_kbit,
            self.dsp + other.dsp,
            self.cells + other.cells,
        )


@dataclass(frozen=True)
class NodeCost:
    """The cost of one hardware node.

    Attributes:
        node: Name of the node in the design.
        layer: Layer that the node belongs to, or that it feeds.
        kind: Kind of node in reports: "product", "crossings", "fifo", ...
        op_type: FINN's name of the node; names are separated by commas, if FINN has several nodes.
        pe: Lanes; 1 if the node has none.
        simd: Inputs read at once; 1 if the node has no such number.
        cycles: FINN's cycles per image; the largest number, if FINN has several nodes.
        finn: FINN's estimate.
        zerocross: This project's estimate.
        implementation: This project's implementation: "comparators", "search", "table", ...
    """

    node: str
    layer: str
    kind: str
    op_type: str
    pe: int
    simd: int
    cycles: int
    finn: Resources
    zerocross: Resources
    implementation: str


@dataclass(frozen=True)
class Cost:
    """A candidate's cost.

    Attributes:
        nodes: Costs of the nodes, in the order of the stream.
        finn: Stock FINN's estimate for all nodes together.
        zerocross: This project's estimate for all nodes together.
        ii: Initiation interval, the cycles between images: that of the slowest node as this project builds it.
        latency: Cycles from an image's first word to its result, by this project's model of the pipeline's filling.
        finn_latency: FINN's latency: the sum of all nodes' cycles.
        fps: Images per second at `clock_mhz`.
        clock_mhz: Clock in MHz that `fps` assumes.
        part: Part of this project's figures.
        finn_part: Part of FINN's figures: a 7-series stand-in for parts that FINN does not know.
    """

    nodes: tuple[NodeCost, ...]
    finn: Resources
    zerocross: Resources
    ii: int
    latency: int
    finn_latency: int
    fps: float
    clock_mhz: float
    part: str
    finn_part: str


def estimate(
    network: Network, folding: Folding, part: Part | str | None = None, clock_mhz: float = 100.0
) -> Cost:
    """Estimate a candidate's resources and timing.

    Args:
        network: Layers and numbers of crossings.
        folding: Parallelism of the layers.
        part: Part or board; by default, a 7-series part.
        clock_mhz: Clock in MHz, for frames per second.

    Raises:
        UnknownPart: If there is no such part.
        UnsupportedLayer, FoldingError, NetworkError: See `planner.plan`.
    """
    return estimate_plan(plan(network, folding, clock_mhz), part, clock_mhz)


def estimate_plan(design: Design, part: Part | str | None = None, clock_mhz: float = 100.0) -> Cost:
    """Estimate a plan's resources and timing, expected FIFOs included; see `estimate`."""
    part = part if isinstance(part, Part) else get_part(part or STAND_IN)
    rows: list[NodeCost] = []
    finn_latency = 0
    for unit in expected_units(design):
        cost = _cost(unit, part)
        rows.append(cost)
        finn_latency += sum(ask_finn(node, part.finn_part)[0] for node in unit.stock)
    ii = max(design.intervals().values())
    return Cost(
        nodes=tuple(rows),
        finn=sum((cost.finn for cost in rows), Resources()),
        zerocross=sum((cost.zerocross for cost in rows), Resources()),
        ii=ii,
        latency=pipeline_latency(design),
        finn_latency=finn_latency,
        fps=clock_mhz * 1e6 / ii,
        clock_mhz=clock_mhz,
        part=part.name,
        finn_part=part.finn_part,
    )


def element_costs(design: Design, part: Part) -> dict[str, NodeCost]:
    """Return the cost of each element of a design by name, with the design's own memories and FIFOs."""
    unread = unread_lanes(design)
    return {element.name: _cost(_unit(element, unread), part) for element in design.elements}


@dataclass(frozen=True)
class Unit:
    """An item to price: an element, or an expected FIFO; `bits` is the width of its streams."""

    name: str
    layer: str
    kind: str
    lanes: tuple[int, int]
    price: Price
    stock: tuple[StockNode, ...]
    bits: int = 0


def _unit(element: Element, unread: Mapping[str, int]) -> Unit:
    node, price = element.node, remaining_price(element.node, unread.get(element.name, 0))
    bits = sum(stream.width for stream in (*node.inputs.values(), *node.outputs.values()))
    return Unit(element.name, element.layer, node.word, node.lanes, price, node.stock(), bits)


def _cost(unit: Unit, part: Part) -> NodeCost:
    answers = [ask_finn(node, part.finn_part) for node in unit.stock]
    lut, blocks = on_family(unit.price, part.family)
    cells = logic_cells(unit.price, part.family, unit.bits)
    finn = [Resources(lut, 18 * bram18, dsp, lut) for _, lut, bram18, dsp in answers]
    return NodeCost(
        node=unit.name,
        layer=unit.layer,
        kind=unit.kind,
        op_type=", ".join(node.op_type for node in unit.stock),
        pe=unit.lanes[0],
        simd=unit.lanes[1],
        cycles=max((cycles for cycles, *_ in answers), default=0),
        finn=sum(finn, Resources()),
        zerocross=Resources(lut, blocks * part.block_kbit, unit.price.dsp, cells),
        implementation=unit.price.implementation,
    )


def expected_units(design: Design) -> Iterator[Unit]:
    """Yield a plan's elements, each after the FIFOs that are expected on its inputs.

    FINN puts a FIFO on every stream of its graph. This project puts none between a product and the reader of its
    accumulators, inside a pool, or at either end of the design, and elsewhere only where the schedule needs one. Where two
    branches of different latency join, the FIFO of the shorter branch covers the difference.
    """
    waiting, unread = waiting_words(design), unread_lanes(design)
    for element in design.elements:
        node = element.node
        if isinstance(node, Duplicate) and not node.finn_readers:
            yield _unit(element, unread)
            continue
        for port, source in element.ports.items():
            depth = waiting.get((element.name, port), 0)
            yield _expected(design, element, element.fifo_name(port), source, depth)
        stock = node.stock()
        # FINN has a window generator and a pool: the shares of FIFOs were fitted to both streams.
        if len(stock) > 1:
            windows = stock[0].sink
            price = expected_price(windows.width, "image")
            yield _fifo(f"{element.name}_windows_fifo", element.layer, windows, 0, price)
        yield _unit(element, unread)
    last = design.elements[-1]
    yield _fifo("output_fifo", last.layer, design.output, 0, _NONE)


_NONE = Price(0.0, implementation="none")


def _expected(design: Design, reader: Element, name: str, source: Source, waiting: int) -> Unit:
    """Return the FIFO on an element's input with its expected price, before FIFOs are sized."""
    stream = design.streams[source]
    if source[0] == INPUT or is_wired(design, reader):
        return _fifo(name, reader.layer, stream, 0, _NONE)
    writer = design.by_name[source[0]].node
    if waiting > 2:
        price = fifo_price(waiting, stream.width)
    else:
        price = _NONE if isinstance(writer, Product | WiredCount) else _share(stream, reader)
    return _fifo(name, reader.layer, stream, waiting, price)


def _share(stream: Stream, reader: Element) -> Price:
    """Return the expected price of a FIFO on a stream. Few such FIFOs are built, so it is a share of a full price."""
    shape = next(iter(reader.node.inputs.values())).shape
    between = "image" if len(shape) > 1 else "vector"
    if between == "image" and isinstance(reader.node, Product | GroupedProduct):
        between = "windows"
    return expected_price(stream.width, between)


def _fifo(name: str, layer: str, stream: Stream, waiting: int, price: Price) -> Unit:
    return Unit(name, layer, Fifo.word, (1, 1), price, Fifo(stream, waiting).stock())
