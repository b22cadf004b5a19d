"""Products of groups of channels: RTL against numpy, and both against a convolution."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, chain, check_random, divisor
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Conv, Input, Layer, Network
from zerocross.finn_flows.nodes import GroupedProduct, InputGenerator
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.streaming import compile_streaming


def grouped(channels, pixels, ins, groups, at_once, simd, bits=1, weight_bits=1, **options) -> GroupedProduct:
    rng = np.random.default_rng([channels, pixels, ins, groups])
    half = 2 ** (weight_bits - 1)
    shape = (channels, pixels, ins)
    weights = rng.choice([-1, 1], shape) if weight_bits == 1 else rng.integers(-half, half + 1, shape)
    return GroupedProduct.of(weights, groups, at_once, simd, bits, weight_bits=weight_bits, **options)


NODES = {
    "depthwise": grouped(6, 9, 1, 6, 2, 1),
    "depthwise_serial": grouped(4, 9, 1, 4, 1, 1, bits=4, ram_style="block"),
    "depthwise_whole": grouped(4, 1, 1, 4, 4, 1, bits=3),
    "depthwise_of_windows": grouped(6, 9, 1, 6, 2, 1, bits=2, vectors=(3, 2)),
    "multiplied": grouped(8, 4, 1, 4, 2, 1, bits=2),
    "pairs": grouped(6, 9, 2, 3, 3, 2),
    "halves": grouped(10, 6, 15, 2, 1, 5),
    "halves_of_levels": grouped(4, 4, 6, 2, 1, 3, bits=3),
    "many": grouped(4, 2, 8, 2, 2, 8),
    "wide": grouped(6, 9, 1, 6, 2, 1, bits=4, weight_bits=3),
    "wide_bits": grouped(4, 4, 3, 2, 1, 3, weight_bits=2),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@pytest.mark.parametrize(
    ("groups", "at_once", "simd", "bits", "weight_bits"),
    [(6, 3, 1, 1, 1), (6, 2, 1, 4, 1), (2, 1, 1, 4, 1), (3, 3, 2, 1, 2), (2, 2, 3, 4, 3), (1, 1, 2, 1, 1)],
)
def test_windows_and_groups_are_a_convolution(groups, at_once, simd, bits, weight_bits):
    conv = Conv(12, (3, 2), (2, 1), groups=groups, dilation=(1, 2), weight_bits=weight_bits)
    image = Stream((5, 6, 6), at_once * simd, bits)
    windows = InputGenerator(image, (3, 2), (2, 1), (1, 2), depthwise=True)
    counts = windows.schedule.counts
    node = grouped(12, 6, 6 // groups, groups, at_once, simd, bits, weight_bits, vectors=counts)
    network = Network(Input((5, 6, 6), bits), (Layer("conv", conv, ("input",)),))
    net = IntegerNetwork(network, {"conv": node.numbers.reshape(12, 3, 2, -1)}, {})
    levels = np.random.default_rng(0).integers(0, 2**bits, (7, 5, 6, 6))
    right = net.run(2 * levels - 1 if bits == 1 else levels)["conv"].reshape(-1, 12)
    (counted,) = node.reference(*windows.reference(levels.reshape(7, -1)))
    counted = counted.reshape(-1, 12)
    if bits == weight_bits == 1:
        assert (counted == (right + 36 // groups) // 2).all()
    else:
        assert (counted == right + node.row_offsets).all()


def test_a_depthwise_convolution_behind_its_windows(tmp_path, runtime):
    windows = InputGenerator(Stream((6, 5, 4), 2, 2), (3, 3), depthwise=True)
    node = grouped(4, 9, 1, 4, 2, 1, bits=2, vectors=windows.schedule.counts)
    compiled, _ = compile_streaming(chain(windows, node), tmp_path, cache=runtime)
    images = np.random.default_rng(0).integers(0, 4, (10, 6 * 5 * 4))
    (right,) = node.reference(*windows.reference(images))
    assert (compiled.stream(images, (0.2, 0.2)).outputs == right).all()


def test_foldings_are_all_that_are_built():
    depthwise, pairs = grouped(6, 9, 1, 6, 1, 1), grouped(6, 9, 4, 3, 1, 1)
    assert depthwise.foldings == ((1, 1), (2, 1), (3, 1), (6, 1))
    assert pairs.foldings == ((2, 1), (2, 2), (2, 4), (6, 4))
    for node in (depthwise, pairs):
        for pe, simd in node.foldings:
            assert node.folded(pe, simd).lanes == (pe, simd)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GroupedProduct(9, 1, 6, 4), "4 does not divide 6 channels"),
        (lambda: grouped(6, 9, 1, 6, 4, 1), "4 does not divide 6 groups"),
        (lambda: GroupedProduct(9, 1, 6, 3, pe=1), "pe 1 does not cover whole groups: use a multiple of 2"),
        (lambda: grouped(6, 9, 4, 3, 1, 3), "3 does not divide 4 channels of a group"),
        (lambda: grouped(6, 9, 4, 3, 3, 2), "simd is 2, but 3 groups at once need all 4"),
        (lambda: GroupedProduct.of(np.zeros((2, 4, 1)), 2, 1, 1), r"-1 or \+1"),
        (lambda: GroupedProduct(4, 1, 2, 2, weights=np.ones((2, 4))), r"weights have shape \(2, 4\), not"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> GroupedProduct:
    groups, ins, outs = (int(rng.integers(1, top)) for top in (7, 14, 4))
    bits, weight_bits = (int(rng.integers(1, 9)) if rng.random() < 0.5 else 1 for _ in range(2))
    at_once = divisor(rng, groups)
    simd = ins if at_once > 1 else divisor(rng, ins)
    style = str(rng.choice(["block", "distributed"]))
    pixels = int(rng.integers(1, 10))
    return grouped(groups * outs, pixels, ins, groups, at_once, simd, bits, weight_bits, ram_style=style)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_ones_agree_with_numpy_and_keep_their_intervals(seed, tmp_path, runtime):
    check_random(random_node, 30, seed, tmp_path, runtime)
