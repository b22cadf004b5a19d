"""Writes ONNX's operators on integers, such as onnxruntime's static quantiser makes, as operators between quantizers.

    QLinearConv, QLinearMatMul, QGemm, QLinearAdd, ...  ->  DequantizeLinear, Conv, ..., QuantizeLinear
    ConvInteger, MatMulInteger                          ->  Cast, Sub, Conv or MatMul, Cast

The operator keeps its name; its quantizer's name ends with `_quantizer`. The quantizer rounds the same sums, so that both
forms can differ only where a sum lies within a float's rounding of the middle between two levels.
"""

from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.naming import copy_label
from zerocross.finn_flows.lowering.graph.products import attributes

_QUANTIZED = {
    "QGemm": ("Gemm", 2),
    "QLinearAdd": ("Add", 2),
    "QLinearAveragePool": ("AveragePool", 1),
    "QLinearConv": ("Conv", 2),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", 1),
    "QLinearLeakyRelu": ("LeakyRelu", 1),
    "QLinearMatMul": ("MatMul", 2),
    "QLinearSigmoid": ("Sigmoid", 1),
}
"""For each operator, the one that it computes between quantizers, and the number of its operands."""

_INTEGER = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}


def write_between_quantizers(model: ModelWrapper) -> None:
    """Replace all operators on integers, in place; shapes need not be known.

    Raises:
        LoweringError: If a scale, a zero point, weights or a bias are computed, or a node quantizes by the sample's range.
    """
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type in _QUANTIZED:
            nodes += _Operator(model, node).quantized()
        elif node.op_type in _INTEGER:
            nodes += _Operator(model, node).integer()
        elif node.op_type == "DynamicQuantizeLinear":
            raise LoweringError(
                f"{node.name} (DynamicQuantizeLinear) computes its scale from each sample: quantize statically, with one "
                "scale for all samples"
            )
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


class _Operator:
    """Writes one operator."""

    def __init__(self, model: ModelWrapper, node: NodeProto) -> None:
        self.model, self.node = model, node
        self.inputs = [*node.input, *[""] * 9]
        self.nodes: list[NodeProto] = []
        self.known = attributes(node)

    def quantized(self) -> list[NodeProto]:
        """Write an operator whose operands and output have a scale and a zero point each."""
        op_type, count = _QUANTIZED[self.node.op_type]
        if self.known.pop("channels_last", 0):
            raise LoweringError(
                f"{self._called()} reads channels last, which is not supported: put the channels first"
            )
        operands = [self._operand(index, op_type) for index in range(count)]
        rest = self.inputs[3 * count :]
        bias = rest.pop(0) if op_type == "Gemm" else rest[2] if op_type == "Conv" else ""
        if bias:
            scale = self._value(self.inputs[1]) * self._value(self.inputs[4]) * self.known.get("alpha", 1.0)
            operands.append(self._constant("bias", self._value(bias) * scale))
        if not rest[0]:  # the output of a QGemm may be floats
            self._make(op_type, operands, "", self.node.output[0], **self.known)
            return self.nodes
        made = self._make(op_type, operands, "", **self.known)
        scale_of_output = [self._scalar(name) for name in rest[:2] if name]
        self._make("QuantizeLinear", [made, *scale_of_output], "quantizer", self.node.output[0])
        return self.nodes

    def integer(self) -> list[NodeProto]:
        """Write a product of integers, whose output is the sum itself."""
        x, w, x_zero, w_zero = self.inputs[:4]
        weights = self._value(w)
        if w_zero:
            zero = self._value(w_zero)
            is_conv = self.node.op_type == "ConvInteger"
            weights = weights - (
                zero.reshape(-1, *[1] * (weights.ndim - 1)) if is_conv and zero.size > 1 else zero
            )
        tensor = self._make("Cast", [x], "in", to=TensorProto.FLOAT)
        if x_zero:
            zeros = self._constant("zero", self._value(x_zero).reshape(-1)[0])
            tensor = self._make("Sub", [tensor, zeros], "centred")
        made = self._make(
            _INTEGER[self.node.op_type], [tensor, self._constant("weights", weights)], "", **self.known
        )
        self._make("Cast", [made], "out", self.node.output[0], to=TensorProto.INT32)
        return self.nodes

    def _called(self) -> str:
        return f"{self.node.name} ({self.node.op_type})"

    def _operand(self, index: int, op_type: str) -> str:
        """Write the real values of an operand; weights may have a scale for each output."""
        tensor, *parameters = self.inputs[3 * index : 3 * index + 3]
        inputs = [tensor, *(self._scalar(name) for name in parameters if name)]
        axis = 0 if op_type == "Conv" or self.known.get("transB", 0) else 1  # of the outputs in weights
        kept: dict[str, Any] = {} if self._value(inputs[1]).size == 1 else {"axis": axis}
        return self._make("DequantizeLinear", inputs, f"in{index}", **kept)

    def _scalar(self, name: str) -> str:
        """Return a constant as one number, if it is one; DequantizeLinear needs this form."""
        value = self.model.get_initializer(name)
        if value is None:
            raise LoweringError(
                f"{self._called()}: its scale or zero point {name} is computed: make it a constant"
            )
        if value.size == 1 and value.ndim:
            self.model.set_initializer(name, value.reshape(()))
        return name

    def _value(self, name: str) -> np.ndarray:
        value = self.model.get_initializer(name)
        if value is None:
            raise LoweringError(
                f"{self._called()}: {name} is computed: make weights, bias and scales constants"
            )
        return np.asarray(value, np.float32)

    def _constant(self, word: str, value: np.ndarray) -> str:
        name = f"{self.node.output[0]}_{word}"
        self.model.set_initializer(name, np.asarray(value, np.float32))
        return name

    def _make(self, op_type: str, inputs: list[str], word: str, output: str = "", **kept: Any) -> str:
        name = f"{self.node.name}_{word}" if word else self.node.name
        output = output or f"{self.node.output[0]}_{word or 'float'}"
        made = helper.make_node(op_type, inputs, [output], name=name, **kept)
        self.nodes.append(made if word else copy_label(self.node, made))
        return output
