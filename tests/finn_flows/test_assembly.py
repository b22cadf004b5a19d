"""Designs made of integer networks compute, node by node, what the networks do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.finn_flows.finn_networks import CLASSIFIERS, biased_images, border, chain, mlp, signs
from tests.finn_flows.integer_networks import as_streams, held_against, random_inputs, random_network
from zerocross.finn_flows.assembly import Styles, assemble
from zerocross.finn_flows.folding import Folding
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
    Pad,
)
from zerocross.finn_flows.nodes import CrossingSite, WidthConverter, WindowMaxPool
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design, generate
from zerocross.finn_flows.rtl.logits import design_logits


def padded(bits: int) -> Network:
    """Padding, strides, kernels that are not square, widths that do not divide each other."""
    return chain(
        Input((9, 7, 3), bits),
        border(1, 1, bits),
        Conv(10, (3, 2), (2, 1)),
        signs(10),
        border(0, 1, 1),
        Conv(9, (2, 3), (1, 2)),
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
        border(1, 1, bits),
        Conv(6),
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
    "biased images": biased_images(8),
    "biased images of bits": biased_images(1),
} | CLASSIFIERS
FOLDINGS = {
    "one at a time": Folding(),
    "all at once": Folding(target_cycles=260, max_pe=1000, max_simd=1000),
    "between": Folding(target_cycles=1500, max_pe=1000, max_simd=1000),
}


def made(net: IntegerNetwork, folding: Folding, styles: Styles | None = None) -> Design:
    return assemble(plan(net.network, folding), net, styles)


@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_the_networks(name: str, folding: str) -> None:
    network = NETWORKS[name]
    for seed in range(2):
        net = random_network(network, seed, density=0.1)
        design = made(net, FOLDINGS[folding])
        computing = [e for e in network.layers if not isinstance(e.operation, Flatten | Pad)]
        assert held_against(net, design, random_inputs(network, 6, seed)) == len(computing)


def test_pools_over_accumulators_of_bytes_keep_each_channels_offset() -> None:
    """The offsets of a channel are the same in a whole window, so the largest stays the largest."""
    net = random_network(NETWORKS["pooled bytes"], 5, constant=0.0, density=0.02)
    design = made(net, Folding(target_cycles=5000))
    x = random_inputs(net.network, 30, 5)
    expected = net.run(x)
    values = design.run(as_streams(net, x))
    assert (values[design.elements[-1].name, "m"] == expected[net.network.layers[-1].name]).all()
    assert any(isinstance(element.node, WindowMaxPool) for element in design.elements)


def test_networks_without_first_bits_are_built_alike() -> None:
    net = random_network(padded(1), 3, density=0.2)
    less, _ = remove_first_bits(net)
    x = random_inputs(net.network, 20, 3)
    answers = [made(n, Folding()).run(as_streams(n, x)) for n in (net, less)]
    last = made(net, Folding()).elements[-1].name
    assert (answers[0][last, "m"] == answers[1][last, "m"]).all()


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("folding", FOLDINGS)
def test_logits_are_the_networks_whatever_the_classifier_reads(name: str, folding: str) -> None:
    net = random_network(CLASSIFIERS[name], 2, constant=0.0, most=3)
    design = made(net, FOLDINGS[folding])
    x = random_inputs(net.network, 50, 3)
    expected, values = net.run(x), design.run(as_streams(net, x))
    (last,) = design.elements[-1].sources
    logits = design_logits(design, values[last])
    assert np.array_equal(logits, expected[net.network.layers[-2].name])
    assert len(np.unique(logits)) > 5


def test_a_design_is_its_plan_with_numbers() -> None:
    for network in NETWORKS.values():
        net = random_network(network, 0)
        planned = plan(net.network, Folding(target_cycles=2000))
        design = assemble(planned, net)
        assert [each.name for each in design.elements] == [each.name for each in planned.elements]
        for before, after in zip(planned.elements, design.elements, strict=True):
            assert replace(before, node=after.node) == after
            if not isinstance(after.node, CrossingSite):  # of bytes those that the weights can reach
                assert before.node == after.node
            assert before.node.inputs == after.node.inputs and before.node.outputs == after.node.outputs


def test_a_plan_without_numbers_is_not_generated(tmp_path: Path) -> None:
    planned = plan(CLASSIFIERS["bits into 1 bits, biased"], Folding())
    for kind, numbers in (("product", "weights"), ("crossings", "crossings"), ("bias", "biases")):
        node = next(each.node for each in planned.elements if each.kind == kind)
        with pytest.raises(NodeError, match=f"has no {numbers} yet"):
            node.generate(tmp_path)
    with pytest.raises(NodeError, match="has no weights yet"):
        generate(planned, tmp_path)


def test_words_of_other_sizes_are_converted_between_and_never_in_front() -> None:
    design = made(random_network(padded(1), 0), Folding(target_cycles=400))
    kinds = [element.kind for element in design.elements]
    assert "converter" in kinds and kinds[0] != "converter"
    for element in design.elements:
        if isinstance(element.node, WidthConverter):
            assert element.node.inputs["s"].lanes != element.node.outputs["m"].lanes


def test_styles_reach_their_layers_and_no_other() -> None:
    net = random_network(mlp(1, (24, 12, 8, 4)), 1, constant=0.0)
    first, second = (layer.name for layer in net.network.layers if isinstance(layer.operation, Activation))
    names = [layer.name for layer in net.network.layers if isinstance(layer.operation, Dense)]
    styles = Styles({names[1]: "distributed"}, {first: "table in block RAM", second: "search"})
    design = made(net, Folding(target_cycles=100), styles)
    assert [design.products[name].ram_style for name in names] == ["block", "distributed", "block"]
    built = {e.layer: e.node.implementation for e in design.elements if isinstance(e.node, CrossingSite)}
    assert built == {first: "table in block RAM", second: "search"}
    assert held_against(net, design, random_inputs(net.network, 10, 1))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_any_implementation_of_any_activation_computes_the_same(implementation: str) -> None:
    net = random_network(pooled(8), 2, density=0.01)
    sites = [layer.name for layer in net.network.layers if isinstance(layer.operation, Activation)]
    design = made(net, Folding(target_cycles=3000), Styles({}, dict.fromkeys(sites, implementation)))
    assert held_against(net, design, random_inputs(net.network, 5, 1))
    built = [each.node.implementation for each in design.elements if isinstance(each.node, CrossingSite)]
    assert built == [implementation] * len(sites)


def test_an_implementation_that_there_is_not_is_refused() -> None:
    net = random_network(NETWORKS["mlp"], 0)
    with pytest.raises(NodeError, match="unknown implementation 'magic'"):
        made(net, Folding(), Styles({}, {"activation1": "magic"}))


def test_names_of_layers_become_identifiers_of_their_own() -> None:
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
