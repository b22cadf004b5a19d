"""FINN's nodes in place of ours, as FINN itself reads them: they have our streams."""

import math
from itertools import pairwise
from typing import Any

import pytest
from qonnx.core.datatype import DataType

from tests.finn_flows.nodes.test_node import random_node
from zerocross.finn_flows.finn_patches import prepare_finn
from zerocross.finn_flows.nodes import (
    NODES,
    BitPlanes,
    Fifo,
    GroupedProduct,
    Select,
    Thermometer,
    WidthConverter,
)
from zerocross.finn_flows.nodes.node import HardwareNode, StockNode


def as_finn_reads(node: StockNode) -> Any:
    prepare_finn()
    from onnx import helper
    from qonnx.custom_op.registry import getCustomOp

    inputs = [f"in{index}" for index in range(node.streams)] + [node.parameter] * bool(node.parameter)
    named = dict(node.attributes)
    if "outputDataType" in named:  # a thresholding node's is that of its number of thresholds
        named["outputDataType"] = node.sink.stock_datatype
    domain = f"finn.custom_op.fpgadataflow.{node.op_type.rsplit('_', 1)[1]}"
    return getCustomOp(
        helper.make_node(node.op_type, inputs, ["out"], domain=domain, backend="fpgadataflow", **named)
    )


def elements(shape: tuple[int, ...]) -> int:
    return math.prod(int(size) for size in shape)


def datatype(name: object) -> str:
    """A bit is -1 or +1 for FINN, too."""
    return "BINARY" if str(name) == "BIPOLAR" else str(name)


def copies(node: HardwareNode) -> int:
    """How often FINN's node reads each channel: once for each bit that it makes of it."""
    return node.bits if isinstance(node, Thermometer) else 1


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
@pytest.mark.parametrize("seed", range(3))
def test_finns_nodes_have_the_same_streams(kind: type[HardwareNode], seed: int) -> None:
    node = random_node(kind, seed)
    ops = [(stock, as_finn_reads(stock)) for stock in node.stock()]
    read, written = next(iter(node.inputs.values())), next(iter(node.outputs.values()))
    if kind in (WidthConverter, Fifo):  # of which only a word's bits count
        ((_, op),) = ops
        bits = DataType[read.stock_datatype].bitwidth()
        widths = [stream.lanes * bits for stream in (read, written)]
        if kind is Fifo:
            widths = [8 * math.ceil(width / 8) for width in widths]
        assert [op.get_instream_width(0), op.get_outstream_width(0)] == widths
        assert op.get_folded_output_shape()[-1] == widths[1]
        return
    for stock, op in ops:
        if kind is not BitPlanes:
            assert elements(op.get_normal_output_shape()) == stock.sink.elements
            assert kind is Select or op.get_folded_output_shape()[-1] == stock.sink.lanes
        assert datatype(op.get_output_datatype()) == stock.sink.stock_datatype
    if kind not in (GroupedProduct, Select):
        assert elements(ops[0][1].get_normal_input_shape(0)) == read.elements * copies(node)
        assert ops[0][1].get_folded_input_shape(0)[-1] == read.lanes * copies(node)
    assert datatype(ops[0][1].get_input_datatype(0)) == datatype(read.stock_datatype)
    for (before, _), (_, after) in pairwise(ops):
        assert elements(after.get_normal_input_shape(0)) == before.sink.elements
        assert after.get_folded_input_shape(0)[-1] == before.sink.lanes
        assert datatype(after.get_input_datatype(0)) == before.sink.stock_datatype
    assert ops[-1][0].sink.elements == written.elements
