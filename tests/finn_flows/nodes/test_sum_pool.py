"""Sums over windows that do not overlap: RTL against numpy."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor
from zerocross.finn_flows.nodes import SumPool
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream


def pool(shape, kernel, lanes, bits, high=None) -> SumPool:
    return SumPool(Stream(shape, lanes, bits), kernel, high)


NODES = {
    "levels": pool((6, 4, 6), (2, 2), 3, 4),
    "bits": pool((4, 6, 4), (2, 3), 4, 1),
    "left_over": pool((7, 5, 4), (3, 2), 2, 5, high=100),
    "left_over_rows": pool((5, 4, 3), (2, 2), 1, 2),
    "horizontal": pool((1, 9, 3), (1, 3), 1, 8),
    "upright": pool((6, 1, 2), (3, 1), 2, 3),
    "image": pool((4, 5, 6), (4, 5), 2, 4, high=280),
    "image_whole": pool((3, 3, 4), (3, 3), 4, 2),
    "pixel": pool((1, 1, 6), (1, 1), 2, 3),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@pytest.mark.parametrize(
    ("node", "bits"),
    [(pool((2, 2, 1), (2, 2), 1, 2), 4), (pool((8, 8, 1), (8, 8), 1, 4, high=64 * 8), 10)],
)
def test_sums_take_the_bits_of_their_highest(node, bits):
    assert (node.outputs["m"].bits, node.outputs["m"].signed) == (bits, False)


def test_the_reference_is_the_sum_of_each_window():
    image = np.arange(2 * 3 * 2).reshape(1, -1)  # pixels 0 1 | 2 3 | 4 5 over 6 7 | 8 9 | 10 11
    assert pool((2, 3, 2), (2, 1), 1, 4).reference(image)[0].tolist() == [[6, 8, 10, 12, 14, 16]]
    assert pool((2, 3, 2), (2, 2), 1, 4).reference(image)[0].tolist() == [[16, 20]]
    assert pool((2, 3, 2), (2, 3), 1, 4).reference(image)[0].tolist() == [[30, 36]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pool((4, 4, 6), (2, 2), 4, 1), "4 does not divide 6 channels"),
        (lambda: pool((1, 4, 6), (2, 2), 3, 1), "larger than its image"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> SumPool:
    channels, bits = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    if rng.random() < 0.3:  # the whole image
        kernel = (int(rng.integers(1, 6)), int(rng.integers(1, 6)))
        return pool((*kernel, channels), kernel, divisor(rng, channels), bits)
    kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    shape = (int(rng.integers(kernel[0], 9)), int(rng.integers(kernel[1], 9)), channels)
    high = int(np.prod(kernel)) * int(rng.integers(1, 2**bits))
    return pool(shape, kernel, divisor(rng, channels), bits, high)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_ones_agree_with_numpy_and_keep_their_intervals(seed, tmp_path, runtime):
    check_random(random_node, 40, seed, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "bits", "memory"), [((2, 2), 24, 16), ((8, 8), 40, 28)])
@pytest.mark.parametrize(
    ("family", "most"), [("7-series", 1.0), ("ecp5", 2.5), ("gowin", 2.5), ("ice40", 2.5)]
)
def test_synthesis_makes_it_small(family, most, kernel, bits, memory, tmp_path):
    """Its adders' bits, and LUTs of memory."""
    cells = cells_of(pool((8, 8, 16), kernel, 4, 4), tmp_path, family)
    print(f"{family} {kernel}: {cells}")
    assert cells.lut <= most * (bits + memory + 40)
    assert cells.bram == 0 or family == "ice40"  # which has no memory in LUTs
