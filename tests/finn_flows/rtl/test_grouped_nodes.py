"""Products of groups of channels: RTL against numpy, and both against a convolution."""

import numpy as np
import pytest

from tests.finn_flows.rtl.test_nodes import (
    assert_intervals,
    assert_latencies,
    compile_chain,
    compile_nodes,
    simulate,
)
from tests.finn_flows.rtl.test_stream_nodes import Vectors
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Conv, Input, Layer, Network
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.rtl.nodes import HardwareNode, NodeError, to_bits
from zerocross.finn_flows.rtl.stream_nodes import InputGenerator

STALLS = [(0.0, 0.0), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9)]


def grouped(channels, pixels, ins, groups, pe, simd, bits=1, weight_bits=1, **options) -> GroupedProduct:
    rng = np.random.default_rng([channels, pixels, ins, groups])
    half = 2 ** (weight_bits - 1)
    shape = (channels, pixels, ins)
    weights = rng.choice([-1, 1], shape) if weight_bits == 1 else rng.integers(-half, half + 1, shape)
    return GroupedProduct(weights, groups, pe, simd, bits, weight_bits, **options)


def few_nodes() -> dict[str, HardwareNode]:
    return {
        "depthwise": grouped(6, 9, 1, 6, 2, 1),
        "depthwise_serial": grouped(4, 9, 1, 4, 1, 1, bits=4, ram_style="block"),
        "depthwise_whole": grouped(4, 1, 1, 4, 4, 1, bits=3),
        "multiplied": grouped(8, 4, 1, 4, 2, 1, bits=2),
        "pairs": grouped(6, 9, 2, 3, 3, 2),
        "halves": grouped(10, 6, 15, 2, 1, 5),
        "halves_of_levels": grouped(4, 4, 6, 2, 1, 3, bits=3),
        "many": grouped(4, 2, 8, 2, 2, 8),
        "wide": grouped(6, 9, 1, 6, 2, 1, bits=4, weight_bits=3),
        "wide_bits": grouped(4, 4, 3, 2, 1, 3, weight_bits=2),
    }


@pytest.fixture(scope="module")
def few(tmp_path_factory, runtime):
    nodes = few_nodes()
    return nodes, compile_nodes(nodes, tmp_path_factory.mktemp("rtl"), runtime)


@pytest.mark.parametrize("stalls", STALLS)
def test_every_node_agrees_with_numpy_whatever_the_stalls(few, stalls):
    nodes, simulator = few
    for seed in range(3):
        trace, wrong = simulate(nodes, simulator, stalls, seed)
        assert wrong == dict.fromkeys(wrong, 0)
    if not any(stalls):
        assert_intervals(nodes, trace)
        assert_latencies(nodes, trace)


@pytest.mark.parametrize(
    ("groups", "pe", "simd", "bits", "weight_bits"),
    [(6, 3, 1, 1, 1), (6, 2, 1, 4, 1), (2, 1, 1, 4, 1), (3, 3, 2, 1, 2), (2, 2, 3, 4, 3), (1, 1, 2, 1, 1)],
)
def test_windows_and_groups_are_a_convolution(groups, pe, simd, bits, weight_bits):
    conv = Conv(12, (3, 2), (2, 1), groups=groups, dilation=(1, 2), weight_bits=weight_bits)
    node = grouped(12, 6, 6 // groups, groups, pe, simd, bits, weight_bits)
    network = Network(Input((5, 6, 6), bits), (Layer("conv", conv, ("input",)),))
    net = IntegerNetwork(network, {"conv": node.weights.reshape(12, 3, 2, -1)}, {})
    levels = np.random.default_rng(0).integers(0, 2**bits, (7, 5, 6, 6))
    right = net.run(2 * levels - 1 if bits == 1 else levels)["conv"].reshape(-1, 12)
    windows = InputGenerator((5, 6, 6), (3, 2), (2, 1), pe * simd, bits, depthwise=True, dilation=(1, 2))
    (flat,) = windows.reference(levels.reshape(7, -1))
    (counted,) = node.reference(flat.reshape(-1, node.inputs["s"].elements))
    if bits == weight_bits == 1:
        assert (counted == (right + 36 // groups) // 2).all()
    else:
        assert (counted == right + node.row_offsets).all()


def test_a_depthwise_convolution_behind_its_windows(tmp_path, runtime):
    windows = InputGenerator((6, 5, 4), (3, 3), (1, 1), 2, 2, depthwise=True)
    product = Vectors(grouped(4, 9, 1, 4, 2, 1, bits=2), 12)
    simulator = compile_chain([windows, product], tmp_path, runtime)
    images = np.random.default_rng(0).integers(0, 4, (10, 6 * 5 * 4))
    (right,) = product.reference(*windows.reference(images))
    stream = product.outputs["m"]
    trace = simulator.run({"s": to_bits(images.reshape(-1, 2), 2)}, {"m": 10 * stream.words}, (0.2, 0.2))
    assert (trace.words["m"] == to_bits(right.reshape(-1, stream.lanes), stream.bits)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: grouped(6, 9, 1, 4, 1, 1), "4 at once do not divide 6 channels"),
        (lambda: grouped(6, 9, 1, 6, 4, 1), "4 at once do not divide 6 groups"),
        (lambda: grouped(6, 9, 4, 3, 1, 3), "3 at once do not divide 4 channels of a group"),
        (lambda: grouped(6, 9, 4, 3, 3, 2), "take all 4 channels of each, not 2"),
        (lambda: GroupedProduct(np.zeros((2, 4, 1)), 2, 1, 1), "-1 or \\+1"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# Everything below is slow.


def random_node(rng: np.random.Generator) -> GroupedProduct:
    groups, ins, outs = (int(rng.integers(1, top)) for top in (7, 14, 4))
    bits, weight_bits = (int(rng.integers(1, 9)) if rng.random() < 0.5 else 1 for _ in range(2))
    pe = int(rng.choice([d for d in range(1, groups + 1) if groups % d == 0]))
    simd = ins if pe > 1 else int(rng.choice([d for d in range(1, ins + 1) if ins % d == 0]))
    style = str(rng.choice(["block", "distributed"]))
    pixels = int(rng.integers(1, 10))
    return grouped(groups * outs, pixels, ins, groups, pe, simd, bits, weight_bits, ram_style=style)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(2))
def test_random_nodes_agree_with_numpy_and_keep_their_intervals(batch, tmp_path, runtime):
    rng = np.random.default_rng(batch)
    nodes = {f"n{index}": random_node(rng) for index in range(30)}
    simulator = compile_nodes(nodes, tmp_path, runtime)
    for seed, stalls in enumerate(STALLS):
        trace, wrong = simulate(nodes, simulator, stalls, seed)
        assert {name: nodes[name[:-2]] for name, count in wrong.items() if count} == {}
        if not any(stalls):
            assert_intervals(nodes, trace)
            assert_latencies(nodes, trace)
