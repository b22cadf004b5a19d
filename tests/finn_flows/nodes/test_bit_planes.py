"""Bit planes: RTL against numpy."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, check_random
from zerocross.finn_flows.nodes import BitPlanes
from zerocross.finn_flows.nodes.node import NodeError, divisors
from zerocross.finn_flows.nodes.stream import Stream

NODES = {
    "highest": BitPlanes(Stream((3, 2, 4), 2, 8), (7, 6)),
    "any_order": BitPlanes(Stream((5,), 5, 8), (0, 7, 3)),
    "one_bit": BitPlanes(Stream((4,), 1, 1), (0,)),
    "all": BitPlanes(Stream((6,), 3, 3), (2, 1, 0)),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_the_bits_are_those_of_the_numbers():
    node = BitPlanes(Stream((2,), 1, 8), (7, 0))
    assert node.reference(np.array([[129, 2]]))[0].tolist() == [[1, 1, 0, 0]]
    assert node.price().lut == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BitPlanes(Stream((4,), 1, 8), (8,)), r"levels of 8 bits do not have the bits \[8\]"),
        (lambda: BitPlanes(Stream((4,), 1, 8), ()), "do not have the bits"),
        (lambda: BitPlanes(Stream((4,), 1, 8, signed=True), (1,)), "levels of 0 or more"),
        (lambda: BitPlanes(Stream((4,), 3, 8), (1,)), "3 does not divide 4 channels"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


def random_node(rng: np.random.Generator) -> BitPlanes:
    pixels, channels = tuple(int(side) for side in rng.integers(1, 4, 2)), int(rng.integers(1, 13))
    levels = int(rng.integers(1, 9))
    planes = rng.integers(0, levels, int(rng.integers(1, 5)))
    image = Stream((*pixels, channels), int(rng.choice(divisors(channels))), levels)
    return BitPlanes(image, tuple(int(each) for each in planes))


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 25, 0, tmp_path, runtime)
