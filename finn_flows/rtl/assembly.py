"""From an integer network and its plan of hardware nodes to a design of RTL nodes."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from finn_flows import graph
from finn_flows.integer import IntegerNetwork
from finn_flows.network import Activation, Grid
from finn_flows.network import MaxPool as PoolLayer
from finn_flows.rtl.design import INPUT, Design, Element
from finn_flows.rtl.nodes import Crossings, HardwareNode, LabelSelect, MaxPool, Product, Stream
from finn_flows.rtl.stream_nodes import InputGenerator, Padding, WidthConverter, WindowMaxPool

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


def assemble(net: IntegerNetwork, plan: Sequence[graph.Node], styles: Styles | None = None) -> Design:
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


class _Assembler:
    """Walks the plan once, keeping the stream that flows."""

    def __init__(self, net: IntegerNetwork, styles: Styles) -> None:
        self.net, self.styles = net, styles
        self.shapes = net.network.shapes()
        self.elements: list[Element] = []
        self.source, self.stream = (INPUT, "s"), Stream(1, 1, 1)
        self.product: Product | None = None  # whose accumulators flow
        self.windows: graph.Node | None = None  # the generator of a pool that is to come
        self.planned: list[str] = []  # nodes of the plan since the last element

    def add(self, node: graph.Node) -> None:
        """Append the node, with a width converter where words differ."""
        make: dict[str, Callable[[graph.Node], HardwareNode | None]] = {
            "MVAU_hls": self._product,
            "Thresholding_rtl": self._crossings,
            "FMPadding_rtl": self._padding,
            "ConvolutionInputGenerator_rtl": self._generator,
            "Pool_hls": self._pool,
            "LabelSelect_hls": self._label,
        }
        self.planned.append(node.name)
        made = make[node.op_type](node)
        if made is not None:
            self._place(node.layer, _KINDS[node.op_type], made)

    def _place(self, layer: str, kind: str, node: HardwareNode) -> None:
        wanted = node.inputs["s"]
        name = self._name(layer, kind)
        if not self.elements:
            size = math.prod(self.net.network.input.shape)
            self.input = self.stream = replace(wanted, elements=max(size, wanted.elements))
        elif self.stream.lanes != wanted.lanes:
            converter = WidthConverter(self.stream, wanted.lanes)
            self._append(f"{name}_converter", layer, "converter", converter)
        self._append(name, layer, kind, node, tuple(self.planned))
        self.planned = []

    def _append(
        self, name: str, layer: str, kind: str, node: HardwareNode, planned: tuple[str, ...] = ()
    ) -> None:
        self.elements.append(Element(name, layer, kind, node, (self.source,), planned))
        repeats, written = self.stream.words // node.inputs["s"].words, node.outputs["m"]
        self.source, self.stream = (name, "m"), replace(written, elements=written.elements * repeats)

    def _name(self, layer: str, kind: str) -> str:
        name = f"{re.sub(r'[^A-Za-z0-9]+', '_', layer).strip('_')}_{kind}"
        name = name if name[0].isalpha() else f"n{name}"
        taken = {element.name for element in self.elements}
        count = 2
        unique = name
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        return unique

    def _product(self, node: graph.Node) -> Product:
        weights = self.net.weights[node.layer]
        pe, simd = node.lanes
        bits = self._input_bits(node.layer)
        self.product = Product(
            weights.reshape(len(weights), -1),
            pe,
            simd,
            bits,
            offsets=bits > 1 and not self._is_absorbed(node.layer),
            ram_style=self.styles.weights.get(node.layer, "block"),
        )
        return self.product

    def _input_bits(self, layer: str) -> int:
        source = next(entry.inputs[0] for entry in self.net.network.layers if entry.name == layer)
        bits = self.net.network.bits(source)
        assert bits is not None
        return bits

    def _is_absorbed(self, layer: str) -> bool:
        """Tell whether an activation takes a product's accumulators, and with them their offsets."""
        return layer in self.net.network.producers().values()

    def _crossings(self, node: graph.Node) -> Crossings:
        assert self.product is not None
        operation = self._operation(node.layer)
        assert isinstance(operation, Activation)
        table = self.net.tables[node.layer]
        if self.product.input_bits > 1:
            # The stream counts from 0 in every channel; what it is too high by goes into the crossings.
            reach = self.product.fan_in * (2**self.product.input_bits - 1)
            table = table.moved(Grid(0, reach), -np.repeat(self.product.row_offsets, operation.bits))
        way = self.styles.ways.get(node.layer, node.price.way)
        style = "block" if way == "table in block RAM" else "distributed"
        way = {"constant": "comparators", "table in block RAM": "table"}.get(way, way)
        return Crossings(table, node.lanes[0], way, bits=operation.bits, ram_style=style)

    def _operation(self, layer: str) -> Any:
        return next(entry.operation for entry in self.net.network.layers if entry.name == layer)

    def _padding(self, node: graph.Node) -> Padding:
        known = dict(node.attributes)
        shape = (*known["ImgDim"], known["NumChannels"])
        return Padding(
            shape, known["Padding"], known["SIMD"], self.stream.bits if self.elements else self._raw
        )

    @property
    def _raw(self) -> int:
        return self.net.network.input.bits

    def _generator(self, node: graph.Node) -> InputGenerator | None:
        known = dict(node.attributes)
        bits = self.stream.bits if self.elements else self._raw
        operation = self._operation(node.layer)
        if known["depthwise"] and operation.kernel == operation.stride:
            self.windows = node
            return None  # windows that do not overlap need no generator
        return InputGenerator(
            (*known["IFMDim"], known["IFMChannels"]),
            known["ConvKernelDim"],
            known["Stride"],
            known["SIMD"],
            bits,
            parallel=bool(known["parallel_window"]),
            depthwise=bool(known["depthwise"]),
        )

    def _pool(self, node: graph.Node) -> HardwareNode:
        known, windows = dict(node.attributes), self.windows
        self.windows = None
        bits, signed = self.stream.bits, self.stream.signed
        operation = self._operation(node.layer)
        assert isinstance(operation, PoolLayer)
        if windows is not None:
            shape = (*dict(windows.attributes)["IFMDim"], known["Channels"])
            return MaxPool(shape, operation.kernel, known["PE"], bits, signed)
        positions = math.prod(known["OutImgDims"])
        return WindowMaxPool(
            positions, math.prod(operation.kernel), known["Channels"], known["PE"], bits, signed
        )

    def _label(self, node: graph.Node) -> LabelSelect:
        known = dict(node.attributes)
        return LabelSelect(known["Labels"], known["PE"], self.stream.bits, self.stream.signed)


_KINDS = {
    "MVAU_hls": "product",
    "Thresholding_rtl": "crossings",
    "FMPadding_rtl": "padding",
    "ConvolutionInputGenerator_rtl": "generator",
    "Pool_hls": "pool",
    "LabelSelect_hls": "label",
}
