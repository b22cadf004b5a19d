"""Wired layers: RTL against numpy, the reference against sums by loops, prices against synthesis."""

from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, random_samples
from tests.finn_flows.wired_networks import index_weights
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.crossings import from_bits as table_from_bits
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes import Wired
from zerocross.finn_flows.nodes.node import NodeError


def weights(rng: np.random.Generator, channels: int, features: int, reads: list[int]) -> np.ndarray:
    """Random signs of as many inputs as asked, channel by channel."""
    made = np.zeros((channels, features), np.int8)
    for channel in range(channels):
        count = min(features, reads[channel % len(reads)])
        made[channel, rng.choice(features, count, replace=False)] = rng.choice([-1, 1], count)
    return made


def table(rng: np.random.Generator, channels: int, points: int, density: float = 0.4) -> CrossingTable:
    flips = (rng.random((channels, points)) < density).astype(np.uint8)
    return table_from_bits(Grid(0, points - 1), np.bitwise_xor.accumulate(flips, axis=1))


def wired(
    channels: int,
    features: int,
    reads: list[int],
    registered: bool = True,
    density: float = 0.4,
    indexed: bool = False,
) -> Wired:
    rng = np.random.default_rng([channels, features, *reads])
    exact, own = len(set(reads[:channels])) == 1, weights(rng, channels, features, reads)
    reach = 2 ** max(reads) - 1 if indexed else max(reads)
    made = table(rng, channels, reach + 1 if exact else 2 * reach + 1, density)
    return Wired.of(index_weights(rng, own) if indexed else own, made, registered)


NODES = {
    **{
        f"k{count}": wired(6, 20, [count], count % 2 == 0, density)
        for count, density in ((1, 0.9), (2, 0.6), (5, 0.4))
    },
    **{f"k{count}": wired(9, 40, [count], density=0.15) for count in (6, 7, 8, 9, 10, 11, 13, 16)},
    **{
        f"four{count}": replace(wired(9, 40, [count], density=0.2), table_inputs=4)
        for count in (4, 6, 8, 11, 16)
    },
    **{f"table{count}": wired(9, 40, [count], count % 2 == 0, 0.5, indexed=True) for count in (2, 3, 5, 6)},
    **{
        f"four_table{count}": replace(wired(9, 40, [count], density=0.5, indexed=True), table_inputs=4)
        for count in (4, 5, 6)
    },
    "uneven_tables": wired(12, 30, [0, 3, 6, 1, 5], density=0.5, indexed=True),
    "uneven": wired(12, 30, [0, 3, 12, 6, 1, 9]),
    "wide": wired(3, 70, [41, 64]),
    "constant": wired(4, 8, [3], density=0.0),
    "single": wired(1, 1, [1], registered=False, density=1.0),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@pytest.mark.parametrize("name", NODES)
def test_the_reference_looks_sums_up(name):
    node = NODES[name]
    (samples,) = random_samples(node, np.random.default_rng(1))
    (made,) = node.reference(samples)
    for sample, bits in zip(samples, made, strict=True):
        for channel in range(node.channels):
            total = sum(int(w) * (2 * int(x) - 1) for w, x in zip(node.weights[channel], sample, strict=True))
            reach = 2**node.fan_in - 1 if node.indexed else node.fan_in
            point = (total + reach) // 2 if node.exact else total + reach
            assert bits[channel] == node.table.row(channel)[point]


def test_nodes_of_equal_numbers_share_a_module(tmp_path):
    one, other = wired(5, 12, [4]), wired(5, 12, [4])
    assert one.generate(tmp_path, "a_") == other.generate(tmp_path, "b_")
    assert wired(5, 12, [5]).generate(tmp_path) != one.generate(tmp_path)
    assert len(list(tmp_path.glob("*.sv"))) == 2


def test_a_reader_of_the_file_sees_what_a_channel_reads(tmp_path):
    made = np.zeros((1, 9), np.int8)
    made[0, [2, 7, 8]] = 1, -1, 1
    node = Wired.of(made, table_from_bits(Grid(0, 3), np.array([[0, 1, 1, 0]])))
    text = node.generate(tmp_path).sources[0].read_text()
    assert "// Channel 0: x[2], ~x[7], x[8]; row 0110" in text


def test_the_file_gives_a_table_with_its_first_input_lowest(tmp_path):
    made = np.zeros((1, 9), np.int8)
    made[0, [2, 7, 8]] = 4, -1, 2
    bits = np.array([[0, 1, 0, 0, 1, 1, 0, 1]])
    text = Wired.of(made, table_from_bits(Grid(0, 7), bits)).generate(tmp_path).sources[0].read_text()
    assert "// Channel 0: ~x[7], x[8], x[2]; row 01001101" in text
    assert "1'(8'hb2 >> {x[2], x[8], ~x[7]})" in text


def test_a_table_costs_as_many_lookup_tables_as_its_inputs_need():
    for count, six, four in ((4, 1, 1.0), (5, 1, 3.0), (6, 1, 7.0)):
        node = wired(7, 40, [count], density=0.5, indexed=True)
        assert (node.price().tables, node.price().small_tables) == (7 * six, 7 * four)


def test_constant_channels_are_free():
    rng = np.random.default_rng(0)
    made = weights(rng, 10, 30, [6])
    rows = np.zeros((10, 7), np.uint8)
    rows[:4, 3:] = 1
    few = Wired.of(made, table_from_bits(Grid(0, 6), rows))
    assert few.price().lut - Wired.of(made, table_from_bits(Grid(0, 6), 0 * rows)).price().lut == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crossings": (1, 1)}, "2 numbers of crossings do not fit 5 channels"),
        ({"weights": np.zeros((5, 11))}, r"weights have shape \(5, 11\), not \(5, 12\)"),
        ({"weights": np.full((5, 12), 2)}, "weights must be -1, 0 or \\+1"),
        ({"indexed": True}, "the weights of a channel must be 1, 2, 4"),
        ({"weights": np.ones((5, 12))}, "channels read 12 to 12 inputs, but the node has a fan-in of 4"),
        ({"fan_in": 5}, "channels read 4 to 4 inputs|table has 5 points, but the node has 6"),
        ({"crossings": (9,) * 5}, "numbers of crossings differ"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(NodeError, match=message):
        replace(wired(5, 12, [4]), **change)


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Wired:
    channels, features = int(rng.integers(1, 12)), int(rng.integers(1, 40))
    most = int(rng.integers(1, min(features, 18) + 1))
    reads = [most] if rng.random() < 0.5 else [most, *(int(each) for each in rng.integers(0, most + 1, 3))]
    made = weights(rng, channels, features, reads)
    counts = np.count_nonzero(made, axis=1)
    points = int(counts.max()) + 1 if (counts == counts[0]).all() else 2 * int(counts.max()) + 1
    return Wired.of(made, table(rng, channels, points, float(rng.random())), bool(rng.random() < 0.7))


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 30, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(("reads", "indexed"), [(6, False), (12, False), (6, True)])
def test_synthesis_needs_what_the_price_says(reads, indexed, tmp_path):
    node = wired(60, 100, [reads], density=0.5 if indexed else 0.3, indexed=indexed)
    cells, price = cells_of(node, tmp_path), node.price()
    assert abs(cells.lut - price.lut) <= 0.15 * cells.lut + 4


@pytest.mark.slow
@pytest.mark.parametrize("reads", [5, 6])
def test_tables_on_parts_with_four_inputs_need_what_the_price_says(reads, tmp_path):
    node = replace(wired(40, 100, [reads], density=0.5, indexed=True), table_inputs=4)
    assert abs(cells_of(node, tmp_path, "ecp5").lut - node.price().small_tables) <= 4
