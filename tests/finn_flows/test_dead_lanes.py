"""Lanes that nothing reads: which ones they are, and their price."""

from dataclasses import replace
from itertools import pairwise

from tests.finn_flows.finn_networks import chain
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.dead_lanes import read_lanes, remaining_price, unread_lanes
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import Activation, Dense, Input, LabelSelect, Network
from zerocross.finn_flows.nodes import CrossingSite, Product
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import INPUT, Design, Element

LANES = Folding(pe=2, simd=4)


def net(crossings: tuple[int, ...], bits: int = 1) -> Network:
    channels = len(crossings) // bits
    return chain(Input((64,), 1), Dense(channels), Activation(crossings, bits), Dense(10), LabelSelect())


def test_a_lane_is_unread_if_all_of_its_channels_are_constant():
    site = CrossingSite(Stream((6,), 3, 7), (0, 1, 0, 0, 0, 2), 65)  # channels 0 and 3 are on lane 0
    assert read_lanes(site) == [1, 2]
    levels = CrossingSite(Stream((2,), 2, 7), (0, 0, 0, 3), 65, bits=2)  # two rows of each channel
    assert read_lanes(levels) == [1]


def test_a_constant_channel_beside_others_leaves_its_lane():
    for crossings, unread in (((1, 1, 1, 1), 0), ((0, 1, 1, 1), 0), ((0, 1, 0, 1), 1), ((1, 0, 1, 0), 1)):
        design = plan(net(crossings), LANES)
        assert sum(unread_lanes(design).values()) == unread, crossings


def test_a_product_that_ends_a_design_has_no_unread_lanes():
    product = Product(64, 4, 2, 4)
    assert unread_lanes(Design(product.inputs["s"], (Element("p", "p", product, ((INPUT, "s"),)),))) == {}


def test_unread_lanes_cost_no_luts_and_keep_their_block_rams():
    product = Product(64, 16, 8, 8)
    prices = [remaining_price(product, unread) for unread in range(9)]
    assert prices[0] == product.price()
    assert prices[4].lut == replace(product, pe=4, channels=8).price().lut
    assert all(more.lut > less.lut for more, less in pairwise(prices[:8]))
    assert prices[8] == prices[7]  # at least one lane is priced
    assert {price.bram18 for price in prices} == {product.price().bram18}


def test_estimates_of_networks_know_them():
    dead, live = (estimate(net(crossings), LANES) for crossings in ((0, 1, 0, 1), (1, 1, 1, 1)))
    one, other = ({node.node: node for node in cost.nodes} for cost in (dead, live))
    name = next(name for name, node in one.items() if node.kind == "product")
    assert one[name].zerocross.lut < other[name].zerocross.lut
    assert one[name].finn == other[name].finn
