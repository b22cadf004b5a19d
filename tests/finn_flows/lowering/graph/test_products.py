"""Which dense layers of a file are wired."""

import numpy as np
import pytest
from onnx import helper

from tests.finn_flows.lowering.foreign import Graph
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.graph.naming import label
from zerocross.finn_flows.lowering.graph.products import ScaledProduct, as_sparse, read_product
from zerocross.finn_flows.network import Sparse


def product(rows: list[list[int]], wired: bool = False) -> ScaledProduct:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    label(node, "product", wired)
    weights = np.array(rows, np.int16)
    return ScaledProduct(node, weights, 2, np.ones(len(rows)), np.zeros(len(rows), np.float32))


FEW = [[1, 0, 0, -1, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0, 0, 0]]
UNEVEN = [[1, 0, 0, -1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]]
APART = [[1, 1, 0, 0], [0, 0, 1, -1]]
MANY = [[1, -1, 0, 0], [0, 1, 1, 0]]


@pytest.mark.parametrize(
    ("rows", "wired", "expected"),
    [
        (FEW, False, Sparse(2, 2)),
        (UNEVEN, False, Sparse(2, 2, exact=False)),
        (APART, False, Sparse(2, 2)),
        (MANY, False, None),
        (MANY, True, Sparse(2, 2)),
        ([[1, -1, 1, 0, 0, 0, 0, 0]] * 2, False, None),  # three of eight
        ([[2, 0, 0, 0, 0, 0, 0, 0]] * 2, True, None),
        ([[0] * 8, [1] + [0] * 7], False, Sparse(2, 1, exact=False)),
    ],
)
def test_few_weights_or_groups_are_wired(rows: list[list[int]], wired: bool, expected: Sparse | None) -> None:
    assert as_sparse(product(rows, wired)) == expected


def test_weights_of_two_opposite_values_are_bits() -> None:
    model = tidy(Graph((1, 10), 3).bipolar().dense(10, 6).bipolar().dense(6, 3).model())
    nodes = [node for node in model.graph.node if node.op_type == "MatMul"]
    assert len(nodes) == 2
    for node in nodes:
        read = read_product(model, node)
        assert read.bits == 1 and read.weights.dtype == np.int8 and set(np.unique(read.weights)) == {-1, 1}


@pytest.mark.parametrize("scales", [np.full(6, 0.1), np.linspace(0.1, 0.7, 6)], ids=["one", "of channels"])
def test_weights_of_two_opposite_values_up_to_rounding_are_bits(scales: np.ndarray) -> None:
    """As a float32 they differ in the last bit."""
    g = Graph((1, 10), 3).bipolar()
    signs = np.where(g.rng.normal(size=(10, 6)) < 0, -1, 1)
    weights = (signs * scales).astype(np.float32)
    rounded = np.where(g.rng.integers(0, 2, weights.shape), weights, np.nextafter(weights, np.float32(0)))
    model = tidy(g.node("MatMul", g.constant(rounded)).model())
    (node,) = (node for node in model.graph.node if node.op_type == "MatMul")
    read = read_product(model, node)
    assert read.bits == 1 and np.array_equal(read.weights, signs.T)
