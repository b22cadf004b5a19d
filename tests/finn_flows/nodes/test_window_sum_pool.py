"""Sums over windows that overlap: RTL against numpy."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor
from zerocross.finn_flows.nodes import InputGenerator, WindowSumPool
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream


def pool(counts, kernel, channels, lanes, bits, high=None) -> WindowSumPool:
    return WindowSumPool(Stream((*counts, kernel[0] * kernel[1] * channels), lanes, bits), kernel, high)


NODES = {
    "levels": pool((3, 3), (2, 2), 6, 3, 3),
    "of_one": pool((3, 3), (1, 1), 6, 3, 2),
    "narrow": pool((5, 1), (3, 3), 4, 4, 2, high=18),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@pytest.mark.parametrize(("high", "bits"), [(None, 4), (8, 4), (7, 3)])
def test_sums_take_the_bits_of_their_highest(high, bits):
    stream = pool((2, 2), (2, 2), 1, 1, 2, high).outputs["m"]
    assert (stream.bits, stream.signed) == (bits, False)


def test_the_reference_is_the_sum_of_each_window():
    image = np.arange(2 * 3 * 2).reshape(1, -1)  # pixels 0 1 | 2 3 | 4 5 over 6 7 | 8 9 | 10 11
    windows = InputGenerator(Stream((2, 3, 2), 1, 4), (2, 2), depthwise=True)
    (depthwise,) = windows.reference(image)
    assert WindowSumPool(windows.outputs["m"], (2, 2)).reference(depthwise)[0].tolist() == [[16, 20, 24, 28]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(NodeError, match="windows of 10 elements do not consist of 4 equal pixels"):
        WindowSumPool(Stream((2, 2, 10), 2, 1), (2, 2))
    with pytest.raises(NodeError, match="4 does not divide 6 channels"):
        pool((2, 2), (2, 2), 6, 4, 1)


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> WindowSumPool:
    channels, bits = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    counts, kernel = ((int(a), int(b)) for a, b in rng.integers(1, 4, (2, 2)))
    return pool(counts, kernel, channels, divisor(rng, channels), bits)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 30, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "most"), [("7-series", 1.0), ("ecp5", 2.5), ("gowin", 2.5), ("ice40", 2.5)]
)
def test_synthesis_makes_it_small(family, most, tmp_path):
    cells = cells_of(pool((4, 4), (3, 3), 16, 4, 4), tmp_path, family)
    print(f"{family}: {cells}")
    assert cells.lut <= most * (32 + 40)  # its adders' bits
    assert cells.bram == 0
