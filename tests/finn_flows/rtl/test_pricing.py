"""Estimates of a design's elements: each node of the plan is in one of them."""

import pytest

from tests.finn_flows.finn_networks import chain, signs
from tests.finn_flows.integer_networks import random_network
from zerocross.finn_flows.cost import Resources, node_cost
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.graph import hardware_nodes
from zerocross.finn_flows.network import Conv, Dense, Flatten, Input, LabelSelect, MaxPool
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.rtl.assembly import Styles, assemble
from zerocross.finn_flows.rtl.design import with_fifos
from zerocross.finn_flows.rtl.pricing import estimates

NETWORK = chain(
    Input((8, 8, 3), 8),
    Conv(6, padding=(1, 1)),
    signs(6),
    MaxPool(),
    Conv(9, (2, 2)),
    MaxPool((3, 3), (1, 1)),
    signs(9),
    Flatten(),
    Dense(4),
    LabelSelect(),
)


@pytest.fixture(scope="module")
def net():
    return random_network(NETWORK, 0, density=0.02)


@pytest.fixture(scope="module")
def plan(net):
    return hardware_nodes(net.network, Folding(target_cycles=700), streams=False)


@pytest.fixture(scope="module")
def design(net, plan):
    return assemble(net, plan)


@pytest.mark.parametrize("part", [get_part("xc7z020"), get_part("lfe5u-25f")], ids=lambda part: part.name)
def test_the_elements_cost_what_the_planned_nodes_do(design, plan, part):
    costs = estimates(design, plan, part)
    assert list(costs) == [element.name for element in design.elements]
    planned = {node.name: node_cost(node, part) for node in plan}
    assert {name for element in design.elements for name in element.planned} == set(planned)
    for element in design.elements:
        cost, nodes = costs[element.name], [planned[name] for name in element.planned]
        assert (cost.node, cost.layer) == (element.name, element.layer)
        if nodes:
            assert cost.finn == sum((node.finn for node in nodes), Resources())
            ours = sum((node.zerocross for node in nodes), Resources())
            # A sum is rounded once; of accumulators of bytes those crossings are built that its weights can reach.
            assert cost.zerocross.lut <= ours.lut + len(nodes)
            if element.name != "activation1_crossings":
                assert cost.zerocross.lut == pytest.approx(ours.lut, abs=len(nodes))
                assert cost.zerocross.bram_kbit == ours.bram_kbit


def test_what_is_built_otherwise_than_planned_has_its_own_price(net, plan):
    part = get_part("xc7z020")
    layers = dict.fromkeys(net.weights, "distributed")
    block, luts = (
        estimates(assemble(net, plan, styles), plan, part) for styles in (Styles(), Styles(weights=layers))
    )
    for name, cost in block.items():
        same = cost.zerocross.bram_kbit == 0 or not name.endswith("_product")
        assert (luts[name].zerocross == cost.zerocross) == same
        assert luts[name].zerocross.lut >= cost.zerocross.lut


def test_a_pool_without_a_generator_of_its_own_has_the_price_of_both(design, plan):
    part = get_part("xc7z020")
    pool = next(element for element in design.elements if len(element.planned) == 2)
    assert pool.kind == "pool"
    both = [node_cost(node, part) for node in plan if node.name in pool.planned]
    cost = estimates(design, plan, part)[pool.name]
    assert cost.zerocross.lut == pytest.approx(both[0].zerocross.lut + both[1].zerocross.lut, abs=2)
    assert cost.cycles == max(entry.cycles for entry in both) and cost.op_type == "Pool_hls"


def test_converters_and_fifos_have_the_prices_of_a_plan_with_streams(net, design, plan):
    part = get_part("xc7z020")
    costs = estimates(with_fifos(design, 2), plan, part)
    with_streams = hardware_nodes(net.network, Folding(target_cycles=700), streams=True)
    expected = sorted(
        node_cost(node, part).zerocross.lut
        for node in with_streams
        if node.op_type == "StreamingDataWidthConverter_rtl"
    )
    found = sorted(
        costs[element.name].zerocross.lut for element in design.elements if element.kind == "converter"
    )
    assert found == expected and found
    for element in with_fifos(design, 2).elements:
        if element.kind == "fifo":
            assert costs[element.name].op_type == "StreamingFIFO_rtl"
            assert costs[element.name].zerocross.lut > 0


def test_deeper_fifos_cost_more(design, plan):
    part = get_part("xc7z020")

    def price(depth: int) -> int:
        deep = with_fifos(design, depth)
        costs = estimates(deep, plan, part)
        return sum(costs[element.name].zerocross.lut for element in deep.elements if element.kind == "fifo")

    assert price(2) < price(64)
