"""Mean pools as QONNX writes them; hardware computes them as sums."""

import math
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.padding import NONE, Amounts, own_padding, rounds_up
from zerocross.finn_flows.lowering.graph.products import attributes

MEANS = frozenset({"AveragePool", "GlobalAveragePool", "LpPool", "ReduceMean", "ReduceSum"})
"""Nodes that take means or sums over windows. An LpPool with p = 1 is a sum; absorbed graphs use it for sums of levels."""


@dataclass(frozen=True)
class Window:
    """Window of a mean pool.

    Attributes:
        kernel: (height, width).
        stride: (vertical, horizontal).
        padding: Zeros around the image: rows above, columns left, rows below, columns right. They count as elements.
        is_mean: Whether the sum is divided by the kernel's area.
        is_image: Whether the output is an image; otherwise it is (1, channels).
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Amounts = NONE
    is_mean: bool = True
    is_image: bool = True

    @property
    def area(self) -> int:
        """Number of elements of a window."""
        return math.prod(self.kernel)


def read_window(model: ModelWrapper, node: NodeProto) -> Window:
    """Read a mean pool.

    Raises:
        LoweringError: If the input is no image, or the pool dilates, averages over other axes, or divides its sums by
            different numbers.
    """
    name, known = f"{node.name} ({node.op_type})", attributes(node)
    shape = model.get_tensor_shape(node.input[0])
    if len(shape) != 4:
        raise LoweringError(
            f"{name} pools a tensor of shape {list(shape)}: pool images only, (1, channels, height, width)"
        )
    if node.op_type == "GlobalAveragePool":
        return Window((shape[2], shape[3]), (1, 1))
    if node.op_type in ("ReduceMean", "ReduceSum"):
        axes = known.get("axes")
        if axes is None and len(node.input) > 1 and node.input[1]:
            axes = model.get_initializer(node.input[1])
        reduced = [] if axes is None else sorted(int(axis) % 4 for axis in np.ravel(axes))
        is_image = bool(known.get("keepdims", 1))
        if not reduced or reduced[0] < 2 or (len(reduced) == 1 and not is_image):
            raise LoweringError(
                f"{name} reduces other axes than height and width: reduce these two, or one of them with keepdims"
            )
        kernel = shape[2] if 2 in reduced else 1, shape[3] if 3 in reduced else 1
        return Window(kernel, kernel, is_mean=node.op_type == "ReduceMean", is_image=is_image)
    if any(by != 1 for by in known.get("dilations") or ()):
        raise LoweringError(f"{name} dilates, which is not supported: do without")
    padding = own_padding(model, node)
    if rounds_up(model, node):
        raise LoweringError(
            f"{name} rounds up, so that the windows at the end are smaller and divide by less: set ceil_mode to 0"
        )
    if any(padding) and node.op_type == "AveragePool" and not known.get("count_include_pad", 0):
        raise LoweringError(
            f"{name} does not count its padding, so that the windows at the border divide by less: set count_include_pad "
            "to 1, or do without padding"
        )
    if node.op_type == "LpPool" and known.get("p", 2) != 1:
        raise LoweringError(f"{name} computes a norm, which is not supported: use an AveragePool")
    kernel, stride = tuple(known["kernel_shape"]), tuple(known.get("strides") or (1, 1))
    return Window(kernel, stride, padding, is_mean=node.op_type != "LpPool")
