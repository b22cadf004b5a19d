"""Pools whose windows overlap: RTL against numpy, alone and behind an input generator."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, chain, check_random, divisor
from zerocross.finn_flows.nodes import InputGenerator, WindowMaxPool
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.streaming import compile_streaming


def pool(counts, kernel, channels, lanes, bits=1, signed=False) -> WindowMaxPool:
    windows = Stream((*counts, kernel[0] * kernel[1] * channels), lanes, bits, signed)
    return WindowMaxPool(windows, kernel)


NODES = {
    "levels": pool((3, 3), (2, 2), 6, 3, 3, signed=True),
    "of_one": pool((3, 3), (1, 1), 6, 3),
    "bits": pool((1, 5), (3, 3), 4, 4),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_the_reference_is_the_maximum_of_each_window():
    image = np.arange(2 * 3 * 2).reshape(1, -1)  # pixels 0 1 | 2 3 | 4 5 over 6 7 | 8 9 | 10 11
    windows = InputGenerator(Stream((2, 3, 2), 1, 4), (2, 2), depthwise=True)
    (depthwise,) = windows.reference(image)
    assert WindowMaxPool(windows.outputs["m"], (2, 2)).reference(depthwise)[0].tolist() == [[8, 9, 10, 11]]


def test_overlapping_pools_are_windows_and_a_maximum(tmp_path, runtime):
    windows = InputGenerator(Stream((7, 7, 4), 2, 3, signed=True), (3, 3), (2, 2), depthwise=True)
    node = WindowMaxPool(windows.outputs["m"], (3, 3))
    compiled, _ = compile_streaming(chain(windows, node), tmp_path, cache=runtime)
    images = np.random.default_rng(0).integers(-4, 4, (10, 7, 7, 4))
    right = np.stack(
        [
            images[:, row : row + 3, column : column + 3].max(axis=(1, 2))
            for row in (0, 2, 4)
            for column in (0, 2, 4)
        ],
        axis=1,
    )
    assert (compiled.stream(images, (0.2, 0.2)).outputs == right.reshape(10, -1)).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(NodeError, match="windows of 10 elements do not consist of 4 equal pixels"):
        WindowMaxPool(Stream((2, 2, 10), 2, 1), (2, 2))
    with pytest.raises(NodeError, match="4 does not divide 6 channels"):
        pool((2, 2), (2, 2), 6, 4)


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> WindowMaxPool:
    channels, bits = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    counts, kernel = ((int(a), int(b)) for a, b in rng.integers(1, 4, (2, 2)))
    return pool(counts, kernel, channels, divisor(rng, channels), bits, bool(bits > 1 and rng.random() < 0.5))


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 35, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "most"), [("7-series", 1.0), ("ecp5", 3.0)])
def test_synthesis_makes_it_small(family, most, tmp_path):
    node = pool((13, 13), (3, 3), 64, 8)
    cells = cells_of(node, tmp_path, family)
    print(f"{family}: {cells}, estimate {node.price().lut:.0f} LUT6")
    assert cells.lut <= most * (node.price().lut + 20)
    assert not cells.bram
