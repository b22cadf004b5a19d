"""Drops a quantizer of the logits, such as Brevitas' output quantizer or the last one of onnxruntime's formats.

One scale for all classes never changes their order, but it makes neighbouring logits equal. Without the quantizer, the class
is one of those with the largest quantized logit.
"""

import numpy as np
from onnx import NodeProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.graph.execution import RESHAPES
from zerocross.finn_flows.lowering.graph.products import attributes

_CHOICES = frozenset({"ArgMax", "LogSoftmax", "Softmax", "TopK"})
_LEAST = 3  # values: two of them are a decision for each class


def drop_last_quantizer(model: ModelWrapper) -> None:
    """Replace the nodes of a quantizer of several logits by Identities, in place; shapes are known."""
    makers = {node.output[0]: node for node in model.graph.node}
    name, found = model.graph.output[0].name, list[NodeProto]()
    while name in makers and len(model.find_consumers(name) or []) <= 1:
        node = makers[name]
        if node.op_type in ("Clip", "DequantizeLinear", "Quant", "QuantizeLinear"):
            found.append(node)
        elif found or node.op_type not in RESHAPES | _CHOICES | {"Identity"}:
            break
        name = node.input[0]
    quantizer = _foremost_quantizer(model, found[::-1])
    if not quantizer or np.prod(model.get_tensor_shape(quantizer[0].input[0])) == 1:
        return
    for node in quantizer:
        node.op_type, node.domain = "Identity", ""
        del node.input[1:], node.attribute[:]
        model.set_tensor_datatype(node.output[0], DataType["FLOAT32"])


def _foremost_quantizer(model: ModelWrapper, nodes: list[NodeProto]) -> list[NodeProto]:
    """Return the nodes that are one quantizer with one scale and at least three values; none if they are anything else."""
    kinds = [node.op_type for node in nodes]
    if kinds not in (
        ["Quant"],
        ["QuantizeLinear"],
        ["QuantizeLinear", "DequantizeLinear"],
        ["QuantizeLinear", "Clip", "DequantizeLinear"],
    ):
        return []
    constants = [[model.get_initializer(name) for name in node.input[1:] if name] for node in nodes]
    if any(value is None or value.size > 1 for each in constants for value in each):
        return []
    numbers = [[float(value.item()) for value in each if value is not None] for each in constants]
    if numbers[0][0] <= 0:
        return []
    match kinds:
        case ["Quant"]:
            bits = numbers[0][2]
            narrow, signed = (attributes(nodes[0]).get(name, 0) for name in ("narrow", "signed"))
            values = 2**bits - (1 if narrow and signed else 0)
        case [_, "Clip", _]:
            values = numbers[1][1] - numbers[1][0] + 1
        case _:
            values = 256
    return nodes if values >= _LEAST else []
