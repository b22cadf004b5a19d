"""Padding: RTL against numpy."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor
from zerocross.finn_flows.nodes import Padding
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream

NODES = {
    "some": Padding(Stream((5, 7, 4), 2, 3), (1, 2, 0, 3)),
    "pixel": Padding(Stream((1, 1, 3), 3, 1), (1, 1, 1, 1)),
    "none": Padding(Stream((4, 3, 2), 1, 8, signed=True), (0, 0, 0, 0)),
    "below": Padding(Stream((3, 2, 4), 2, 2), (0, 0, 2, 1)),
    "level": Padding(Stream((3, 4, 6), 3, 3), (0, 2, 1, 0), 5),
    "ones": Padding(Stream((2, 3, 4), 2, 1), (1, 0, 0, 2), 1),
    "negative": Padding(Stream((2, 2, 2), 2, 5, signed=True), (1, 1, 1, 0), -3),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_the_reference_puts_levels_around_an_image():
    image = np.arange(2 * 3 * 2).reshape(1, -1)  # pixels 0 1 | 2 3 | 4 5 over 6 7 | 8 9 | 10 11
    (padded,) = Padding(Stream((2, 3, 2), 2, 4), (0, 1, 1, 0), 2).reference(image)
    assert padded.reshape(3, 4, 2)[..., 1].tolist() == [[2, 1, 3, 5], [2, 7, 9, 11], [2, 2, 2, 2]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Padding(Stream((4, 4, 6), 4, 1), (1, 1, 1, 1)), "4 does not divide 6 channels"),
        (lambda: Padding(Stream((4, 4, 6), 3, 1), (1, -1, 1, 1)), "would cut"),
        (
            lambda: Padding(Stream((4, 4, 6), 3, 2), (1, 1, 1, 1), 4),
            "4 does not fit the image's elements, 0 to 3",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Padding:
    channels = int(rng.integers(1, 9))
    shape = (int(rng.integers(1, 9)), int(rng.integers(1, 9)), channels)
    image = Stream(shape, divisor(rng, channels), int(rng.integers(1, 9)))
    top, left, bottom, right = (int(n) for n in rng.integers(0, 4, 4))
    return Padding(image, (top, left, bottom, right), int(rng.integers(0, 1 << image.bits)))


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 35, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "most"), [("7-series", 1.0), ("ecp5", 3.0)])
def test_synthesis_makes_it_small(family, most, tmp_path):
    node = Padding(Stream((28, 28, 1), 1, 8), (1, 1, 1, 1))
    cells = cells_of(node, tmp_path, family)
    print(f"{family}: {cells}, estimate {node.price().lut:.0f} LUT6")
    assert cells.lut <= most * (node.price().lut + 20)
    assert not cells.bram
