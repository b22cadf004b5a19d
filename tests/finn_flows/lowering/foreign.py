"""QONNX graphs as strangers write them: node by node with onnx.helper."""

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.infer_shapes import InferShapes

from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.graph.naming import unique
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.finn_flows.lowering.lower import lower as lower_file
from zerocross.finn_flows.network import (
    Activation,
    Add,
    Bias,
    Conv,
    Dense,
    Flatten,
    LabelSelect,
    MaxPool,
    Pad,
    SumPool,
)

QONNX = "qonnx.custom_op.general"


class Graph:
    """A chain of nodes under construction; every method returns the graph, at the new node's output."""

    def __init__(self, shape: Sequence[int], seed: int = 0, elem_type: int = TensorProto.FLOAT) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = tuple(shape)
        self.inputs = [helper.make_tensor_value_info("in", elem_type, self.shape)]
        self.tensor = "in"
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.channels = shape[1]

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"const{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def node(self, op_type: str, *inputs: str, domain: str = "", **attributes: Any) -> "Graph":
        output = f"t{len(self.nodes)}"
        name = f"{op_type}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                op_type, [self.tensor, *inputs], [output], name=name, domain=domain, **attributes
            )
        )
        self.tensor = output
        return self

    def quant(
        self, bits: int, scale: Any, signed: bool = False, narrow: bool = False, zero: float = 0.0
    ) -> "Graph":
        inputs = [self.constant(scale), self.constant(zero), self.constant(bits)]
        return self.node(
            "Quant", *inputs, domain=QONNX, signed=int(signed), narrow=int(narrow), rounding_mode="ROUND"
        )

    def bipolar(self, scale: Any = 1.0) -> "Graph":
        return self.node("BipolarQuant", self.constant(scale), domain=QONNX)

    def qdq(
        self, scale: float, zero: int, dtype: type = np.int8, limits: tuple[int, int] | None = None
    ) -> "Graph":
        """QuantizeLinear, Clip, DequantizeLinear."""
        inputs = self.constant(scale), self.constant(zero, dtype)
        self.node("QuantizeLinear", *inputs)
        if limits is not None:
            self.node("Clip", *(self.constant(each, dtype) for each in limits))
        return self.node("DequantizeLinear", *inputs)

    def weights(
        self, shape: Sequence[int], scale: Any = 1.0, quant: str = "BipolarQuant", bits: int = 1
    ) -> str:
        """Float weights behind a quantizer."""
        raw = self.constant(self.rng.normal(size=shape))
        output = f"w{len(self.nodes)}"
        inputs = [raw, self.constant(scale)]
        attributes: dict[str, Any] = {}
        if quant == "Quant":
            inputs += [self.constant(0.0), self.constant(bits)]
            attributes = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
        self.nodes.append(
            helper.make_node(quant, inputs, [output], name=f"{quant}_{output}", domain=QONNX, **attributes)
        )
        return output

    def dense(self, features: int, channels: int, scale: Any = 1.0, quant: str = "BipolarQuant") -> "Graph":
        return self.node("MatMul", self.weights((features, channels), scale, quant))

    def conv(
        self, inputs: int, channels: int, kernel: int = 3, scale: Any = 1.0, **attributes: Any
    ) -> "Graph":
        group = attributes.get("group", 1)
        weights = self.weights((channels, inputs // group, kernel, kernel), scale)
        return self.node("Conv", weights, kernel_shape=[kernel, kernel], **attributes)

    def pad(self, rows: int, columns: int, value: float) -> "Graph":
        pads = [0, 0, rows, columns, 0, 0, rows, columns]
        return self.node("Pad", self.constant(pads, np.int64), self.constant(value))

    def branch(self, op_type: str, join: str) -> "Graph":
        """Join a tensor with a function of itself."""
        tensor = self.tensor
        self.node(op_type)
        return self.node(join, tensor)

    def where(self, above: float, below: float) -> "Graph":
        """One of two values, by whether the tensor is above 0.5."""
        return self.node("Greater", self.constant(0.5)).node(
            "Where", self.constant(above), self.constant(below)
        )

    def features(self) -> int:
        """Elements of one sample of the current tensor."""
        return math.prod(self.model().transform(InferShapes()).get_tensor_shape(self.tensor))

    def norm(self, channels: int, spread: float = 3.0) -> "Graph":
        """Batch norm of accumulators that spread so far."""
        draw = self.rng
        parameters = (
            draw.normal(size=channels),
            draw.normal(size=channels) / 2,
            draw.normal(size=channels) * spread / 2,
            draw.uniform(0.1, 1, channels) * spread**2,
        )
        return self.node("BatchNormalization", *(self.constant(each) for each in parameters))

    def model(self, *outputs: str, elem_type: int = TensorProto.FLOAT) -> ModelWrapper:
        names = outputs or (self.tensor,)
        graph = helper.make_graph(
            self.nodes,
            "foreign",
            self.inputs,
            [helper.make_tensor_value_info(name, elem_type, None) for name in names],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(QONNX, 1)]
        return ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=10))


def numbered(lowered: Lowered) -> Lowered:
    """Call layers by kind and number: conv1, conv1_sign, pool1, sum1, mean1, dense1, ..., classifier, bias, label."""
    net, network = lowered.network, lowered.network.network
    sources = {layer.name: layer for layer in network.layers}
    names = {"input": "input"}
    last = [layer.name for layer in network.layers if isinstance(layer.operation, Conv | Dense)][-1]
    for layer in network.layers:
        producer = layer.name
        while producer in sources and isinstance(
            sources[producer].operation, Activation | Flatten | MaxPool | Pad
        ):
            producer = sources[producer].inputs[0]
        kind = _KINDS[type(layer.operation)]
        if layer.name == last:
            kind = "classifier"
        elif isinstance(layer.operation, Activation):
            kind = f"{names[producer]}_{'sign' if layer.operation.bits == 1 else 'levels'}"
        elif kind not in ("bias", "flatten", "label"):
            kind = next(f"{kind}{n}" for n in itertools.count(1) if f"{kind}{n}" not in names.values())
        names[layer.name] = unique(kind, names.values())
    layers = tuple(
        replace(layer, name=names[layer.name], inputs=tuple(names[name] for name in layer.inputs))
        for layer in network.layers
    )
    renamed = IntegerNetwork(
        replace(network, layers=layers),
        {names[name]: weights for name, weights in net.weights.items()},
        {names[name]: table for name, table in net.tables.items()},
        {names[name]: biases for name, biases in net.biases.items()},
    )
    activations = tuple(replace(each, name=names[each.name]) for each in lowered.activations)
    return replace(lowered, network=renamed, activations=activations)


_KINDS = {
    Conv: "conv",
    Dense: "dense",
    MaxPool: "pool",
    Pad: "padding",
    SumPool: "mean",
    Add: "sum",
    Bias: "bias",
    Flatten: "flatten",
    LabelSelect: "label",
    Activation: "levels",
}


def lower(source: Path | ModelWrapper, host_part: bool = False) -> Lowered:
    """Lower, and call layers by kind and number."""
    return numbered(lower_file(source, host_part))


def samples(shape: Sequence[int], count: int = 200, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1.5, (count, *shape[1:])).astype(np.float32)


def execute(model: ModelWrapper, x: np.ndarray) -> np.ndarray:
    """Run samples through qonnx's own executor, all at once."""
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    batch = copy.deepcopy(model).transform(ChangeBatchSize(len(x))).transform(InferShapes())
    return execute_onnx(batch, {source: x})[sink]


def assert_same(lowered: Lowered, model: ModelWrapper, x: np.ndarray, distinct: int = 6) -> None:
    """Hold the absorbed graph and the integer network against the original, in qonnx's own executor.

    At least so many distinct outputs are asked for.
    """
    expected = execute(tidy(model), x)
    np.testing.assert_allclose(execute(lowered.model, x), expected, rtol=1e-4, atol=1e-4)
    found = lowered.network.run(lowered.quantize(x))["label"][:, 0]
    scores = expected.reshape(len(x), -1)
    # Equal logits: the lowest class in hardware; rounding of scaled sums may order them otherwise in floats.
    best = scores.max(axis=1, keepdims=True)
    ties = np.isclose(scores, best, rtol=1e-5, atol=1e-6)
    assert np.array_equal(found, ties.argmax(axis=1))
    assert len(np.unique(scores, axis=0)) >= distinct, "the test says nothing"
