"""Padding as ONNX writes it: attributes of convolutions and pools, Pad nodes, and the levels that they pad with."""

from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.integers import Integers
from zerocross.finn_flows.lowering.graph.products import attributes

Amounts = tuple[int, int, int, int]
"""Rows above, columns left, rows below, columns right."""

NONE: Amounts = (0, 0, 0, 0)

OWN_PAD = "_pad"
"""Ends the names of Pad nodes that hold the padding of the node behind them."""


def own_padding(model: ModelWrapper, node: NodeProto) -> Amounts:
    """Return the padding that a convolution or a pool adds to its image; `auto_pad` and `ceil_mode` are written out.

    With `ceil_mode` a pool pads below and on the right until its last windows are whole.

    Raises:
        LoweringError: If it is negative, or a window of a max-pool would hold nothing but padding.
    """
    known = attributes(node)
    kernel = known.get("kernel_shape") or model.get_initializer(node.input[1]).shape[2:]
    written = known.get("pads") or NONE
    sides = [
        _side(known, axis, model.get_tensor_shape(node.input[0])[2 + axis], kernel[axis]) for axis in (0, 1)
    ]
    (top, bottom), (left, right) = sides
    if min(*written, top, left, bottom, right) < 0:
        raise LoweringError(f"{node.name} ({node.op_type}) pads by {list(written)}: use pads of 0 or more")
    if node.op_type == "MaxPool" and (max(top, bottom) >= kernel[0] or max(left, right) >= kernel[1]):
        raise LoweringError(
            f"{node.name} (MaxPool) pads by {[top, left, bottom, right]}, so that windows of {list(kernel)} hold nothing "
            "else: use pads smaller than the kernel"
        )
    return top, left, bottom, right


def rounds_up(model: ModelWrapper, node: NodeProto) -> bool:
    """Return whether `ceil_mode` adds windows to a pool."""
    if not attributes(node).get("ceil_mode", 0):
        return False
    plain = NodeProto()
    plain.CopyFrom(node)
    del plain.attribute[:]
    plain.attribute.extend(each for each in node.attribute if each.name != "ceil_mode")
    return own_padding(model, node) != own_padding(model, plain)


def _side(known: dict[str, Any], axis: int, size: int, kernel: int) -> tuple[int, int]:
    """Return the padding before and after one axis (0 vertical, 1 horizontal)."""
    stride = (known.get("strides") or (1, 1))[axis]
    reach = (kernel - 1) * (known.get("dilations") or (1, 1))[axis] + 1
    automatic = known.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        total = max(0, (-(-size // stride) - 1) * stride + reach - size)
        less, more = total // 2, total - total // 2
        return (less, more) if automatic == b"SAME_UPPER" else (more, less)
    if automatic == b"VALID":
        return 0, 0
    pads = known.get("pads") or NONE
    before, after = int(pads[axis]), int(pads[axis + 2])
    return before, whole_windows(before, size, after, reach, stride) if known.get("ceil_mode", 0) else after


def whole_windows(before: int, size: int, after: int, reach: int, stride: int) -> int:
    """Return the padding after an axis with which the last windows of `ceil_mode` are whole.

    Args:
        before: Padding before the axis.
        size: Size of the image.
        after: Padding after it without `ceil_mode`.
        reach: Size of a window.
        stride: Distance of two windows.
    """
    count = -(-(before + size + after - reach) // stride) + 1
    if (count - 1) * stride >= before + size:  # a window that begins behind the image does not count
        count -= 1
    return max(after, (count - 1) * stride + reach - before - size)


def pad_amounts(model: ModelWrapper, node: NodeProto) -> Amounts:
    """Return the padding of a Pad node, whose input is (1, channels, height, width).

    Raises:
        LoweringError: If it pads other axes than height and width, cuts, or computes its amounts.
    """
    amounts = all_amounts(model, node, 4)
    if len(amounts) != 8 or amounts[[0, 1, 4, 5]].any() or (amounts < 0).any():
        raise LoweringError(
            f"{node.name} (Pad) pads by {[int(each) for each in amounts]}: pad only height and width, by 0 or "
            "more, or channels of hidden levels"
        )
    top, left, bottom, right = (int(amounts[axis]) for axis in (2, 3, 6, 7))
    return top, left, bottom, right


def all_amounts(model: ModelWrapper, node: NodeProto, rank: int) -> np.ndarray:
    """Return the padding of a Pad node before each axis, then behind each axis, shape (2 * rank,); below 0 it cuts.

    Raises:
        LoweringError: If it computes its amounts.
    """
    amounts = model.get_initializer(node.input[1])
    if amounts is None:
        raise LoweringError(f"{node.name} (Pad) computes its pads: make them constant")
    amounts = np.asarray(amounts).reshape(-1)
    if len(node.input) <= 3 or not node.input[3]:
        return amounts
    axes = [int(axis) % rank for axis in model.get_initializer(node.input[3])]
    full = np.zeros(2 * rank, np.int64)
    full[axes] = amounts[: len(axes)]
    full[[axis + rank for axis in axes]] = amounts[len(axes) :]
    return full


def padding_level(model: ModelWrapper, node: NodeProto, value: float, levels: Integers) -> int:
    """Return the integer with which a node pads.

    Args:
        model: The graph.
        node: A Pad node, or a convolution or pool with padding of its own.
        value: Value with which it pads.
        levels: Levels that it pads.

    Raises:
        LoweringError: If the value is none of the levels.
    """
    level = levels.level(value)
    if level is None:
        grid = levels.grid
        held = levels.values(np.arange(grid.low, grid.high + 1, grid.step))[:, 0]
        raise off_levels(model, node, value, held)
    return level


def off_levels(model: ModelWrapper, node: NodeProto, value: float, held: np.ndarray) -> LoweringError:
    """Return the refusal of a padding with a value that a tensor cannot hold.

    Args:
        model: The graph.
        node: A Pad node, or a convolution or pool with padding of its own.
        value: Value with which it pads.
        held: All values that the tensor can hold, sorted.
    """
    some = [f"{each:g}" for each in held]
    listed = (
        f"{', '.join(some[:-1])} and {some[-1]}"
        if len(some) < 5
        else f"{some[0]}, {some[1]}, ..., {some[-1]}"
    )
    nearest = float(held[np.abs(held - value).argmin()])
    remedy = ""
    if node.op_type != "Pad":
        top, left, bottom, right = own_padding(model, node)
        remedy = f", in PyTorch by nn.ConstantPad2d({(left, right, top, bottom)}, {nearest:g}) ahead of it and padding=0"
    return LoweringError(
        f"{node.name} ({node.op_type}) pads with {value:g}, but its input holds only {listed}: pad with {nearest:g}{remedy}"
    )
