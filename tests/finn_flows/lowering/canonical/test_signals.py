"""Signals as images: qonnx's executor on both."""

from collections.abc import Callable

import numpy as np
import pytest
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from tests.finn_flows.lowering.shapes import Shaped
from zerocross.finn_flows.lowering.canonical.signals import SignalsToImages
from zerocross.finn_flows.lowering.canonical.tidying import tidied

SHAPE = (1, 4, 12)


def conv(g: Shaped, **attributes: object) -> Shaped:
    return g.conv1d(4, 6, 3, **attributes)


def joined(g: Shaped, axis: int) -> Shaped:
    one = conv(g).tensor
    other = g.node("Neg").tensor
    return g.concat(one, other, axis=axis)


def per_channel(g: Shaped) -> Shaped:
    return conv(g).node("Add", g.constant(np.arange(6.0).reshape(1, 6, 1)))  # type: ignore[return-value]


def per_element(g: Shaped) -> Shaped:
    return conv(g).node("Mul", g.constant(np.arange(60.0).reshape(1, 6, 10)))  # type: ignore[return-value]


def two_signals(g: Shaped) -> Shaped:
    one = conv(g, pads=[1, 1]).tensor
    other = g.at("in").conv1d(4, 6, 1).tensor
    return g.at(one).node("Add", other)  # type: ignore[return-value]


CHAINS: dict[str, Callable[[Shaped], object]] = {
    "convolution": conv,
    "padded": lambda g: conv(g, pads=[2, 1]),
    "strided": lambda g: conv(g, strides=[2]),
    "dilated": lambda g: conv(g, dilations=[3], pads=[0, 2]),
    "grouped": lambda g: g.conv1d(4, 6, 3, group=2),
    "two convolutions": lambda g: conv(g).conv1d(6, 3, 2),
    "batch norm": lambda g: conv(g).norm(6),
    "mean pool": lambda g: g.node("AveragePool", kernel_shape=[3], strides=[2]),
    "max-pool": lambda g: g.node("MaxPool", kernel_shape=[2], strides=[2], pads=[1, 0]),
    "global mean": lambda g: conv(g).node("GlobalAveragePool"),
    "mean": lambda g: conv(g).node("ReduceMean", axes=[2]),
    "mean, last axis": lambda g: conv(g).node("ReduceMean", axes=[-1], keepdims=0),
    "mean of channels": lambda g: conv(g).node("ReduceMean", axes=[1]),
    "sum": lambda g: conv(g).node("ReduceSum", g.constant([2], np.int64), keepdims=0),
    "sum, kept": lambda g: conv(g).node("ReduceSum", g.constant([-1], np.int64)).node("Neg"),
    "channels joined": lambda g: joined(g, 1),
    "ends joined": lambda g: joined(g, 2),
    "ends joined, counted from behind": lambda g: joined(g, -1),
    "number for each channel": per_channel,
    "number for each element": per_element,
    "sum of two": two_signals,
    "chosen channels": lambda g: conv(g).node("Gather", g.constant([4, 0, 1], np.int64), axis=1),
    "chosen samples": lambda g: conv(g).node("Gather", g.constant([4, 0, 1], np.int64), axis=-1),
    "pad": lambda g: conv(g).node("Pad", g.constant([0, 0, 2, 0, 0, 1], np.int64), g.constant(1.5)),
    "transposed": lambda g: conv(g).node("Transpose", perm=[0, 2, 1]),
    "reshaped": lambda g: conv(g).node("Reshape", g.constant([1, 3, 20], np.int64)).conv1d(3, 2, 2),
    "flat": lambda g: conv(g).node("Flatten"),
    "softmax": lambda g: conv(g).node("Softmax", axis=1),
}


@pytest.mark.parametrize("name", CHAINS)
def test_an_image_gives_the_signals_numbers(name: str) -> None:
    g = Shaped(SHAPE, 1)
    CHAINS[name](g)
    model = tidied(g.model())
    x = np.random.default_rng(2).normal(size=(3, *SHAPE)).astype(np.float32)
    sink = model.graph.output[0].name
    expected = [execute_onnx(model, {"in": each})[sink] for each in x]
    SignalsToImages(model).rewrite()
    model = model.transform(InferShapes())
    for each, wanted in zip(x, expected, strict=True):
        found = execute_onnx(model, {"in": each})[sink]
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    windows = [node for node in model.graph.node if node.op_type in ("Conv", "AveragePool", "MaxPool")]
    assert windows
    assert all(len(model.get_tensor_shape(node.input[0])) == 4 for node in windows)


def test_what_needs_no_image_stays_a_signal() -> None:
    g = Shaped(SHAPE, 1)
    model = tidied(g.node("Relu").node("Transpose", perm=[0, 2, 1]).node("Flatten").model())
    before = [node.op_type for node in model.graph.node]
    SignalsToImages(model).rewrite()
    assert [node.op_type for node in model.graph.node] == before


def test_a_chain_of_signals_becomes_an_image_once() -> None:
    """There is a reshape at either end, and none between the nodes."""
    g = Shaped(SHAPE, 1)
    conv(g).norm(6).node("Relu").node("MaxPool", kernel_shape=[2], strides=[2])
    model = tidied(g.conv1d(6, 3, 2).model())
    SignalsToImages(model).rewrite()
    assert [node.op_type for node in model.graph.node].count("Reshape") == 2
