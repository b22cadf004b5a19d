"""Which dense layers of a file are wired."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import helper

from tests.finn_flows.lowering.foreign import Graph
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.naming import label
from zerocross.finn_flows.lowering.graph.products import ScaledProduct, as_sparse, has_integers, read_product
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


# ---- weights as integers times a scale


def read(
    weights: np.ndarray, one_scale: bool = False, op: str = "MatMul", **attributes: object
) -> ScaledProduct:
    """Read a product of weights (features, channels)."""
    g = Graph((1, len(weights) if not attributes.get("transB") else weights.shape[1]), 0).bipolar()
    model = tidy(g.node(op, g.constant(weights), **attributes).model())
    (node,) = (node for node in model.graph.node if node.op_type == op)
    return read_product(model, node, one_scale)


def fewest_bits(integers: np.ndarray) -> int:
    return next(bits for bits in range(2, 9) if np.abs(integers).max() <= 2 ** (bits - 1))


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.int64, (7, 3), elements=st.integers(-128, 128)),
    st.sampled_from([(1.0, 1.0, 1.0), (0.1, 0.1, 0.1), (0.3, 0.7, 0.11), (1.0, 2.0, 0.5), (1e-4, 1e3, 1.0)]),
    st.booleans(),
)
def test_weights_are_the_smallest_integers(
    integers: np.ndarray, scales: tuple[float, ...], one: bool
) -> None:
    weights = (integers * np.float32(scales)).astype(np.float32)
    apart = integers // np.maximum(1, np.gcd.reduce(integers, axis=0))
    # A scale for all channels, where there is one.
    exact = [Fraction(scale).limit_denominator(10_000) for scale in scales]
    together = np.array(
        [[value * int(each) for value, each in zip(exact, row, strict=True)] for row in integers]
    )
    used = [each for each in together.ravel() if each]
    step = (
        Fraction(math.gcd(*(each.numerator for each in used)), math.lcm(*(e.denominator for e in used)))
        if used
        else 1
    )
    common = np.array([[int(each / step) for each in row] for row in together])
    found = read(weights, one)
    sizes = np.abs(weights)
    if sizes.min() > 0 and (sizes == sizes[:1]).all():
        assert found.bits == 1 and np.array_equal(found.weights.T, np.sign(integers))
        return
    joined = np.abs(common).max() <= 128 and (one or fewest_bits(common) <= fewest_bits(apart))
    expected = common if joined else apart
    assert np.array_equal(found.weights.T, expected)
    assert len(set(found.scale)) == 1 if joined else True
    assert found.bits == (1 if (np.abs(expected) == 1).all() else fewest_bits(expected))
    assert expected * found.scale == pytest.approx(weights.astype(np.float64), rel=1e-6)
    assert (found.scale > 0).all() and not found.bias.any()


@pytest.mark.parametrize("most", [127, 128, 129, 255])
def test_weights_have_up_to_8_bits(most: int) -> None:
    weights = np.array([[most, 1], [1, -most], [0, 1]], np.float32) * np.float32(0.1)
    assert has_integers(weights.T) == (most <= 128)
    if most <= 128:
        assert read(weights).bits == 8 and np.abs(read(weights).weights).max() == most
    else:
        with pytest.raises(
            LoweringError, match=r"neither bipolar nor integers of up to 8 bits: channel 0 holds 0, 0.1"
        ):
            read(weights)


@pytest.mark.parametrize(
    ("count", "shown"), [(3, "1, 2, 300;"), (4, "1, 2, 3, 400;"), (5, "1, 2, 3, 4, ...;")]
)
def test_a_few_of_the_weights_are_shown(count: int, shown: str) -> None:
    column = [*range(1, count), 100.0 * count + 0.01]
    weights = np.array([[1.0, value] for value in column], np.float32)
    with pytest.raises(
        LoweringError, match=f"channel 1 holds {shown.replace(f'{count}00;', f'{count}00.01;')}"
    ):
        read(weights)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(wrong: float) -> None:
    assert not has_integers(np.array([[1.0, 2.0], [1.0, wrong]]))


def test_a_channel_without_weights_stays_one() -> None:
    found = read(np.array([[0, 3, 0.25], [0, -1, 0.5]], np.float32))
    assert found.weights.T.tolist() == [[0, 3, 1], [0, -1, 2]] and found.bits == 3
    assert found.scale.tolist() == [1.0, 1.0, 0.25]
    assert not found.is_plain and found.channels == 3
    assert read(np.array([[3.0, 1.0], [2.0, -3.0]], np.float32)).is_plain


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("bias", [(), (1.0,), (1.0, -2.0)])
def test_a_gemm_scales_its_weights_and_its_bias(turned: int, bias: tuple[float, ...]) -> None:
    integers = np.array([[3, -1], [1, 2], [0, 1]])
    g = Graph((1, 3), 0).bipolar()
    given = [g.constant(integers.T if turned else integers)]
    given += [g.constant(np.array(bias))] if bias else []
    model = tidy(g.node("Gemm", *given, transB=turned, alpha=0.5, beta=4.0).model())
    (node,) = (node for node in model.graph.node if node.op_type == "Gemm")
    found = read_product(model, node)
    assert np.array_equal(found.weights, integers.T) and found.scale.tolist() == [0.5, 0.5]
    assert found.bias.tolist() == np.broadcast_to(4.0 * np.array(bias or (0.0,)), (2,)).tolist()


@pytest.mark.parametrize(("bias", "scale", "plain"), [(0.0, 1.0, True), (0.5, 1.0, False), (0.0, 2.0, False)])
def test_a_product_of_integers_has_no_scale_and_no_bias(bias: float, scale: float, plain: bool) -> None:
    node = product(FEW).node
    numbers = np.array([1.0, scale]), np.array([0.0, bias], np.float32)
    assert ScaledProduct(node, np.array(FEW), 2, *numbers).is_plain == plain


@pytest.mark.parametrize("features", [7, 8, 9, 12])
@pytest.mark.parametrize("reads", [1, 2, 3])
def test_a_quarter_of_the_weights_is_few(features: int, reads: int) -> None:
    rows = np.zeros((2, features), int)
    rows[:, :reads] = 1  # both channels read the same inputs
    assert (as_sparse(product(rows.tolist())) is not None) == (reads / features <= 1 / 4)


@pytest.mark.parametrize(
    ("rows", "is_apart"),
    [
        ([[1, 1, 0, 0], [0, 0, 1, 1]], True),
        ([[1, 1, 0, 0], [0, 1, 1, 0]], False),
        ([[1, 1, 1, 0]], False),  # a single channel
    ],
)
def test_sums_of_groups_are_of_several_channels_that_share_no_input(
    rows: list[list[int]], is_apart: bool
) -> None:
    assert (as_sparse(product(rows)) is not None) == is_apart
