"""Padding of any level, by any amounts: qonnx's executor against the integers, and against RTL."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from tests.finn_flows.lowering.foreign import Graph, assert_same, samples
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.lowering.tidying import tidy
from zerocross.finn_flows.network import Pad


def levels(g: Graph, bits: int, signed: bool, narrow: bool) -> Graph:
    """Levels over the range of the samples."""
    return g.quant(bits, 2.0 ** (2 - bits), signed=signed, narrow=narrow)


def hidden(g: Graph, bits: int, signed: bool, channels: int = 4) -> Graph:
    """A convolution and its levels."""
    g.conv(g.channels, channels).norm(channels, 8.0)
    return levels(g, bits, signed, False)


def finished(g: Graph, channels: int) -> ModelWrapper:
    g.norm(channels, 6.0).bipolar().node("Flatten")
    features = tidy(g.model()).get_tensor_shape(g.tensor)[
        1
    ]  # onnx counts windows of ceil_mode that nobody executes
    return g.dense(features, 5).model()


def paddings(lowered: Lowered) -> dict[str, Pad]:
    layers = lowered.network.network.layers
    return {layer.name: layer.operation for layer in layers if isinstance(layer.operation, Pad)}


def check(model: ModelWrapper, shape: tuple[int, ...], count: int = 40) -> Lowered:
    lowered = lower(model)
    assert_same(lowered, model, samples(shape, count), distinct=1)
    return lowered


@st.composite
def windows(draw: st.DrawFn, pool: bool, size: tuple[int, int]) -> dict[str, object]:
    """Attributes of a convolution or a pool, with padding of any kind."""
    kernel = [draw(st.integers(1, 4)), draw(st.integers(1, 4))]
    dilations = [1, 1] if pool else [draw(st.integers(1, 2)), draw(st.integers(1, 2))]
    reach = [(side - 1) * by + 1 for side, by in zip(kernel, dilations, strict=True)]
    known: dict[str, object] = {
        "kernel_shape": kernel,
        "strides": [draw(st.integers(1, side)) if pool else draw(st.integers(1, 3)) for side in kernel],
    }
    if not pool:
        known["dilations"] = dilations
    automatic = draw(st.sampled_from(["", "", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if automatic == "VALID":
        automatic *= reach[0] <= size[0] and reach[1] <= size[1]
    if automatic and (automatic == "VALID" or dilations == [1, 1]):  # onnxruntime's limit
        known["auto_pad"] = automatic
        return known
    most = [side - 1 if pool else 3 for side in kernel * 2]
    pads = [draw(st.integers(0, each)) for each in most]
    for axis in (0, 1):  # a window must fit
        pads[axis + 2] += max(0, reach[axis] - size[axis] - pads[axis] - pads[axis + 2])
    known["pads"] = pads
    return known


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[ModelWrapper, tuple[int, ...]]:
    shape = (1, 2, draw(st.integers(4, 7)), draw(st.integers(4, 7)))
    bits, signed = draw(st.integers(2, 8)), draw(st.booleans())
    g = levels(Graph(shape, draw(st.integers(0, 99))), bits, signed, draw(st.booleans()))
    channels, size = 2, shape[2:]
    if draw(st.booleans()):
        g = hidden(g, draw(st.integers(2, 4)), draw(st.booleans()))
        channels, size = 4, (size[0] - 2, size[1] - 2)
    known, groups = draw(windows(False, size)), draw(st.sampled_from([1, 1, 2]))
    if draw(st.booleans()):
        amounts = [draw(st.integers(0, 2)) for _ in range(4)]
        pads = [0, 0, *amounts[:2], 0, 0, *amounts[2:]]
        g.node("Pad", g.constant(pads, np.int64), g.constant(draw(st.sampled_from([0.0, 1.0]))))
    kernel = known["kernel_shape"]
    weights = g.weights((6, channels // groups, *kernel), 0.5)  # type: ignore[misc]
    g.node("Conv", weights, group=groups, **known)
    return finished(g, 6), shape


@st.composite
def pools(draw: st.DrawFn) -> tuple[ModelWrapper, tuple[int, ...]]:
    shape = (1, 2, draw(st.integers(6, 9)), draw(st.integers(6, 9)))
    g = Graph(shape, draw(st.integers(0, 99))).bipolar()
    known = draw(windows(True, (shape[2] - 2, shape[3] - 2)))
    kind = draw(st.sampled_from(["signs", "levels", "accumulators", "means"]))
    if kind == "means":
        hidden(g, draw(st.integers(2, 4)), draw(st.booleans()))
        g.node("AveragePool", count_include_pad=1, **known)
        return finished(g, 4), shape
    known["ceil_mode"] = draw(st.integers(0, 1)) if "auto_pad" not in known else 0
    if kind == "levels":
        hidden(g, draw(st.integers(2, 4)), draw(st.booleans()))
    else:
        g.conv(2, 4)
        g = g.norm(4).bipolar() if kind == "signs" else g
    g.node("MaxPool", **known)
    if kind != "accumulators":
        g.conv(4, 4, kernel=1)
    return finished(g, 4), shape


@settings(max_examples=12, deadline=None)
@given(convolutions())
def test_convolutions(drawn: tuple[ModelWrapper, tuple[int, ...]]) -> None:
    check(*drawn)


@settings(max_examples=12, deadline=None)
@given(pools())
def test_pools(drawn: tuple[ModelWrapper, tuple[int, ...]]) -> None:
    check(*drawn)
