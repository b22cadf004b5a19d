"""Products with weights of few bits as QONNX writes them: Conv, MatMul and Gemm."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.levels import snapped
from zerocross.finn_flows.lowering.graph.naming import is_wired
from zerocross.finn_flows.network import MOST_INDEXED, Sparse
from zerocross.finn_flows.nodes.sparse_weights import has_powers

PRODUCTS = frozenset({"Conv", "MatMul", "Gemm"})

_MOST = 128
"""The largest weight of 8 bits."""


@dataclass(frozen=True)
class ScaledProduct:
    """A product of integer weights, whose output is `scale * (weights . input) + bias` in each channel.

    Attributes:
        node: The Conv, MatMul or Gemm.
        weights: -1 and +1 (int8), or integers of -2**(bits-1)..2**(bits-1) (int16), shape (channels, features) or
            (channels, inputs, height, width).
        bits: Fewest bits that hold the weights: 1, or 2..8.
        scale: Above 0, float64, shape (channels,).
        bias: float32, shape (channels,).
    """

    node: NodeProto
    weights: np.ndarray
    bits: int
    scale: np.ndarray
    bias: np.ndarray

    @property
    def channels(self) -> int:
        """Number of output channels."""
        return len(self.weights)

    @property
    def is_plain(self) -> bool:
        """Whether the product already is one of integers: scale 1 and no bias."""
        return bool((self.scale == 1).all() and (self.bias == 0).all())


def is_product(node: NodeProto) -> bool:
    """Return whether a node is a product of its first input."""
    return node.op_type in PRODUCTS and node.domain in ("", "ai.onnx")


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def read_product(model: ModelWrapper, node: NodeProto, one_scale: bool = False) -> ScaledProduct:
    """Read a product's weights, their scales and its bias.

    Args:
        model: The graph.
        node: The Conv, MatMul or Gemm.
        one_scale: Whether to prefer one scale for all channels, even if the weights need more bits; logits need it.

    Raises:
        LoweringError: If the weights have too many bits, or the product is of a kind that is not supported.
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
        _check_conv(node, weights)
    else:
        if weights.ndim != 2 or len(model.get_tensor_shape(node.input[0]) or []) != 2:
            raise LoweringError(
                f"{node.name} ({node.op_type}): a dense layer is (1, features) times (features, channels): flatten first"
            )
        if known.get("transA", 0):
            raise LoweringError(
                f"{node.name} (Gemm) transposes its input, which is not supported: set transA to 0"
            )
        weights = weights if known.get("transB", 0) else weights.T
        if node.op_type == "Gemm":
            weights = weights * np.float32(known.get("alpha", 1.0))
            bias = bias if bias is None else bias * np.float32(known.get("beta", 1.0))
    integers, bits, scale = _integers(node, np.asarray(weights), one_scale)
    channels = len(integers)
    shift = np.zeros(channels, np.float32)
    if bias is not None:
        shift = np.broadcast_to(bias.reshape(-1), (channels,)).astype(np.float32)
    return ScaledProduct(node, integers, bits, scale, shift)


def _check_conv(node: NodeProto, weights: np.ndarray) -> None:
    if weights.ndim != 4:
        raise LoweringError(
            f"{node.name} (Conv) is {weights.ndim - 2}-dimensional: only 1- and 2-dimensional ones are supported"
        )


def _integers(node: NodeProto, weights: np.ndarray, one_scale: bool) -> tuple[np.ndarray, int, np.ndarray]:
    """Return weights as integers of the fewest bits, the bits, and the scales: the same one for all channels if possible."""
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    size = np.abs(rows)
    if (size == size[:, :1]).all() and (size > 0).all():
        return np.where(weights > 0, 1, -1).astype(np.int8), 1, size[:, 0]
    common = _scale(rows)
    scales = [_scale(row) for row in rows]
    if None in scales:
        wrong = scales.index(None)
        row = np.unique(rows[wrong])
        some = ", ".join(f"{value:.6g}" for value in row[:4]) + (", ..." if len(row) > 4 else "")
        raise LoweringError(
            f"{node.name} ({node.op_type}): its weights are neither bipolar nor integers of up to 8 bits: channel {wrong} "
            f"holds {some}; quantize them with a BipolarQuant, or a Quant of up to 8 bits with zero point 0, and at most "
            "one scale for each channel"
        )
    found = np.rint(rows / np.array(scales, np.float64)[:, None])
    used = np.array(scales, np.float64)
    if common is not None and (one_scale or _bits(np.rint(rows / common)) <= _bits(found)):
        found, used = np.rint(rows / common), np.full(len(rows), common)
    if (np.abs(found) == 1).all():  # bipolar up to float32's rounding
        return found.astype(np.int8).reshape(weights.shape), 1, used
    return found.astype(np.int16).reshape(weights.shape), _bits(found), used


def as_sparse(product: ScaledProduct) -> Sparse | None:
    """Return the sparse layer of a dense layer of bits; None if the layer is not sparse.

    Its weights are -1, 0 and +1, and one of these holds:

    - Its node's metadata says so, as in this project's own exports.
    - At most a quarter of the weights of each channel are not 0. Other ternary networks have fewer zeros.
    - No two channels read the same input, as in sums of groups.

    If its node's metadata says so, its weights can also be 1, 2, 4, ... in each channel, with signs: an indexed layer.
    """
    weights = product.weights
    if weights.ndim != 2 or not weights.any():
        return None
    reads = np.count_nonzero(weights, axis=1)
    indexed = bool(np.abs(weights).max() > 1)
    if indexed and not (is_wired(product.node) and reads.max() <= MOST_INDEXED and has_powers(weights)):
        return None
    few = 4 * int(reads.max()) <= weights.shape[1]
    apart = len(weights) > 1 and int(np.count_nonzero(weights, axis=0).max()) == 1
    if not (few or apart or is_wired(product.node)):
        return None
    return Sparse(len(weights), int(reads.max()), bool((reads == reads[0]).all()), indexed)


def has_integers(weights: np.ndarray) -> bool:
    """Return whether the weights of each channel (the first axis) are multiples of a number, up to 128 times."""
    return all(_scale(row.astype(np.float64)) is not None for row in weights.reshape(len(weights), -1))


def _bits(integers: np.ndarray) -> int:
    return max(2, int(np.abs(integers).max() - 1).bit_length() + 1)


def _scale(weights: np.ndarray) -> float | None:
    """Return the largest number of which all weights are multiples, up to 128 times; None if there is none."""
    values = np.unique(np.abs(weights))
    if values[-1] == 0:
        return 1.0
    if not np.isfinite(values).all():
        return None
    steps = np.arange(1, _MOST + 1)[:, None]  # candidates for the largest weight
    places = values / values[-1] * steps
    off = (np.abs(places - np.rint(places)) / steps).max(axis=1)
    fits = np.flatnonzero(off <= 4 * float(np.finfo(np.float32).eps))
    return snapped(values, values[-1] / float(steps[fits[0], 0])) if len(fits) else None
