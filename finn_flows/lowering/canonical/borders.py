"""Rewrites what cuts or extends tensors at their borders, as nodes that the lowering knows.

- A crop (a Slice of some rows or columns, a Pad by less than 0) moves ahead of the activation and the convolution that make
  the image, as long as only the crop reads them: the convolution then has less padding. What is left to crop becomes a
  convolution of each channel by itself, with a single weight of 1. The host crops the file's input.
- A Pad of channels becomes a Concat with channels of one value.
"""

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.canonical.writer import Writer, with_attributes
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.naming import called
from zerocross.finn_flows.lowering.graph.padding import all_amounts
from zerocross.finn_flows.lowering.graph.products import attributes
from zerocross.finn_flows.lowering.graph.regions import BY_CHANNEL, ELEMENTWISE, MOVING, pad_value

_BY_AXIS = frozenset({"DequantizeLinear", "QuantizeLinear"})


class Borders(Writer):
    """Rewrites crops and Pads of channels."""

    def __init__(self, model: ModelWrapper) -> None:
        super().__init__(model)
        self.source = model.graph.input[0].name
        is_float = not model.get_tensor_datatype(self.source).is_integer()
        self.hosted = {self.source} if is_float else set[str]()  # the file's input, and crops of it

    def write(self, node: NodeProto) -> None:
        """See `Writer`."""
        shape = self.shape(node.input[0]) if node.input else ()
        if len(shape) > 2 and node.op_type == "Gather" and (cut := self._cut(node, shape)) is not None:
            self._crop(node, node.input[0], *cut, node.output[0])
        elif len(shape) > 2 and node.op_type == "Pad" and self.known(node.input[1]) is not None:
            self._pad(node, shape)
        else:
            self.keep(node)

    def is_alone(self, tensor: str) -> bool:
        """See `Writer`; tensors of a crop that is written have one reader too."""
        return super().is_alone(tensor) or (tensor in self.makers and not self.was_there(tensor))

    # Crops: rows and columns cut `before` and `after` an image, one number for each of its axes.

    def _cut(self, node: NodeProto, shape: Sequence[int]) -> tuple[list[int], list[int]] | None:
        """Return what a Gather of neighbouring rows or columns cuts; None for other Gathers."""
        axis, indices = attributes(node).get("axis", 0), self.known(node.input[1])
        if axis < 2 or indices is None or not len(indices) or (np.diff(indices) != 1).any():
            return None
        before, after = [0] * (len(shape) - 2), [0] * (len(shape) - 2)
        before[axis - 2], after[axis - 2] = int(indices[0]), int(shape[axis] - 1 - indices[-1])
        return before, after

    def _crop(
        self, like: NodeProto, tensor: str, before: list[int], after: list[int], output: str = ""
    ) -> str:
        """Write a crop of a tensor; return its output."""
        node, shape = self.makers.get(tensor), self.shape(tensor)
        left = [size - cut - more for size, cut, more in zip(shape[2:], before, after, strict=True)]
        cropped = [*shape[:2], *left]
        if node is not None and self.is_alone(tensor) and self._is_by_pixel(node):
            source = self.computed(node)[0]
            if source != self.source or self.hosted:
                made = self._crop(like, source, before, after)
                inputs = [made if name == source else name for name in node.input]
                self._used.discard(node.name)
                return self.copy(node, inputs, cropped, output)
        if node is not None and self.is_alone(tensor) and self._is_movable(node):
            pads = self._pads_left(node, before, after)
            missing = np.minimum(pads, 0).reshape(2, -1).sum(axis=0)
            if (self.shape(node.input[0])[2:] + missing <= 0).any():
                raise LoweringError(
                    f"{called(like)} keeps only rows or columns that {called(node)} makes of "
                    "padding alone: crop less, or pad less"
                )
            return self._less_padded(like, node, pads, cropped, output)
        if tensor in self.hosted:
            return self._on_host(like, tensor, before, left, output)
        kernel = [cut + more + 1 for cut, more in zip(before, after, strict=True)]
        weights = np.zeros((shape[1], 1, *kernel), np.float32)
        weights.reshape(shape[1], -1)[:, np.ravel_multi_index(before, kernel)] = 1
        inputs = [tensor, self.constant(f"{like.output[0]}_weights", weights)]
        return self.make(like, "Conv", inputs, cropped, output, group=shape[1], kernel_shape=kernel)

    def _on_host(self, like: NodeProto, tensor: str, before: list[int], left: list[int], output: str) -> str:
        sizes = list(self.shape(tensor))
        axes = [axis for axis, size in enumerate(left, 2) if size < sizes[axis]]
        for axis in axes:
            start, sizes[axis] = before[axis - 2], left[axis - 2]
            rows = np.arange(start, start + sizes[axis])
            indices = self.constant(f"{like.output[0]}_indices", rows, np.int64)
            sink = output if axis == axes[-1] else ""
            tensor = self.make(like, "Gather", [tensor, indices], sizes, sink, axis=axis)
            self.hosted.add(tensor)
        return tensor

    def _is_by_pixel(self, node: NodeProto) -> bool:
        """Return whether a node computes each pixel from the same pixel of one tensor, with the same constants."""
        if node.op_type not in ELEMENTWISE or len(self.computed(node)) != 1:
            return False
        size = self.shape(node.output[0])
        if self.shape(self.computed(node)[0]) != size:
            return False
        if node.op_type in BY_CHANNEL | _BY_AXIS:
            return True
        values = [value for name in node.input if (value := self.known(name)) is not None]
        return all(max(value.shape[max(0, value.ndim - len(size) + 2) :], default=1) == 1 for value in values)

    def _is_movable(self, node: NodeProto) -> bool:
        """Return whether a crop can move ahead of a node: a convolution whose padding is written out."""
        written = attributes(node).get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
        return node.op_type == "Conv" and self.known(node.input[1]) is not None and written

    def _pads_left(self, conv: NodeProto, before: list[int], after: list[int]) -> list[int]:
        """Return the padding of a convolution whose output is cropped; below 0 where its input is cropped, too."""
        known, dims = attributes(conv), len(before)
        strides = known.get("strides") or [1] * dims
        pads = known.get("pads") or [0] * 2 * dims
        return [
            have - cut * by
            for have, cut, by in zip(pads, [*before, *after], [*strides, *strides], strict=True)
        ]

    def _less_padded(
        self, like: NodeProto, conv: NodeProto, pads: list[int], cropped: list[int], output: str
    ) -> str:
        """Write a convolution with less padding; where it has not enough, with a crop of its input."""
        tensor, dims = conv.input[0], len(pads) // 2
        if min(pads) < 0:
            missing = [max(0, -each) for each in pads]
            tensor = self._crop(like, tensor, missing[:dims], missing[dims:])
        made = with_attributes(conv, auto_pad=None, pads=[max(0, each) for each in pads])
        self._used.discard(conv.name)
        return self.copy(made, [tensor, *conv.input[1:]], cropped, output)

    # Pads

    def _pad(self, node: NodeProto, shape: tuple[int, ...]) -> None:
        """Write a Pad as a crop, a Concat with channels of one value, and a Pad of rows and columns, as far as needed."""
        amounts, rank = all_amounts(self.model, node, len(shape)), len(shape)
        begin, end = amounts[:rank].tolist(), amounts[rank:].tolist()
        channels, pixels = (begin[1], end[1]), [*begin[2:], *end[2:]]
        if any(channels) and self._is_of_input(node.input[0]):
            self.keep(node)
            return
        if begin[0] or end[0] or min(channels) < 0 or (min(pixels) >= 0 and not any(channels)):
            self.keep(node)
            return
        tensor, output, now = node.input[0], node.output[0], list(shape)
        more = [max(0, each) for each in pixels]
        if min(pixels) < 0:
            cuts = [max(0, -each) for each in pixels]
            last = not any(channels) and not any(more)
            tensor = self._crop(node, tensor, cuts[: rank - 2], cuts[rank - 2 :], output if last else "")
            now = list(self.shape(tensor)) if not last else now
        if any(channels):
            value = pad_value(self.model, node)
            parts = [self._filled(node, tensor, channels[0], value, now), tensor]
            parts.append(self._filled(node, tensor, channels[1], value, now))
            now[1] += sum(channels)
            sink = "" if any(more) else output
            tensor = self.make(node, "Concat", [part for part in parts if part], now, sink, axis=1)
        if any(more):
            full = [0, 0, *more[: rank - 2], 0, 0, *more[rank - 2 :]]
            pads = self.constant(f"{output}_pads", full, np.int64)
            self.make(node, "Pad", [tensor, pads, *node.input[2:3]], self.shape(output), output)

    def _is_of_input(self, tensor: str) -> bool:
        """Return whether a tensor is the network's input, whose levels no activation can read."""
        while (node := self.makers.get(tensor)) is not None:
            computed = self.computed(node)
            if node.op_type not in ELEMENTWISE | MOVING or len(computed) != 1:
                return False
            tensor = computed[0]
        return True

    def _filled(self, node: NodeProto, tensor: str, count: int, value: float, now: list[int]) -> str:
        """Write channels of one value, as a function of some channels of a tensor; "" if there are none."""
        if not count:
            return ""
        shape = [now[0], count, *now[2:]]
        if count != now[1]:
            indices = self.constant(f"{node.output[0]}_indices", np.arange(count) % now[1], np.int64)
            tensor = self.make(node, "Gather", [tensor, indices], shape, labelled=False, axis=1)
        zero = self.constant(f"{node.output[0]}_zero", 0.0, np.float32)
        tensor = self.make(node, "Mul", [tensor, zero], shape, labelled=False)
        if value:
            added = self.constant(f"{node.output[0]}_value", value, np.float32)
            tensor = self.make(node, "Add", [tensor, added], shape, labelled=False)
        return tensor
