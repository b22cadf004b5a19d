"""Products: RTL against numpy, their numbers, and what they take."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor, product
from zerocross.finn_flows import cost_model
from zerocross.finn_flows.nodes import Product
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.product import popcount, product_price, unrolled_popcount

NODES = {
    "even": product(64, 64, 16, 8),
    "odd": product(45, 21, 9, 7),
    "serial": product(7, 5, 1, 1),
    "one_column": product(20, 12, 20, 3),
    "one_row": product(36, 5, 6, 5),
    "unrolled": product(25, 6, 25, 6),
    "unrolled_wide": product(40, 5, 40, 5),
    "unrolled_bytes": product(11, 3, 11, 3, bits=4, offsets=True),
    "unrolled_one": product(1, 2, 1, 2),
    "in_luts": product(144, 6, 72, 2, ram_style="distributed"),
    "bytes": product(30, 8, 5, 2, bits=8),
    "bytes_signed": product(30, 8, 5, 4, bits=8, offsets=True),
    "two_bits": product(21, 6, 7, 3, bits=2, offsets=True),
    "three_bits": product(14, 4, 14, 4, bits=3, offsets=True),
    "of_windows": product(18, 6, 6, 2, vectors=(3, 2)),
    "unrolled_of_windows": product(18, 6, 18, 6, bits=2, vectors=(2, 2)),
    "wide": product(30, 8, 5, 2, weight_bits=4),
    "wide_signed": product(21, 4, 7, 2, weight_bits=2, offsets=True),
    "wide_bytes": product(6, 2, 2, 1, bits=8, weight_bits=8),
    "wide_bytes_signed": product(6, 4, 2, 1, bits=8, weight_bits=8, offsets=True),
    "wide_in_luts": product(24, 4, 3, 2, bits=3, weight_bits=5, offsets=True, ram_style="distributed"),
    "wide_one_column": product(9, 6, 9, 2, bits=4, weight_bits=3),
    "wide_unrolled": product(11, 3, 11, 3, bits=2, weight_bits=3, offsets=True),
    "wide_unrolled_bits": product(14, 2, 14, 2, weight_bits=8),
    "wide_one": product(1, 2, 1, 2, bits=8, weight_bits=2),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@pytest.mark.parametrize("weight_bits", range(1, 9))
def test_planes_come_to_twice_the_weights(weight_bits):
    half = 2 ** (weight_bits - 1)
    weights = np.arange(-half, half + 1).reshape(1, -1) if weight_bits > 1 else np.array([[-1, 1]])
    node = Product.of(weights, 1, 1, weight_bits=weight_bits)
    assert np.isin(node.planes, (-1, 1)).all()
    if weight_bits == 1:
        assert (node.planes == weights).all()
    else:
        assert (np.array([1, *(2**i for i in range(weight_bits))]) @ node.planes == 2 * weights).all()


@pytest.mark.parametrize(("bits", "weight_bits"), [(1, 1), (1, 3), (4, 1), (4, 2), (3, 3), (8, 8)])
def test_accumulators_count_from_0_by_what_the_record_says(bits, weight_bits):
    node = product(13, 6, 13, 6, bits, weight_bits)
    levels = np.random.default_rng(0).integers(0, 2**bits - (bits > 1), (200, 13))  # the highest never comes
    levels = np.concatenate(
        [levels, np.where(node.numbers > 0, 2**bits - 1, 0), np.where(node.numbers > 0, 0, 1)]
    )
    values = 2 * levels - 1 if bits == 1 else levels
    accumulators = values @ node.numbers.astype(int).T
    (counted,) = node.reference(levels)
    if bits == weight_bits == 1:
        assert (counted == (accumulators + 13) // 2).all()
    else:
        assert (counted == accumulators + node.row_offsets).all()
        (signed,) = replace(node, offsets=True).reference(levels)
        assert (signed == accumulators).all()
        assert (replace(node, offsets=True).network_values(signed) == accumulators).all()
    assert (node.network_values(counted) == accumulators).all()
    # And it is what the hardware adds up.
    factors = [1, *(2**i for i in range(weight_bits))] if weight_bits > 1 else [1]
    lanes = np.where(node.planes > 0, levels[:, None], 2**bits - 1 - levels[:, None]).sum(axis=2)
    total = lanes.reshape(len(levels), -1, len(factors)) @ factors
    assert (counted == (total >> 1 if bits > 1 and weight_bits > 1 else total)).all()
    assert counted.min() >= 0
    assert node.reach / 2 < counted.max() <= node.reach


@pytest.mark.parametrize(("bits", "weight_bits"), [(1, 1), (4, 1), (1, 3)])
def test_an_image_of_windows_is_one_vector_after_the_other(bits, weight_bits):
    node = product(18, 6, 6, 2, bits, weight_bits)
    image = replace(node, vectors=(3, 4))
    x = np.random.default_rng(0).integers(0, 2**bits, (5, 12 * 18))
    (counted,) = image.reference(x)
    assert (counted.reshape(60, 6) == node.reference(x.reshape(60, 18))[0]).all()
    (values,) = node.reference(x.reshape(60, 18))
    assert (image.network_values(counted).reshape(60, 6) == node.network_values(values)).all()
    assert image.interval == 12 * node.interval == 12 * node.folds
    assert image.outputs["m"] == replace(node.outputs["m"], shape=(3, 4, 6))


def test_a_wrong_weight_is_noticed(bench):
    weights = NODES["odd"].numbers.copy()
    weights[2, 5] *= -1
    wrong_nodes = NODES | {"odd": replace(NODES["odd"], weights=weights)}
    _, wrong = replace(bench, nodes=wrong_nodes).run((0.3, 0.3))
    assert {name for name, count in wrong.items() if count} == {"odd_m"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: product(10, 6, 5, 4), "4 does not divide 6 channels"),
        (lambda: product(10, 6, 3, 2), "3 does not divide 10 inputs"),
        (lambda: product(10, 6, 5, 2, bits=17), "inputs of 17 bits"),
        (lambda: product(10, 6, 5, 2, weight_bits=9), "weights of 9 bits"),
        (lambda: product(10, 6, 5, 2, offsets=True), "no offsets"),
        (lambda: Product.of(np.zeros((2, 2)), 1, 1), r"-1 or \+1"),
        (lambda: Product.of(np.full((2, 2), 5), 1, 1, weight_bits=3), "within -4 to 4"),
        (lambda: Product(10, 6, 2, 5, weights=np.ones((5, 10))), r"shape \(5, 10\), not \(6, 10\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- price


@given(st.integers(1, 300))
def test_popcounts_are_counted_as_they_are_built(inputs):
    # A full adder's worth for each input but a few, in LUTs of six inputs.
    assert inputs / 3 <= popcount(inputs) <= 1.6 * inputs + 2
    assert popcount(inputs) <= popcount(inputs + 3)
    assert unrolled_popcount(inputs) < popcount(inputs)


def test_it_grows_with_its_lanes_and_its_inputs_bits():
    small = product_price(256, 64, 4, 16)
    assert 1.6 < product_price(256, 64, 8, 16).lut / small.lut < 2.1  # a buffer serves all lanes
    assert product_price(256, 64, 4, 32).lut > 1.5 * small.lut
    assert product_price(256, 64, 4, 16, input_bits=8).lut > 5 * small.lut
    assert small.bram18 == cost_model.block_rams(64, 256) == 2
    in_luts = product_price(256, 64, 4, 16, style="distributed")
    assert in_luts.lut > small.lut and in_luts.bram18 == 0
    assert product_price(16, 16, 16, 16).bram18 == 0  # its weights are constants
    node = Product(256, 64, 4, 16, ram_style="distributed")
    assert node.price() == in_luts and replace(node, ram_style="block").price() == small


@pytest.mark.parametrize(("bits", "weight_bits"), [(1, 1), (2, 1), (3, 3)])
def test_its_points_count_from_0_to_the_largest_sum(bits, weight_bits):
    largest = 1 if weight_bits == 1 else 2 ** (weight_bits - 1)
    node = Product.of(np.full((2, 3), largest), 1, 1, bits, weight_bits=weight_bits)
    (sums,) = node.reference(np.full((1, 3), 2**bits - 1))
    assert set(sums.reshape(-1)) == {node.points - 1}


def test_inputs_are_kept_only_where_they_are_read_again():
    assert product_price(64, 8, 8, 8).rams == ()
    assert product_price(64, 16, 8, 8).rams == ((8, 16),)


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Product:
    weight_bits = int(rng.integers(2, 9)) if rng.random() < 0.4 else 1
    tops = (120, 40, 9) if weight_bits == 1 else (24, 6, 5)
    fan_in, channels, bits = (int(rng.integers(1, top)) for top in tops)
    bits = bits if rng.random() < 0.5 else 1
    return product(
        fan_in,
        channels,
        divisor(rng, fan_in),
        divisor(rng, channels),
        bits,
        weight_bits,
        offsets=bool(max(bits, weight_bits) > 1 and rng.random() < 0.5),
        ram_style=str(rng.choice(["block", "distributed"])),
        vectors=(2, 2) if rng.random() < 0.2 else (),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_ones_agree_with_numpy_and_keep_their_intervals(seed, tmp_path, runtime):
    check_random(random_node, 20, seed, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "first_try"),
    # What a first unit of this kind took, its thresholds (0.86 LUT a bit and lane) taken off.
    [((64, 64, 16, 8), 426 - 48), ((256, 10, 32, 1), 167 - 8), ((256, 256, 16, 8), 465 - 62)],
)
def test_it_is_no_larger_than_it_was_and_near_its_estimate(shape, first_try, tmp_path):
    node = product(*shape)
    cells, price = cells_of(node, tmp_path), node.price()
    print(f"product {shape}: {cells}, estimate {price.lut:.0f} LUT, {price.bram18} BRAM18")
    assert cells.lut < first_try
    assert cells.bram18 == price.bram18
    assert 0.85 < cells.lut / price.lut < 1.15


@pytest.mark.slow
def test_weights_go_where_they_are_told(tmp_path):
    in_block, in_luts = (
        cells_of(product(64, 64, 16, 8, ram_style=style), tmp_path) for style in ("block", "distributed")
    )
    assert in_block.bram18 == 4
    assert in_luts.bram18 == 0
    assert in_luts.lut > in_block.lut
