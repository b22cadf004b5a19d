"""Absorbed graphs against qonnx's own execution of the graphs they come from."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames, RemoveUnusedTensors
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.cleanup import cleanup_model

from tests.finn_flows.finn_networks import cnv, export
from tests.finn_flows.lowering.foreign import QONNX, Graph, assert_same, execute, lower, samples
from zerocross.finn_flows.lowering.absorbing.absorb import AbsorbActivations, step_absorb_activations
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.network import Conv, Flatten, Input, MaxPool


def check(g: Graph, **numbers: int) -> list[str]:
    """Lower a graph, hold it against itself, and return the layers' names."""
    model = g.model()
    lowered = lower(model)
    assert_same(lowered, model, samples(g.shape, **numbers))
    return [layer.name for layer in lowered.network.network.layers]


def test_dense_chain() -> None:
    g = Graph((1, 12)).bipolar().dense(12, 9).norm(9).node("Sin").bipolar().dense(9, 5)
    model = g.model()
    assert_same(lower(model), model, samples((1, 12)))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("scale", [0.25, 0.1, 1.7])
def test_relu_and_quant(bits: int, scale: float) -> None:
    rng = np.random.default_rng(bits)
    g = Graph((1, 10), bits).quant(8, 0.02, signed=True)
    g.dense(10, 14, scale=rng.uniform(0.1, 1, 14)).norm(14, 1.0).node("Relu").quant(bits, scale)
    g.dense(14, 11, scale=0.3, quant="Quant").norm(11, scale).node("Relu").quant(bits, scale)
    model = g.dense(11, 4, scale=0.7).model()
    lowered = lower(model)
    assert max(site.levels for site in lowered.activations) == 2**bits
    assert_same(lowered, model, samples((1, 10)))


def test_three_signed_levels() -> None:
    g = Graph((1, 10)).bipolar(0.5).dense(10, 14).norm(14).quant(2, 0.8, signed=True, narrow=True)
    g.dense(14, 12, scale=0.2).norm(12, 0.5).quant(2, 0.5, signed=True, narrow=True)
    model = g.dense(12, 12).norm(12, 1.5).bipolar(0.3).dense(12, 6).model()
    lowered = lower(model)
    assert [site.levels for site in lowered.activations] == [4, 4, 2]
    assert_same(lowered, model, samples((1, 10)))


# An activation of 12 channels, spread about 3, by what it ends in.
ACTIVATIONS: dict[str, Callable[[Graph], Graph]] = {
    "sine": lambda g: g.node("Sin").bipolar(),
    "erf of a square": lambda g: (
        g.node("Pow", g.constant(2.0)).node("Erf").node("Sub", g.constant(0.7)).bipolar()
    ),
    "prelu": lambda g: g.node("PRelu", g.constant(g.rng.normal(size=12))).quant(3, 0.4, signed=True),
    "clip": lambda g: g.node("Clip", g.constant(-1.0), g.constant(1.5)).quant(4, 0.125, signed=True),
    "max": lambda g: g.node("Max", g.constant(g.rng.normal(size=(1, 12)))).quant(2, 0.5),
    "leaky": lambda g: g.node("LeakyRelu", alpha=0.1).node("Div", g.constant(-0.7)).bipolar(2.0),
    "gate": lambda g: g.branch("Sigmoid", "Mul").bipolar(0.25),
    "where": lambda g: g.where(1.0, -0.4),
    "sign": lambda g: g.node("Sign"),
    "floor": lambda g: g.node("Clip", g.constant(-3.0), g.constant(3.0)).node("Floor"),
    "two levels": lambda g: g.quant(1, 0.8),
    "levels, then a scale and an offset": lambda g: (
        g.node("Relu").quant(2, 1.0).node("Mul", g.constant(-0.3))
    ),
    "zero point": lambda g: g.quant(3, 0.5, zero=4.0),
    "thresholds": lambda g: g.node(
        "MultiThreshold",
        g.constant(np.sort(g.rng.normal(size=(12, 3)), axis=1)),
        domain=QONNX,
        out_dtype="UINT2",
        out_scale=0.5,
        out_bias=-0.5,
    ),
    "nothing but a quantizer": lambda g: g.bipolar(),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    g = ACTIVATIONS[name](Graph((1, 10), 3).bipolar().dense(10, 12).norm(12))
    check(g.dense(12, 11, scale=0.3).norm(11, 1.0).bipolar().dense(11, 5))


def test_truncation() -> None:
    g = Graph((1, 10), 3).bipolar().dense(10, 12).norm(12).quant(4, 0.25)
    parameters = [g.constant(value) for value in (0.25, 0.0, 4.0, 2.0)]
    g.node("Trunc", *parameters, domain=QONNX, rounding_mode="FLOOR")
    check(g.dense(12, 11, scale=0.3).norm(11, 1.0).bipolar().dense(11, 5))


def test_unsigned_levels_ahead_of_the_classifier() -> None:
    g = Graph((1, 10), 3).bipolar().dense(10, 12).norm(12).node("Relu")
    check(g.quant(1, 0.8).dense(12, 5))


def test_a_residual_of_whole_accumulators_is_levels() -> None:
    """Few accumulators are equidistant levels without any quantizer."""
    g = Graph((1, 10), 3).bipolar().dense(10, 12).node("Relu")
    check(g.dense(12, 11).norm(11, 12.0).bipolar().dense(11, 5))


def test_gemm() -> None:
    g = Graph((1, 10), 3).bipolar()
    g.node("Gemm", g.weights((12, 10), 0.5), g.constant(g.rng.normal(size=12)), transB=1, alpha=0.5, beta=2.0)
    g.node("Sin").bipolar()
    g.node("Gemm", g.weights((12, 5), 1.5))
    check(g)


@pytest.mark.parametrize("activation", ["bipolar", "levels"])
@pytest.mark.parametrize("pool", ["none", "accumulators", "inside", "levels"])
def test_convolutions(activation: str, pool: str) -> None:
    g = Graph((1, 3, 9, 8), 5).quant(8, 0.02, signed=False)
    g.conv(3, 4, scale=g.rng.uniform(0.1, 1, (4, 1, 1, 1)), pads=[1, 1, 1, 1])
    if pool == "accumulators":
        g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    g.norm(4)
    if pool == "inside":
        g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    g = g.node("Relu").quant(2, 0.4) if activation == "levels" else g.bipolar(0.5)
    if pool == "levels":
        g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    if activation == "levels":
        g.conv(4, 6, scale=0.25, pads=[1, 0, 1, 0], strides=[2, 1])
    else:
        g.pad(1, 0, -0.5).conv(4, 6, scale=0.25, strides=[2, 1])
    g.norm(6, 1.0).node("Tanh").bipolar().node("Flatten")
    names = check(g.dense(g.features(), 5))
    assert ("pool1" in names) == (pool != "none")


def test_groups() -> None:
    g = Graph((1, 4, 6, 6), 5).bipolar()
    g.conv(4, 8, group=2).norm(8).bipolar().conv(8, 8, kernel=1, group=8).node("Sin").bipolar().node(
        "Flatten"
    )
    model = g.dense(g.features(), 5).model()
    lowered = lower(model)
    assert_same(lowered, model, samples(g.shape))
    operations = [layer.operation for layer in lowered.network.network.layers]
    assert [each.groups for each in operations if isinstance(each, Conv)] == [2, 8]


def test_a_pool_stays_ahead_of_what_falls() -> None:
    g = Graph((1, 2, 6, 6), 5).bipolar().conv(2, 4).node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    g.node("Sin").bipolar().node("Flatten")
    names = check(g.dense(g.features(), 5))
    assert names[:3] == ["conv1", "pool1", "conv1_sign"]


def test_a_pool_moves_behind_what_rises() -> None:
    g = Graph((1, 2, 6, 6), 5).bipolar().conv(2, 4).norm(4).node("Sin")
    g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).node("Neg").node("Neg").bipolar().node("Flatten")
    names = check(g.dense(g.features(), 5))
    assert names[:3] == ["conv1", "conv1_sign", "pool1"]


@pytest.mark.parametrize("parameters", ["channels", "features"])
def test_a_flatten_inside(parameters: str) -> None:
    g = Graph((1, 2, 5, 6), 5).bipolar().conv(2, 4).norm(4).node("Flatten")
    g = (
        g.node("Sin")
        if parameters == "channels"
        else g.node("Add", g.constant(g.rng.normal(size=g.features())))
    )
    check(g.bipolar().dense(g.features(), 5))


def test_channels_last_in_between() -> None:
    g = Graph((1, 5, 6, 2), 5).bipolar().node("Transpose", perm=[0, 3, 1, 2]).conv(2, 4)
    g.node("Transpose", perm=[0, 2, 3, 1]).node("Mul", g.constant(g.rng.normal(size=4))).node("Cos").bipolar()
    g.node("Transpose", perm=[0, 3, 1, 2]).conv(4, 6).norm(6).node("Transpose", perm=[0, 2, 3, 1]).bipolar()
    check(g.node("Flatten").dense(g.features(), 5))


def test_the_input_is_reshaped_to_an_image() -> None:
    g = Graph((1, 36), 5)
    g.node("Mul", g.constant(0.5)).bipolar().node("Reshape", g.constant([1, 1, 6, 6], np.int64))
    check(g.conv(1, 4).node("Sin").bipolar().node("Reshape", g.constant([1, -1], np.int64)).dense(64, 5))


def test_weights_and_padding_of_the_input() -> None:
    g = Graph((1, 2, 6, 6), 5).bipolar(0.5).pad(1, 1, -0.5).conv(2, 4).node("Sin").bipolar(2.0)
    check(g.node("Flatten").dense(g.features(), 5))


def test_zero_padding_of_single_bits() -> None:
    g = Graph((1, 2, 6, 6), 5).quant(1, 0.7).conv(2, 4, pads=[1, 1, 1, 1]).norm(4).quant(1, 0.3)
    g.conv(4, 4, pads=[1, 1, 1, 1]).norm(4).bipolar().node("Flatten")
    check(g.dense(g.features(), 5))


@pytest.mark.parametrize("datatype", ["UINT8", "INT4", "UINT2", "BIPOLAR"])
def test_an_annotated_input(datatype: str) -> None:
    g = Graph((1, 10), 5)
    g.node("Mul", g.constant(0.125)).dense(10, 12).norm(12, 30.0 if datatype == "UINT8" else 1.0).bipolar()
    model = g.dense(12, 5).model()
    model.set_tensor_datatype("in", DataType[datatype])
    kind = DataType[datatype]
    x = np.random.default_rng(0).integers(int(kind.min()), int(kind.max()) + 1, (60, 10)).astype(np.float32)
    x[x == 0] += float(datatype == "BIPOLAR")
    lowered = lower(model)
    assert lowered.network.network.input == Input((10,), kind.bitwidth())
    assert_same(lowered, model, x)


def test_an_input_of_bytes() -> None:
    g = Graph((1, 10), 5, TensorProto.UINT8).node("Cast", to=TensorProto.FLOAT).dense(10, 12).norm(12, 300.0)
    model = g.bipolar().dense(12, 5).model()
    x = np.random.default_rng(0).integers(0, 256, (60, 10)).astype(np.float32)
    assert_same(lower(model), model, x)


ENDINGS: dict[str, Callable[[Graph], Graph]] = {
    "a scale": lambda g: g.node("Mul", g.constant(0.01)),
    "a scale and a shift": lambda g: g.node("Div", g.constant(3.0)).node("Add", g.constant([[7.0]])),
    "softmax": lambda g: g.node("Softmax", axis=1),
    "log softmax": lambda g: g.node("Mul", g.constant(0.1)).node("LogSoftmax", axis=-1),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_endings(name: str) -> None:
    check(ENDINGS[name](Graph((1, 10), 3).bipolar().dense(10, 12).norm(12).bipolar().dense(12, 5, scale=0.2)))


@pytest.mark.parametrize("ending", ["ArgMax", "TopK"])
def test_a_graph_that_ends_in_a_class(ending: str) -> None:
    g = Graph((1, 10), 3).bipolar().dense(10, 12).norm(12).bipolar().dense(12, 5).node("Softmax")
    if ending == "ArgMax":
        model = g.node("ArgMax", axis=1).model(elem_type=TensorProto.INT64)
    else:
        g.node("TopK", g.constant([1], np.int64))
        g.nodes[-1].output.append("class")
        model = g.model("class", elem_type=TensorProto.INT64)
    x = samples((1, 10))
    lowered = lower(model)
    found = lowered.network.run(lowered.quantize(x))["label"][:, 0]
    assert np.array_equal(found, execute(tidy(model), x)[:, 0])


def test_a_convolution_as_classifier() -> None:
    g = Graph((1, 2, 3, 3), 5).bipolar().conv(2, 8).norm(8).bipolar().conv(8, 5, kernel=1)
    assert check(g)[-2:] == ["flatten", "label"]
    assert check(g.node("Flatten"))[-2:] == ["flatten", "label"]


STOCK = (
    InferShapes(),
    FoldConstants(),
    GiveUniqueNodeNames(),
    GiveReadableTensorNames(),
    InferDataTypes(),
    InferDataLayouts(),
    RemoveUnusedTensors(),
)


def convolutional() -> Graph:
    g = Graph((1, 2, 8, 8), 5).quant(4, 0.25).conv(2, 4, scale=0.5).norm(4).node("Sin").quant(2, 0.3)
    g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(4, 6).norm(6).bipolar(0.5).node("Flatten")
    return g.dense(g.features(), 5, scale=0.1)


def test_stock_passes_before_and_after(tmp_path: Path) -> None:
    model, x = convolutional().model(), samples((1, 2, 8, 8))
    expected = execute(tidy(model), x)
    before = cleanup_model(copy.deepcopy(model), preserve_qnt_ops=False).transform(InferDataTypes())
    absorbed = before.transform(AbsorbActivations())
    for step in STOCK:
        absorbed = absorbed.transform(step)
        np.testing.assert_allclose(execute(absorbed, x), expected, rtol=1e-5, atol=1e-5)
    path = tmp_path / "absorbed.onnx"
    absorbed.save(str(path))
    again = ModelWrapper(str(path))
    np.testing.assert_allclose(execute(again, x), expected, rtol=1e-5, atol=1e-5)
    assert_same(lower(path), model, x)


def test_the_absorbed_graph_is_one_of_integers() -> None:
    absorbed = lower(convolutional().model()).model.transform(InferDataTypes())
    crossings = [node for node in absorbed.graph.node if node.op_type == "Crossings"]
    names = [absorbed.get_tensor_datatype(node.output[0]).name for node in crossings]
    assert names == ["UINT2", "BIPOLAR"]
    assert all(absorbed.get_customop_wrapper(node).verify_node() for node in crossings)
    kinds = {node.op_type for node in absorbed.graph.node}
    assert kinds == {
        "Quant",
        "Div",
        "Sub",
        "Round",
        "Conv",
        "Crossings",
        "MaxPool",
        "Flatten",
        "MatMul",
        "Mul",
    }
    for node in absorbed.graph.node:
        if node.op_type in ("Conv", "MatMul"):
            assert set(np.unique(absorbed.get_initializer(node.input[1]))) == {-1, 1}


def test_absorbing_twice_changes_nothing() -> None:
    once = tidy(convolutional().model()).transform(AbsorbActivations())
    text = once.model.SerializeToString()
    assert AbsorbActivations().apply(once)[1] is False
    assert step_absorb_activations(once, None).model.SerializeToString() == text


def test_the_original_is_left_alone() -> None:
    model = convolutional().model()
    text = model.model.SerializeToString()
    lowered = lower(model)
    assert model.model.SerializeToString() == text
    assert any(node.op_type == "Sin" for node in lowered.original.graph.node)


def test_sites() -> None:
    first, second = lower(convolutional().model()).activations
    assert first.operations == ("BatchNormalization", "Sin", "Quant")
    assert (first.name, first.channels, first.levels) == ("conv1_levels", 4, 4)
    assert second.operations == ("BatchNormalization", "BipolarQuant")
    assert (second.least, second.mean, second.most, second.levels) == (1, 1.0, 1, 2)
    assert first.points > second.points > 0


def test_a_wide_input_is_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    g = Graph((1, 10), 5).quant(8, 0.02).dense(10, 12).norm(12).node("Sin").quant(3, 0.3, signed=True)
    model = g.dense(12, 12).norm(12).bipolar().dense(12, 5).model()
    whole = lower(model).network
    monkeypatch.setattr("zerocross.finn_flows.lowering.absorbing.evaluation._CHUNK", 12 * 37)
    parts = lower(model).network
    for name, table in whole.tables.items():
        for one, other in zip(vars(table).values(), vars(parts.tables[name]).values(), strict=True):
            assert np.array_equal(one, other)


def test_shapes_of_the_layers() -> None:
    network = lower(convolutional().model()).network.network
    assert network.input == Input((8, 8, 2), 4)
    kinds = [type(layer.operation) for layer in network.layers]
    assert kinds.count(MaxPool) == kinds.count(Flatten) == 1
    assert network.shapes()["conv2"] == (1, 1, 6)


@pytest.mark.parametrize("batch", [4, "N"])
def test_graphs_for_batches(batch: int | str) -> None:
    g = Graph((1, 2, 6, 6), 5).bipolar().conv(2, 4).norm(4).bipolar()
    g.node("Reshape", g.constant([4 if batch == 4 else 0, -1], np.int64))
    model = g.dense(64, 5).model()
    one = copy.deepcopy(model)
    dim = model.graph.input[0].type.tensor_type.shape.dim[0]
    if batch == 4:
        dim.dim_value = 4
        (reshape,) = one.get_nodes_by_op_type("Reshape")
        one.set_initializer(reshape.input[1], np.array([1, -1]))
    else:
        dim.ClearField("dim_value")
        dim.dim_param = batch
    assert_same(lower(model), one, samples((1, 2, 6, 6)))


def test_any_order_of_operator_sets() -> None:
    model = convolutional().model()
    model.model.opset_import.sort(key=lambda opset: opset.domain == "")
    assert_same(lower(model), convolutional().model(), samples((1, 2, 8, 8)))


OPERATIONS = ["Abs", "Cos", "Elu", "Erf", "Neg", "Relu", "Round", "Sigmoid", "Sin", "Softplus", "Tanh"]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(OPERATIONS), max_size=3),
    st.sampled_from([None, "Add", "Max", "Mul", "Sub"]),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 1000),
)
def test_any_region(operations: list[str], join: str | None, bits: int, norm: bool, seed: int) -> None:
    """Elementwise nodes in any order, some of them in two branches, and any quantizer.

    Scales are powers of two: with others an accumulator of 0 is a tie that floats decide by their rounding.
    """
    g = Graph((1, 9), seed).quant(4, 0.25, signed=True).dense(9, 8, scale=2.0 ** -(seed % 4))
    if norm:
        g.norm(8, 0.5)
    start = g.tensor
    for operation in operations:
        g.node(operation)
    if join:
        g.node("Add", g.constant(g.rng.normal(size=8))).node(join, start)
    g = g.quant(bits, 0.37, signed=bool(seed % 2)) if bits > 1 else g.bipolar(1.0 + bits)
    model = g.dense(8, 8).norm(8, 1.0).bipolar().dense(8, 4).model()
    x = samples((1, 9))
    lowered = lower(model)
    given_ = lowered.quantize(x)
    np.testing.assert_allclose(execute(lowered.model, x), execute(tidy(model), x), atol=1e-5)
    found = lowered.network.run(given_)["classifier"]
    assert np.array_equal(found, execute(lowered.model, x))


@pytest.mark.parametrize("step", ["before", "after"])
def test_finns_passes(step: str, tmp_path: Path) -> None:
    """FINN's own conversion ahead, which makes thresholds of quantizers; its tidying behind."""
    from zerocross.finn_flows.finn_patches import prepare_finn

    prepare_finn()
    from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN

    lowered = lower(export(cnv(8), tmp_path / "net.onnx"))
    model = lowered.original if step == "before" else lowered.model
    converted = model.transform(ConvertQONNXtoFINN())
    assert "BipolarQuant" not in {node.op_type for node in converted.graph.node}
    again = lower(converted).network
    assert again.network == lowered.network.network
    for name, table in lowered.network.tables.items():
        assert np.array_equal(again.tables[name].places, table.places)
        assert np.array_equal(again.tables[name].first, table.first)
