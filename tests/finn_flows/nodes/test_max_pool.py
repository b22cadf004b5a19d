"""Pools whose windows do not overlap: RTL against numpy."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, check_random, divisor
from zerocross.finn_flows.nodes import MaxPool
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream

NODES = {
    "bits": MaxPool(Stream((6, 4, 6), 3, 1), (2, 2)),
    "left_over": MaxPool(Stream((7, 5, 4), 4, 1), (3, 2)),
    "signed_ones": MaxPool(Stream((4, 4, 2), 1, 5, signed=True), (2, 2)),
    "horizontal": MaxPool(Stream((1, 9, 3), 1, 1), (1, 3)),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_the_reference_is_the_maximum_of_each_window():
    image = np.array([[3, -1, 0, 2, -4, 1, -2, -3]])  # rows 3 -1 0 2 and -4 1 -2 -3
    node = MaxPool(Stream((2, 4, 1), 1, 4, signed=True), (2, 2))
    assert node.reference(image)[0].tolist() == [[3, 2]]
    assert MaxPool(Stream((2, 4, 1), 1, 4, signed=True), (1, 3)).reference(image)[0].tolist() == [[3, 1]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPool(Stream((4, 4, 6), 4, 1), (2, 2)), "4 does not divide 6 channels"),
        (lambda: MaxPool(Stream((1, 4, 6), 3, 1), (2, 2)), "larger than its image"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> MaxPool:
    kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    channels, bits = int(rng.integers(1, 9)), int(rng.integers(1, 7))
    shape = (int(rng.integers(kernel[0], 9)), int(rng.integers(kernel[1], 9)), channels)
    signed = bool(bits > 1 and rng.random() < 0.5)
    return MaxPool(Stream(shape, divisor(rng, channels), bits, signed), kernel)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 40, 0, tmp_path, runtime)
