"""ONNX's operators on integers: onnxruntime's quantised files against the integers."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from qonnx.core.modelwrapper import ModelWrapper

from tests.finn_flows.lowering.canonical.test_rewriting import check
from tests.finn_flows.lowering.foreign import samples
from tests.finn_flows.lowering.shapes import Shaped
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import Lowered, lower


class Reader(CalibrationDataReader):
    """Samples for the ranges of the tensors."""

    def __init__(self, x: np.ndarray) -> None:
        self.rows = iter([{"in": row[None]} for row in x])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rows, None)


def network() -> Shaped:
    g = Shaped((1, 2, 6, 6), 3)
    for ins, outs in ((2, 4), (4, 3)):
        weights = g.constant(g.rng.normal(size=(outs, ins, 3, 3)))
        bias = g.constant(g.rng.normal(size=outs))
        g.node("Conv", weights, bias, kernel_shape=[3, 3], pads=[1] * 4).node("Relu")
    g.node("Flatten")
    return g.node("Gemm", g.constant(g.rng.normal(size=(108, 5))), g.constant(g.rng.normal(size=5)))  # type: ignore[return-value]


def held(path: Path, shape: tuple[int, ...]) -> Lowered:
    """Hold the integers against onnxruntime, which runs the file as it is."""
    x, lowered = samples(shape, 200), lower(path)
    session = onnxruntime.InferenceSession(path)
    expected = np.concatenate([session.run(None, {"in": row[None]})[0] for row in x]).reshape(len(x), -1)
    found = lowered.network.run(lowered.quantize(x))["label"][:, 0]
    best = np.isclose(expected, expected.max(axis=1, keepdims=True), atol=1e-6)
    assert best[np.arange(len(x)), found].all()
    assert len(np.unique(found)) > 2
    return lowered


def quantised(tmp_path: Path, per_channel: bool, form: QuantFormat = QuantFormat.QOperator) -> Path:
    g = network()
    onnx.save(g.model().model, tmp_path / "floats.onnx")
    quantize_static(
        tmp_path / "floats.onnx",
        tmp_path / "net.onnx",
        Reader(samples(g.shape, 50)),
        quant_format=form,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        reduce_range=True,  # else onnxruntime's sums of products of bytes saturate on CPUs without VNNI
    )
    kinds = {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    assert ("QLinearConv" in kinds) == (form == QuantFormat.QOperator)
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("form", list(QuantFormat))
def test_a_file_of_onnxruntimes_static_quantiser(tmp_path: Path, form: QuantFormat) -> None:
    lowered = held(quantised(tmp_path, False, form), network().shape)
    assert [each.levels for each in lowered.activations] == [256, 256]


def test_a_scale_for_each_class_of_real_numbers_is_too_fine(tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match=r"Gemm_5_quant \(\w+\) gives the classes different scales"):
        lower(quantised(tmp_path, True))


def integer_network(op_type: str) -> Shaped:
    is_conv = op_type == "ConvInteger"
    g = Shaped((1, 2, 5, 5) if is_conv else (1, 12), 3)
    g.node("QuantizeLinear", g.constant(0.05), g.constant(100, np.uint8))
    shape = (4, 2, 3, 3) if is_conv else (12, 8)
    weights = g.constant(g.rng.integers(-8, 8, shape), np.int8)
    g.node(op_type, weights, g.constant(100, np.uint8), g.constant(1, np.int8))
    g.node("Cast", to=TensorProto.FLOAT).node("Mul", g.constant(0.01)).quant(3, 0.5, signed=True)
    if is_conv:
        g.node("Flatten")
    g.dense(g.features(), 5)
    return g


@pytest.mark.parametrize("op_type", ["ConvInteger", "MatMulInteger"])
def test_products_of_integers(op_type: str) -> None:
    g = integer_network(op_type)
    check(g.model(), g.shape)


def test_a_dynamic_quantiser_is_refused() -> None:
    nodes = [helper.make_node("DynamicQuantizeLinear", ["in"], ["q", "s", "z"], name="dynamic")]
    nodes += [helper.make_node("MatMulInteger", ["q", "w", "z"], ["out"], name="product")]
    weights = numpy_helper.from_array(np.ones((4, 3), np.int8), "w")
    ends = [helper.make_tensor_value_info("in", TensorProto.FLOAT, (1, 4))]
    outputs = [helper.make_tensor_value_info("out", TensorProto.INT32, (1, 3))]
    graph = helper.make_graph(nodes, "dynamic", ends, outputs, [weights])
    model = ModelWrapper(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    with pytest.raises(
        LoweringError, match=r"dynamic \(DynamicQuantizeLinear\) computes its scale from each sample"
    ):
        lower(model)
