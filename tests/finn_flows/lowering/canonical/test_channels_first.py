"""FINN's graphs at its stages, channels last: the classes are those of the graph's own execution."""

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.base import Transformation
from qonnx.transformation.bipolar_to_xnor import ConvertBipolarMatMulToXnorPopcount
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames, RemoveUnusedTensors
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul
from qonnx.util.cleanup import cleanup_model

from tests.finn_flows.lowering.foreign import Graph, samples
from zerocross.finn_flows.finn_patches import prepare_finn
from zerocross.finn_flows.lowering.lower import lower

PLAIN = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1]}
"""Attributes that FINN wants to be written out."""


def network(bits: int) -> ModelWrapper:
    """A small network with a pool, a pointwise convolution, one with a stride, and two dense layers."""

    def quantizer(g: Graph) -> Graph:
        return g.bipolar() if bits == 1 else g.quant(bits, 0.5, signed=True, narrow=True)

    g = Graph((1, 2, 10, 10), 11).quant(4, 0.25, signed=True).conv(2, 4, group=1, **PLAIN)
    pool = {**PLAIN, "strides": [2, 2]}
    quantizer(g.norm(4)).node("MaxPool", kernel_shape=[2, 2], ceil_mode=0, **pool)
    quantizer(g.conv(4, 6, 1, group=1, **PLAIN).norm(6)).conv(6, 8, 3, group=1, **pool)
    quantizer(g.norm(8)).node("Flatten")
    quantizer(g.dense(g.features(), 12).norm(12))
    return cleanup_model(g.dense(12, 5).model())


def stages(model: ModelWrapper) -> dict[str, ModelWrapper]:
    """Return the graph at FINN's stages ahead of hardware layers."""
    prepare_finn()
    from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
    from finn.transformation.streamline import Streamline, absorb
    from finn.transformation.streamline.reorder import MakeMaxPoolNHWC

    def apply(model: ModelWrapper, *steps: Transformation) -> ModelWrapper:
        for step in steps:
            model = model.transform(step)
        return model

    naming = (InferShapes(), GiveUniqueNodeNames(), GiveReadableTensorNames(), InferDataTypes())
    found = {"converted": apply(model, ConvertQONNXtoFINN(), *naming, InsertTopK(k=1), *naming)}
    found["streamlined"] = apply(found["converted"], Streamline(), InferDataTypes())
    found["lowered"] = apply(
        found["streamlined"],
        LowerConvsToMatMul(),
        MakeMaxPoolNHWC(),
        absorb.AbsorbTransposeIntoMultiThreshold(),
        InferDataTypes(),
    )
    found["popcounts"] = apply(
        found["lowered"],
        ConvertBipolarMatMulToXnorPopcount(),
        Streamline(),
        absorb.AbsorbScalarMulAddIntoTopK(),
        InferDataLayouts(),
        RemoveUnusedTensors(),
    )
    return found


def classes(model: ModelWrapper, x: np.ndarray) -> np.ndarray:
    model = model.transform(InferShapes())
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    found = [execute_onnx(model, {source: each[None]})[sink].reshape(-1) for each in x]
    return np.array([each[0] if each.size == 1 else each.argmax() for each in found])


def check(model: ModelWrapper, x: np.ndarray) -> set[str]:
    """Hold the integers against the graph, and return the kinds of its nodes."""
    lowered = lower(model)
    expected = classes(model, x)
    assert np.array_equal(lowered.network.run(lowered.quantize(x))["label"][:, 0], expected)
    assert len(set(expected.tolist())) > 2, "the test says nothing"
    return {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("bits", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_stages_of_finn(bits: int) -> None:
    x = samples((1, 2, 10, 10), 25)
    kinds = {name: check(model, x) for name, model in stages(network(bits)).items()}
    assert kinds["lowered"] >= {"Im2Col", "MaxPoolNHWC", "MatMul", "MultiThreshold"}
    assert ("XnorPopcountMatMul" in kinds["popcounts"]) == (bits == 1)


def test_a_grouped_convolution_is_recovered() -> None:
    """FINN writes a depthwise convolution as a product with many zeros."""
    g = Graph((1, 4, 8, 8), 4).bipolar()
    g.conv(4, 4, 3, group=4, **PLAIN).norm(4).bipolar()
    model = cleanup_model(g.node("Flatten").dense(g.features(), 5).model())
    lowered = stages(model)["lowered"]
    check(lowered, samples((1, 4, 8, 8), 25))
    assert next(iter(lower(lowered).network.network.layers)).operation.groups == 4


def test_channels_last_graphs_of_qonnx() -> None:
    model = network(1).transform(ConvertToChannelsLastAndClean(make_input_channels_last=False))
    assert "qonnx.custom_op.channels_last" in {node.domain for node in model.graph.node}
    check(model, samples((1, 2, 10, 10), 25))
