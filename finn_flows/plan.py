"""The plan: FINN's hardware nodes of a folded network, and the streams between them.

A node has the attributes that FINN's estimates read and this project's own price; it names the nodes whose streams it reads.
`finn_graph` makes a FINN model of a plan.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zerocross.finn_flows import schedule, structural
from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.finn_setup import prepare_finn
from zerocross.finn_flows.structural import LINE_BUFFER, Price

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

Attributes = tuple[tuple[str, Any], ...]
INPUT = "input"
DEFAULT_FIFO_DEPTH = 2  # FINN's own, where nothing has measured a better one


@dataclass(frozen=True)
class Stream:
    """What flows between two nodes for one image.

    Attributes:
        shape: FINN's normal shape: (1, features) or (1, height, width, channels).
        lanes: elements in a word; divides the number of elements.
        datatype: of an element: "BINARY", "UINT7", ...
    """

    shape: tuple[int, ...]
    lanes: int
    datatype: str

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self.lanes * type_bits(self.datatype)

    @property
    def words(self) -> int:
        """Words of an image."""
        return math.prod(self.shape) // self.lanes

    @property
    def folded(self) -> tuple[int, ...]:
        """The shape with its last axis split into words; flat where words do not divide that axis."""
        if self.shape[-1] % self.lanes == 0:
            return (*self.shape[:-1], self.shape[-1] // self.lanes, self.lanes)
        return (self.words, self.lanes)


@dataclass(frozen=True)
class Node:
    """A hardware node.

    Attributes:
        layer: the network's layer it belongs to; for converters and FIFOs, the one they feed.
        op_type: FINN's name of the specialised node, ending in `_rtl` or `_hls`.
        attributes: what FINN's custom operator is told, by name.
        source: the stream it reads; of a sum, the first.
        sink: the stream it writes; a fork writes it to every reader.
        price: this project's price, in 6-input LUTs (see `structural.on_family`).
        name: unique in its graph, as FINN numbers nodes: op_type and a count.
        inputs: names of the nodes that write what it reads, INPUT for the network's input; in the order of `sources`.
        others: the further streams that a sum reads.
    """

    layer: str
    op_type: str
    attributes: Attributes
    source: Stream
    sink: Stream
    price: Price
    name: str = ""
    inputs: tuple[str, ...] = ()
    others: tuple[Stream, ...] = ()

    @property
    def sources(self) -> tuple[Stream, ...]:
        """All streams it reads."""
        return (self.source, *self.others)

    @property
    def lanes(self) -> tuple[int, int]:
        """(PE, SIMD) as FINN's attributes have them; 1 for what the node does not have."""
        known = dict(self.attributes)
        return known.get("PE", 1), known.get("SIMD", 1)

    @property
    def interval(self) -> int:
        """Cycles from one image to the next as this project builds the node, where nothing makes it wait."""
        match self.op_type:
            case "StreamingFIFO_rtl":
                return self.source.words
            case "StreamingDataWidthConverter_rtl":
                return schedule.converter_interval(self.source.words, self.sink.words)
            case "MVAU_hls":
                known = dict(self.attributes)
                return self.source.words * known["MH"] // known["PE"]
            case "ConvolutionInputGenerator_rtl" if not self.is_line_buffer:
                known = dict(self.attributes)
                folds, apart = known["IFMChannels"] // known["SIMD"], bool(known["depthwise"])
                sizes = known["IFMDim"], known["ConvKernelDim"], known["Stride"], folds, apart
                return generator_interval(*sizes, bool(known["parallel_window"]), known["Dilation"])
        return max(self.sink.words, *(source.words for source in self.sources))

    @property
    def is_line_buffer(self) -> bool:
        """Whether it only shows how a pool's windows lie that do not overlap: such a pool reads the image itself."""
        return self.op_type == "ConvolutionInputGenerator_rtl" and self.price.way == LINE_BUFFER

    @property
    def folding(self) -> dict[str, int]:
        """The attributes that say how parallel the node is, by FINN's names."""
        return {name: value for name, value in self.attributes if name in ("PE", "SIMD", "parallel_window")}


@lru_cache(maxsize=65536)
def generator_interval(
    shape: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    folds: int,
    apart: bool,
    parallel: bool = False,
    dilation: tuple[int, int] = (1, 1),
) -> int:
    """Return an input generator's cycles an image; arguments as of `schedule.Windows`."""
    if parallel or kernel == (1, 1):
        return math.prod(shape) * folds
    return schedule.Windows(shape, kernel, stride, folds, apart, dilation).interval


def converter(layer: str, before: Stream, after: Stream) -> Node:
    """Return the width converter between two streams of the same elements, ahead of a layer."""
    attributes = (
        ("inShape", before.shape),
        ("outShape", after.shape),
        ("inWidth", before.width),
        ("outWidth", after.width),
        ("dataType", before.datatype),
    )
    price = structural.width_converter(before.width, after.width)
    return Node(layer, "StreamingDataWidthConverter_rtl", attributes, before, after, price)


def fifo(
    layer: str, stream: Stream, folded: tuple[int, ...] | None = None, depth: int = DEFAULT_FIFO_DEPTH
) -> Node:
    """Return a FIFO ahead of a layer; `folded` is the stream's shape in words, where it is not the usual one."""
    attributes = (
        ("depth", depth),
        ("folded_shape", folded or stream.folded),
        ("normal_shape", stream.shape),
        ("dataType", stream.datatype),
        ("ram_style", "auto"),
    )
    price = structural.fifo(depth, stream.width)
    return Node(layer, "StreamingFIFO_rtl", attributes, stream, stream, price)


def onnx_node(
    op_type: str, attributes: Attributes, inputs: list[str], outputs: list[str], name: str = ""
) -> Any:
    """Return the ONNX node that FINN wraps into its custom operator."""
    from onnx import helper

    domain = "finn.custom_op.fpgadataflow." + op_type.rsplit("_", 1)[1]
    return helper.make_node(
        op_type, inputs, outputs, name=name, domain=domain, backend="fpgadataflow", **dict(attributes)
    )


def finn_graph(nodes: tuple[Node, ...]) -> "ModelWrapper":
    """Return the nodes as a FINN model, `in` to `out`; weights and thresholds are named but not given."""
    prepare_finn()
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.basic import qonnx_make_model

    def tensor(name: str, stream: Stream) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, stream.shape)

    readers = [name for node in nodes for name in node.inputs]
    free = {
        INPUT: ["in"]
    }  # by node, what it writes and nobody reads yet; a fork writes a tensor for every reader
    streams: dict[str, Stream] = {}
    made = []
    for node in nodes:
        count = readers.count(node.name)
        outputs = [f"{node.name}_out{index or ''}" for index in range(count)] or ["out"]
        inputs = [free[name].pop(0) for name in node.inputs]
        parameters = {"MVAU_hls": "weights", "VVAU_hls": "weights", "Thresholding_rtl": "thresholds"}
        if node.op_type in parameters:
            inputs.append(f"{node.name}_{parameters[node.op_type]}")
        made.append(onnx_node(node.op_type, node.attributes, inputs, outputs, node.name))
        streams |= dict.fromkeys(outputs, node.sink)
        free[node.name] = list(outputs)
    last = streams.pop("out")
    graph = helper.make_graph(
        made,
        "candidate",
        [tensor("in", nodes[0].source)],
        [tensor("out", last)],
        value_info=[tensor(name, stream) for name, stream in streams.items()],
    )
    model = ModelWrapper(qonnx_make_model(graph))
    for name, stream in {"in": nodes[0].source, **streams, "out": last}.items():
        model.set_tensor_datatype(name, DataType[stream.datatype])
    return model
