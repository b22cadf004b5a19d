"""Designs made of integer networks compute, node by node, what the networks do."""

import numpy as np
import pytest

from tests.finn_flows.finn_networks import chain, mlp, signs
from tests.finn_flows.integer_networks import random_inputs, random_network
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.graph import hardware_nodes
from zerocross.finn_flows.integer import IntegerNetwork, remove_first_bits
from zerocross.finn_flows.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
)
from zerocross.finn_flows.rtl.assembly import Styles, assemble
from zerocross.finn_flows.rtl.design import Design
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.rtl.nodes import Crossings, Product
from zerocross.finn_flows.rtl.stream_nodes import WindowMaxPool


def padded(bits: int) -> Network:
    """Padding, strides, kernels that are not square, widths that do not divide each other."""
    return chain(
        Input((9, 7, 3), bits),
        Conv(10, (3, 2), (2, 1), (1, 1)),
        signs(10),
        Conv(9, (2, 3), (1, 2), (0, 1)),
        signs(9),
        Conv(7, (1, 1)),
        signs(7),
        Flatten(),
        Dense(11),
        signs(11),
        Dense(5),
        LabelSelect(),
    )


def pooled(bits: int) -> Network:
    """Pools over accumulators and over bits, overlapping and not, with rows left over."""
    return chain(
        Input((13, 12, 2), bits),
        Conv(6, padding=(1, 1)),
        MaxPool(),
        signs(6),
        MaxPool((2, 2), (1, 1)),
        Conv(9, (2, 2)),
        MaxPool((3, 2), (1, 2)),
        signs(9),
        Flatten(),
        Dense(4),
        LabelSelect(),
    )


def levels() -> Network:
    """Activations of two bits and of three, a pool over their levels."""
    return chain(
        Input((6, 6, 2), 8),
        Conv(5, (3, 3)),
        Activation((1,) * 10, 2),
        MaxPool(),
        Conv(6, (2, 2)),
        Activation((1,) * 18, 3),
        Flatten(),
        Dense(5),
        LabelSelect(),
    )


NETWORKS = {
    "mlp": mlp(1),
    "mlp of bytes": mlp(8, (30, 21, 14, 6)),
    "odd widths": mlp(1, (35, 33, 7, 3)),
    "padded": padded(1),
    "padded bytes": padded(8),
    "pooled": pooled(1),
    "pooled bytes": pooled(8),
    "levels": levels(),
    "largest logits": chain(Input((5, 5, 2), 8), Conv(4), MaxPool((3, 3), (3, 3)), Flatten(), LabelSelect()),
    "overlapping logits": chain(
        Input((5, 6, 2), 1), Conv(4), MaxPool((3, 4), (1, 1)), Flatten(), LabelSelect()
    ),
    "one layer": chain(Input((9,), 8), Dense(4), LabelSelect()),
    "no label": chain(Input((9,), 1), Dense(6), signs(6), Dense(4)),
    "one channel": chain(Input((7,), 1), Dense(1), signs(1), Dense(2), LabelSelect()),
}
FOLDINGS = {
    "one at a time": Folding(),
    "all at once": Folding(target_cycles=260, max_pe=1000, max_simd=1000),
    "between": Folding(target_cycles=1500, max_pe=1000, max_simd=1000),
}


def made(net: IntegerNetwork, folding: Folding, styles: Styles | None = None) -> Design:
    return assemble(net, hardware_nodes(net.network, folding, streams=False), styles)


def as_streams(net: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """Inputs as the design's stream has them."""
    flat = inputs.reshape(len(inputs), -1)
    return (flat > 0).astype(np.int64) if net.network.input.bits == 1 else flat


def held_against(net: IntegerNetwork, design: Design, inputs: np.ndarray) -> int:
    """Compare the last element of every layer with the network's layer; return how many were compared."""
    expected, values = net.run(inputs), design.run(as_streams(net, inputs))
    last = {element.layer: element for element in design.elements if element.kind != "fork"}
    grids, producers = net.network.grids(), net.network.producers()
    for layer in net.network.layers:
        if layer.name not in last:
            continue
        element, wanted = last[layer.name], expected[layer.name].reshape(len(inputs), -1)
        found = values[element.name, "m"]
        if isinstance(
            element.node, Product | GroupedProduct
        ):  # counts from 0, unless nothing absorbs the offsets
            if element.node.input_bits == element.node.weight_bits == 1:
                wanted = (wanted - grids[layer.name].low) // 2
            elif layer.name in producers.values():
                wanted = (
                    wanted.reshape(len(inputs), -1, element.node.channels) + element.node.row_offsets
                ).reshape(len(inputs), -1)
        elif net.network.is_binary(layer.name) and not isinstance(layer.operation, LabelSelect):
            wanted = (wanted + 1) // 2
        elif isinstance(layer.operation, MaxPool) and net.network.bits(layer.name) is None:
            continue  # accumulators: what follows says whether they were right
        assert (found == wanted).all(), layer.name
    return len(last)


@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_the_networks(name, folding):
    network = NETWORKS[name]
    for seed in range(2):
        net = random_network(network, seed, density=0.1)
        design = made(net, FOLDINGS[folding])
        computing = [e for e in network.layers if not isinstance(e.operation, Flatten)]
        assert held_against(net, design, random_inputs(network, 6, seed)) == len(computing)


def test_pools_over_accumulators_of_bytes_keep_each_channels_offset():
    """The offsets of a channel are the same in a whole window, so the largest stays the largest."""
    net = random_network(NETWORKS["pooled bytes"], 5, constant=0.0, density=0.02)
    design = made(net, Folding(target_cycles=5000))
    x = random_inputs(net.network, 30, 5)
    expected = net.run(x)
    values = design.run(as_streams(net, x))
    assert (values[design.elements[-1].name, "m"] == expected[net.network.layers[-1].name]).all()
    assert any(isinstance(element.node, WindowMaxPool) for element in design.elements)


def test_networks_without_first_bits_are_built_alike():
    net = random_network(padded(1), 3, density=0.2)
    less, _ = remove_first_bits(net)
    x = random_inputs(net.network, 20, 3)
    answers = [made(n, Folding()).run(as_streams(n, x)) for n in (net, less)]
    last = made(net, Folding()).elements[-1].name
    assert (answers[0][last, "m"] == answers[1][last, "m"]).all()


def test_every_node_of_the_plan_is_built_once():
    for network in NETWORKS.values():
        net = random_network(network, 0)
        plan = hardware_nodes(network, Folding(target_cycles=2000), streams=False)
        design = assemble(net, plan)
        named = [name for element in design.elements for name in element.planned]
        assert named == [node.name for node in plan]
        for element in design.elements:
            assert bool(element.planned) == (element.kind != "converter")


def test_words_of_other_sizes_are_converted_between_and_never_in_front():
    design = made(random_network(padded(1), 0), Folding(target_cycles=400))
    kinds = [element.kind for element in design.elements]
    assert "converter" in kinds and kinds[0] != "converter"
    for element in design.elements:
        if element.kind == "converter":
            assert element.node.inputs["s"].lanes != element.node.outputs["m"].lanes


def test_styles_reach_their_layers_and_no_other():
    net = random_network(mlp(1, (24, 12, 8, 4)), 1, constant=0.0)
    first, second = (layer.name for layer in net.network.layers if isinstance(layer.operation, Activation))
    names = [layer.name for layer in net.network.layers if isinstance(layer.operation, Dense)]
    styles = Styles({names[1]: "distributed"}, {first: "table in block RAM", second: "search"})
    design = made(net, Folding(target_cycles=100), styles)
    nodes = {element.layer: element.node for element in design.elements if element.kind != "converter"}
    assert [nodes[name].ram_style for name in names] == ["block", "distributed", "block"]
    assert (nodes[first].way, nodes[first].ram_style) == ("table", "block")
    assert (nodes[second].way, nodes[second].ram_style) == ("search", "distributed")
    assert held_against(net, design, random_inputs(net.network, 10, 1))


@pytest.mark.parametrize("way", ["comparators", "search", "table", "table in block RAM"])
def test_any_way_of_any_activation_computes_the_same(way):
    net = random_network(pooled(8), 2, density=0.01)
    sites = [layer.name for layer in net.network.layers if isinstance(layer.operation, Activation)]
    design = made(net, Folding(target_cycles=3000), Styles({}, dict.fromkeys(sites, way)))
    assert held_against(net, design, random_inputs(net.network, 5, 1))
    ways = {element.node.way for element in design.elements if isinstance(element.node, Crossings)}
    assert ways == {way.split()[0]}


def test_names_of_layers_become_identifiers_of_their_own():
    layers = (
        Layer("/net.0/Conv", Dense(6), ("input",)),
        Layer("3 signs!", signs(6), ("/net.0/Conv",)),
        Layer("net 0 Conv", Dense(5), ("3 signs!",)),
        Layer("größer", signs(5), ("net 0 Conv",)),
        Layer("", Dense(4), ("größer",)),
        Layer("label", LabelSelect(), ("",)),
    )
    net = random_network(Network(Input((8,), 1), layers), 0)
    design = made(net, Folding())
    names = [element.name for element in design.elements]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.isascii() and not name.startswith("_") for name in names), names
    assert "net_0_Conv_product" in names and "net_0_Conv_product_2" in names
    assert held_against(net, design, random_inputs(net.network, 5, 0))
