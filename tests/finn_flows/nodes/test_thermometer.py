"""Thermometers: RTL against numpy, constant bits, and prices against synthesis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random
from zerocross.finn_flows.nodes import Thermometer
from zerocross.finn_flows.nodes.node import NodeError, divisors
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.nodes.thermometer import IN_BLOCK_RAM, IN_LUTS

_IMAGE = Stream((3, 2, 4), 2, 8)
_MIXED = (1, 64, 255, 0, 0, 0, 256, 7, 300, 128, 128, 128)
NODES = {
    "in_luts": Thermometer(_IMAGE, _MIXED, 3),
    "in_ram": Thermometer(_IMAGE, _MIXED, 3, IN_BLOCK_RAM),
    "features": Thermometer(Stream((20,), 4, 8), tuple(range(5, 205, 5)), 2, IN_BLOCK_RAM),
    "one_word": Thermometer(Stream((2, 2, 3), 3, 8), (64, 128, 192) * 3, 3),
    "one_word_in_ram": Thermometer(Stream((5,), 5, 8), (1, 2, 3, 4, 5), 1, IN_BLOCK_RAM),
    "grey": Thermometer(Stream((4, 4, 1), 1, 8), (1, 90, 91, 200, 255), 5),
    "constant": Thermometer(Stream((6,), 2, 8), (0, 256) * 6, 2),
    "levels": Thermometer(Stream((6,), 1, 3), (4, 8, 1, 7, 2, 5), 1),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@given(st.data())
def test_a_bit_is_set_where_the_level_reaches_its_threshold(data):
    bits, channels = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 6))
    count, lanes = data.draw(st.integers(1, 4)), data.draw(st.sampled_from(divisors(channels)))
    limits = st.lists(st.integers(0, 1 << bits), min_size=count * channels, max_size=count * channels)
    node = Thermometer(Stream((2, 1, channels), lanes, bits), tuple(data.draw(limits)), count)
    levels = np.arange(1 << bits).repeat(2 * channels).reshape(-1, 2 * channels)
    (made,) = node.reference(levels)
    for place, threshold in enumerate(node.thresholds):
        assert np.array_equal(made[:, place], levels[:, 0] >= threshold)
    # The numbers in hardware, without their lowest zeros, decide the same.
    words = node.words.reshape(-1)
    assert words.max() < 1 << node.threshold_bits
    assert np.array_equal((np.arange(1 << bits)[:, None] >> node.shift) >= words, made[:, : len(words)])


def test_the_lowest_zeros_of_all_thresholds_are_left_out():
    node = Thermometer(Stream((4,), 1, 8), (64, 128, 192) * 4, 3)
    assert (node.shift, node.threshold_bits) == (6, 2)
    assert node.price().implementation == "constants"


def test_constant_bits_of_a_lane_cost_nothing():
    alone = Thermometer(Stream((2,), 2, 8), (77, 177), 1).price().lut
    beside = Thermometer(Stream((2,), 2, 8), (77, 0, 177, 256), 2).price().lut
    assert alone == beside


def test_many_thresholds_are_in_block_ram_and_few_are_not():
    rng = np.random.default_rng(0)
    many = Thermometer(Stream((784,), 1, 8), tuple(int(each) for each in rng.integers(1, 256, 3 * 784)), 3)
    few = Thermometer(Stream((4,), 1, 8), (10, 20, 30, 40), 1)
    assert many.cheapest().implementation == IN_BLOCK_RAM
    assert many.cheapest().price().bram18 == 2
    assert few.cheapest().implementation == IN_LUTS


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Thermometer(Stream((4,), 1, 8), (1, 2, 3), 1),
            "3 thresholds do not fit 4 channels of 1 bits",
        ),
        (lambda: Thermometer(Stream((2,), 1, 8), (1, -2), 1), "0 or more"),
        (lambda: Thermometer(Stream((2,), 1, 8), (1, 2), 1, "table"), "unknown implementation 'table'"),
        (lambda: Thermometer(Stream((4,), 3, 8), (1, 2, 3, 4), 1), "3 does not divide 4 channels"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Thermometer:
    pixels, channels = tuple(int(side) for side in rng.integers(1, 4, 2)), int(rng.integers(1, 13))
    bits, levels = int(rng.integers(1, 5)), int(rng.integers(1, 9))
    lanes = int(rng.choice(divisors(channels)))
    thresholds = rng.integers(0, (1 << levels) + 2, channels * bits)
    implementation = str(rng.choice([IN_LUTS, IN_BLOCK_RAM]))
    image = Stream((*pixels, channels), lanes, levels)
    return Thermometer(image, tuple(int(each) for each in thresholds), bits, implementation)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 25, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize("implementation", [IN_LUTS, IN_BLOCK_RAM])
@pytest.mark.parametrize("lanes", [1, 4])
def test_synthesis_needs_what_the_price_says(implementation, lanes, tmp_path):
    rng = np.random.default_rng(0)
    thresholds = tuple(int(each) for each in rng.integers(1, 256, 3 * 64))
    node = Thermometer(Stream((64,), lanes, 8), thresholds, 3, implementation)
    cells, price = cells_of(node, tmp_path), node.price()
    print(cells, price)
    assert cells.bram18 == price.bram18
    assert abs(cells.lut - price.lut) <= 0.2 * cells.lut + 8
