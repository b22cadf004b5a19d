"""A design as a FINN graph.

The graph's nodes are specialised ones: this project's (`finn_nodes.py`) with their weights and crossings, and FINN's
own padding. Width converters and FIFOs are FINN's to insert. Images are (1, height, width, channels), bits 0 and 1;
each node's `doc_string` is the network's layer that it belongs to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zerocross.finn_flows.accumulators import integer_type
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.finn_setup import prepare_finn
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.plan import DEFAULT_FIFO_DEPTH, Attributes
from zerocross.finn_flows.rtl.design import INPUT, Design, Element
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.rtl.nodes import Crossings, LabelSelect, MaxPool, Product, Stream
from zerocross.finn_flows.rtl.stream_nodes import InputGenerator, Padding, WidthConverter, WindowMaxPool
from zerocross.finn_flows.rtl.sum_nodes import Add, AddVector, Duplicate, SumPool, WindowSumPool
from zerocross.finn_flows.vendor.crossings_node import crossing_parameters
from zerocross.finn_flows.vendor.finn_nodes import register
from zerocross.finn_flows.vendor.stream_types import stream_type

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

Shape = tuple[int, ...]
Parameter = tuple[str, np.ndarray, str]
"""An initializer: its name, values and FINN's name of their datatype."""

_EXACT = 1 << 24  # FINN keeps all numbers as float32, which holds integers up to here


class DataflowError(FlowError):
    """A design that has no FINN graph; the message names the node."""


@dataclass(frozen=True)
class FinnNode:
    """What becomes of an element.

    Attributes:
        op_type: FINN's name, without the "_rtl" of the specialised node.
        attributes: what the operator is told.
        shape: of the image it writes.
        parameters: its initializers behind the streams.
        datatype: of what it writes, where that is not the record's.
    """

    op_type: str
    attributes: Attributes
    shape: Shape
    parameters: tuple[Parameter, ...] = ()
    datatype: str | None = None


def dataflow_model(design: Design, shape: Shape, depths: Mapping[str, int] | None = None) -> "ModelWrapper":
    """Return a design as a FINN graph.

    Args:
        design: without FIFOs; its width converters are left out, FINN inserts its own.
        shape: of the network's input, (features,) or (height, width, channels).
        depths: FIFO depths by name, as `streaming.size_fifos` finds them; they become the nodes' in- and
            outFIFODepths, of which FINN makes its FIFOs.

    Returns:
        A graph of specialised nodes, named as FINN names them.
    """
    prepare_finn()
    register()
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.basic import qonnx_make_model

    builder = _Builder(design, (1, *shape), depths or {})
    for element in design.elements:
        builder.add(element)

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, builder.shapes[name])

    last = design.elements[-1].name
    inner = [name for name in builder.shapes if name not in (INPUT, last)]
    graph = helper.make_graph(
        builder.nodes, "zerocross", [value(INPUT)], [value(last)], value_info=[value(name) for name in inner]
    )
    model = ModelWrapper(qonnx_make_model(graph))
    for name, datatype in builder.datatypes.items():
        model.set_tensor_datatype(name, DataType[datatype])
    for name, values, datatype in builder.parameters:
        model.set_initializer(name, values)
        model.set_tensor_datatype(name, DataType[datatype])
    return model


class _Builder:
    """Walks a design once, keeping the shape and datatype of each tensor by name."""

    def __init__(self, design: Design, shape: Shape, depths: Mapping[str, int]) -> None:
        self.depths = depths
        self.converters = {
            element.sources[0]: element.name
            for element in design.elements
            if isinstance(element.node, WidthConverter)
        }
        self.tensors = {(INPUT, "s"): INPUT}
        self.shapes = {INPUT: shape}
        self.datatypes = {INPUT: stream_type(design.input)}
        self.parameters: list[Parameter] = []
        self.nodes: list[Any] = []
        self.counts: dict[str, int] = {}

    def add(self, element: Element) -> None:
        """Append the node of an element, if it has one."""
        if isinstance(element.node, WidthConverter):
            self.tensors[element.name, "m"] = self.tensors[element.sources[0]]
            return
        inputs = [self.tensors[source] for source in element.sources]
        node = _describe(element, self.shapes[inputs[0]])
        outputs = []
        for port, stream in element.node.outputs.items():
            name = element.name if port == "m" else f"{element.name}_{port}"
            outputs.append(name)
            self.tensors[element.name, port] = name
            self.shapes[name] = node.shape
            self.datatypes[name] = node.datatype or stream_type(stream)
        for name, values, datatype in node.parameters:
            inputs.append(f"{element.name}_{name}")
            self.parameters.append((inputs[-1], values, datatype))
        self.nodes.append(self._onnx(element, node, inputs, outputs))

    def _onnx(self, element: Element, node: FinnNode, inputs: list[str], outputs: list[str]) -> Any:
        from onnx import helper

        op_type = f"{node.op_type}_rtl"
        number = self.counts.get(op_type, 0)
        self.counts[op_type] = number + 1
        ports = [
            f"{element.name}_fifo" if port == "s" else f"{element.name}_{port}_fifo"
            for port in element.node.inputs
        ]
        converters = [self.converters.get((element.name, port)) for port in element.node.outputs]
        return helper.make_node(
            op_type,
            inputs,
            outputs,
            name=f"{op_type}_{number}",
            doc_string=element.layer,
            domain="finn.custom_op.fpgadataflow.rtl",
            backend="fpgadataflow",
            exec_mode="cppsim",  # FINN's own nodes compute in Python in this mode alone
            inFIFODepths=[self._depth(port) for port in ports],
            outFIFODepths=[self._depth(f"{converter}_fifo") for converter in converters],
            **dict(node.attributes),
        )

    def _depth(self, name: str) -> int:
        return max(DEFAULT_FIFO_DEPTH, self.depths.get(name, 0))


def _describe(element: Element, shape: Shape) -> FinnNode:
    """Return what becomes of an element that reads images of a shape."""
    match element.node:
        case Product() as product:
            return _product(product, shape)
        case GroupedProduct() as product:
            return _grouped_product(product, shape)
        case Crossings() as crossings:
            return _crossings(element.name, crossings, shape)
        case MaxPool() as pool:
            return _max_pool(pool)
        case WindowMaxPool() as pool:
            return _window_max_pool(pool, shape)
        case Padding() as padding:
            return _padding(padding)
        case InputGenerator() as generator:
            return _generator(generator)
        case LabelSelect() as label:
            return _label_select(label)
        case Duplicate() as duplicate:
            return FinnNode("ZcDuplicate", _elementwise(duplicate.stream, shape), shape)
        case Add() as add:
            return FinnNode("ZcAdd", _sum(add.a, add.b, add.high, shape), shape)
        case AddVector() as add:
            return FinnNode("ZcAddVector", _sum(add.image, add.vector, add.high, shape), shape)
        case SumPool() as pool:
            return _sum_pool(pool)
        case WindowSumPool() as pool:
            return _window_sum_pool(pool, shape)
    raise DataflowError(f"{element.name}: FINN has no node for a {type(element.node).__name__}")


def _product(product: Product, shape: Shape) -> FinnNode:
    # A dense layer reads a whole image as one vector, a convolution a vector for each of its windows.
    vectors = shape[:-1] if shape[-1] == product.fan_in else (1,)
    attributes = (
        ("MW", product.fan_in),
        ("MH", product.channels),
        ("SIMD", product.simd),
        ("PE", product.pe),
        ("inputDataType", stream_type(product.inputs["s"])),
        ("weightBits", product.weight_bits),
        ("offsets", int(product.offsets)),
        ("ram_style", product.ram_style),
        ("numInputVectors", vectors),
    )
    weights = _weights(product.weights, product.weight_bits)
    return FinnNode("ZcProduct", attributes, (*vectors, product.channels), (weights,))


def _weights(weights: np.ndarray, bits: int) -> Parameter:
    return ("weights", weights.T.astype(np.float32), "BIPOLAR" if bits == 1 else f"INT{bits + 1}")


def _grouped_product(product: GroupedProduct, shape: Shape) -> FinnNode:
    attributes = (
        ("Channels", product.groups * product.weights.shape[2]),
        ("MH", product.channels),
        ("Groups", product.groups),
        ("Kernel", (product.weights.shape[1], 1)),
        ("PE", product.pe),
        ("SIMD", product.simd),
        ("inputDataType", stream_type(product.inputs["s"])),
        ("weightBits", product.weight_bits),
        ("ram_style", product.ram_style),
        ("numInputVectors", shape[:-1]),
    )
    weights = _weights(product.weights.reshape(product.channels, -1), product.weight_bits)
    return FinnNode("ZcGroupedProduct", attributes, (*shape[:-1], product.channels), (weights,))


def _crossings(name: str, site: Crossings, shape: Shape) -> FinnNode:
    table = site.table if not site.by_index else replace(site.table, grid=Grid(0, len(site.table.grid) - 1))
    low, high = min(0, table.grid.low), table.grid.high + table.grid.step
    if max(-low, high) > _EXACT:
        raise DataflowError(
            f"{name}: FINN keeps numbers as float32, which does not hold accumulators up to {high}"
        )
    first, places = crossing_parameters(table)
    attributes = (
        ("NumChannels", site.channels),
        ("PE", site.pe),
        ("outputDataType", stream_type(site.outputs["m"])),
        ("gridLow", table.grid.low),
        ("gridStep", table.grid.step),
        ("gridPoints", len(table.grid)),
        ("numCrossings", tuple(int(count) for count in table.counts())),
        ("way", site.way),
        ("ram_style", site.ram_style),
        ("numInputVectors", shape[:-1]),
    )
    parameters = (("first", first, "BINARY"), ("crossings", places, integer_type(low, high)))
    return FinnNode("ZcCrossings", attributes, shape, parameters)


def _max_pool(pool: MaxPool) -> FinnNode:
    height, width, channels = pool.shape
    attributes = (
        ("ImgDim", (height, width)),
        ("NumChannels", channels),
        ("KernelSize", pool.kernel),
        ("PE", pool.pe),
        ("inputDataType", stream_type(pool.inputs["s"])),
    )
    return FinnNode("ZcMaxPool", attributes, (1, *pool.output_shape))


def _window_max_pool(pool: WindowMaxPool, shape: Shape) -> FinnNode:
    attributes = (
        ("OutImgDim", shape[1:3]),
        ("NumChannels", pool.channels),
        ("KernelSize", (pool.area, 1)),
        ("PE", pool.pe),
        ("inputDataType", stream_type(pool.inputs["s"])),
    )
    return FinnNode("ZcWindowMaxPool", attributes, (*shape[:3], pool.channels))


def _padding(padding: Padding) -> FinnNode:
    height, width, channels = padding.shape
    attributes = (
        ("ImgDim", (height, width)),
        ("Padding", padding.amounts),
        ("NumChannels", channels),
        ("SIMD", padding.simd),
        ("inputDataType", stream_type(padding.inputs["s"])),
    )
    return FinnNode("FMPadding", attributes, (1, *padding.output_shape))


def _generator(generator: InputGenerator) -> FinnNode:
    height, width, channels = generator.shape
    attributes = (
        ("ConvKernelDim", generator.kernel),
        ("IFMChannels", channels),
        ("IFMDim", (height, width)),
        ("Stride", generator.stride),
        ("Dilation", generator.dilation),
        ("SIMD", generator.simd),
        ("inputDataType", stream_type(generator.inputs["s"])),
        ("depthwise", int(generator.depthwise)),
        ("parallel_window", int(generator.parallel)),
        ("ram_style", generator.ram_style),
    )
    return FinnNode("ZcInputGenerator", attributes, (1, *generator.output_shape))


def _label_select(label: LabelSelect) -> FinnNode:
    attributes = (
        ("Labels", label.labels),
        ("PE", label.pe),
        ("inputDataType", stream_type(label.inputs["s"])),
    )
    # In whole bytes, as FINN's own label select gives it.
    datatype = f"UINT{8 * -(-label.outputs['m'].bits // 8)}"
    return FinnNode("ZcLabelSelect", attributes, (1, 1), datatype=datatype)


def _elementwise(stream: Stream, shape: Shape) -> Attributes:
    return (
        ("NumChannels", shape[-1]),
        ("PE", stream.lanes),
        ("inputDataType", stream_type(stream)),
        ("numInputVectors", shape[:-1]),
    )


def _sum(first: Stream, second: Stream, high: int | None, shape: Shape) -> Attributes:
    return (
        ("NumChannels", shape[-1]),
        ("PE", first.lanes),
        ("lhsDataType", stream_type(first)),
        ("rhsDataType", stream_type(second)),
        ("high", high or 0),
        ("numInputVectors", shape[:-1]),
    )


def _sum_pool(pool: SumPool) -> FinnNode:
    height, width, channels = pool.shape
    attributes = (
        ("ImgDim", (height, width)),
        ("NumChannels", channels),
        ("KernelSize", pool.kernel),
        ("PE", pool.pe),
        ("inputDataType", stream_type(pool.inputs["s"])),
        ("high", pool.high or 0),
    )
    return FinnNode("ZcSumPool", attributes, (1, *pool.output_shape))


def _window_sum_pool(pool: WindowSumPool, shape: Shape) -> FinnNode:
    attributes = (
        ("OutImgDim", shape[1:3]),
        ("NumChannels", pool.channels),
        ("KernelSize", (pool.area, 1)),
        ("PE", pool.pe),
        ("inputDataType", stream_type(pool.inputs["s"])),
        ("high", pool.high or 0),
    )
    return FinnNode("ZcWindowSumPool", attributes, (*shape[:3], pool.channels))
