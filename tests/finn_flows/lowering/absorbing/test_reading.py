"""Exported Brevitas networks against `zerocross.hw_search.extraction.integers.to_integer` and against torch itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.finn_flows.finn_networks import cnv, mlp
from tests.finn_flows.finn_networks import export as export_plainly
from tests.hw_search.extraction.test_extraction import outputs, pixels, settle
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.graph.execution import run
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.network import Network
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.operations import BUILT_IN, Operation
from zerocross.models.topologies import build


def rows(table: CrossingTable) -> np.ndarray:
    return np.stack([table.row(channel) for channel in range(table.channels)])


def assert_equal(found: IntegerNetwork, expected: IntegerNetwork) -> None:
    assert found.network == expected.network
    for name, weights in expected.weights.items():
        assert np.array_equal(found.weights[name], weights)
    for name, table in expected.tables.items():
        assert found.tables[name].grid == table.grid
        assert np.array_equal(rows(found.tables[name]), rows(table)), name


def text(operation: Operation) -> str:
    name = operation.name
    if operation.arity == 0:
        return "x" if name == "x" else f"mul({name}, x)"
    return f"{name}(x)" if operation.arity == 1 else f"{name}(x, sin(mul(3, x)))"


@pytest.mark.parametrize("operation", BUILT_IN, ids=lambda operation: operation.name)
def test_every_operation(operation: Operation, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = build("mlp", (64,), 5, {"hidden": [40, 16], "input_bits": 8})
    install(model, [parse(f"add({text(operation)}, mul(0.1, x))")])
    settle(model, 1)
    expected = to_integer(model, describe(model, (64,)))
    export(model, (64,), tmp_path / "net.onnx")
    lowered = lower(tmp_path / "net.onnx")
    assert_equal(lowered.network, expected)
    x = pixels((64,), 50)
    classes = outputs(model, x)["class"]
    found = lowered.network.run(lowered.quantize(x.numpy().astype(np.float32)))["label"][:, 0]
    assert np.array_equal(found, classes)


@pytest.mark.parametrize("network", [mlp(1), mlp(8), cnv(1), cnv(8)], ids=["mlp1", "mlp8", "cnv1", "cnv8"])
def test_brevitas_without_our_layers(network: Network, tmp_path: Path) -> None:
    """Export, lower, and run: the classes are those of the exported graph."""
    lowered = lower(export_plainly(network, tmp_path / "net.onnx"))
    described = lowered.network.network
    assert [type(layer.operation) for layer in described.layers] == [
        type(layer.operation) for layer in network.layers
    ]
    assert described.shapes()[described.layers[-1].name] == (1,)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if network.input.bits == 1 else 256, (40, *network.input.shape))
    x = 2 * x - 1 if network.input.bits == 1 else x
    values = np.moveaxis(x, -1, 1).astype(np.float32)
    assert np.array_equal(lowered.quantize(values), x)
    logits = run(lowered.original, values)
    assert np.array_equal(lowered.network.run(x)["label"][:, 0], logits.argmax(axis=1))


def test_brevitas_with_levels(tmp_path: Path) -> None:
    """Weight scales by channel, 3-bit activations, a max-pool, biases: as Brevitas exports them."""
    import brevitas.nn as qnn
    from brevitas.export import export_qonnx
    from brevitas.quant import SignedBinaryWeightPerTensorConst

    class Weight(SignedBinaryWeightPerTensorConst):
        scaling_const = 0.3

    torch.manual_seed(0)
    model = nn.Sequential(
        qnn.QuantIdentity(bit_width=8),
        qnn.QuantConv2d(2, 6, 3, padding=1, bias=False, weight_quant=Weight),
        nn.BatchNorm2d(6),
        qnn.QuantReLU(bit_width=3),
        nn.MaxPool2d(2),
        qnn.QuantConv2d(6, 8, 3, padding=1, bias=True, weight_quant=Weight),
        nn.BatchNorm2d(8),
        qnn.QuantReLU(bit_width=2),
        nn.Flatten(),
        qnn.QuantLinear(8 * 9, 5, bias=False, weight_quant=Weight),
    )
    for _ in range(8):  # the activations' scales are learnt from what passes
        model(torch.randn(16, 2, 6, 6))
    model.eval()
    path = tmp_path / "net.onnx"
    export_qonnx(model, torch.randn(1, 2, 6, 6), str(path), dynamo=False)
    lowered = lower(path)
    x = torch.randn(200, 2, 6, 6)
    with torch.no_grad():
        logits = model(x)
    found = lowered.network.run(lowered.quantize(x.numpy()))
    assert [site.levels for site in lowered.activations] == [8, 4]
    integers = found["/9/MatMul"]
    scale = logits.abs().max() / np.abs(integers).max()
    assert np.allclose(integers * float(scale), logits.numpy(), rtol=1e-4, atol=1e-4)
