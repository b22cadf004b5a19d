import math
from itertools import pairwise

import pytest

from tests.finn_flows.finn_networks import chain, cnv, mlp
from zerocross.finn_flows.cost import Resources, estimate
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.graph import UnsupportedLayer, hardware_nodes
from zerocross.finn_flows.network import (
    Activation,
    Dense,
    Input,
    LabelSelect,
    Layer,
    Network,
    NetworkError,
)
from zerocross.finn_flows.parts import UnknownPart


def test_totals_are_the_sums_of_their_nodes():
    cost = estimate(cnv(8), Folding(target_cycles=5000))
    assert cost.finn == sum((node.finn for node in cost.nodes), Resources())
    assert cost.zerocross == sum((node.zerocross for node in cost.nodes), Resources())
    assert cost.ii == max(node.interval for node in hardware_nodes(cnv(8), Folding(target_cycles=5000)))
    assert cost.finn_latency == sum(node.cycles for node in cost.nodes)
    assert cost.fps == pytest.approx(100e6 / cost.ii)


def test_latency_lies_between_the_slowest_node_and_all_of_them_in_turn():
    for network in (mlp(1), mlp(8), cnv(1), cnv(8)):
        for folding in (Folding(), Folding(target_cycles=700), Folding(target_cycles=20_000)):
            cost = estimate(network, folding)
            # registers, and words that wait for their FIFO, are not in FINN's sum
            assert cost.ii <= cost.latency <= cost.finn_latency + 10 * len(cost.nodes)


def test_a_single_dense_layer_takes_its_own_time():
    network = chain(Input((64,), 1), Dense(10), LabelSelect())
    cost = estimate(network, Folding(pe=1, simd=8))
    assert cost.ii == 80
    assert 80 <= cost.latency <= 100


def test_crossings_cost_luts_and_constants_save_them():
    def lut(count):
        network = mlp(1).with_crossings({"activation1": (count,) * 48, "activation3": (count,) * 32})
        return estimate(network, Folding(target_cycles=256)).zerocross.lut

    prices = [lut(count) for count in (0, 1, 2, 4, 8, 16)]
    assert prices == sorted(prices)
    assert prices[0] < prices[1]


def test_stock_finn_sees_only_the_width_of_the_count():
    def finn(count):
        network = mlp(1).with_crossings({"activation1": (count,) * 48, "activation3": (count,) * 32})
        return estimate(network, Folding(target_cycles=256)).finn.lut

    assert finn(1) < finn(2) == finn(3) < finn(7)


def test_the_way_is_reported():
    cost = estimate(mlp(1), Folding(target_cycles=256))
    ways = {node.way for node in cost.nodes if node.op_type == "Thresholding_rtl"}
    assert ways <= {"comparators", "search", "table", "table in block RAM"}


def test_parts_without_six_input_luts_need_more_of_them_and_finn_is_asked_about_a_stand_in():
    xilinx = estimate(mlp(1), Folding(target_cycles=256), part="xc7z020")
    lattice = estimate(mlp(1), Folding(target_cycles=256), part="ulx3s-85f")
    assert lattice.zerocross.lut > xilinx.zerocross.lut
    assert lattice.finn == xilinx.finn
    assert lattice.finn_part.startswith("xc7") and lattice.part == "lfe5u-85f"


def test_no_part_is_a_seven_series_part():
    folding = Folding(target_cycles=256)
    assert estimate(mlp(1), folding) == estimate(mlp(1), folding, part="xc7z020")
    with pytest.raises(UnknownPart):
        estimate(mlp(1), folding, part="xc7z02")


def test_words_between_nodes_fit_and_no_word_is_lost():
    for folding in (Folding(), Folding(target_cycles=700), Folding(pe=2, simd=2)):
        try:
            nodes = hardware_nodes(cnv(8), folding)
        except FlowError:
            continue
        for before, after in pairwise(nodes):
            assert before.sink.lanes == after.source.lanes
            assert before.sink.datatype == after.source.datatype
            assert math.prod(before.sink.shape) == math.prod(after.source.shape)


def test_what_has_no_hardware_is_named():
    forked = Network(Input((8,), 1), (Layer("a", Dense(8), ("input",)), Layer("b", Dense(8), ("input",))))
    with pytest.raises(UnsupportedLayer, match="b: "):
        hardware_nodes(forked, Folding())
    unused = chain(Input((8,), 1), Activation((1,) * 8))
    with pytest.raises((UnsupportedLayer, NetworkError), match="activation0"):
        hardware_nodes(unused, Folding())
    integers = chain(Input((8,), 1), Dense(8), Dense(8))
    with pytest.raises(UnsupportedLayer, match=r"dense1: .*accumulators"):
        hardware_nodes(integers, Folding())
