"""Sums of two streams: RTL against numpy, and their bits."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor
from zerocross.finn_flows.nodes import Add
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream

NODES = {
    "one_signed": Add(Stream((12,), 3, 4), Stream((12,), 3, 6, signed=True)),
    "wide": Add(Stream((8,), 8, 8), Stream((8,), 8, 7)),
    "bits": Add(Stream((6,), 1, 1), Stream((6,), 1, 1)),
    "narrow": Add(Stream((12,), 4, 4), Stream((12,), 4, 3), high=15),
    "one_more": Add(Stream((10,), 5, 4), Stream((10,), 5, 4), high=16),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@pytest.mark.parametrize(
    ("node", "bits"),
    [
        (Add(Stream((4,), 2, 3), Stream((4,), 2, 3)), 4),
        (Add(Stream((4,), 2, 3), Stream((4,), 2, 3), high=14), 4),
        (Add(Stream((4,), 2, 4), Stream((4,), 2, 4), high=14), 4),
        (Add(Stream((4,), 2, 4), Stream((4,), 2, 4), high=16), 5),
    ],
)
def test_sums_take_the_bits_of_their_highest(node, bits):
    assert (node.outputs["m"].bits, node.outputs["m"].signed) == (bits, False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Add(Stream((4,), 2, 3), Stream((4,), 1, 3)), "different elements or lanes"),
        (lambda: Add(Stream((4,), 2, 3, signed=True), Stream((4,), 2, 3), high=6), "signed"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Add:
    channels = int(rng.integers(1, 9))
    lanes = divisor(rng, channels)
    a, b = (Stream((channels,), lanes, int(rng.integers(1, 9)), bool(rng.random() < 0.4)) for _ in range(2))
    if a.signed or b.signed:
        return Add(a, b)
    return Add(a, b, int(rng.integers(b.range[1] + 1, a.range[1] + b.range[1] + 1)))


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 25, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "most"), [("7-series", 1.0), ("ecp5", 2.5), ("gowin", 2.5), ("ice40", 2.5)]
)
def test_synthesis_makes_it_small(family, most, tmp_path):
    image = Stream((8, 8, 16), 4, 4)
    cells = cells_of(Add(image, image), tmp_path, family)
    print(f"{family}: {cells}")
    assert cells.lut <= most * (16 + 40)  # its adders' bits
    assert cells.bram == 0
