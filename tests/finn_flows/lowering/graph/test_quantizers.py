"""Quantizers are known by what their nodes compute, against brute force over floats and qonnx's executor."""

from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.export import export_onnx_qcdq, export_qonnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.finn_flows.lowering.foreign import Graph, assert_same, execute, lower, samples
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import run
from zerocross.finn_flows.lowering.graph.quantizers import declared_values
from zerocross.finn_flows.network import Input

Build = Callable[[Graph], Graph]


def ternary(g: Graph) -> Graph:
    """Two comparisons of one tensor."""
    x = g.tensor
    high = g.node("Greater", g.constant(0.5)).node("Cast", to=TensorProto.FLOAT).tensor
    g.tensor = x
    low = g.node("Less", g.constant(-0.25)).node("Cast", to=TensorProto.FLOAT).tensor
    g.tensor = high
    return g.node("Sub", low)


INPUTS: dict[str, tuple[Build, Input]] = {
    "sign": (lambda g: g.node("Sign"), Input((10,), 2)),
    "larq's sign": (lambda g: g.node("Sign").node("Add", g.constant(0.1)).node("Sign"), Input((10,), 1)),
    "where": (
        lambda g: g.node("GreaterOrEqual", g.constant(0.0)).node("Where", g.constant(1.0), g.constant(-1.0)),
        Input((10,), 1),
    ),
    "greater, cast, mul, sub": (
        lambda g: (
            g.node("Greater", g.constant(0.2))
            .node("Cast", to=TensorProto.FLOAT)
            .node("Mul", g.constant(2.0))
            .node("Sub", g.constant(1.0))
        ),
        Input((10,), 1),
    ),
    "two comparisons": (ternary, Input((10,), 2)),
    "round and clip": (
        lambda g: (
            g.node("Mul", g.constant(4.0))
            .node("Round")
            .node("Clip", g.constant(-8.0), g.constant(7.0))
            .node("Div", g.constant(4.0))
        ),
        Input((10,), 4),
    ),
    "clip and round": (
        lambda g: g.node("Clip", g.constant(0.0), g.constant(1.0)).node("Mul", g.constant(3.0)).node("Round"),
        Input((10,), 2),
    ),
    "a scale between round and clip": (
        lambda g: (
            g.node("Mul", g.constant(4.0))
            .node("Round")
            .node("Mul", g.constant(-0.25))
            .node("Clip", g.constant(-1.0), g.constant(0.75))
        ),
        Input((10,), 3),
    ),
    "floor of x + 0.5": (
        lambda g: (
            g.node("Clip", g.constant(-2.0), g.constant(1.0)).node("Add", g.constant(0.5)).node("Floor")
        ),
        Input((10,), 2),
    ),
    "a hard sigmoid": (
        lambda g: (
            g.node("HardSigmoid", alpha=0.5, beta=0.5)
            .node("Round")
            .node("Mul", g.constant(2.0))
            .node("Sub", g.constant(1.0))
        ),
        Input((10,), 1),
    ),
    "int8": (lambda g: g.qdq(0.02, 0), Input((10,), 8)),
    "int8 of 4 bits": (lambda g: g.qdq(0.25, 0, limits=(-8, 7)), Input((10,), 4)),
    "uint8 with a zero point": (lambda g: g.qdq(0.02, 117, np.uint8), Input((10,), 8)),
    "a function of levels": (lambda g: g.qdq(1.0, 0, limits=(-2, 1)).node("Abs"), Input((10,), 2)),
    "of each channel's own mean": (
        lambda g: (
            g.node("Sub", g.constant(np.linspace(0, 1, 10)))
            .node("Less", g.constant(0.0))
            .node("Where", g.constant(1.0), g.constant(-1.0))
        ),
        Input((10,), 1),
    ),
    "limits of each channel's own": (
        lambda g: g.node("Max", g.constant(-(np.arange(10) % 3))).node("Round").node("Min", g.constant(1.0)),
        Input((10,), 2),
    ),
    "minifloats": (
        lambda g: g.node(
            "FloatQuant",
            *(g.constant(each) for each in (0.5, 2.0, 1.0, 1.0, 6.0)),
            domain="qonnx.custom_op.general",
            rounding_mode="ROUND",
            saturation=1,
            has_inf=0,
            has_nan=0,
            has_subnormal=1,
        ),
        Input((10,), 5),
    ),
    "qonnx's renamed Quant": (
        lambda g: g.node(
            "IntQuant",
            *(g.constant(each) for each in (0.25, 0.0, 3.0)),
            domain="qonnx.custom_op.general",
            signed=1,
            narrow=0,
            rounding_mode="ROUND",
        ),
        Input((10,), 3),
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs(name: str) -> None:
    build, expected = INPUTS[name]
    model = build(Graph((1, 10), 3)).dense(10, 12).norm(12, 8.0).bipolar().dense(12, 5).model()
    lowered = lower(model, host_part=name == "a function of levels")
    assert lowered.network.network.input == expected
    assert_same(lowered, model, np.concatenate([samples((1, 10)), np.zeros((1, 10), np.float32)]))


@pytest.mark.parametrize("name", INPUTS)
def test_hidden_quantizers(name: str) -> None:
    g = Graph((1, 10), 3).bipolar().dense(10, 10).norm(10, 8.0)
    model = INPUTS[name][0](g).dense(10, 5).model()
    assert_same(lower(model), model, samples((1, 10)))


@pytest.mark.parametrize("name", [name for name in INPUTS if "own" not in name])
def test_weights(name: str) -> None:
    """Quantized weights are constants, whatever nodes compute them."""
    g = Graph((1, 10), 3).bipolar()
    x = g.tensor
    g.tensor = g.constant(g.rng.normal(size=(10, 12)))
    weights = INPUTS[name][0](g).tensor
    g.tensor = x
    if name == "uint8 with a zero point":
        return  # 9 bits
    model = g.node("MatMul", weights).norm(12).bipolar().dense(12, 5).model()
    assert_same(lower(model), model, samples((1, 10)))


@pytest.mark.parametrize("axis", [1, -3])
def test_quantize_linear_of_each_channel(axis: int) -> None:
    """A QuantizeLinear with one scale for each channel of an image."""
    g = Graph((1, 2, 5, 5), 3).bipolar().conv(2, 3)
    inputs = g.constant([0.5, 1.0, 2.0]), g.constant([0, 0, 0], np.int8)
    g.node("QuantizeLinear", *inputs, axis=axis).node("DequantizeLinear", *inputs, axis=axis)
    model = g.node("Flatten").node("Sign").dense(27, 5).model()
    assert_same(lower(model), model, samples((1, 2, 5, 5)))


def test_biases_of_32_bits() -> None:
    g = Graph((1, 10), 3).bipolar()
    x = g.tensor
    g.tensor = g.constant(g.rng.integers(-9, 9, 12), np.int32)
    bias = g.node("DequantizeLinear", g.constant(0.125)).tensor
    g.tensor = x
    g.node("Gemm", g.weights((10, 12), 0.125), bias)
    model = g.bipolar().dense(12, 5).model()
    assert_same(lower(model), model, samples((1, 10)))


def test_two_layers_read_one_quantizer() -> None:
    """A residual stream behind QuantizeLinear lowers to the integers of the same stream behind a Quant."""

    def stream(quantizer: Build) -> Graph:
        g = quantizer(Graph((1, 10), 3).bipolar().dense(10, 12).norm(12))
        skip = g.tensor
        g = quantizer(g.bipolar().dense(12, 12).norm(12)).node("Add", skip)
        return g.bipolar().dense(12, 5)

    named, unnamed = (
        lower(stream(each).model())
        for each in (lambda g: g.quant(2, 0.5, signed=True), lambda g: g.qdq(0.5, 0, limits=(-2, 1)))
    )
    assert named.network.network.layers == unnamed.network.network.layers
    for name, table in named.network.tables.items():
        assert np.array_equal(table.places, unnamed.network.tables[name].places)


def test_both_exports_of_brevitas_are_one_integer_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        qnn.QuantIdentity(bit_width=8),
        qnn.QuantLinear(10, 16, bias=False, weight_bit_width=2),
        torch.nn.BatchNorm1d(16),
        qnn.QuantReLU(bit_width=2),
        qnn.QuantLinear(16, 5, bias=False, weight_bit_width=4),
    )
    for _ in range(3):
        net(torch.randn(32, 10))
    net.eval()
    for export in (export_onnx_qcdq, export_qonnx):
        export(
            net,
            args=torch.randn(1, 10),
            export_path=str(tmp_path / f"{export.__name__}.onnx"),
            dynamo=False,
        )
    one, other = (
        lower(tmp_path / f"{each.__name__}.onnx").network for each in (export_onnx_qcdq, export_qonnx)
    )
    assert one.network == other.network
    for name, weights in one.weights.items():
        assert np.array_equal(weights, other.weights[name])
    for name, table in one.tables.items():
        assert np.array_equal(table.first, other.tables[name].first)
        assert np.array_equal(table.places, other.tables[name].places)


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT8, TensorProto.BOOL])
def test_integer_inputs(kind: int) -> None:
    g = Graph((1, 10), 5, kind).node("Cast", to=TensorProto.FLOAT).dense(10, 12).norm(12, 300.0)
    model = g.bipolar().dense(12, 5).model()
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    x = np.random.default_rng(0).integers(low, high + 1, (60, 10))
    lowered = lower(model)
    found = lowered.network.run(lowered.quantize(x.astype(dtype)))["label"][:, 0]
    scores = execute(tidy(model), x.astype(np.float32))
    assert np.array_equal(found, scores.argmax(axis=1))


def test_an_input_of_many_bits_is_limited_behind() -> None:
    g = Graph((1, 10), 5, TensorProto.INT64).node("Cast", to=TensorProto.FLOAT)
    g.node("Clip", g.constant(-8.0), g.constant(7.0)).node("Round")
    model = g.dense(10, 12).norm(12).bipolar().dense(12, 5).model()
    assert lower(model).network.network.input == Input((10,), 4)


UNLIMITED: dict[str, tuple[Build, str]] = {
    "a round without limits": (lambda g: g.node("Round"), r"Round_0 \(Round\) may have more than 256 values"),
    "limits without a round": (
        lambda g: g.node("Clip", g.constant(-1.0), g.constant(1.0)),
        r"Clip_0 \(Clip\) may have more than 256 values: put a BipolarQuant, a Quant, or a Round and a Clip",
    ),
    "a sine of floats": (lambda g: g.node("Sin").node("Round"), r"Round_1 \(Round\) may have more than"),
    "a cast that may overflow": (
        lambda g: g.node("Cast", to=TensorProto.INT8).node("Cast", to=TensorProto.FLOAT),
        r"Cast_1 \(Cast\) may have more than 256 values",
    ),
    "scales of each channel's own": (
        lambda g: (
            g.node("Clip", g.constant(-1.0), g.constant(1.0))
            .node("Round")
            .node("Mul", g.constant(np.linspace(1, 2, 10) ** 0.5))
        ),
        r"its input has different scales in its channels: quantize it with one scale",
    ),
    "16 bits": (lambda g: g.quant(16, 0.1), r"Quant_0 \(Quant\) has 16 bits: quantize the input to up to 8"),
}


@pytest.mark.parametrize("name", UNLIMITED)
def test_refusals(name: str) -> None:
    build, message = UNLIMITED[name]
    with pytest.raises(LoweringError, match=message):
        lower(build(Graph((1, 10), 3)).dense(10, 12).bipolar().dense(12, 5).model())


_NUMBERS = st.floats(-8, 8, width=16).map(float)
_SCALES = st.sampled_from([0.1, 0.25, 1.0, 3.0, -0.5, -2.0])
_STEPS = st.one_of(
    st.tuples(st.just("Add"), _NUMBERS),
    st.tuples(st.sampled_from(["Mul", "Div"]), _SCALES),
    st.tuples(st.sampled_from(["Round", "Floor", "Ceil", "Neg", "Tanh", "Relu", "Sigmoid"]), st.just(None)),
    st.tuples(st.just("Clip"), st.tuples(_NUMBERS, st.floats(0, 16, width=16)).map(lambda p: (p[0], sum(p)))),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(_STEPS, max_size=6), st.lists(st.sampled_from(["Sin", "Abs", "Neg"]), max_size=2), st.data())
def test_values_against_brute_force(steps: list, behind: list[str], data: st.DataObject) -> None:
    """No float has a value that is not found, and every value that is found belongs to a float."""
    g = Graph((1, 2))
    for op_type, parameter in steps:
        numbers = parameter if isinstance(parameter, tuple) else () if parameter is None else (parameter,)
        g.node(op_type, *(g.constant(each) for each in numbers))
    low = data.draw(st.integers(-9, 0))
    g.node("Round").node("Clip", g.constant(low), g.constant(low + data.draw(st.integers(0, 20))))
    for op_type in behind:
        g.node(op_type)
    model = tidy(g.model())
    found = declared_values(model, g.tensor)
    assert found is not None
    fine = np.concatenate([np.arange(-40, 40, 1 / 64), np.geomspace(1e-30, 3e38, 2000), [np.inf, 2.0**24]])
    x = np.concatenate([fine, -fine, np.nextafter(fine, np.inf)]).astype(np.float32)
    seen = run(model, np.repeat(x[:, None], 2, axis=1))
    assert set(seen[:, 0].tolist()) <= set(found[:, 0].tolist())
    assert len(np.unique(found[:, 0])) <= 21


def test_channels_of_several_scales_share_a_grid() -> None:
    """Scales of 1 to 10 times -1 and 1 are levels of one scale."""
    g = Graph((1, 10), 3).bipolar().node("Mul", "scales").dense(10, 12).norm(12, 8.0)
    g.constants["scales"] = np.arange(1, 11).astype(np.float32)
    model = g.bipolar().dense(12, 5).model()
    lowered = lower(model)
    assert lowered.network.network.input == Input((10,), 5)
    assert_same(lowered, model, samples((1, 10)))
