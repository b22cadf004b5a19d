"""Biases and factors: RTL against numpy, bits that hold every sum, and FINN's operator."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.finn_flows.nodes.bench import STALLS, cells_of, chain, check_random, divisor, random_samples
from zerocross.finn_flows.nodes import Bias
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.execution import tensors


def biased(shape, lanes, bits, signed, shift, low, high, seed=0, least=1, most=1) -> Bias:
    """Random biases and factors, the least and the largest among them where there are two channels."""
    rng = np.random.default_rng(seed)
    biases, factors = rng.integers(low, high + 1, shape[-1]), rng.integers(least, most + 1, shape[-1])
    biases[-1], biases[0] = low, high
    factors[-1], factors[0] = least, most
    source = Stream(shape, lanes, bits, signed)
    return Bias(source, shift, low, high, least, most, biases, None if (least, most) == (1, 1) else factors)


SPANS = {"either": (-30, 11), "above": (5, 90), "below": (-9, -3)}
NODES = {
    f"{name}_{lanes}_{shift}{'_signed' * signed}": biased((6,), lanes, 4, signed, shift, low, high)
    for (name, (low, high)), lanes, shift, signed in itertools.product(
        SPANS.items(), (1, 3, 6), (0, 2), (False, True)
    )
} | {
    "none": biased((5,), 1, 3, False, 1, 0, 0),
    "bits": biased((4,), 2, 1, False, 0, -1, 0),
    "one_channel": biased((1,), 1, 5, True, 3, -100, 100),
    "image": biased((2, 3, 4), 2, 5, True, 1, -9, 40),
    "wide": biased((10,), 2, 20, True, 8, -(1 << 20), 1 << 20),
    "factors": biased((6,), 2, 5, True, 0, -30, 40, least=-9, most=100),
    "factors_shifted": biased((6,), 1, 5, False, 1, -30, 40, least=3, most=17),
    "factors_at_once": biased((4,), 4, 5, True, 0, -30, 40, least=0, most=2),
    "one_factor": biased((1,), 1, 5, True, 0, 0, 0, least=-1, most=-1),
    "wide_factors": biased((5,), 1, 11, True, 0, -(1 << 27), 1 << 27, least=1, most=(1 << 17) + 1),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@st.composite
def nodes(draw):
    lanes, folds = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    bits, signed, shift = draw(st.integers(1, 12)), draw(st.booleans()), draw(st.integers(0, 6))
    low = draw(st.integers(-3000, 3000))
    high = low + draw(st.integers(0, 3000))
    shape = (*draw(st.sampled_from([(), (2, 3)])), lanes * folds)
    least, more = draw(st.one_of(st.just((1, 0)), st.tuples(st.integers(-40, 40), st.integers(0, 99))))
    seed = draw(st.integers(0, 99))
    return biased(shape, lanes, bits, signed, shift, low, high, seed, least, least + more)


@given(nodes())
def test_each_channel_gets_its_own_factor_and_bias(node):
    (samples,) = random_samples(node, np.random.default_rng(0), 4)
    factors = [1] * node.channels if node.factors is None else node.factors.tolist()
    lines = list(zip(factors, node.biases.tolist(), strict=True)) * (samples.shape[1] // node.channels)
    right = [
        [x * factor * 2**node.shift + bias for x, (factor, bias) in zip(row, lines, strict=True)]
        for row in samples.tolist()
    ]
    assert node.reference(samples)[0].tolist() == right


@given(nodes())
@example(biased((1,), 1, 1, False, 0, -2, -2, 0, 0, 0))  # all sums are negative
def test_its_bits_hold_every_sum_and_no_fewer_would(node):
    scaled = [end * factor for end in node.source.range for factor in (node.least, node.most)]
    least, most = min(scaled) * 2**node.shift + node.low, max(scaled) * 2**node.shift + node.high
    stream = node.outputs["m"]
    assert stream.signed and stream.range[0] <= least and most <= stream.range[1]
    fewer = 1 << (stream.bits - 2)
    assert stream.bits == 2 or least < -fewer or most >= fewer
    assert (stream.shape, stream.lanes) == (node.source.shape, node.source.lanes)


@pytest.mark.parametrize(
    "name", ["either_3_2", "either_3_2_signed", "image", "one_channel", "factors", "wide", "wide_factors"]
)
def test_finns_operator_computes_the_same(name):
    node = NODES[name]
    model = dataflow_model(chain(node), node.source.shape)
    (samples,) = random_samples(node, np.random.default_rng(0))
    found = tensors(model, samples.reshape(-1, *node.source.shape))[model.graph.output[0].name]
    assert (found.reshape(len(samples), -1) == node.reference(samples)[0]).all()


def test_its_price_grows_with_lanes_and_bits():
    def lut(lanes, bits):
        return Bias(Stream((12,), lanes, bits), 1, -40, 40).price().lut

    assert lut(2, 8) > lut(1, 8)
    assert lut(2, 9) > lut(2, 8)
    assert Bias(Stream((12,), 1, 8), 1, -40, 40, 2, 9).price().lut > lut(1, 8)


def numbered(**numbers):
    return Bias(Stream((2,), 1, 3), 0, 0, 1, 2, 3, **numbers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bias(Stream((6,), 4, 3), 0, 0, 1), "4 does not divide 6 channels"),
        (lambda: Bias(Stream((6,), 3, 3), -1, 0, 1), "a shift of -1"),
        (lambda: Bias(Stream((6,), 3, 3), 0, 2, 1), "biases of 2 to 1"),
        (lambda: Bias(Stream((6,), 3, 3), 0, 0, 1, 3, 2), "factors of 3 to 2"),
        (lambda: numbered(biases=np.ones(5, int)), r"biases have shape \(5,\), not"),
        (lambda: numbered(biases=np.array([0, 2])), "biases are out of the range 0 to 1"),
        (lambda: numbered(biases=np.array([-1, 1])), "biases are out of the range 0 to 1"),
        (lambda: numbered(factors=np.array([2, 4])), "factors are out of the range 2 to 3"),
        (lambda: numbered().multipliers, "no factors yet"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Bias:
    channels, bits, shift = (int(n) for n in rng.integers((1, 1, 0), (13, 11, 6)))
    low = int(rng.integers(-500, 500))
    high = low + int(rng.integers(0, 500))
    lanes, signed = divisor(rng, channels), bool(rng.random() < 0.5)
    least = int(rng.integers(-50, 50)) if rng.random() < 0.5 else 1
    most = least if least == 1 else least + int(rng.integers(0, 500))
    return biased((channels,), lanes, bits, signed, shift, low, high, int(rng.integers(100)), least, most)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 40, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "most"), [("7-series", 1.3), ("ecp5", 2.5), ("gowin", 2.5), ("ice40", 2.5)]
)
@pytest.mark.parametrize("lanes", [1, 5])
@pytest.mark.parametrize("factors", [(1, 1), (-300, 500)])
def test_synthesis_makes_it_small(family, most, lanes, factors, tmp_path):
    node = biased((10,), lanes, 8, False, 2, -200, 200, 0, *factors)
    cells = cells_of(node, tmp_path, family)
    print(f"{family}: {cells}, estimate {node.price().lut:.0f} LUT6")
    assert cells.lut <= most * (node.price().lut + 10)
    assert cells.bram == cells.dsp == 0
