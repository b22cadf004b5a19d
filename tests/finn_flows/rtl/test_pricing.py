"""Estimates of a design's elements: each node of the plan is in one of them."""

import pytest

from finn_flows.cost import Resources, node_cost
from finn_flows.folding import Folding
from finn_flows.graph import hardware_nodes
from finn_flows.network import Conv, Dense, Flatten, Input, LabelSelect, MaxPool
from finn_flows.parts import get_part
from finn_flows.rtl.assembly import assemble
from finn_flows.rtl.design import with_fifos
from finn_flows.rtl.pricing import estimates
from tests.finn_flows.finn_networks import chain, signs
from tests.finn_flows.integer_networks import random_network

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
def plan():
    return hardware_nodes(NETWORK, Folding(target_cycles=700), streams=False)


@pytest.fixture(scope="module")
def design(plan):
    return assemble(random_network(NETWORK, 0), plan)


@pytest.mark.parametrize("part", [get_part("xc7z020"), get_part("lfe5u-25f")], ids=lambda part: part.name)
def test_the_elements_cost_what_the_planned_nodes_do(design, plan, part):
    costs = estimates(design, plan, part)
    assert list(costs) == [element.name for element in design.elements]
    planned = [node_cost(node, part) for node in plan]
    built = [costs[element.name] for element in design.elements if element.planned]
    for side in ("finn", "zerocross"):
        total = sum((getattr(cost, side) for cost in built), Resources())
        assert total == sum((getattr(cost, side) for cost in planned), Resources())
    for element in design.elements:
        assert (costs[element.name].node, costs[element.name].layer) == (element.name, element.layer)


def test_a_pool_without_a_generator_of_its_own_has_the_price_of_both(design, plan):
    part = get_part("xc7z020")
    pool = next(element for element in design.elements if len(element.planned) == 2)
    assert pool.kind == "pool"
    both = [node_cost(node, part) for node in plan if node.name in pool.planned]
    cost = estimates(design, plan, part)[pool.name]
    assert cost.zerocross == both[0].zerocross + both[1].zerocross
    assert cost.cycles == max(entry.cycles for entry in both) and cost.op_type == "Pool_hls"


def test_converters_and_fifos_have_the_prices_of_a_plan_with_streams(design, plan):
    part = get_part("xc7z020")
    costs = estimates(with_fifos(design, 2), plan, part)
    with_streams = hardware_nodes(NETWORK, Folding(target_cycles=700), streams=True)
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
