"""Batch execution against qonnx's own."""

import numpy as np
import pytest
import torch
from onnx import TensorProto
from scipy import special

from tests.finn_flows.lowering.foreign import Graph, execute, samples
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import run


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_a_network(batch: int) -> None:
    g = Graph((1, 2, 8, 8), 5).quant(4, 0.25).conv(2, 4).norm(4).branch("Sigmoid", "Mul").bipolar()
    g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).node("Reshape", g.constant([1, -1], np.int64))
    model = tidy(g.dense(g.features(), 5).node("Softmax").model())
    x = samples((1, 2, 8, 8), 20)
    np.testing.assert_allclose(run(model, x, batch), execute(model, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op_type", ["Cos", "Erf", "Exp", "Sigmoid", "Sin", "Tan", "Tanh"])
def test_functions_are_as_precise_as_float32(op_type: str) -> None:
    x = np.linspace(-30, 30, 4001, dtype=np.float32)[:, None]
    found = run(tidy(Graph((1, 1)).node(op_type).model()), x)
    exact = {"Erf": special.erf, "Sigmoid": special.expit}.get(op_type) or getattr(np, op_type.lower())
    np.testing.assert_allclose(found, exact(x.astype(np.float64)), rtol=3e-7, atol=0)


@pytest.mark.parametrize("shape", [(50, 6), (50, 6, 2, 3)])
def test_batch_norm_is_torchs_to_the_last_bit(shape: tuple[int, ...]) -> None:
    g = Graph((1, *shape[1:]), 3).norm(6)
    x = np.random.default_rng(0).integers(-5000, 5000, shape).astype(np.float32)
    weight, bias, mean, variance = (torch.from_numpy(each) for each in list(g.constants.values()))
    expected = torch.nn.functional.batch_norm(torch.from_numpy(x), mean, variance, weight, bias)
    assert np.array_equal(run(tidy(g.model()), x), expected.numpy())


def test_integer_inputs() -> None:
    g = Graph((1, 3), 0, TensorProto.UINT8).node("Cast", to=TensorProto.FLOAT).node("Mul", "half")
    g.constants["half"] = np.array(0.5, np.float32)
    x = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(run(tidy(g.model()), x), x / 2)


def test_the_node_that_fails_is_named() -> None:
    g = Graph((1, 3))
    model = tidy(g.node("Relu").model())
    with pytest.raises(LoweringError, match=r"Relu_0 \(Relu\) cannot be executed"):
        run(model, np.zeros((2, 3), np.complex64))
