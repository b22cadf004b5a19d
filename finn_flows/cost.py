"""What a design costs: its hardware nodes, FINN's opinion of each, and this project's own beside it.

A search asks it of plans, whose FIFOs are not sized yet; a build of designs as they are built.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from zerocross.finn_flows.cost_model import Price, on_family
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import Network
from zerocross.finn_flows.nodes import Duplicate, Fifo, GroupedProduct, Product
from zerocross.finn_flows.nodes.fifo import expected_price, fifo_price
from zerocross.finn_flows.nodes.node import StockNode
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.parts import Part, get_part
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import INPUT, Design, Element, Source
from zerocross.finn_flows.timing import pipeline_latency, waiting_words
from zerocross.finn_flows.vendor.stock_nodes import ask_finn

STAND_IN = "xc7z020"  # where no part is named: of 7-series, the family that prices were fitted to


@dataclass(frozen=True)
class Resources:
    """LUTs (of the part's own kind), the capacity of its block RAMs that are taken, and DSPs."""

    lut: int = 0
    bram_kbit: int = 0
    dsp: int = 0

    @property
    def bram18(self) -> int:
        """Block RAMs of 18 kbit that hold as much."""
        return math.ceil(self.bram_kbit / 18)

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.lut + other.lut, self.bram_kbit + other.bram_kbit, self.dsp + other.dsp)


@dataclass(frozen=True)
class NodeCost:
    """One hardware node.

    Attributes:
        node: its name in the design.
        layer: the layer it belongs to, or feeds.
        kind: the word that reports have for it: "product", "crossings", "fifo", ...
        op_type: FINN's name for what it is; of several nodes, by comma.
        pe: lanes (1 where it has none).
        simd: inputs at a time (1 where it has none).
        cycles: for an image, by FINN; of several nodes the slowest one's.
        finn: FINN's estimate.
        zerocross: this project's estimate.
        implementation: how this project builds it: "comparators", "search", "table", ...
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
        nodes: in the order of the stream.
        finn: what stock FINN would report, all nodes together.
        zerocross: what this project expects.
        ii: initiation interval in cycles, the time between images: the slowest node's as this project builds it.
        latency: cycles from an image's first word to its answer, this project's pipeline-fill model.
        finn_latency: the same as FINN has it: the sum of all nodes' cycles.
        fps: images a second at `clock_mhz`.
        clock_mhz: the clock that `fps` assumes.
        part: the part the figures are for.
        finn_part: the part FINN was asked about: a 7-series stand-in for parts that it does not know.
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
        network: its layers and the crossings of its activations.
        folding: how parallel it is to be.
        part: the part or board; without one, the figures are for a 7-series part.
        clock_mhz: the clock, for frames a second.

    Raises:
        UnknownPart: if there is no such part.
        UnsupportedLayer, FoldingError, NetworkError: as `planner.plan`.
    """
    return estimate_plan(plan(network, folding, clock_mhz), part, clock_mhz)


def estimate_plan(design: Design, part: Part | str | None = None, clock_mhz: float = 100.0) -> Cost:
    """Estimate a plan's resources and timing, with what is expected of its FIFOs; see `estimate`."""
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
    """Return the cost of each element of a design by name, its weights and FIFOs as they are built."""
    return {element.name: _cost(_unit(element), part) for element in design.elements}


@dataclass(frozen=True)
class Unit:
    """What is priced: an element, or a FIFO that is expected."""

    name: str
    layer: str
    kind: str
    lanes: tuple[int, int]
    price: Price
    stock: tuple[StockNode, ...]


def _unit(element: Element) -> Unit:
    node = element.node
    return Unit(element.name, element.layer, node.word, node.lanes, node.price(), node.stock())


def _cost(unit: Unit, part: Part) -> NodeCost:
    answers = [ask_finn(node, part.finn_part) for node in unit.stock]
    lut, blocks = on_family(unit.price, part.family)
    finn = [Resources(lut, 18 * bram18, dsp) for _, lut, bram18, dsp in answers]
    return NodeCost(
        node=unit.name,
        layer=unit.layer,
        kind=unit.kind,
        op_type=", ".join(node.op_type for node in unit.stock),
        pe=unit.lanes[0],
        simd=unit.lanes[1],
        cycles=max((cycles for cycles, *_ in answers), default=0),
        finn=sum(finn, Resources()),
        zerocross=Resources(lut, blocks * part.block_kbit, unit.price.dsp),
        implementation=unit.price.implementation,
    )


def expected_units(design: Design) -> Iterator[Unit]:
    """Give a plan's elements, each behind the FIFOs that are expected ahead of it.

    FINN has a FIFO on every stream of its own graph, also between a product and what takes its accumulators, inside a pool,
    and at either end. This project has none there, and between others where the schedule asks for one. Where two ways of
    different length meet, the shorter one's is as deep as the longer one is slow.
    """
    waiting = waiting_words(design)
    for element in design.elements:
        node = element.node
        if isinstance(node, Duplicate) and not node.finn_readers:
            yield _unit(element)
            continue
        for port, source in element.ports.items():
            depth = waiting.get((element.name, port), 0)
            yield _expected(design, element, element.fifo_name(port), source, depth)
        stock = node.stock()
        if (
            len(stock) > 1
        ):  # windows, and the pool of them: the shares that FIFOs take were fitted to both streams
            windows = stock[0].sink
            price = expected_price(windows.width, "image")
            yield _fifo(f"{element.name}_windows_fifo", element.layer, windows, 0, price)
        yield _unit(element)
    last = design.elements[-1]
    yield _fifo("output_fifo", last.layer, design.output, 0, _NONE)


_NONE = Price(0.0, implementation="none")


def _expected(design: Design, reader: Element, name: str, source: Source, waiting: int) -> Unit:
    """Return the FIFO ahead of an element, with the price that is expected of it before FIFOs are sized."""
    stream = design.streams[source]
    if source[0] == INPUT:
        return _fifo(name, reader.layer, stream, 0, _NONE)
    writer = design.by_name[source[0]].node
    if waiting > 2:
        price = fifo_price(waiting, stream.width)
    else:
        price = _NONE if isinstance(writer, Product) else _share(stream, reader)
    return _fifo(name, reader.layer, stream, waiting, price)


def _share(stream: Stream, reader: Element) -> Price:
    """Return what FIFOs of such a stream are expected to take, few of which are built."""
    shape = next(iter(reader.node.inputs.values())).shape
    between = "image" if len(shape) > 1 else "vector"
    if between == "image" and isinstance(reader.node, Product | GroupedProduct):
        between = "windows"
    return expected_price(stream.width, between)


def _fifo(name: str, layer: str, stream: Stream, waiting: int, price: Price) -> Unit:
    return Unit(name, layer, Fifo.word, (1, 1), price, Fifo(stream, waiting).stock())
