"""Layers of anyone's file are called as its nodes."""

from pathlib import Path

import numpy as np
import pytest

from tests.finn_flows.lowering.foreign import Graph, samples
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.naming import LAYER, label, layer_name
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.lowering.storage import load, save

ROLES = ["conv", "pool", "act", "flat", "hidden", "bit", "logits"]
"""The layers of `graph` that come from nodes, in order."""


def graph(names: dict[str, str]) -> Graph:
    """A small network whose nodes for some roles have the given names; the others keep those of their types."""
    g = Graph((1, 2, 6, 6), 3).quant(8, 1.0)

    def called(role: str) -> None:
        if role in names:
            g.nodes[-1].name = names[role]

    g.conv(2, 4)
    called("conv")
    g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    called("pool")
    g.norm(4, 60.0).node("Relu").quant(2, 20.0)
    called("act")
    g.node("Flatten")
    called("flat")
    g.dense(g.features(), 6)
    called("hidden")
    g.norm(6, 20.0).bipolar()
    called("bit")
    g.dense(6, 3)
    called("logits")
    return g


def names(lowered: Lowered) -> list[str]:
    return [layer.name for layer in lowered.network.network.layers]


def test_layers_are_called_as_their_nodes() -> None:
    given = {role: f"/net/{role}.0/Node" for role in ROLES}
    lowered = lower(graph(given).model())
    assert names(lowered) == [*given.values(), "label"]
    assert list(lowered.network.weights) == [given["conv"], given["hidden"], given["logits"]]
    assert [each.name for each in lowered.activations] == [given["act"], given["bit"]]
    again = lower(graph(given).model())
    assert again.network.network == lowered.network.network


def test_only_nodes_without_names_get_invented_ones() -> None:
    found = names(lower(graph({"conv": "first", "act": "", "hidden": "", "logits": "MatMul_0"}).model()))
    assert [found[0], found[2], found[4], found[6]] == ["first", "Quant_1", "MatMul_1", "MatMul_0"]


def test_a_second_node_of_a_name_gets_a_number() -> None:
    found = names(
        lower(graph({"conv": "layer", "hidden": "layer", "logits": "layer", "bit": "layer_2"}).model())
    )
    assert [found[0], found[4], found[5], found[6]] == ["layer", "layer_3", "layer_2", "layer_4"]


def test_names_that_mean_something_else_are_not_taken() -> None:
    found = names(lower(graph({"conv": "input", "logits": "label"}).model()))
    assert (found[0], found[-2], found[-1]) == ("input_2", "label_2", "label")


ODD = {
    "conv": "../a/b\\c.npy",
    "pool": "größe 卷积",
    "act": "a=b",
    "flat": "a\nb\0c",
    "hidden": "weights/conv",
    "bit": "[bold]x[/bold]%s{0}",
    "logits": " a_b",
}


def test_odd_names_survive_storage(tmp_path: Path) -> None:
    lowered = lower(graph(ODD).model())
    expected = [*ODD.values(), "label"]
    expected[2], expected[3] = "a_b", "a_b_c"
    assert names(lowered) == expected
    save(lowered.network, tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert again.network == lowered.network.network
    x = lowered.quantize(samples((1, 2, 6, 6)) * 50)
    assert np.array_equal(again.run(x)["label"], lowered.network.run(x)["label"])


def test_a_second_activation_of_one_quantizer_gets_a_number() -> None:
    """Bits for one product, and the same bits as 0 and 1 for another."""
    g = Graph((1, 20), 1).quant(8, 1.0).dense(20, 6).norm(6, 100.0).bipolar()
    g.nodes[-1].name = "sign"
    bits = g.tensor
    g.dense(6, 5).norm(5).quant(3, 0.5)
    left, g.tensor = g.tensor, bits
    g.node("Relu").dense(6, 5).norm(5).quant(3, 0.5).node("Add", left).norm(5).bipolar().dense(5, 3)
    tables = lower(g.model()).network.tables
    assert [name for name in tables if name.startswith("sign")] == ["sign", "sign_2"]


def test_metadata_comes_before_the_nodes_name() -> None:
    g = graph({})
    for node, role in zip([n for n in g.nodes if n.op_type in ("Conv", "MatMul")], "abc", strict=True):
        label(node, f"stages.{role}")
    label(next(node for node in g.nodes if node.op_type == "Relu"), "relu")
    found = names(lower(g.model()))
    assert [found[0], found[4], found[6]] == ["stages.a", "stages.b", "stages.c"]
    assert found[2] == "relu"  # an activation is called after the labelled node of its region
    label(g.nodes[1], "again")
    label(g.nodes[1], "once more")
    assert [entry.value for entry in g.nodes[1].metadata_props if entry.key == LAYER] == ["once more"]
    assert layer_name(g.nodes[1]) == "once more"


def test_messages_name_the_users_node() -> None:
    g = graph({"hidden": "/fc/MatMul"})
    node = next(node for node in g.nodes if node.name == "/fc/MatMul")
    label(node, "fc")
    g.constants[node.input[1]] = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)
    g.nodes = [each for each in g.nodes if node.input[1] not in each.output]
    with pytest.raises(LoweringError, match=r"^/fc/MatMul \(MatMul\): its weights are neither bipolar"):
        lower(g.model())
