"""Products with binary weights, as QONNX writes them: Conv, MatMul and Gemm."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_flows.lowering.errors import LoweringError

PRODUCTS = frozenset({"Conv", "MatMul", "Gemm"})


@dataclass(frozen=True)
class Product:
    """A product's numbers: its output is `scale * (signs . input) + bias`, channel by channel.

    Attributes:
        node: the Conv, MatMul or Gemm.
        signs: -1 or +1 (int8), shape (channels, features) or (channels, inputs, height, width).
        scale: above 0, float64, shape (channels,).
        bias: float32, shape (channels,).
    """

    node: NodeProto
    signs: np.ndarray
    scale: np.ndarray
    bias: np.ndarray

    @property
    def channels(self) -> int:
        """Number of output channels."""
        return len(self.signs)

    @property
    def is_plain(self) -> bool:
        """Whether the product is one of integers already."""
        return bool((self.scale == 1).all() and (self.bias == 0).all())


def is_product(node: NodeProto) -> bool:
    """Tell whether a node is a product of its first input."""
    return node.op_type in PRODUCTS and node.domain in ("", "ai.onnx")


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def read_product(model: ModelWrapper, node: NodeProto) -> Product:
    """Read a product's weights, their scales and its bias.

    Raises:
        LoweringError: if the weights are not binary, or the product is none that hardware has.
    """
    known = attributes(node)
    weights = model.get_initializer(node.input[1])
    if weights is None:
        raise LoweringError(
            f"{node.name} ({node.op_type}) multiplies two computed tensors: its second input must be constant weights"
        )
    bias = model.get_initializer(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if len(node.input) > 2 and node.input[2] and bias is None:
        raise LoweringError(f"{node.name} ({node.op_type}): its bias is computed: make it a constant")
    if node.op_type == "Conv":
        _check_conv(node, weights, known)
    else:
        if weights.ndim != 2 or len(model.get_tensor_shape(node.input[0]) or []) != 2:
            raise LoweringError(
                f"{node.name} ({node.op_type}): a dense layer is (1, features) times (features, channels): flatten first"
            )
        if known.get("transA", 0):
            raise LoweringError(f"{node.name} (Gemm) transposes its input, which has no hardware")
        weights = weights if known.get("transB", 0) else weights.T
        if node.op_type == "Gemm":
            weights = weights * np.float32(known.get("alpha", 1.0))
            bias = bias if bias is None else bias * np.float32(known.get("beta", 1.0))
    signs, scale = _binary(node, np.asarray(weights))
    channels = len(signs)
    shift = np.zeros(channels, np.float32)
    if bias is not None:
        shift = np.broadcast_to(bias.reshape(-1), (channels,)).astype(np.float32)
    return Product(node, signs, scale, shift)


def _check_conv(node: NodeProto, weights: np.ndarray, known: dict[str, Any]) -> None:
    if weights.ndim != 4:
        raise LoweringError(
            f"{node.name} (Conv) is {weights.ndim - 2}-dimensional: only images have hardware"
        )
    if any(by != 1 for by in known.get("dilations", [])):
        raise LoweringError(f"{node.name} (Conv) is dilated, which has no hardware")
    if known.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise LoweringError(f"{node.name} (Conv) pads automatically: write its pads out")
    conv_padding(node)


def conv_padding(node: NodeProto) -> tuple[int, int]:
    """Return a convolution's own zero padding, (vertical, horizontal).

    Raises:
        LoweringError: if it differs from side to side.
    """
    top, left, bottom, right = attributes(node).get("pads") or (0, 0, 0, 0)
    if (top, left) != (bottom, right):
        raise LoweringError(
            f"{node.name} (Conv) pads {top, left} ahead and {bottom, right} behind: pad both sides alike"
        )
    return top, left


def _binary(node: NodeProto, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.abs(weights.reshape(len(weights), -1))
    wrong = np.flatnonzero((rows != rows[:, :1]).any(axis=1) | ~(rows[:, 0] > 0))
    if len(wrong):
        row = np.unique(weights[wrong[0]])
        some = ", ".join(f"{value:.6g}" for value in row[:4]) + (", ..." if len(row) > 4 else "")
        raise LoweringError(
            f"{node.name} ({node.op_type}): its weights are not bipolar: channel {wrong[0]} holds {some}; "
            "quantize them to one bit (BipolarQuant, or Quant of bit width 1), one scale for each channel at most"
        )
    return np.where(weights > 0, 1, -1).astype(np.int8), rows[:, 0].astype(np.float64)
