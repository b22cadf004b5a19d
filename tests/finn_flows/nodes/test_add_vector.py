"""A vector added to every pixel: RTL against numpy, and the bits of the sums."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor
from zerocross.finn_flows.nodes import AddVector
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream


def add_vector(rows, columns, channels, lanes, bits, vector_bits, **options) -> AddVector:
    image = Stream((rows, columns, channels), lanes, bits)
    return AddVector(image, Stream((channels,), lanes, vector_bits), **options)


NODES = {
    "words": add_vector(2, 3, 8, 2, 4, 3),
    "whole": add_vector(5, 1, 4, 4, 8, 8),
    "serial": add_vector(3, 3, 5, 1, 3, 6, high=40),
    "one_pixel": add_vector(1, 1, 6, 2, 4, 4),
    "one_word": add_vector(1, 1, 3, 3, 1, 2),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@pytest.mark.parametrize(("high", "bits"), [(15, 4), (None, 5)])
def test_sums_take_the_bits_of_their_highest(high, bits):
    stream = add_vector(2, 2, 2, 2, 4, 4, high=high).outputs["m"]
    assert (stream.bits, stream.signed) == (bits, False)


def test_the_reference_adds_the_vector_to_each_pixel():
    image = np.arange(2 * 3 * 2).reshape(1, -1)  # pixels 0 1 | 2 3 | 4 5 over 6 7 | 8 9 | 10 11
    (added,) = add_vector(2, 3, 2, 1, 4, 4).reference(image, np.array([[1, 5]]))
    assert added.tolist() == [[1, 6, 3, 8, 5, 10, 7, 12, 9, 14, 11, 16]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AddVector(Stream((3, 1, 4), 2, 3), Stream((8,), 2, 3)), "channels and lanes of a pixel"),
        (lambda: AddVector(Stream((2, 1, 6), 2, 3), Stream((6,), 3, 3)), "channels and lanes of a pixel"),
        (lambda: AddVector(Stream((2, 1, 6), 2, 3, signed=True), Stream((6,), 2, 3)), "signed"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> AddVector:
    channels, rows, columns = int(rng.integers(1, 9)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    bits, vector_bits = (int(n) for n in rng.integers(1, 9, 2))
    return add_vector(rows, columns, channels, divisor(rng, channels), bits, vector_bits)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 25, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "most"), [("7-series", 1.0), ("ecp5", 2.5), ("gowin", 2.5), ("ice40", 2.5)]
)
def test_synthesis_makes_it_small(family, most, tmp_path):
    cells = cells_of(add_vector(8, 8, 16, 4, 4, 4), tmp_path, family)
    print(f"{family}: {cells}")
    assert cells.lut <= most * (16 + 12 + 40)  # its adders' bits, and LUTs of memory
    assert cells.bram == 0 or family == "ice40"  # which has no memory in LUTs
