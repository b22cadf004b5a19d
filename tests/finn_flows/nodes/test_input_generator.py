"""Input generators: RTL against numpy, and convolutions behind them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor
from zerocross.finn_flows import cost_model
from zerocross.finn_flows.nodes import InputGenerator
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream


def windows(shape, kernel, stride, lanes, bits=1, **options) -> InputGenerator:
    return InputGenerator(Stream(shape, lanes, bits), kernel, stride, **options)


NODES = {
    "plain": windows((7, 6, 4), (3, 3), (1, 1), 2),
    "strided": windows((7, 7, 4), (3, 2), (2, 2), 4, 2),
    "left_over": windows((8, 7, 3), (2, 3), (3, 2), 1),
    "depthwise": windows((6, 6, 4), (3, 3), (2, 2), 2, 3, depthwise=True),
    "whole_image": windows((3, 4, 2), (3, 4), (1, 1), 2),
    "pixels_skipped": windows((6, 5, 4), (1, 1), (2, 2), 2),
    "horizontal": windows((1, 9, 4), (1, 3), (1, 2), 2),
    "upright": windows((9, 1, 4), (3, 1), (2, 1), 2),
    "parallel": windows((7, 6, 4), (3, 3), (1, 1), 4, parallel=True),
    "parallel_strided": windows((7, 9, 3), (2, 3), (2, 3), 3, 2, parallel=True),
    "parallel_narrow": windows((5, 3, 2), (3, 3), (1, 1), 2, parallel=True),
    "parallel_one_beside": windows((5, 4, 2), (3, 3), (2, 1), 2, parallel=True),
    "parallel_line": windows((1, 9, 4), (1, 3), (1, 2), 4, parallel=True),
    "parallel_depthwise": windows((5, 5, 4), (2, 2), (1, 1), 2, parallel=True, depthwise=True),
    "dilated": windows((8, 7, 4), (3, 3), (1, 1), 2, dilation=(2, 2)),
    "dilated_strided": windows((9, 8, 3), (2, 3), (2, 1), 1, 2, dilation=(3, 2)),
    "dilated_depthwise": windows((7, 6, 4), (3, 2), (1, 2), 2, 3, depthwise=True, dilation=(2, 3)),
    "dilated_line": windows((1, 9, 4), (1, 3), (1, 2), 4, dilation=(1, 3)),
    "dilated_parallel": windows((7, 8, 2), (3, 3), (1, 2), 2, 2, parallel=True, dilation=(2, 3)),
    "dilated_parallel_depthwise": windows(
        (5, 5, 4), (2, 2), (1, 1), 2, parallel=True, depthwise=True, dilation=(2, 1)
    ),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_the_reference_gives_windows_one_behind_the_other():
    image = np.arange(2 * 3 * 2).reshape(1, -1)  # pixels 0 1 | 2 3 | 4 5 over 6 7 | 8 9 | 10 11
    node = windows((2, 3, 2), (2, 2), (1, 1), 1, 4)
    assert node.reference(image)[0].reshape(2, -1).tolist() == [
        [0, 1, 2, 3, 6, 7, 8, 9],
        [2, 3, 4, 5, 8, 9, 10, 11],
    ]
    assert replace(node, dilation=(1, 2)).reference(image)[0].tolist() == [[0, 1, 4, 5, 6, 7, 10, 11]]
    (depthwise,) = replace(node, depthwise=True).reference(image)
    assert depthwise.reshape(2, -1)[0].tolist() == [0, 2, 6, 8, 1, 3, 7, 9]


def test_a_stream_is_all_windows_of_an_image():
    node = windows((7, 8, 4), (3, 2), (2, 3), 2, 3)
    assert node.schedule.counts == (3, 3)
    assert node.outputs["m"] == Stream((3, 3, 24), 2, 3)
    whole = replace(node, image=Stream((7, 8, 4), 4, 3), parallel=True)
    assert whole.outputs["m"] == Stream((3, 3, 24), 24, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: windows((4, 4, 6), (3, 3), (1, 1), 4), "4 does not divide 6 channels"),
        (lambda: windows((4, 4, 6), (5, 3), (1, 1), 3), r"windows of \(5, 3\) with stride"),
        (lambda: windows((4, 4, 6), (3, 3), (0, 1), 3), r"stride \(0, 1\)"),
        (lambda: windows((4, 4, 6), (3, 3), (1, 1), 3, parallel=True), "all 6 channels"),
        (lambda: windows((4, 4, 6), (3, 3), (1, 1), 3, dilation=(2, 1)), r"dilated by \(2, 1\) with"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


@given(st.integers(2, 40), st.integers(1, 200), st.integers(1, 100))
def test_higher_images_of_wider_words_never_cost_less(width, channels, more):
    def value(width, channels):
        price = windows((9, width, channels), (3, 2), (1, 1), channels).price()
        return price.lut + cost_model.CONSTANTS.bram18_in_luts * price.bram18

    assert value(width, channels + more) >= value(width, channels)
    assert value(width + more, channels) >= value(width, channels)


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> InputGenerator:
    bits, channels = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    dilation = tuple(int(n) for n in (rng.integers(1, 4, 2) if rng.random() < 0.5 else (1, 1)))
    reach = tuple((wide - 1) * by + 1 for wide, by in zip(kernel, dilation, strict=True))
    shape = (int(rng.integers(reach[0], 12)), int(rng.integers(reach[1], 12)), channels)
    if rng.random() < 0.2:
        shape, kernel = (1, *shape[1:]), (1, kernel[1])
    stride = tuple(int(rng.integers(1, min(size, 4) + 1)) for size in shape[:2])
    depthwise, parallel = bool(rng.random() < 0.4), bool(rng.random() < 0.4)
    lanes = channels if parallel and not depthwise else divisor(rng, channels)
    options = {"dilation": dilation, "depthwise": depthwise, "parallel": parallel}
    return windows(shape, kernel, stride, lanes, bits, **options)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_ones_agree_with_numpy_and_keep_their_intervals(seed, tmp_path, runtime):
    check_random(random_node, 50, seed, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(("family", "most"), [("7-series", 1.0), ("ecp5", 3.0)])
def test_synthesis_makes_it_small(family, most, parallel, tmp_path):
    node = windows((28, 28, 8), (3, 3), (1, 1), 8, parallel=parallel)
    cells = cells_of(node, tmp_path, family)
    print(f"{family}: {cells}, estimate {node.price().lut:.0f} LUT6")
    assert cells.lut <= most * (node.price().lut + 20)
    assert not cells.bram
