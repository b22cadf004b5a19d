"""Limits of nodes: the last value that is possible, and the first that is not."""

from collections.abc import Callable

import numpy as np
import pytest

from zerocross.finn_flows.accumulators import MOST_INPUT_BITS
from zerocross.finn_flows.nodes import (
    Add,
    AddVector,
    Bias,
    BitPlanes,
    Concat,
    Fifo,
    GroupedProduct,
    InputGenerator,
    MaxPool,
    Padding,
    Select,
    SumPool,
    Thermometer,
    WindowMaxPool,
    WiredCount,
)
from zerocross.finn_flows.nodes.node import NodeError, check_exact, check_folding, check_window
from zerocross.finn_flows.nodes.product import check_bits, check_weights
from zerocross.finn_flows.nodes.sparse_weights import check_sparse_weights
from zerocross.finn_flows.nodes.stream import Stream

IMAGE = Stream((3, 4, 6), 2, 4)


def bias(**numbers: object) -> Bias:
    given = {"shift": 0, "low": -3, "high": 5, "least": 1, "most": 7} | numbers
    return Bias(Stream((2,), 1, 6, signed=True), **given)  # type: ignore[arg-type]


def pair(one: int, other: int) -> np.ndarray:
    return np.array([one, other])


def grouped(**numbers: int) -> GroupedProduct:
    given = {"area": 9, "inputs_a_group": 4, "channels": 12, "groups": 3, "pe": 4, "simd": 4} | numbers
    return GroupedProduct(**given)  # type: ignore[arg-type]


def sparse(fan_in: int, exact: bool, reads: tuple[int, ...] = (2, 3), value: int = -1) -> None:
    weights = np.zeros((len(reads), 5), np.int8)
    for row, count in zip(weights, reads, strict=True):
        row[:count] = value
    check_sparse_weights(weights, 2, 5, fan_in, exact)


POSSIBLE: list[Callable[[], object]] = [
    lambda: Padding(IMAGE, (0, 0, 0, 0), 0),
    lambda: Padding(IMAGE, (1, 0, 2, 1), 15),
    lambda: Padding(Stream((2, 2, 2), 2, 5, signed=True), (1, 1, 1, 1), -16),
    lambda: BitPlanes(IMAGE, (0,)),
    lambda: BitPlanes(IMAGE, (3, 0)),
    lambda: Select(Stream((6,), 1, 3), (0, 5)),
    lambda: Thermometer(Stream((2,), 2, 4), (0, 16), 1),
    lambda: Fifo(IMAGE, 2, "registers"),
    lambda: MaxPool(Stream((4, 4, 2), 1, 1), (4, 4)),
    lambda: InputGenerator(IMAGE, (3, 4)),
    lambda: InputGenerator(IMAGE, (1, 1), (1, 1)),
    lambda: InputGenerator(Stream((5, 5, 1), 1, 1), (3, 3), (1, 1), (2, 2)),
    lambda: bias(shift=0),
    lambda: bias(low=5),
    lambda: bias(least=7),
    lambda: bias(biases=pair(-3, 5), factors=pair(1, 7)),
    lambda: check_bits(1, 1),
    lambda: check_bits(MOST_INPUT_BITS, 8),
    lambda: check_weights(np.array([[-2, 2]]), 2),
    lambda: check_weights(np.array([[-128, 128]]), 8),
    lambda: check_weights(np.array([[-1, 1]]), 1),
    lambda: check_exact("numbers", 1 << 24),
    lambda: check_folding("items", 6, 6),
    lambda: check_folding("items", 6, 1),
    lambda: check_window((3, 4), (3, 4)),
    lambda: sparse(3, exact=False),
    lambda: sparse(3, exact=True, reads=(3, 3)),
    grouped,
    lambda: grouped(pe=12),
    lambda: grouped(simd=1),
    lambda: Add(IMAGE, Stream((3, 4, 6), 2, 7)),
    lambda: Concat(IMAGE, Stream((3, 4, 2), 2, 4)),
    lambda: AddVector(IMAGE, Stream((6,), 2, 4)),
    lambda: WindowMaxPool(Stream((3, 4, 8), 2, 1), (2, 2)),
    lambda: WiredCount(6, 2, 3, True),
]

IMPOSSIBLE: list[tuple[Callable[[], object], str]] = [
    (lambda: Padding(IMAGE, (0, 0, -1, 0), 0), "would cut the image"),
    (lambda: Padding(IMAGE, (0, 0, 0, 0), 16), r"padding with 16 does not fit .* 0 to 15"),
    (lambda: Padding(IMAGE, (0, 0, 0, 0), -1), "padding with -1 does not fit"),
    (lambda: Padding(Stream((2, 2, 2), 2, 5, signed=True), (1, 1, 1, 1), -17), "padding with -17"),
    (lambda: Padding(Stream((2, 2, 6), 4, 5), (1, 1, 1, 1)), "4 does not divide 6 channels"),
    (lambda: BitPlanes(IMAGE, ()), "do not have the bits"),
    (lambda: BitPlanes(IMAGE, (0, 4)), r"levels of 4 bits do not have the bits \[0, 4\]"),
    (lambda: BitPlanes(IMAGE, (-1, 2)), "do not have the bits"),
    (lambda: Select(Stream((6,), 1, 3), ()), "cannot be selected"),
    (lambda: Select(Stream((6,), 1, 3), (0, 6)), "from 6 channels"),
    (lambda: Select(Stream((6,), 1, 3), (-1, 3)), "from 6 channels"),
    (lambda: Thermometer(Stream((2,), 2, 4), (-1, 16), 1), "0 or more"),
    (lambda: Thermometer(Stream((2,), 2, 4), (), 0), "0 thresholds do not fit 2 channels of 0 bits"),
    (lambda: Thermometer(Stream((2,), 2, 4, signed=True), (1, 2), 1), "0 or more"),
    (lambda: Fifo(IMAGE, 3, "registers"), "holds 2 words, not 3"),
    (lambda: MaxPool(Stream((4, 4, 2), 1, 1), (5, 4)), "larger"),
    (lambda: MaxPool(Stream((4, 4, 2), 1, 1), (4, 5)), "larger"),
    (lambda: SumPool(Stream((4, 4, 2), 1, 2), (5, 1)), "larger"),
    (lambda: InputGenerator(IMAGE, (4, 1)), "no larger than the image"),
    (lambda: InputGenerator(IMAGE, (1, 5)), "no larger than the image"),
    (lambda: InputGenerator(IMAGE, (0, 1)), "1 or more"),
    (lambda: InputGenerator(IMAGE, (1, 1), (0, 1)), "1 or more"),
    (lambda: InputGenerator(IMAGE, (1, 1), (1, 0)), "1 or more"),
    (lambda: InputGenerator(Stream((4, 5, 1), 1, 1), (3, 3), (1, 1), (2, 2)), "dilated by"),
    (lambda: bias(shift=-1), "shift must be 0 or more"),
    (lambda: bias(low=6), "low must not exceed high"),
    (lambda: bias(least=8), "least not most"),
    (lambda: bias(biases=pair(-4, 0)), "biases are out of the range -3 to 5"),
    (lambda: bias(biases=pair(0, 6)), "biases are out of the range -3 to 5"),
    (lambda: bias(factors=pair(0, 2)), "factors are out of the range 1 to 7"),
    (lambda: bias(factors=pair(2, 8)), "factors are out of the range 1 to 7"),
    (lambda: bias(biases=np.zeros(3, int)), r"biases have shape \(3,\), not \(2,\)"),
    (lambda: check_bits(0, 1), "inputs of 0 bits"),
    (lambda: check_bits(MOST_INPUT_BITS + 1, 1), f"use 1 to {MOST_INPUT_BITS} bits"),
    (lambda: check_bits(1, 0), "weights of 0 bits"),
    (lambda: check_bits(1, 9), "weights of 9 bits are not supported: use 1 to 8 bits"),
    (lambda: check_weights(np.array([[-3, 0]]), 2), "within -2 to 2"),
    (lambda: check_weights(np.array([[0, 129]], np.int16), 8), "within -128 to 128"),
    (lambda: check_weights(np.array([[-1, 0]]), 1), "must be -1 or"),
    (lambda: check_exact("numbers", (1 << 24) + 1), "does not hold numbers up to 16777217"),
    (lambda: check_folding("items", 6, 4), "4 does not divide 6 items"),
    (lambda: check_folding("items", 6, 0), "0 does not divide 6 items"),
    (lambda: check_window((3, 4), (4, 4)), "larger than its image"),
    (lambda: check_window((3, 4), (3, 5)), "larger than its image"),
    (lambda: sparse(2, exact=False), "at most 2"),
    (lambda: sparse(3, exact=True), "3"),
    (lambda: sparse(3, exact=False, value=2), "-1, 0 or"),
    (lambda: sparse(3, exact=False, reads=(1, 2, 3)), r"shape \(3, 5\), not \(2, 5\)"),
    (lambda: grouped(pe=6), "does not cover whole groups: use a multiple of 4"),
    (lambda: grouped(pe=8), "2 does not divide 3 groups"),
    (lambda: grouped(simd=3), "3 does not divide 4 channels of a group"),
    (lambda: grouped(pe=12, simd=2), "3 groups at once need all 4"),
    (lambda: grouped(groups=5), "5 does not divide 12 channels"),
    (lambda: Add(IMAGE, Stream((3, 4, 6), 1, 4)), "different elements or lanes"),
    (lambda: Add(IMAGE, Stream((3, 4, 4), 2, 4)), "different elements or lanes"),
    (lambda: Concat(IMAGE, Stream((3, 4, 6), 3, 4)), "different pixels or lanes"),
    (lambda: Concat(IMAGE, Stream((3, 4, 6), 1, 4)), "different pixels or lanes"),
    (lambda: Concat(IMAGE, Stream((3, 5, 6), 2, 4)), "different pixels or lanes"),
    (lambda: AddVector(IMAGE, Stream((5,), 1, 4)), ""),
    (lambda: AddVector(IMAGE, Stream((6,), 1, 4)), ""),
    (lambda: AddVector(IMAGE, Stream((6,), 3, 4)), ""),
]


@pytest.mark.parametrize("make", POSSIBLE)
def test_the_last_value_is_possible(make: Callable[[], object]) -> None:
    make()


@pytest.mark.parametrize(("make", "message"), IMPOSSIBLE)
def test_the_next_value_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(NodeError, match=message):
        make()
