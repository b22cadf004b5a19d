"""What a candidate costs: its hardware nodes, FINN's opinion of each, and this project's own beside it."""

import math
from dataclasses import dataclass
from functools import lru_cache

from zerocross.finn_flows.finn_setup import prepare_finn
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.graph import hardware_nodes
from zerocross.finn_flows.latency import pipeline_latency
from zerocross.finn_flows.network import Network
from zerocross.finn_flows.parts import Part, get_part
from zerocross.finn_flows.plan import Attributes, Node, onnx_node
from zerocross.finn_flows.structural import Price, on_family

STAND_IN = "xc7z020"  # where no part is named: a 7-series part, whose LUTs have six inputs


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
        node: its name in the graph.
        layer: the layer it belongs to, or feeds.
        op_type: FINN's name for what it is.
        pe: lanes (1 where it has none).
        simd: inputs at a time (1 where it has none).
        cycles: for an image, by FINN.
        finn: FINN's estimate.
        zerocross: this project's estimate.
        way: how this project builds it: "comparators", "search", "table", ...
    """

    node: str
    layer: str
    op_type: str
    pe: int
    simd: int
    cycles: int
    finn: Resources
    zerocross: Resources
    way: str


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
        UnsupportedLayer, FoldingError, NetworkError: as `hardware_nodes`.
    """
    part = part if isinstance(part, Part) else get_part(part or STAND_IN)
    nodes = hardware_nodes(network, folding, clock_mhz)
    costs = tuple(node_cost(node, part) for node in nodes)
    cycles = [cost.cycles for cost in costs]
    ii = max(node.interval for node in nodes)
    return Cost(
        nodes=costs,
        finn=sum((cost.finn for cost in costs), Resources()),
        zerocross=sum((cost.zerocross for cost in costs), Resources()),
        ii=ii,
        latency=pipeline_latency(nodes),
        finn_latency=sum(cycles),
        fps=clock_mhz * 1e6 / ii,
        clock_mhz=clock_mhz,
        part=part.name,
        finn_part=part.finn_part,
    )


def node_cost(node: Node, part: Part) -> NodeCost:
    """Return FINN's answer and this project's price of a node side by side."""
    cycles, finn = ask_finn(node.op_type, finn_attributes(node), part.finn_part)
    pe, simd = node.lanes
    return NodeCost(
        node=node.name,
        layer=node.layer,
        op_type=node.op_type,
        pe=pe,
        simd=simd,
        cycles=cycles,
        finn=finn,
        zerocross=on_part(node.price, part),
        way=node.price.way,
    )


def on_part(price: Price, part: Part) -> Resources:
    """Return a price in what a part has."""
    lut, blocks = on_family(price, part.family)
    return Resources(lut, blocks * part.block_kbit, price.dsp)


def finn_attributes(node: Node) -> Attributes:
    """Return a node's attributes as stock FINN would have them.

    They differ for activations with several crossings: FINN's node counts the thresholds passed, and its
    memory estimate grows with the width of that count; here the stream that leaves is the count's last bit.
    Of a FIFO and a converter FINN's estimates read the width of the words alone (a FIFO's in whole bytes), so
    words of as many bits stand for all streams of that width: the answer is the same, and is asked for once.
    """
    known = dict(node.attributes)
    if node.op_type == "StreamingFIFO_rtl":
        word = (1, 8 * math.ceil(node.sink.width / 8))
        known |= {"folded_shape": word, "normal_shape": word, "dataType": "BINARY"}
    elif node.op_type == "StreamingDataWidthConverter_rtl":
        words = (1, math.lcm(node.source.width, node.sink.width))
        known |= {"inShape": words, "outShape": words, "dataType": "BINARY"}
    elif known.get("numSteps", 1) > 1:
        known["outputDataType"] = f"UINT{known['numSteps'].bit_length()}"
    else:
        return node.attributes
    return tuple(known.items())


@lru_cache(maxsize=65536)
def ask_finn(op_type: str, attributes: Attributes, finn_part: str) -> tuple[int, Resources]:
    """Ask FINN's own node for its cycles an image and its resources on a part.

    Answers are kept: a search asks about the same nodes again and again.
    """
    prepare_finn()
    from qonnx.custom_op.registry import getCustomOp

    second = {
        "MVAU_hls": "weights",
        "VVAU_hls": "weights",
        "Thresholding_rtl": "thresholds",
        "ElementwiseAdd_hls": "z",
    }.get(op_type)
    inputs = ["x"] if second is None else ["x", second]
    node = getCustomOp(onnx_node(op_type, attributes, inputs, ["y"]))
    # FINN's formulas look the same attributes up again and again, each time listing all known ones.
    node.get_nodeattr = lru_cache(maxsize=None)(node.get_nodeattr)
    # These three are what node_res_estimation gathers; its efficiencies double the time.
    answers = (
        node.lut_estimation(finn_part),
        node.bram_estimation(finn_part),
        node.dsp_estimation(finn_part),
    )
    lut, bram18, dsp = (int(answer) for answer in answers)
    return int(node.get_exp_cycles()), Resources(lut, 18 * bram18, dsp)
