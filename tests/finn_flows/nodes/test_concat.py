"""Concats of two streams: RTL against numpy, and what fits."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor
from zerocross.finn_flows.nodes import Concat
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream

NODES = {
    "vectors": Concat(Stream((12,), 3, 4), Stream((6,), 3, 2)),
    "images": Concat(Stream((3, 2, 4), 2, 1), Stream((3, 2, 6), 2, 1)),
    "a_word_each": Concat(Stream((2, 2, 4), 4, 3), Stream((2, 2, 4), 4, 5)),
    "many_first": Concat(Stream((4, 1, 10), 1, 2), Stream((4, 1, 1), 1, 2)),
    "many_second": Concat(Stream((1, 4, 1), 1, 2), Stream((1, 4, 7), 1, 3)),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_channels_follow_each_other_in_every_pixel():
    node = Concat(Stream((1, 2, 2), 1, 4), Stream((1, 2, 1), 1, 4))
    (joined,) = node.reference(np.array([[1, 2, 3, 4]]), np.array([[8, 9]]))
    assert joined.tolist() == [[1, 2, 8, 3, 4, 9]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Concat(Stream((4,), 2, 3), Stream((4,), 1, 3)), "different pixels or lanes"),
        (lambda: Concat(Stream((2, 2, 4), 2, 3), Stream((2, 1, 4), 2, 3)), "different pixels or lanes"),
        (lambda: Concat(Stream((4,), 1, 3), Stream((4,), 2, 3)), "different pixels or lanes"),
        (lambda: Concat(Stream((4,), 2, 3), Stream((4,), 1, 3)), "different pixels or lanes"),
        (lambda: Concat(Stream((4,), 2, 3, signed=True), Stream((4,), 2, 3)), "signed"),
        (lambda: Concat(Stream((2, 1, 4), 4, 3), Stream((2, 1, 2), 4, 3)), "does not divide 2 channels"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Concat:
    lanes, pixels = int(rng.integers(1, 5)), tuple(int(side) for side in rng.integers(1, 4, 2))
    sizes = [lanes * int(rng.integers(1, 5)) for _ in range(2)]
    lanes = divisor(rng, lanes)
    a, b = (Stream((*pixels, size), lanes, int(rng.integers(1, 9))) for size in sizes)
    return Concat(a, b)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 25, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "most"), [("7-series", 1.2), ("ecp5", 2.5), ("gowin", 2.5), ("ice40", 2.5)]
)
def test_synthesis_makes_it_small(family, most, tmp_path):
    node = Concat(Stream((8, 8, 32), 4, 4), Stream((8, 8, 16), 4, 3))
    cells = cells_of(node, tmp_path, family)
    print(f"{family}: {cells}, {node.price()}")
    assert cells.lut <= most * (node.price().lut + 5)
    assert cells.bram == 0
