"""The node that holds crossings, in qonnx's executor, against the rows of its table."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes

from zerocross.finn_flows.crossings import CrossingTable, from_bits
from zerocross.finn_flows.lowering.absorbing.ops import DOMAIN, make_crossings
from zerocross.finn_flows.network import Grid

CHANNELS = 3
GRIDS = [Grid(-6, 6, 2), Grid(0, 9), Grid(-5, 4)]


def table(grid: Grid, bits: int) -> tuple[CrossingTable, np.ndarray]:
    """A random table, and its rows (channels, bits, points)."""
    rows = np.random.default_rng(bits).integers(0, 2, (CHANNELS * bits, len(grid))).astype(np.uint8)
    return from_bits(grid, rows), rows.reshape(CHANNELS, bits, -1)


def wrapped(node: object, shape: tuple[int, ...]) -> ModelWrapper:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("in", "out")]
    graph = helper.make_graph([node], "crossings", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    return ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=10))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize(
    ("shape", "axis"), [((2, CHANNELS, 4, 2), 1), ((2, 4, CHANNELS), 2), ((5, CHANNELS), 1)]
)
def test_levels_are_numbers_of_the_planes_bits(
    grid: Grid, bits: int, shape: tuple[int, ...], axis: int
) -> None:
    crossings, rows = table(grid, bits)
    model = wrapped(make_crossings("c", "in", "out", crossings, bits, axis, ["Sin", "Sign"]), shape)
    index = np.random.default_rng(1).integers(0, len(grid), shape)
    found = execute_onnx(model, {"in": (grid.low + grid.step * index).astype(np.float32)})["out"]
    assert found.dtype == np.float32 and found.shape == shape
    for place in np.ndindex(*shape):
        planes = rows[place[axis], :, index[place]]
        level = sum(int(bit) << number for number, bit in enumerate(planes))
        assert found[place] == (2 * level - 1 if bits == 1 else level)
    model = model.transform(InferDataTypes())
    assert model.get_tensor_datatype("out") == DataType["BIPOLAR" if bits == 1 else f"UINT{bits}"]


def test_a_node_tells_its_table_and_whether_it_is_whole() -> None:
    crossings, _ = table(GRIDS[0], 2)
    node = make_crossings("c", "in", "out", crossings, 2, 1, [])
    op = getCustomOp(node)
    assert op.table.grid == crossings.grid
    for name in ("first", "offsets", "places"):
        assert np.array_equal(getattr(op.table, name), getattr(crossings, name))
    assert (op.levels.bits, op.get_nodeattr("axis"), op.get_nodeattr("operations")) == (2, 1, [""])
    assert op.verify_node() == ["All necessary attributes exist"]
    op.set_nodeattr("bits", 4)  # 6 rows are not those of channels with 4 planes
    assert op.verify_node() == ["c: its table has 6 rows and 7 offsets"]
    op.set_nodeattr("bits", 2)
    op.set_nodeattr("offsets", crossings.offsets[:-1])
    assert op.verify_node() == ["c: its table has 6 rows and 6 offsets"]
