"""Padding of any level, by any amounts: qonnx's executor against the integers, and against RTL."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from tests.finn_flows.integer_networks import as_streams
from tests.finn_flows.lowering.foreign import Graph, assert_same, samples
from tests.finn_flows.whole_designs import SideBySide
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.padding import own_padding
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.network import Pad
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import with_fifos


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


@settings(max_examples=5, deadline=None)
@given(convolutions())
def test_convolutions(drawn: tuple[ModelWrapper, tuple[int, ...]]) -> None:
    check(*drawn)


@settings(max_examples=5, deadline=None)
@given(pools())
def test_pools(drawn: tuple[ModelWrapper, tuple[int, ...]]) -> None:
    check(*drawn)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.one_of(convolutions(), pools()))
def test_many_convolutions_and_pools(drawn: tuple[ModelWrapper, tuple[int, ...]]) -> None:
    check(*drawn)


def bytes_and_a_pool(g: Graph) -> ModelWrapper:
    """Signed bytes, as Brevitas' default quantizer makes them, and a max-pool padded at the end."""
    levels(g, 8, True, False).conv(2, 4, pads=[1, 1, 1, 1]).norm(4, 8.0).bipolar()
    g.node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]).conv(4, 6, kernel=2)
    return finished(g, 6)


def ternary(g: Graph) -> ModelWrapper:
    levels(g, 2, True, True).conv(2, 6, strides=[2, 2], pads=[0, 2, 1, 0])
    return finished(g, 6)


def hidden_levels(g: Graph) -> ModelWrapper:
    """Signed levels into an even kernel, and what a depthwise convolution makes of their means."""
    hidden(levels(g, 4, False, False), 3, True).conv(4, 4, kernel=2, auto_pad="SAME_UPPER").norm(4, 8.0)
    levels(g, 3, True, False).node(
        "AveragePool", kernel_shape=[2, 2], strides=[2, 2], pads=[1, 0, 1, 0], count_include_pad=1
    )
    g.norm(4, 1.0)
    levels(g, 3, True, False).conv(4, 4, group=4, pads=[1, 1, 0, 1])
    return finished(g, 4)


def residual(g: Graph) -> ModelWrapper:
    """A sum of signed levels, padded with zeros."""
    levels(g, 3, False, False).conv(2, 4).norm(4, 8.0)
    skip = levels(g, 3, True, False).tensor
    g.bipolar().pad(1, 1, -1.0).conv(4, 4).norm(4, 6.0)
    levels(g, 3, True, False).node("Add", skip).conv(4, 6, pads=[1, 1, 1, 1])
    return finished(g, 6)


def accumulators(g: Graph) -> ModelWrapper:
    """A padded max-pool ahead of batch norm, of accumulators of signed levels."""
    levels(g, 3, True, False).conv(2, 4).node(
        "MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    )
    return finished(g, 4)


def pads_of_one(g: Graph) -> ModelWrapper:
    """Signs padded with +1 behind an activation that follows, then with -1 for a dense layer."""
    g.bipolar().conv(2, 4).pad(1, 0, 0.0).node("Cos").bipolar().conv(4, 4).norm(4, 6.0).bipolar()
    g.pad(0, 1, -1.0).node("Flatten")
    return g.dense(g.features(), 5).model()


KINDS: dict[str, tuple[Callable[[Graph], ModelWrapper], list[int]]] = {
    "bytes": (bytes_and_a_pool, [128, -1]),
    "ternary": (ternary, [1]),
    "hidden": (hidden_levels, [4, 4, 4]),
    "residual": (residual, [-1, 8]),
    "accumulators": (accumulators, [-9 * 2 * 7]),
    "ones": (pads_of_one, [1, -1]),
}
SHAPE = (1, 2, 7, 6)


@pytest.mark.slow
def test_rtl(tmp_path: Path, runtime: Path) -> None:
    """No difference to the file, and the estimated cycles."""
    x, designs, right, streams, costs = samples(SHAPE, 12), {}, {}, {}, {}
    for name, (build, values) in KINDS.items():
        lowered = check(build(Graph(SHAPE, 5)), SHAPE)
        net = lowered.network
        assert [pad.value for pad in paddings(lowered).values()] == values, name
        folding = Folding(target_cycles=600)
        designs[name] = with_fifos(assemble(plan(net.network, folding), net), 2048)
        inputs = lowered.quantize(x)
        streams[name], right[name] = as_streams(net, inputs), net.run(inputs)["label"]
        costs[name] = estimate(net.network, folding)
    whole = SideBySide.of(designs, tmp_path, runtime)
    for stalls in ((0.0, 0.0), (0.4, 0.4)):
        trace, outputs = whole.run(streams, stalls)
        for name, design in designs.items():
            assert (outputs[name] == right[name]).all(), name
            ends = trace.given[f"{name}_m"]
            fifos = sum(element.kind == "fifo" for element in design.elements)  # a cycle each
            latency = ends[0] - trace.taken[f"{name}_s"][0] + 1 - fifos
            if not any(stalls):
                assert costs[name].ii == pytest.approx(ends[-1] - ends[-2], rel=0.02), name
                assert costs[name].latency == pytest.approx(latency, rel=0.05, abs=1), name


def test_a_constant_pad_is_the_remedy_for_signs() -> None:
    g = Graph(SHAPE, 5).bipolar(0.1).conv(2, 4, pads=[1, 1, 1, 1])
    with pytest.raises(LoweringError, match=r"nn.ConstantPad2d\(\(1, 1, 1, 1\), -0.1\) ahead of it"):
        lower(finished(g, 4))
    check(finished(Graph(SHAPE, 5).bipolar(0.1).pad(1, 1, -0.1).conv(2, 4), 4), SHAPE)


@pytest.mark.parametrize(
    ("kernel", "pads", "is_refused"),
    [([3, 2], [2, 0, 0, 0], False), ([2, 3], [2, 0, 0, 0], True), ([3, 2], [0, 2, 0, 0], True)],
)
def test_a_pool_pads_by_less_than_its_kernel(kernel: list[int], pads: list[int], is_refused: bool) -> None:
    g = Graph(SHAPE, 5).bipolar().conv(2, 4)
    g.norm(4).bipolar().node("MaxPool", kernel_shape=kernel, strides=[1, 1], pads=pads)
    model = tidy(g.conv(4, 4, kernel=1).model())
    node = next(node for node in model.graph.node if node.op_type == "MaxPool")
    if not is_refused:
        assert own_padding(model, node) == (2, 0, 0, 0)
        return
    with pytest.raises(LoweringError, match="hold nothing else: use pads smaller than the kernel"):
        own_padding(model, node)
