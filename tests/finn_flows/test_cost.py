"""Costs of plans and of designs: totals, rows, FINN's figures beside this project's."""

import pytest

from tests.finn_flows.finn_networks import (
    CLASSIFIERS,
    biased_images,
    border,
    chain,
    cnv,
    dynamic,
    mlp,
    residual,
    signs,
)
from tests.finn_flows.integer_networks import random_network
from zerocross.finn_flows.assembly import Styles, assemble
from zerocross.finn_flows.cost import Resources, element_costs, estimate, estimate_plan
from zerocross.finn_flows.cost_model import on_family
from zerocross.finn_flows.dead_lanes import unread_lanes
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Conv, Dense, Flatten, Input, LabelSelect, MaxPool
from zerocross.finn_flows.nodes import Fifo, Product
from zerocross.finn_flows.nodes import MaxPool as MaxPoolNode
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.parts import Part, UnknownPart, get_part
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design, with_fifos
from zerocross.finn_flows.timing import pipeline_latency, waiting_words
from zerocross.finn_flows.vendor.stock_nodes import ask_finn

PARTS = [get_part("xc7z020"), get_part("lfe5u-25f")]


def test_totals_are_the_sums_of_their_nodes() -> None:
    cost = estimate(cnv(8), Folding(target_cycles=5000))
    assert cost.finn == sum((node.finn for node in cost.nodes), Resources())
    assert cost.zerocross == sum((node.zerocross for node in cost.nodes), Resources())
    design = plan(cnv(8), Folding(target_cycles=5000))
    assert cost == estimate_plan(design)
    assert cost.ii == max(design.intervals().values())
    assert cost.latency == pipeline_latency(design)
    nodes = [node for element in design.elements for node in element.node.stock()]
    assert cost.finn_latency == sum(ask_finn(node, cost.finn_part)[0] for node in nodes)
    assert cost.fps == pytest.approx(100e6 / cost.ii)


def test_latency_lies_between_the_slowest_node_and_all_of_them_in_turn() -> None:
    for network in (mlp(1), mlp(8), cnv(1), cnv(8)):
        for folding in (Folding(), Folding(target_cycles=700), Folding(target_cycles=20_000)):
            cost = estimate(network, folding)
            # registers, and words that wait for their FIFO, are not in FINN's sum
            assert cost.ii <= cost.latency <= cost.finn_latency + 10 * len(cost.nodes)


def test_a_single_dense_layer_takes_its_own_time() -> None:
    network = chain(Input((64,), 1), Dense(10), LabelSelect())
    cost = estimate(network, Folding(pe=1, simd=8))
    assert cost.ii == 80
    assert 80 <= cost.latency <= 100


def test_crossings_cost_luts_and_constants_save_them() -> None:
    def lut(count: int) -> int:
        network = mlp(1).with_crossings({"activation1": (count,) * 48, "activation3": (count,) * 32})
        return estimate(network, Folding(target_cycles=256)).zerocross.lut

    prices = [lut(count) for count in (0, 1, 2, 4, 8, 16)]
    assert prices == sorted(prices)
    assert prices[0] < prices[1]


def test_stock_finn_sees_only_the_width_of_the_count() -> None:
    def finn(count: int) -> int:
        network = mlp(1).with_crossings({"activation1": (count,) * 48, "activation3": (count,) * 32})
        return estimate(network, Folding(target_cycles=256)).finn.lut

    assert finn(1) < finn(2) == finn(3) < finn(7)


def test_the_implementation_is_reported() -> None:
    cost = estimate(mlp(1), Folding(target_cycles=256))
    found = {node.implementation for node in cost.nodes if node.op_type == "Thresholding_rtl"}
    assert found and found <= set(IMPLEMENTATIONS)


def test_parts_without_six_input_luts_need_more_of_them_and_finn_is_asked_about_a_stand_in() -> None:
    xilinx = estimate(mlp(1), Folding(target_cycles=256), part="xc7z020")
    lattice = estimate(mlp(1), Folding(target_cycles=256), part="ulx3s-85f")
    assert lattice.zerocross.lut > xilinx.zerocross.lut
    assert lattice.finn == xilinx.finn
    assert lattice.finn_part.startswith("xc7") and lattice.part == "lfe5u-85f"


def test_no_part_is_a_seven_series_part() -> None:
    folding = Folding(target_cycles=256)
    assert estimate(mlp(1), folding) == estimate(mlp(1), folding, part="xc7z020")
    with pytest.raises(UnknownPart):
        estimate(mlp(1), folding, part="xc7z02")


# ---- rows of a plan, and elements of a design

NETWORK = chain(
    Input((8, 8, 3), 8),
    border(1, 1, 8),
    Conv(6),
    signs(6),
    MaxPool(),
    Conv(9, (2, 2)),
    MaxPool((3, 3), (1, 1)),
    signs(9),
    Flatten(),
    Dense(4),
    LabelSelect(),
)
NETWORKS = {
    "chain": NETWORK,
    "residual": residual(),
    "dynamic": dynamic(),
    "biased": biased_images(8),
} | CLASSIFIERS
FOLDING = Folding(target_cycles=700)


@pytest.fixture(scope="module")
def net() -> IntegerNetwork:
    return random_network(NETWORK, 0, density=0.02)


@pytest.fixture(scope="module")
def bare(net: IntegerNetwork) -> Design:
    """The plan of the network with numbers."""
    return plan(net.network, FOLDING)


@pytest.fixture(scope="module")
def design(net: IntegerNetwork, bare: Design) -> Design:
    return assemble(bare, net)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_the_elements_and_a_fifo_on_every_stream(name: str, part: Part) -> None:
    plan_ = plan(NETWORKS[name], Folding(target_cycles=1000))
    cost, alone = estimate_plan(plan_, part), element_costs(plan_, part)
    rows = {row.node: row for row in cost.nodes}
    assert len(rows) == len(cost.nodes)
    assert {key: row for key, row in rows.items() if row.kind != "fifo"} == alone
    assert [row.node for row in cost.nodes if row.kind != "fifo"] == [each.name for each in plan_.elements]
    forks_behind = {each.name for each in plan_.elements if each.kind == "fork" and not each.node.stock()}
    expected = {
        each.fifo_name(p) for each in plan_.elements if each.name not in forks_behind for p in each.ports
    }
    expected |= {f"{each.name}_windows_fifo" for each in plan_.elements if len(each.node.stock()) == 2}
    assert {key for key, row in rows.items() if row.kind == "fifo"} == {*expected, "output_fifo"}
    layers = {each.name: each.layer for each in plan_.elements}
    for key, row in rows.items():
        if key in layers:
            assert (row.layer, row.kind) == (layers[key], plan_.by_name[key].kind)
            assert (row.pe, row.simd) == plan_.by_name[key].node.lanes
        elif key != "output_fifo":  # a FIFO belongs to the layer that reads it
            reader = key.removesuffix("_fifo").removesuffix("_windows")
            assert row.layer == layers.get(reader) or row.layer == layers[reader.rsplit("_", 1)[0]]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_the_elements_cost_what_the_planned_ones_do(
    net: IntegerNetwork, bare: Design, design: Design, part: Part
) -> None:
    costs, planned = element_costs(design, part), element_costs(bare, part)
    assert list(costs) == [element.name for element in design.elements] == list(planned)
    for element in design.elements:
        name, cost = element.name, costs[element.name]
        assert (cost.node, cost.layer, cost.kind) == (name, element.layer, element.kind)
        if name == "activation1_crossings":
            # Of accumulators of bytes those crossings are built that its weights can reach.
            assert cost.zerocross.lut <= planned[name].zerocross.lut
        else:
            assert cost == planned[name]


def test_what_is_built_otherwise_than_planned_has_its_own_price(net: IntegerNetwork, bare: Design) -> None:
    part = get_part("xc7z020")
    layers = dict.fromkeys(net.weights, "distributed")
    block, luts = (element_costs(assemble(bare, net, styles), part) for styles in (Styles(), Styles(layers)))
    assert any(name.endswith("_product") and cost.zerocross.bram_kbit for name, cost in block.items())
    for name, cost in block.items():
        same = cost.zerocross.bram_kbit == 0 or not name.endswith("_product")
        assert (luts[name].zerocross == cost.zerocross) == same
        assert luts[name].zerocross.lut >= cost.zerocross.lut
        assert luts[name].finn == cost.finn


def test_a_pool_without_a_generator_of_its_own_stands_for_both_of_finns(design: Design) -> None:
    part = get_part("xc7z020")
    (pool,) = (element for element in design.elements if isinstance(element.node, MaxPoolNode))
    both = [ask_finn(node, part.finn_part) for node in pool.node.stock()]
    cost = element_costs(design, part)[pool.name]
    assert cost.kind == "pool" and cost.op_type == "ConvolutionInputGenerator_rtl, Pool_hls"
    assert cost.cycles == max(cycles for cycles, *_ in both)
    assert cost.finn == sum((Resources(lut, 18 * bram, dsp, lut) for _, lut, bram, dsp in both), Resources())
    price = pool.node.price()
    assert (cost.zerocross.lut, cost.zerocross.bram18) == on_family(price, part.family)


def test_converters_and_fifos_have_the_prices_of_an_estimate(bare: Design, design: Design) -> None:
    part = get_part("xc7z020")
    deep = with_fifos(design, 2)
    costs, expected = element_costs(deep, part), {row.node: row for row in estimate_plan(bare, part).nodes}
    kinds = {element.kind for element in deep.elements}
    assert {"converter", "fifo"} <= kinds
    for element in deep.elements:
        if element.kind == "converter":
            assert costs[element.name] == expected[element.name]
        elif element.kind == "fifo":
            assert costs[element.name].op_type == "StreamingFIFO_rtl"
            assert costs[element.name].finn == expected[element.name].finn
            assert costs[element.name].zerocross.lut > 0


def test_deeper_fifos_cost_more(design: Design) -> None:
    part = get_part("xc7z020")

    def price(depth: int) -> int:
        costs = element_costs(with_fifos(design, depth), part)
        return sum(cost.zerocross.lut for cost in costs.values() if cost.kind == "fifo")

    assert price(2) < price(64)


def test_only_finn_has_fifos_behind_products_and_at_either_end() -> None:
    design = plan(cnv(8), FOLDING)
    rows = {row.node: row for row in estimate_plan(design).nodes}
    prices: dict[bool, list[int]] = {True: [], False: []}
    for element in design.elements:
        for port, (writer, _) in element.ports.items():
            row = rows[element.fifo_name(port)]
            free = writer not in design.by_name or isinstance(design.by_name[writer].node, Product)
            prices[free].append(row.zerocross.lut)
            assert row.finn.lut > 0
    assert not any(prices[True]) and any(prices[False])
    assert rows["output_fifo"].zerocross == Resources() != rows["output_fifo"].finn
    assert rows["maxpool4_pool_windows_fifo"].zerocross.lut > 0  # the shares were fitted with it


def test_a_fifo_that_a_sum_needs_is_priced_as_deep_as_its_words_wait() -> None:
    design = plan(residual(), Folding(target_cycles=1000))
    rows = {row.node: row for row in estimate_plan(design).nodes}
    deep = {key: words for key, words in waiting_words(design).items() if words > 2}
    assert deep
    for (name, port), words in deep.items():
        element = design.by_name[name]
        stream = design.streams[element.ports[port]]
        assert rows[element.fifo_name(port)].zerocross.lut == round(Fifo(stream, words).price().lut)


def test_a_bias_is_a_row_of_its_own() -> None:
    without, biased = (
        {row.node: row for row in estimate(CLASSIFIERS[f"levels into 4 bits{name}"], Folding()).nodes}
        for name in ("", ", biased")
    )
    (added,) = (row for row in biased.values() if row.kind == "bias")
    assert added.layer == "bias3" and added.op_type == "ElementwiseAdd_hls"
    assert added.zerocross.lut > 0 and added.zerocross.bram_kbit == 0
    same = [name for name, row in without.items() if row.layer not in ("labelselect3", "labelselect4")]
    assert all(biased[name] == without[name] for name in same)


def test_a_fifo_has_neither_lanes_nor_inputs_at_once() -> None:
    cost = estimate(mlp(8, (30, 12, 10, 5)), Folding(target_cycles=150))
    fifos = [row for row in cost.nodes if row.kind == "fifo"]
    assert fifos and {(row.pe, row.simd) for row in fifos} == {(1, 1)}


def test_a_fifo_in_front_of_windows_is_dearest_and_one_of_a_vector_cheapest() -> None:
    """Compared with a FIFO of registers: a LUT per bit and three of control."""
    design = plan(cnv(8), FOLDING)
    rows = {row.node: row for row in estimate_plan(design).nodes}
    shares: dict[str, list[float]] = {}
    for element in design.elements:
        for port, source in element.ports.items():
            stream, price = design.streams[source], rows[element.fifo_name(port)].zerocross.lut
            if not price:
                continue
            is_image = len(next(iter(element.node.inputs.values())).shape) > 1
            kind = "vector" if not is_image else "windows" if element.kind == "product" else "image"
            shares.setdefault(kind, []).append(price / (stream.width + 3))
    means = {kind: sum(each) / len(each) for kind, each in shares.items()}
    assert means["windows"] > 2 * means["image"] > 4 * means["vector"] > 0


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_an_element_all_of_whose_lanes_are_read_has_its_nodes_price(design: Design, part: Part) -> None:
    costs, unread = element_costs(design, part), unread_lanes(design)
    for element in design.elements:
        price, cost = element.node.price(), costs[element.name].zerocross
        if element.name not in unread:
            assert (cost.lut, cost.bram_kbit // part.block_kbit) == on_family(price, part.family)
            assert cost.dsp == price.dsp
    assert any(isinstance(each.node, Product) and each.name not in unread for each in design.elements)
