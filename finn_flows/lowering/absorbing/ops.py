"""The QONNX node that holds an activation's crossings.

qonnx finds the node's class by its domain, which is the name of this module, and by its type, a key of `custom_op`.
"""

from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp

from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.lowering.graph.levels import Levels
from zerocross.finn_flows.network import Grid

DOMAIN = __name__


class CrossingsOp(CustomOp):
    """An activation and its quantizer as a crossing table, which maps accumulators to levels.

    Input and output have the same shape, float32. The input holds integers of the table's grid, the output -1 and +1
    with one bit, 0..2**bits - 1 with more.

    Attributes of the node: `low`, `high`, `step` (the grid), `first`, `offsets`, `places` (the table: row
    c * bits + j is plane j of channel c), `bits`, `axis` (the channels'), and `operations`, the types of the nodes that it
    replaces.
    """

    def get_nodeattr_types(self) -> dict[str, tuple]:
        """Return the attributes and their types, in qonnx's form."""
        empty = np.zeros(0, np.int64)
        return {
            "low": ("i", True, 0),
            "high": ("i", True, 0),
            "step": ("i", True, 1),
            "first": ("t", True, empty),
            "offsets": ("t", True, empty),
            "places": ("t", True, empty),
            "bits": ("i", False, 1),
            "axis": ("i", False, 1),
            "operations": ("strings", False, [""]),
        }

    @property
    def table(self) -> CrossingTable:
        """Crossing table, with a row for each channel and plane."""
        grid = Grid(*(self.get_nodeattr(name) for name in ("low", "high", "step")))
        return CrossingTable(grid, *(self.get_nodeattr(name) for name in ("first", "offsets", "places")))

    @property
    def levels(self) -> Levels:
        """Levels of the node's output."""
        return Levels(self.get_nodeattr("bits"))

    def execute_node(self, context: dict[str, Any], graph: GraphProto) -> None:
        """Look the input's integers up in the table."""
        del graph
        node, bits, axis = self.onnx_node, self.get_nodeattr("bits"), self.get_nodeattr("axis")
        integers = np.rint(np.moveaxis(context[node.input[0]], axis, -1)).astype(np.int64)
        planes = self.table.bits(np.repeat(integers, bits, axis=-1)).astype(np.int64)
        index = planes.reshape(*integers.shape, bits) @ (1 << np.arange(bits))
        values = self.levels.low + self.levels.step * index
        context[node.output[0]] = np.moveaxis(values, -1, axis).astype(np.float32)

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """Return a standard node that keeps the shape."""
        return helper.make_node("Relu", [self.onnx_node.input[0]], [self.onnx_node.output[0]])

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """Annotate the output: BIPOLAR or UINTn."""
        name = "BIPOLAR" if self.levels.bits == 1 else f"UINT{self.levels.bits}"
        model.set_tensor_datatype(self.onnx_node.output[0], DataType[name])

    def verify_node(self) -> list[str]:
        """Check that the attributes exist and fit together."""
        table = self.table
        if len(table.offsets) != table.channels + 1 or table.channels % self.get_nodeattr("bits"):
            return [
                f"{self.onnx_node.name}: its table has {table.channels} rows and {len(table.offsets)} offsets"
            ]
        return ["All necessary attributes exist"]


custom_op = {"Crossings": CrossingsOp}


def make_crossings(
    name: str, source: str, sink: str, table: CrossingTable, bits: int, axis: int, operations: list[str]
) -> NodeProto:
    """Return a Crossings node.

    Args:
        name: Name of the node.
        source: Tensor that it reads.
        sink: Tensor that it makes.
        table: Crossing table, with a row for each channel and plane.
        bits: Bits of its output.
        axis: Axis of the channels.
        operations: Types of the nodes that it replaces.
    """
    node = helper.make_node("Crossings", [source], [sink], name=name, domain=DOMAIN)
    op = CrossingsOp(node)
    grid = table.grid
    numbers = {"low": grid.low, "high": grid.high, "step": grid.step, "bits": bits, "axis": axis}
    for key, value in numbers.items():
        op.set_nodeattr(key, int(value))
    op.set_nodeattr("first", table.first.astype(np.uint8))
    op.set_nodeattr("offsets", table.offsets.astype(np.int64))
    op.set_nodeattr("places", table.places.astype(np.int64))
    op.set_nodeattr("operations", operations or [""])
    return node
