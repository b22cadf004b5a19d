"""Signals (1, channels, length) as images (1, channels, 1, length), so that only images are lowered.

A convolution or a pool of signals needs an image. Nodes behind it compute with the image until a node needs the signal.
"""

from collections.abc import Callable

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.canonical.writer import Writer, with_attributes
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import RESHAPES
from zerocross.finn_flows.lowering.graph.products import attributes
from zerocross.finn_flows.lowering.graph.regions import BY_CHANNEL, ELEMENTWISE

_WINDOWS = frozenset({"AveragePool", "Conv", "GlobalAveragePool", "LpPool", "MaxPool"})
_SUMS = frozenset({"ReduceMean", "ReduceSum"})
_AXIS = 2  # of the height; no signal has it


class SignalsToImages(Writer):
    """Gives signals a height of 1."""

    def __init__(self, model: ModelWrapper) -> None:
        super().__init__(model)
        self.images: dict[str, str] = {}  # images of signals
        self.signals: set[str] = set()  # signals that exist only as images so far

    def write(self, node: NodeProto) -> None:
        """See `Writer`."""
        moved = self._writing(node)
        if moved is not None:
            moved(node)
            return
        for name in node.input:
            self._signal(name)
        self.keep(node)

    def end(self) -> None:
        """Write the graph's output as the signal that it is."""
        for output in self.model.graph.output:
            self._signal(output.name)

    def _writing(self, node: NodeProto) -> Callable[[NodeProto], None] | None:
        """Return the method that writes a node for images; None if the node is for signals."""
        if not node.input or not self.computed(node):
            return None
        rank = len(self.shape(node.input[0]))
        ready = any(name in self.images for name in node.input)
        if node.op_type in _WINDOWS and rank == 3:
            return self._windows
        if node.op_type in _SUMS and rank == 3 and self._sums_along(node):
            return self._sum
        if not ready:
            return None
        if node.op_type in ELEMENTWISE or node.op_type == "Concat":
            signals = [name for name in self.computed(node) if len(self.shape(name)) == 3]
            return self._plain if signals == self.computed(node) else None
        moves = {"Gather": self._gather, "Pad": self._pad, "Transpose": self._transpose}
        return self._reshape if node.op_type in RESHAPES else moves.get(node.op_type)

    def _image(self, tensor: str) -> str:
        """Return the image of a signal; write it if it is not there yet."""
        if tensor not in self.images:
            shape = _with_height(self.shape(tensor))
            maker = self.makers.get(tensor)
            sizes = self.constant(f"{tensor}_image_shape", shape, np.int64)
            like = NodeProto(name=f"{tensor if maker is None else maker.name}_image")
            self.images[tensor] = self.make(like, "Reshape", [tensor, sizes], shape, labelled=False)
        return self.images[tensor]

    def _signal(self, tensor: str) -> None:
        """Write a signal that exists only as an image."""
        if tensor in self.signals:
            self.signals.remove(tensor)
            shape = self.shape(tensor)
            like = NodeProto(name=f"{self.makers[self.images[tensor]].name}_signal")
            sizes = self.constant(f"{tensor}_shape", shape, np.int64)
            self.make(like, "Reshape", [self.images[tensor], sizes], shape, tensor, labelled=False)

    def _made(self, node: NodeProto, inputs: list[str], **changed: object) -> None:
        """Write a node whose output is an image, with some attributes changed."""
        output = node.output[0]
        made = with_attributes(node, **changed)
        self.images[output] = self.copy(made, inputs, _with_height(self.shape(output)))
        self.signals.add(output)

    def _windows(self, node: NodeProto) -> None:
        known, inputs = attributes(node), [self._image(node.input[0]), *node.input[1:]]
        changed: dict[str, object] = {
            key: [1, *known[key]] for key in ("kernel_shape", "strides", "dilations") if known.get(key)
        }
        if known.get("pads"):
            before, after = known["pads"]
            changed["pads"] = [0, before, 0, after]
        if node.op_type == "Conv" and (weights := self.known(node.input[1])) is not None:
            inputs[1] = self.constant(f"{node.input[1]}_image", np.expand_dims(weights, _AXIS))
            datatype = self.model.get_tensor_datatype(node.input[1])
            self.model.set_tensor_datatype(inputs[1], datatype)
        self._made(node, inputs, **changed)

    def _sums_along(self, node: NodeProto) -> bool:
        axes = self._axes(node)
        return axes is not None and [int(axis) % 3 for axis in axes] == [2]

    def _axes(self, node: NodeProto) -> np.ndarray | None:
        axes = attributes(node).get("axes")
        if axes is None and len(node.input) > 1:
            axes = self.known(node.input[1])
        return None if axes is None else np.ravel(axes)

    def _sum(self, node: NodeProto) -> None:
        inputs = [self._image(node.input[0])]
        changed: dict[str, object] = {}
        if "axes" in attributes(node):
            changed["axes"] = [2, 3]
        else:
            inputs.append(self.constant(f"{node.output[0]}_axes", [2, 3], np.int64))
        if attributes(node).get("keepdims", 1):
            self._made(node, inputs, **changed)
            return
        made = NodeProto()
        made.CopyFrom(node)
        if changed:
            next(each for each in made.attribute if each.name == "axes").ints[:] = [2, 3]
        self.copy(made, inputs, self.shape(node.output[0]), node.output[0])

    def _plain(self, node: NodeProto) -> None:
        """Write an elementwise node or a Concat; constants with an axis of channels get one of height too."""
        inputs = []
        for name in node.input:
            value = self.known(name) if name else None
            if name and value is None:
                inputs.append(self._image(name))
            elif value is not None and value.ndim > 1 and node.op_type not in BY_CHANNEL:
                inputs.append(self.constant(f"{name}_image", np.expand_dims(value, -2)))
            else:
                inputs.append(name)
        axis = attributes(node).get("axis")
        changed = {} if axis is None else {"axis": _axis(axis)}
        self._made(node, inputs, **changed)

    def _gather(self, node: NodeProto) -> None:
        axis = _axis(attributes(node).get("axis", 0))
        self._made(node, [self._image(node.input[0]), node.input[1]], axis=axis)

    def _pad(self, node: NodeProto) -> None:
        pads = self.known(node.input[1])
        if pads is None:
            raise LoweringError(f"{node.name} (Pad): its pads are computed: make them constant")
        inputs = [self._image(node.input[0]), *node.input[1:]]
        axes = self.known(node.input[3]) if len(node.input) > 3 else None
        if axes is not None:
            inputs[3] = self.constant(f"{node.input[3]}_image", [_axis(int(axis)) for axis in axes], np.int64)
        else:
            (one, two, three), (four, five, six) = np.ravel(pads).reshape(2, 3)
            inputs[1] = self.constant(
                f"{node.input[1]}_image", [one, two, 0, three, four, five, 0, six], np.int64
            )
        self._made(node, inputs)

    def _transpose(self, node: NodeProto) -> None:
        perm = [_axis(axis) for axis in attributes(node).get("perm", (2, 1, 0))]
        self._made(node, [self._image(node.input[0])], perm=[*perm[:2], _AXIS, perm[2]])

    def _reshape(self, node: NodeProto) -> None:
        source, output = self.images[node.input[0]], node.output[0]
        shape = self.shape(output)
        if len(shape) == 3:
            sizes = self.constant(f"{output}_shape", _with_height(shape), np.int64)
            self.images[output] = self.make(node, "Reshape", [source, sizes], _with_height(shape))
            self.signals.add(output)
        else:
            sizes = self.constant(f"{output}_shape", shape, np.int64)
            self.make(node, "Reshape", [source, sizes], shape, output)


def _with_height(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:_AXIS], 1, *shape[_AXIS:])


def _axis(axis: int) -> int:
    """Return the axis of an image for an axis of a signal."""
    axis %= 3
    return axis if axis < _AXIS else axis + 1
