"""From an integer network and its plan of hardware nodes to a design of RTL nodes."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Activation, Grid
from zerocross.finn_flows.network import MaxPool as PoolLayer
from zerocross.finn_flows.plan import INPUT, Node
from zerocross.finn_flows.rtl.design import Design, Element, Source
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.rtl.nodes import Crossings, HardwareNode, LabelSelect, MaxPool, Product, Stream
from zerocross.finn_flows.rtl.stream_nodes import InputGenerator, Padding, WidthConverter, WindowMaxPool
from zerocross.finn_flows.rtl.sum_nodes import Add, AddVector, Duplicate, SumPool, WindowSumPool

WAYS = ("comparators", "search", "table", "table in block RAM")


@dataclass(frozen=True)
class Styles:
    """How memories and crossings are built, where a layer is not left to the default.

    Attributes:
        weights: "block" or "distributed" for each product by layer; "block" where it is missing.
        ways: "comparators", "search", "table" or "table in block RAM" for each activation by layer; the way of
            its price where it is missing.
    """

    weights: Mapping[str, str] = field(default_factory=dict)
    ways: Mapping[str, str] = field(default_factory=dict)


def assemble(net: IntegerNetwork, plan: Sequence[Node], styles: Styles | None = None) -> Design:
    """Return the design of a network, width converters included, FIFOs not.

    Args:
        net: the network with its numbers.
        plan: its hardware nodes without converters and FIFOs (`graph.hardware_nodes(..., streams=False)`).
        styles: how memories and crossings are built.
    """
    builder = _Assembler(net, styles or Styles())
    for node in plan:
        builder.add(node)
    return Design(builder.input, tuple(builder.elements))


@dataclass(frozen=True)
class _Written:
    """What a node of the plan gives.

    Attributes:
        sources: where its words come from, one for each reader that is left.
        stream: in which words, a sample long.
        product: whose accumulators they are, if any.
    """

    sources: tuple[Source, ...]
    stream: Stream
    product: Product | GroupedProduct | None = None


class _Assembler:
    """Walks the plan once, keeping what each of its nodes gives."""

    def __init__(self, net: IntegerNetwork, styles: Styles) -> None:
        self.net, self.styles = net, styles
        self.elements: list[Element] = []
        self.written: dict[str, _Written] = {}
        self.windows: dict[str, Node] = {}  # generators of pools that are to come, by name
        self.planned: list[str] = []  # nodes of the plan since the last element

    def add(self, node: Node) -> None:
        """Append the node, with width converters where words differ."""
        self.planned.append(node.name)
        if node.op_type == "DuplicateStreams_hls":
            self.written[node.name] = self._fork(node)
            return
        if node.is_line_buffer:
            self.windows[node.name] = node
            read = self._read(node)
            self.written[node.name] = replace(read, sources=(self._take(node.inputs[0]),))
            return
        make: dict[str, Callable[[Node], HardwareNode]] = {
            "MVAU_hls": self._product,
            "VVAU_hls": self._grouped_product,
            "Thresholding_rtl": self._crossings,
            "FMPadding_rtl": self._padding,
            "ConvolutionInputGenerator_rtl": self._generator,
            "Pool_hls": self._pool,
            "LabelSelect_hls": self._label,
            "ElementwiseAdd_hls": self._add,
        }
        made = make[node.op_type](node)
        stream = self._place(node, _KINDS[node.op_type], made)
        product = made if isinstance(made, Product | GroupedProduct) else None
        if node.op_type in _KEEPING and node.inputs[0] != INPUT:  # the largest of accumulators is one of them
            product = self._read(node).product
        self.written[node.name] = _Written(((self.elements[-1].name, "m"),), stream, product)

    def _read(self, node: Node, port: int = 0) -> _Written:
        return self.written[node.inputs[port]]

    def _take(self, name: str) -> Source:
        """Return where a node's words come from, for one reader more."""
        written = self.written[name]
        source, *rest = written.sources
        if rest:
            self.written[name] = replace(written, sources=tuple(rest))
        return source

    def _bits(self, node: Node) -> int:
        return self.net.network.input.bits if node.inputs[0] == INPUT else self._read(node).stream.bits

    def _place(self, node: Node, kind: str, made: HardwareNode) -> Stream:
        """Append an element and the converters ahead of it; return what it writes for a sample."""
        name = self._name(node.layer, kind)
        sources, repeats = [], 1
        for port, (writer, wanted) in enumerate(zip(node.inputs, made.inputs.values(), strict=True)):
            if writer == INPUT:
                size = math.prod(self.net.network.input.shape)
                stream = self.input = replace(wanted, elements=max(size, wanted.elements))
                source: Source = (INPUT, "s")
            else:
                stream, source = self.written[writer].stream, self._take(writer)
            if stream.lanes != wanted.lanes:
                between = WidthConverter(stream, wanted.lanes)
                made_name = f"{name}_converter{port + 1 if port else ''}"
                self.elements.append(Element(made_name, node.layer, "converter", between, (source,)))
                source, stream = (made_name, "m"), between.outputs["m"]
            sources.append(source)
            if port == 0:
                repeats = stream.words // wanted.words
        self.elements.append(Element(name, node.layer, kind, made, tuple(sources), tuple(self.planned)))
        self.planned = []
        written = made.outputs["m"]
        return replace(written, elements=written.elements * repeats)

    def _fork(self, node: Node) -> _Written:
        """Append forks to two readers each, until there is a stream for every reader."""
        read = self._read(node)
        source, free = self._take(node.inputs[0]), []
        planned, self.planned = tuple(self.planned), []
        for _ in range(dict(node.attributes)["NumOutputStreams"] - 1):
            name = self._name(node.layer, "fork")
            fork = Duplicate(read.stream)
            self.elements.append(Element(name, node.layer, "fork", fork, (source,), planned))
            planned = (node.name,)
            free.append((name, "a"))
            source = (name, "b")
        return replace(read, sources=(*free, source))

    def _name(self, layer: str, kind: str) -> str:
        name = f"{re.sub(r'[^A-Za-z0-9]+', '_', layer).strip('_')}_{kind}"
        name = name if name[0].isalpha() else f"n{name}"
        taken = {element.name for element in self.elements}
        count = 2
        unique = name
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        return unique

    def _product(self, node: Node) -> Product:
        weights = self.net.weights[node.layer]
        pe, simd = node.lanes
        return Product(
            weights.reshape(len(weights), -1),
            pe,
            simd,
            self._bits(node),
            offsets=not self._is_absorbed(node.layer) and self._has_offsets(node),
            ram_style=self.styles.weights.get(node.layer, "block"),
            weight_bits=self.net.network.weight_bits(node.layer),
        )

    def _grouped_product(self, node: Node) -> GroupedProduct:
        weights, operation = self.net.weights[node.layer], self._operation(node.layer)
        pe, simd = node.lanes
        return GroupedProduct(
            weights.reshape(len(weights), -1, weights.shape[-1]),
            operation.groups,
            pe * operation.groups // operation.channels,
            simd,
            self._bits(node),
            operation.weight_bits,
            self.styles.weights.get(node.layer, "distributed"),
        )

    def _has_offsets(self, node: Node) -> bool:
        return self._bits(node) > 1 or self.net.network.weight_bits(node.layer) > 1

    def _is_absorbed(self, layer: str) -> bool:
        """Tell whether an activation takes a product's accumulators, and with them their offsets."""
        return layer in self.net.network.producers().values()

    def _crossings(self, node: Node) -> Crossings:
        operation, product = self._operation(node.layer), self._read(node).product
        assert isinstance(operation, Activation)
        table = self.net.tables[node.layer]
        if product is not None and (product.input_bits > 1 or product.weight_bits > 1):
            # The stream counts from 0 in every channel; what it is too high by goes into the crossings.
            table = table.moved(Grid(0, product.reach), -np.repeat(product.row_offsets, operation.bits))
        way = self.styles.ways.get(node.layer, node.price.way)
        style = "block" if way == "table in block RAM" else "distributed"
        way = {"constant": "comparators", "table in block RAM": "table"}.get(way, way)
        return Crossings(table, node.lanes[0], way, bits=operation.bits, ram_style=style)

    def _operation(self, layer: str) -> Any:
        return next(entry.operation for entry in self.net.network.layers if entry.name == layer)

    def _padding(self, node: Node) -> Padding:
        known = dict(node.attributes)
        shape = (*known["ImgDim"], known["NumChannels"])
        return Padding(shape, known["Padding"], known["SIMD"], self._bits(node))

    def _generator(self, node: Node) -> InputGenerator:
        known = dict(node.attributes)
        return InputGenerator(
            (*known["IFMDim"], known["IFMChannels"]),
            known["ConvKernelDim"],
            known["Stride"],
            known["SIMD"],
            self._bits(node),
            parallel=bool(known["parallel_window"]),
            depthwise=bool(known["depthwise"]),
            dilation=known["Dilation"],
        )

    def _pool(self, node: Node) -> HardwareNode:
        known, windows = dict(node.attributes), self.windows.get(node.inputs[0])
        stream, operation = self._read(node).stream, self._operation(node.layer)
        largest = isinstance(operation, PoolLayer)
        pe, channels = known["PE"], known["Channels"]
        high = (1 << type_bits(known["OutputDataType"])) - 1
        if windows is not None:
            shape = (*dict(windows.attributes)["IFMDim"], channels)
            if not largest:
                return SumPool(shape, known["KernelSize"], pe, stream.bits, high)
            return MaxPool(shape, operation.kernel, pe, stream.bits, stream.signed)
        positions, area = math.prod(known["OutImgDims"]), math.prod(operation.kernel)
        if not largest:
            return WindowSumPool(positions, area, channels, pe, stream.bits, high)
        return WindowMaxPool(positions, area, channels, pe, stream.bits, stream.signed)

    def _add(self, node: Node) -> HardwareNode:
        a, b = (self._read(node, port).stream for port in (0, 1))
        known, pe = dict(node.attributes), node.lanes[0]
        high = (1 << type_bits(known["out_dtype"])) - 1
        kind = Add if known["lhs_shape"] == known["rhs_shape"] else AddVector
        return kind(replace(a, lanes=pe), replace(b, lanes=pe), high)

    def _label(self, node: Node) -> LabelSelect:
        known, stream = dict(node.attributes), self._read(node).stream
        return LabelSelect(known["Labels"], known["PE"], stream.bits, stream.signed)


_KEEPING = ("ConvolutionInputGenerator_rtl", "Pool_hls")
_KINDS = {
    "MVAU_hls": "product",
    "VVAU_hls": "product",
    "Thresholding_rtl": "crossings",
    "FMPadding_rtl": "padding",
    "ConvolutionInputGenerator_rtl": "generator",
    "Pool_hls": "pool",
    "LabelSelect_hls": "label",
    "ElementwiseAdd_hls": "sum",
}
