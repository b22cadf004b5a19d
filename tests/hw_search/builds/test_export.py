"""A network from a search and the same network read from its QONNX file: equal names and equal contents."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import NodeProto
from torch import Tensor, nn

from tests.hw_search.extraction.test_extraction import random_expressions, settle
from tests.models.test_residual import settle as settle_streams
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.network import Activation, Dense, MaxPool, Network, Pad
from zerocross.hw_search.builds import export as exporting
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.extraction.integers import hardware_input, to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.extraction.scales import UnsupportedModule
from zerocross.models.expressions import parse
from zerocross.models.layers import ActivationSlot, BinaryLinear, InputQuant, install, slots
from zerocross.models.topologies import TOPOLOGIES, build

SMALL = {"widths": [6, 8], "blocks": [1, 2]}
IMAGE = (2, 8, 8)

CHAINS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "mlp": ("mlp", {"hidden": [33, 20]}, (64,)),
    "ternary mlp": ("mlp", {"hidden": [33, 20], "weight_bits": 2}, (64,)),
    "mlp of images": ("mlp", {"hidden": [16]}, (2, 4, 4)),
    "tfc": ("tfc", {}, (1, 5, 5)),
    "sfc": ("sfc", {}, (12,)),
    "lfc": ("lfc", {}, (12,)),
    "cnv": ("cnv", {"blocks": [[6, 8], [10]], "dense": [12]}, (3, 10, 12)),
    "ternary cnv": ("cnv", {"blocks": [[6]], "dense": [8], "padding": 1, "weight_bits": 2}, IMAGE),
    "hardwired": ("hardwired", {"widths": [40, 30], "inputs": [6, 3]}, (1, 5, 5)),
    "hardwired, uneven": ("hardwired", {"widths": [32], "connections": "random", "norm": False}, (1, 5, 5)),
    "hardwired, tables": (
        "hardwired",
        {"widths": [40, 30], "inputs": [6, 3], "neurons": "tables"},
        (1, 5, 5),
    ),
    "hardwired, tables and sums": (
        "hardwired",
        {"widths": [20, 30], "inputs": 4, "neurons": ["tables", "sums"]},
        (12,),
    ),
    "hardwired, sparse head": ("hardwired", {"widths": [32], "head": "sparse"}, (12,)),
    "padded cnv": (
        "cnv",
        {"blocks": [[4], [8, 4]], "dense": [], "padding": 1, "pool": [True, True]},
        IMAGE,
    ),
}

STREAMS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, SMALL) for name in ("resnete", "bireal", "reactnet_resnet", "reactnet_mobilenet")},
    "few bits": ("resnete", {**SMALL, "stream_bits": 3, "input_bits": 1, "weight_bits": 1}),
    "wide kernels": (
        "bireal",
        {**SMALL, "shortcut_bits": 4, "weight_bits": 3, "stem_kernel": 5, "stem_stride": 2},
    ),
    "dynamic resnete": ("resnete", {**SMALL, "dynamic": "threshold", "reduction": 2}),
    "dynamic bireal": ("bireal", {**SMALL, "dynamic": "threshold"}),
    "dynamic reactnet_resnet": ("reactnet_resnet", {**SMALL, "dynamic": "threshold_and_shift"}),
    "dynamic mobilenet": ("reactnet_mobilenet", {**SMALL, "dynamic": "threshold_and_shift"}),
    "nasb": ("nasb", {"operations": [["conv3", "pool", "depthwise3"]], "widths": [4, 6]}),
    "nasb, pooled": ("nasb", {"operations": [["pool", "none", "dilated3"]], "widths": [4, 6]}),
    "nasb, skipping": ("nasb", {"operations": [["conv5", "skip", "conv1"]], "widths": [4, 6]}),
    "nasb, one edge": ("nasb", {"operations": [["conv3"]], "widths": [4, 6], "cells": [1, 2]}),
}


def test_every_topology_is_held_against_its_file() -> None:
    ours = {name for name, topology in TOPOLOGIES.items() if topology.__module__.startswith("zerocross.")}
    assert ours == {name for name, *_ in [*CHAINS.values(), *STREAMS.values()]}


def both(model: nn.Module, shape: tuple[int, ...], folder: Path) -> tuple[IntegerNetwork, Lowered]:
    """Return a network's integers, read from the module and from its file."""
    expected = to_integer(model, describe(model, shape))
    export(model, shape, folder / "model.onnx")
    return expected, lower(folder / "model.onnx")


def check_classes(
    model: nn.Module, lowered: Lowered, expected: IntegerNetwork, shape: tuple[int, ...]
) -> None:
    """Compare the classes of 40 random samples with torch."""
    x = torch.randint(0, 256, (40, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    given = lowered.quantize(x.numpy().astype(np.float32))
    assert np.array_equal(given, hardware_input(x, expected.network))
    with torch.no_grad():
        classes = model(x.float()).numpy().argmax(axis=1)
    for net in (lowered.network, expected):
        assert np.array_equal(net.run(given)["label"][:, 0], classes)


def same_table(one: CrossingTable, other: CrossingTable) -> bool:
    return one.grid == other.grid and all(
        np.array_equal(getattr(one, field), getattr(other, field)) for field in ("first", "offsets", "places")
    )


@pytest.mark.parametrize("bits", [1, 8])
@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_is_the_same_network(kind: str, bits: int, tmp_path: Path) -> None:
    """Names, operations, order, weights and tables are equal."""
    name, parameters, shape = CHAINS[kind]
    torch.manual_seed(7)
    encoding = {"thermometer": 3} if (name, bits) == ("hardwired", 8) else bits
    model = build(name, shape, 5, {**parameters, "input_bits": encoding})
    install(model, random_expressions(len(slots(model)), 7))
    settle(model, 7)
    expected, lowered = both(model, shape, tmp_path)
    found = lowered.network
    assert found.network == expected.network
    assert list(found.weights) == list(expected.weights) and list(found.tables) == list(expected.tables)
    assert all(np.array_equal(found.weights[layer], expected.weights[layer]) for layer in expected.weights)
    assert all(same_table(found.tables[layer], expected.tables[layer]) for layer in expected.tables)
    check_classes(model, lowered, expected, shape)


SLOW = ("dynamic bireal", "dynamic reactnet_resnet", "dynamic mobilenet")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in STREAMS]
)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_network_of_streams_is_the_same_network(kind: str, seed: int, tmp_path: Path) -> None:
    """The file's network equals the described one, except for exact simplifications by the lowering.

    - Levels that never occur, and weights' common factors, take no bits.
    - Two activations in a row are one.
    - A pool of levels that only a sign reads is a pool of bits.
    """
    name, parameters = STREAMS[kind]
    torch.manual_seed(seed)
    model = build(name, IMAGE, 4, parameters)
    install(model, [parse("add(sin(mul(2, x)), scale(x))")])
    settle_streams(model, seed)
    expected, lowered = both(model, IMAGE, tmp_path)
    found = lowered.network
    wanted = without_chained_activations(expected.network)
    operations = {layer.name: layer.operation for layer in found.network.layers}
    assert set(operations) == {layer.name for layer in wanted.layers}
    if "pool" not in str(parameters):
        assert [(layer.name, layer.inputs) for layer in found.network.layers] == [
            (layer.name, layer.inputs) for layer in wanted.layers
        ]
    for layer in wanted.layers:
        check_operation(operations[layer.name], layer.operation)
    for layer in found.weights:
        check_weights(found.weights[layer], expected.weights[layer])
    x = np.random.default_rng(seed).integers(0, 256, (40, 8, 8, 2))
    x = np.where(x > 127, 1, -1) if found.network.input.bits == 1 else x
    values, reference = found.run(x), expected.run(x)
    exact = 0
    for layer, table in found.tables.items():
        exact += same_table(table, expected.tables[layer])
        assert same_levels(values[pooled(found.network, layer)], reference[layer]), layer
    assert 3 * exact > len(found.tables)
    check_classes(model, lowered, expected, IMAGE)


def without_chained_activations(network: Network) -> Network:
    """Return the network without level activations whose only reader is another activation."""
    chained = {
        layer.name: layer.inputs[0]
        for layer in network.layers
        if isinstance(layer.operation, Activation)
        and [type(reader.operation) for reader in network.readers(layer.name)] == [Activation]
    }
    layers = tuple(
        replace(layer, inputs=tuple(chained.get(name, name) for name in layer.inputs))
        for layer in network.layers
        if layer.name not in chained
    )
    return replace(network, layers=layers)


def check_operation(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    for field in fields(expected):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if field.name in ("bits", "weight_bits"):
            assert one <= other
        elif field.name == "value":  # a pool of bits instead of levels pads with their least
            assert one == other or (one, other) == (-1, 0)
        elif field.name != "crossings":
            assert one == other


def check_weights(found: np.ndarray, expected: np.ndarray) -> None:
    """Weights are equal up to a factor per channel."""
    one, other = (weights.reshape(len(weights), -1).astype(int) for weights in (found, expected))
    assert found.shape == expected.shape
    factors = np.abs(other).max(axis=1) // np.abs(one).max(axis=1).clip(1)
    assert np.array_equal(one * factors[:, None].clip(1), other)


def pooled(network: Network, layer: str) -> str:
    """The layer itself, or the pool that is its only reader, padded or not."""
    readers = network.readers(layer)
    behind = readers[0].name if [type(each.operation) for each in readers] in ([MaxPool], [Pad]) else layer
    if behind != layer and isinstance(readers[0].operation, Pad):
        pool = pooled(network, behind)
        return layer if pool == behind else pool
    return behind


def same_levels(found: np.ndarray, expected: np.ndarray) -> bool:
    """Compare levels up to an offset and a common step."""
    one, other = (each - each.min() for each in (found, expected))
    step = max(1, np.gcd.reduce(other, axis=None)) // max(1, np.gcd.reduce(one, axis=None))
    return found.shape == expected.shape and np.array_equal(one * step, other)


def small(shape: tuple[int, ...] = (6,)) -> nn.Module:
    return settle(build("mlp", shape, 3, {"hidden": [4]}))


def test_the_file_runs_without_the_names(tmp_path: Path) -> None:
    """Only metadata remains of the marks, and the output comes from the node of the logits."""
    export(small(), (6,), tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    assert {node.domain for node in proto.graph.node} == {"", "qonnx.custom_op.general"}
    assert "zerocross" not in {opset.domain for opset in proto.opset_import}
    assert proto.graph.output[0].name in {name for node in proto.graph.node for name in node.output}
    named = {node.metadata_props[0].value: node.op_type for node in proto.graph.node if node.metadata_props}
    assert named == {"dense1": "MatMul", "dense1_sign": "BipolarQuant", "classifier": "MatMul"}


def test_a_network_that_ends_with_its_classifier(tmp_path: Path) -> None:
    model = nn.Sequential(InputQuant(8), BinaryLinear(6, 4), ActivationSlot(4), BinaryLinear(4, 3)).eval()
    expected, lowered = both(model, (6,), tmp_path)
    assert lowered.network.network == expected.network
    check_classes(model, lowered, expected, (6,))


class Unnamed(nn.Module):
    """Sums and flattens as functions instead of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.body = build("resnete", IMAGE, 4, SMALL)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def test_modules_within_modules(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = settle_streams(Unnamed())
    expected, lowered = both(model, IMAGE, tmp_path)
    names = [layer.name for layer in lowered.network.network.layers]
    assert names == [layer.name for layer in expected.network.layers]
    assert {"body.stages.0.0.conv", "add", "add_1", "add_2", "label"} <= set(names)


def test_a_layer_that_the_exporter_loses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {**exporting._NODES, Dense: frozenset({"Gemm"})}
    monkeypatch.setattr(exporting, "_NODES", kinds)
    message = (
        r"dense1 \(Dense\) has a node of type MatMul in the exported graph, so the layer cannot be named"
    )
    with pytest.raises(UnsupportedModule, match=message):
        export(small(), (6,), tmp_path / "model.onnx")
    monkeypatch.setattr(exporting, "_mark", lambda x, layer: x)
    with pytest.raises(
        UnsupportedModule, match=r"dense1 \(Dense\) has no node of its own in the exported graph"
    ):
        export(small(), (6,), tmp_path / "model.onnx")


def test_nodes_may_be_renamed(tmp_path: Path) -> None:
    """Names of layers stay with their nodes, whatever a tool calls nodes and tensors."""
    export(small(), (6,), tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    renamed: dict[str, str] = {}

    def called(name: str) -> str:
        return renamed.setdefault(name, f"tensor{len(renamed)}") if name else name

    node: NodeProto
    for index, node in enumerate(proto.graph.node):
        node.name = f"node{index}"
        node.input[:] = [called(name) for name in node.input]
        node.output[:] = [called(name) for name in node.output]
    for each in [*proto.graph.initializer, *proto.graph.input, *proto.graph.output]:
        each.name = called(each.name)
    onnx.save(proto, tmp_path / "renamed.onnx")
    names = [layer.name for layer in lower(tmp_path / "renamed.onnx").network.network.layers]
    assert names == ["dense1", "dense1_sign", "classifier", "label"]


def test_a_module_called_label() -> None:
    model = nn.Sequential()
    model.add_module("input", InputQuant(8))
    model.add_module("label", BinaryLinear(6, 3))
    with pytest.raises(UnsupportedModule, match=re.escape("label is the name of the hardware's output")):
        describe(model, (6,))
