"""Which dense layers of a file are wired."""

import numpy as np
import pytest
from onnx import helper

from zerocross.finn_flows.lowering.graph.naming import label
from zerocross.finn_flows.lowering.graph.products import ScaledProduct, as_sparse
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
        ([[2, 0, 0, 0, 0, 0, 0, 0]] * 2, True, None),
        ([[0] * 8, [1] + [0] * 7], False, Sparse(2, 1, exact=False)),
    ],
)
def test_few_weights_or_groups_are_wired(rows: list[list[int]], wired: bool, expected: Sparse | None) -> None:
    assert as_sparse(product(rows, wired)) == expected
