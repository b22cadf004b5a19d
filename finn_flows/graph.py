"""Build a candidate directly as FINN's specialised hardware nodes, without weights and without a trained
network.

`hardware_nodes` gives the nodes in the order of the stream, each with the attributes that FINN's estimates
read and with this project's own price; `finn_graph` makes a FINN model of them. Both hold what FINN's own
flow would make of the same network (`stock_flow.py`), width converters and FIFOs included.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from finn_flows import schedule, structural
from finn_flows.accumulators import accumulator_type, integer_type, threshold_type, type_bits
from finn_flows.errors import FlowError
from finn_flows.finn_setup import prepare_finn
from finn_flows.folding import Folding, FoldingError, Product, divisors, fold_product, fold_stream
from finn_flows.network import Activation, Conv, Dense, Flatten, LabelSelect, Layer, MaxPool, Network
from finn_flows.structural import Price

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

Attributes = tuple[tuple[str, Any], ...]
DEFAULT_FIFO_DEPTH = 2  # FINN's own, where nothing has measured a better one


class UnsupportedLayer(FlowError):
    """A layer or a shape of network that this flow has no hardware nodes for; the message names it."""


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
        source: the stream it reads.
        sink: the stream it writes.
        price: this project's price, in 6-input LUTs (see `structural.on_family`).
        name: unique in its graph, as FINN numbers nodes: op_type and a count.
    """

    layer: str
    op_type: str
    attributes: Attributes
    source: Stream
    sink: Stream
    price: Price
    name: str = ""

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
            case "ConvolutionInputGenerator_rtl":
                known = dict(self.attributes)
                folds, pool = known["IFMChannels"] // known["SIMD"], bool(known["depthwise"])
                sizes = known["IFMDim"], known["ConvKernelDim"], known["Stride"], folds, pool
                return _generator_interval(*sizes, parallel=bool(known["parallel_window"]))
        return max(self.source.words, self.sink.words)

    @property
    def folding(self) -> dict[str, int]:
        """The attributes that say how parallel the node is, by FINN's names."""
        return {name: value for name, value in self.attributes if name in ("PE", "SIMD", "parallel_window")}


def hardware_nodes(
    network: Network, folding: Folding, clock_mhz: float = 100.0, streams: bool = True
) -> tuple[Node, ...]:
    """Return a network's hardware nodes, in the order of the stream.

    Args:
        network: a chain of layers, groups=1.
        folding: how parallel it is to be.
        clock_mhz: the clock, for a target in frames a second.
        streams: with width converters and FIFOs, as FINN would insert them.

    Raises:
        UnsupportedLayer: for branches, groups, or layers in an order no hardware exists for.
        FoldingError: where the folding cannot be done; the message names the layer.
        NetworkError: for layers that do not fit together.
    """
    nodes = _Builder(network, folding, clock_mhz).nodes()
    if streams:
        nodes = _with_streams(nodes)
    return _named(nodes)


class _Builder:
    """Walks the chain once, keeping the shape and datatype of what flows."""

    def __init__(self, network: Network, folding: Folding, clock_mhz: float) -> None:
        self.network, self.folding, self.clock_mhz = network, folding, clock_mhz
        self.shapes = network.shapes()
        self.products = _products(network, self.shapes)
        self.folds = {
            name: fold_product(name, product, folding, clock_mhz) for name, product in self.products.items()
        }
        asked = folding.cycles(clock_mhz)
        self.bound = asked is not None
        slowest = max((p.cycles(*self.folds[name]) for name, p in self.products.items()), default=1)
        self.target = slowest if asked is None else asked

    def nodes(self) -> list[Node]:
        """Return the nodes of all layers, without converters and FIFOs."""
        self.datatype = _unsigned(self.network.input.bits)
        self.product: Product | None = None  # whose accumulators flow, if any
        self.product_pe = 1
        self.flowing: Stream | None = None  # what the last node writes
        previous, nodes = "input", list[Node]()
        for layer in self.network.layers:
            if layer.inputs != (previous,):
                raise UnsupportedLayer(
                    f"{layer.name}: reads {layer.inputs}, only chains have a hardware flow"
                )
            nodes += self._layer(layer, self.shapes[previous], self.shapes[layer.name])
            previous = layer.name
        return nodes

    def _layer(self, layer: Layer, shape: tuple[int, ...], out: tuple[int, ...]) -> list[Node]:
        match layer.operation:
            case Dense():
                return self._dense(layer.name)
            case Conv() as conv:
                return self._conv(layer.name, conv, shape, out)
            case Activation() as activation:
                return [self._thresholds(layer.name, activation, shape)]
            case MaxPool() as pool:
                return self._pool(layer.name, pool, shape, out)
            case Flatten():
                return []
            case LabelSelect():
                return [self._label_select(layer.name, shape)]
        raise UnsupportedLayer(f"{layer.name}: {type(layer.operation).__name__} has no hardware node")

    def _dense(self, name: str) -> list[Node]:
        return [self._product(name, (1,))]

    def _conv(self, name: str, conv: Conv, shape: tuple[int, ...], out: tuple[int, ...]) -> list[Node]:
        nodes = []
        height, width, channels = shape
        if any(conv.padding):
            height, width = height + 2 * conv.padding[0], width + 2 * conv.padding[1]
            nodes.append(self._padding(name, conv.padding, shape, (height, width, channels)))
        if conv.kernel != (1, 1) or conv.stride != (1, 1) or any(conv.padding):
            nodes.append(self._generator(name, conv, (height, width, channels), out))
        return [*nodes, self._product(name, (1, *out[:2]))]

    def _product(self, name: str, vectors: tuple[int, ...]) -> Node:
        if self.product is not None:
            raise UnsupportedLayer(f"{name}: reads accumulators; an activation must stand before a product")
        product = self.products[name]
        pe, simd = self.folds[name]
        if self.bound and self.flowing is not None and self._converted(product.words(simd)) > self.target:
            pe, simd = fold_product(name, product, self.folding, self.clock_mhz, self.flowing.words)
        binary = self.datatype == "BINARY"
        accumulator = accumulator_type(product.fan_in, product.input_bits)
        source = Stream((*vectors, product.fan_in), simd, self.datatype)
        sink = Stream((*vectors, product.channels), pe, accumulator)
        attributes = (
            ("PE", pe),
            ("SIMD", simd),
            ("MW", product.fan_in),
            ("MH", product.channels),
            ("inputDataType", self.datatype),
            ("weightDataType", "BINARY" if binary else "BIPOLAR"),
            ("outputDataType", accumulator),
            ("accDataType", accumulator),
            ("binaryXnorMode", int(binary)),
            ("noActivation", 1),
            ("numInputVectors", vectors),
        )
        self.datatype, self.product, self.product_pe, self.flowing = accumulator, product, pe, sink
        return Node(name, "MVAU_hls", attributes, source, sink, product.price(pe, simd))

    def _thresholds(self, name: str, activation: Activation, shape: tuple[int, ...]) -> Node:
        if self.product is None:
            raise UnsupportedLayer(f"{name}: an activation needs a product's accumulators before it")
        product, channels, vectors = self.product, shape[-1], (1, *shape[:-1])
        pe = self.product_pe
        if product.vectors != math.prod(vectors):  # a pool stands between: its lanes decide
            pe = self._lanes(channels, math.prod(shape), lambda lanes: math.prod(shape) // lanes)
        attributes = (
            ("PE", pe),
            ("NumChannels", channels),
            ("numSteps", max(1, *activation.crossings, 2**activation.bits - 1)),
            ("inputDataType", self.datatype),
            ("weightDataType", threshold_type(product.fan_in, product.input_bits)),
            ("outputDataType", _unsigned(activation.bits)),
            ("numInputVectors", vectors),
        )
        source = Stream((*vectors, channels), pe, self.datatype)
        self.datatype, self.product = _unsigned(activation.bits), None
        sink = self.flowing = replace(source, datatype=self.datatype)
        price = _crossing_site(activation.crossings, pe * activation.bits, product.levels)
        return Node(name, "Thresholding_rtl", attributes, source, sink, price)

    def _padding(
        self, name: str, padding: tuple[int, int], shape: tuple[int, ...], padded: tuple[int, ...]
    ) -> Node:
        simd = self._lanes(shape[2], math.prod(shape), lambda lanes: math.prod(padded) // lanes)
        self._refuse_if_slow(name, "padding", math.prod(padded) // simd)
        attributes = (
            ("ImgDim", shape[:2]),
            ("Padding", (*padding, *padding)),
            ("NumChannels", shape[2]),
            ("SIMD", simd),
            ("inputDataType", self.datatype),
        )
        source = Stream((1, *shape), simd, self.datatype)
        sink = self.flowing = replace(source, shape=(1, *padded))
        price = structural.padding(source.width, padded[0], padded[1], shape[2] // simd)
        return Node(name, "FMPadding_rtl", attributes, source, sink, price)

    def _generator(
        self, name: str, window: Conv | MaxPool, shape: tuple[int, ...], out: tuple[int, ...]
    ) -> Node:
        """Return the input generator of a convolution, or of a pool (`depthwise`, FINN calls it)."""
        pool = isinstance(window, MaxPool)
        channels, area = shape[2], math.prod(window.kernel)
        size = shape[0], shape[1]

        def cycles(lanes: int, parallel: bool = False) -> int:
            return _generator_interval(size, window.kernel, window.stride, channels // lanes, pool, parallel)

        behind = None
        if not pool:
            behind = math.prod(out[:2]) * area * channels, self.products[name].words(self.folds[name][1])
        simd = self._lanes(channels, math.prod(shape), cycles, behind)
        parallel = self.bound and cycles(simd) > self.target and not pool
        self._refuse_if_slow(name, "input generator", cycles(simd, parallel))
        attributes = (
            ("ConvKernelDim", window.kernel),
            ("IFMChannels", channels),
            ("IFMDim", shape[:2]),
            ("OFMDim", out[:2]),
            ("SIMD", simd),
            ("Stride", window.stride),
            ("Dilation", (1, 1)),
            ("inputDataType", self.datatype),
            ("outputDataType", self.datatype),
            ("depthwise", int(pool)),
            ("parallel_window", int(parallel)),
            ("is1D", int(1 in shape[:2])),
        )
        source = Stream((1, *shape), simd, self.datatype)
        lanes = simd * (area if parallel else 1)
        sink = self.flowing = Stream((1, *out[:2], area * channels), lanes, self.datatype)
        folds = channels // simd
        if pool and window.kernel == window.stride:
            price = structural.line_buffer(source.width, out[1] * folds)
        elif parallel or area == 1:
            depth = ((window.kernel[0] - 1) * shape[1] + window.kernel[1]) * folds
            price = structural.parallel_generator(source.width, depth, window.kernel[0])
        else:
            places = schedule.Windows((shape[0], shape[1]), window.kernel, window.stride, folds, pool).places
            price = structural.input_generator(source.width, places)
        return Node(name, "ConvolutionInputGenerator_rtl", attributes, source, sink, price)

    def _pool(self, name: str, pool: MaxPool, shape: tuple[int, ...], out: tuple[int, ...]) -> list[Node]:
        if pool.kernel[0] < pool.stride[0] or pool.kernel[1] < pool.stride[1]:
            raise UnsupportedLayer(
                f"{name}: a max-pool's stride {pool.stride} exceeds its kernel {pool.kernel}"
            )
        generator = self._generator(name, pool, shape, out)
        pe = generator.sink.lanes
        attributes = (
            ("Channels", shape[2]),
            ("PE", pe),
            ("KernelSize", pool.kernel),
            ("Function", "MaxPool"),
            ("OutImgDims", out[:2]),
            ("InputDataType", self.datatype),
            ("OutputDataType", self.datatype),
        )
        sink = self.flowing = Stream((1, *out), pe, self.datatype)
        price = structural.max_pool(pe, type_bits(self.datatype))
        return [generator, Node(name, "Pool_hls", attributes, generator.sink, sink, price)]

    def _label_select(self, name: str, shape: tuple[int, ...]) -> Node:
        labels, bits = shape[-1], type_bits(self.datatype)
        pe = self._lanes(labels, labels, lambda lanes: labels // lanes)
        index_bits = 8 * math.ceil(type_bits(integer_type(0, labels - 1)) / 8)
        attributes = (
            ("Labels", labels),
            ("PE", pe),
            ("K", 1),
            ("inputDataType", self.datatype),
            ("outputDataType", f"UINT{index_bits}"),
            ("numInputVectors", (1,)),
        )
        source = Stream((1, labels), pe, self.datatype)
        self.datatype = f"UINT{index_bits}"
        price = structural.label_select(labels, pe, bits)
        return Node(name, "LabelSelect_hls", attributes, source, Stream((1, 1), 1, self.datatype), price)

    def _refuse_if_slow(self, name: str, what: str, cycles: int) -> None:
        """Raise if a node with all channels at once misses a target that was asked for."""
        if self.bound and cycles > self.target:
            raise FoldingError(
                f"{name}: its {what} takes {cycles} cycles an image at best, "
                f"and {self.target} were asked for; allow {cycles} cycles or make the image smaller"
            )

    def _lanes(
        self,
        channels: int,
        elements: int,
        cycles: Callable[[int], int],
        behind: tuple[int, int] | None = None,
    ) -> int:
        """Return the fewest channels at a time that keep up with the target, width converters included.

        Args:
            channels: of a pixel.
            elements: of the stream that is read.
            cycles: the node's own, by lanes.
            behind: the elements it writes, and the words in which they are read.
        """

        def slowest(lanes: int) -> int:
            result = max(cycles(lanes), self._converted(elements // lanes))
            if behind is not None:
                result = max(result, schedule.converter_interval(behind[0] // lanes, behind[1]))
            return result

        return fold_stream(channels, {lanes: slowest(lanes) for lanes in divisors(channels)}, self.target)

    def _converted(self, words: int) -> int:
        """Return the cycles an image takes to become so many words, from those that flow."""
        return words if self.flowing is None else schedule.converter_interval(self.flowing.words, words)


def _unsigned(bits: int) -> str:
    return "BINARY" if bits == 1 else f"UINT{bits}"


def _products(network: Network, shapes: dict[str, tuple[int, ...]]) -> dict[str, Product]:
    """Return every product's sizes, by layer name."""
    products = {}
    for layer in network.layers:
        operation, shape, out = layer.operation, shapes[layer.inputs[0]], shapes[layer.name]
        bits = network.bits(layer.inputs[0]) or 1  # accumulators are refused where nodes are made
        if isinstance(operation, Conv):
            if operation.groups != 1:
                raise UnsupportedLayer(
                    f"{layer.name}: {operation.groups} groups; only groups=1 has hardware nodes"
                )
            fan_in = math.prod(operation.kernel) * shape[-1]
            products[layer.name] = Product(fan_in, operation.channels, out[0] * out[1], bits)
        elif isinstance(operation, Dense):
            products[layer.name] = Product(math.prod(shape), operation.channels, 1, bits)
    return products


@lru_cache(maxsize=65536)
def _generator_interval(
    shape: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    folds: int,
    pool: bool,
    parallel: bool = False,
) -> int:
    """Return an input generator's cycles an image; a pool whose windows do not overlap reads the image itself."""
    if parallel or kernel == (1, 1) or (pool and kernel == stride):
        return math.prod(shape) * folds
    return schedule.Windows(shape, kernel, stride, folds, pool).interval


@lru_cache(maxsize=65536)
def _crossing_site(crossings: tuple[int, ...], pe: int, levels: int) -> Price:
    return structural.crossing_site(crossings, pe, levels)


def _with_streams(nodes: list[Node]) -> list[Node]:
    """Put a width converter between nodes whose words differ, and a FIFO on every stream.

    FINN has a FIFO between a product and what takes its accumulators too, and one at either end. This project has
    none there, and between others where the schedule asks for one.
    """
    if not nodes:
        return nodes
    none = structural.NO_FIFO
    result = [replace(fifo(nodes[0].layer, nodes[0].source), price=none)]
    for before, after in zip(nodes, [*nodes[1:], None], strict=True):
        result.append(before)
        layer = before.layer if after is None else after.layer
        same = after is not None and before.sink.lanes == after.source.lanes
        behind = _planned(fifo(layer, before.sink), after, ahead=same)
        fused = before.op_type == "MVAU_hls" and after is not None and before.sink == after.source
        result.append(replace(behind, price=none) if fused or after is None else behind)
        if after is not None and not same:
            between = converter(layer, before.sink, after.source)
            # FINN folds what leaves a converter by the shape of what enters it.
            folded = replace(before.sink, lanes=after.source.lanes).folded
            result += [between, _planned(fifo(layer, between.sink, folded), after, ahead=True)]
    return result


def _planned(node: Node, reader: Node | None, ahead: bool) -> Node:
    """Return a FIFO with the price that is expected of it before FIFOs are sized.

    Args:
        node: the FIFO.
        reader: the node that reads what it holds, if any.
        ahead: whether the reader is next, and no converter between.
    """
    between = "image" if reader is not None and len(reader.source.shape) > 2 else "vector"
    if between == "image" and ahead and reader is not None and reader.op_type == "MVAU_hls":
        between = "windows"
    return replace(node, price=structural.planned_fifo(node.sink.width, between))


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


def _named(nodes: list[Node]) -> tuple[Node, ...]:
    """Number nodes of a type from 0, as FINN's GiveUniqueNodeNames does."""
    counts: dict[str, int] = {}
    named = []
    for node in nodes:
        count = counts.get(node.op_type, 0)
        counts[node.op_type] = count + 1
        named.append(replace(node, name=f"{node.op_type}_{count}"))
    return tuple(named)


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

    tensors = ["in", *(f"{node.name}_out" for node in nodes[:-1]), "out"]
    parameters = {"MVAU_hls": "weights", "Thresholding_rtl": "thresholds"}
    made = [
        onnx_node(
            node.op_type,
            node.attributes,
            [before, *(f"{node.name}_{parameters[node.op_type]}" for _ in [0] if node.op_type in parameters)],
            [after],
            node.name,
        )
        for node, before, after in zip(nodes, tensors, tensors[1:], strict=False)
    ]
    graph = helper.make_graph(
        made,
        "candidate",
        [tensor("in", nodes[0].source)],
        [tensor("out", nodes[-1].sink)],
        value_info=[tensor(name, node.sink) for name, node in zip(tensors[1:-1], nodes, strict=False)],
    )
    model = ModelWrapper(qonnx_make_model(graph))
    model.set_tensor_datatype("in", DataType[nodes[0].source.datatype])
    for name, node in zip(tensors[1:], nodes, strict=True):
        model.set_tensor_datatype(name, DataType[node.sink.datatype])
    return model
