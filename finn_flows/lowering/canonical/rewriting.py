"""Rewritings of a tidied graph, after which the lowering meets fewer kinds of nodes. Each keeps the graph's function.

In this order:

- Maxima over height and width (GlobalMaxPool, ReduceMax) become MaxPools, and so do slices that skip rows or columns.
- Split, Slice and channel shuffles become Gathers of channels.
- Crops and Pads of channels become nodes that are known; see `borders.py`.
- A Gather of a product's outputs becomes a product with fewer outputs.
- Activations behind a Concat of products' outputs move ahead of it, which then joins quantized tensors.
- Means and sums of a whole image move ahead of, or into, the convolution that makes the image.
- A classifier with groups becomes one without groups.
- A quantizer of the logits is dropped; see `last_quantizer.py`.
- Signals (1, channels, length) become images of height 1; see `signals.py`.
"""

import copy
import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.canonical.borders import Borders
from zerocross.finn_flows.lowering.canonical.last_quantizer import drop_last_quantizer
from zerocross.finn_flows.lowering.canonical.signals import SignalsToImages
from zerocross.finn_flows.lowering.canonical.writer import Writer, with_attributes
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import RESHAPES
from zerocross.finn_flows.lowering.graph.padding import own_padding
from zerocross.finn_flows.lowering.graph.products import attributes, has_integers, is_product
from zerocross.finn_flows.lowering.graph.regions import BY_CHANNEL, ELEMENTWISE, MOVING, QONNX

_BY_AXIS = frozenset({"DequantizeLinear", "QuantizeLinear"})
_ROUNDING = frozenset(
    {"Cast", "Ceil", "Equal", "Floor", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Round"}
)
_STEPS = _BY_AXIS | _ROUNDING | QONNX | {"Crossings", "Sign", "Where"}
"""Nodes that make a few values of many, and may be a quantizer or a part of one."""

_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "LpPool", "MaxPool"})
_LINES = frozenset({"Add", "BatchNormalization", "Div", "Dropout", "Identity", "Mul", "Sub"})


def rewritten(model: ModelWrapper) -> ModelWrapper:
    """Return a rewritten copy of a tidied graph."""
    model = copy.deepcopy(model)
    drop_last_quantizer(model)
    for step in (_Choices, Borders, _Channels, _Means, _Ungrouped, SignalsToImages):
        step(model).rewrite()
    return model


class _Choices(Writer):
    """Writes maxima as MaxPools, and choices of channels as Gathers."""

    def write(self, node: NodeProto) -> None:
        """See `Writer`."""
        shape = self.shape(node.input[0]) if node.input else ()
        if not shape:
            self.keep(node)
        elif node.op_type == "GlobalMaxPool":
            self._maximum(node, shape, range(2, len(shape)), keepdims=True)
        elif node.op_type == "ReduceMax" and (axes := self._reduced(node, len(shape))):
            self._maximum(node, shape, axes, bool(attributes(node).get("keepdims", 1)))
        elif node.op_type == "Slice" and (chosen := self._sliced(node, shape)):
            self._choose(node, chosen)
        elif node.op_type == "Split" and self.known(node.input[0]) is None:
            self._split(node, shape)
        elif node.op_type == "Gather" and (found := self._gathered(node, shape)):
            self._choose(node, dict([found]))
        elif (order := self._shuffled(node)) is not None:
            self._shuffle(node, order)
        else:
            self.keep(node)

    def _reduced(self, node: NodeProto, rank: int) -> list[int]:
        """Return the axes over which a node reduces, if all of them are rows or columns, else none."""
        axes = attributes(node).get("axes")
        if axes is None and len(node.input) > 1:
            axes = self.known(node.input[1])
        found = [] if axes is None else sorted(int(axis) % rank for axis in np.ravel(axes))
        return found if rank > 2 and found and found[0] > 1 else []

    def _maximum(self, node: NodeProto, shape: tuple[int, ...], axes: Sequence[int], keepdims: bool) -> None:
        kernel = [size if axis in axes else 1 for axis, size in enumerate(shape)][2:]
        pooled = [1 if axis in axes else size for axis, size in enumerate(shape)]
        output = node.output[0]
        sink = self.make(
            *(node, "MaxPool", [node.input[0]], pooled, output if keepdims else ""),
            kernel_shape=kernel,
            strides=kernel,
        )
        if not keepdims:
            after = self.shape(output)
            sizes = self.constant(f"{output}_shape", after, np.int64)
            self.make(node, "Reshape", [sink, sizes], after, output, labelled=False)

    def _sliced(self, node: NodeProto, shape: tuple[int, ...]) -> dict[int, np.ndarray]:
        """Return the indices that a Slice keeps, by axis; nothing if they are computed."""
        known, given = attributes(node), list(node.input) + [""] * 4
        values = {
            name: known.get(name) if known.get(name) is not None else self.known(given[place])
            for place, name in enumerate(("starts", "ends", "axes", "steps"), 1)
        }
        if values["starts"] is None or values["ends"] is None or self.known(node.input[0]) is not None:
            return {}
        starts, ends = np.ravel(values["starts"]), np.ravel(values["ends"])
        axes = range(len(starts)) if values["axes"] is None else np.ravel(values["axes"])
        steps = [1] * len(starts) if values["steps"] is None else np.ravel(values["steps"])
        return {
            int(axis) % len(shape): np.arange(shape[axis])[int(start) : int(end) : int(step)]
            for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
        }

    def _gathered(self, node: NodeProto, shape: tuple[int, ...]) -> tuple[int, np.ndarray] | None:
        indices = self.known(node.input[1])
        axis = attributes(node).get("axis", 0) % len(shape)
        if indices is None or self.known(node.input[0]) is not None:
            return None
        if indices.ndim == 0 and axis > 0:
            raise LoweringError(
                f"{node.name} (Gather): a single index drops the axis {axis}: keep it, as in x[:, {int(indices)}:"
                f"{int(indices) + 1}]"
            )
        if indices.ndim != 1:
            return None
        return axis, np.asarray(indices) % shape[axis]

    def _split(self, node: NodeProto, shape: tuple[int, ...]) -> None:
        axis = attributes(node).get("axis", 0) % len(shape)
        begin = 0
        for output in node.output:
            size = self.shape(output)[axis]
            if self.readers(output) or self.is_output(output):
                self._choose(node, {axis: np.arange(begin, begin + size)}, output)
            begin += size

    def _choose(self, node: NodeProto, chosen: dict[int, np.ndarray], output: str = "") -> None:
        """Write a choice of indices along some axes: strides of rows and columns as a MaxPool, others as Gathers."""
        tensor, output = node.input[0], output or node.output[0]
        shape = list(self.shape(tensor))
        chosen = {
            axis: indices
            for axis, indices in chosen.items()
            if not np.array_equal(indices, np.arange(shape[axis]))
        }
        strides = [1] * (len(shape) - 2)
        for axis, indices in list(chosen.items()):
            step = int(indices[1] - indices[0]) if len(indices) > 1 else shape[axis]
            if axis > 1 and step > 1 and np.array_equal(indices, np.arange(0, shape[axis], step)):
                strides[axis - 2] = step
                del chosen[axis]
        left = len(chosen) + any(step > 1 for step in strides)
        if not left:
            sizes = self.constant(f"{output}_shape", shape, np.int64)
            self.make(node, "Reshape", [tensor, sizes], shape, output)
        for axis, indices in chosen.items():
            left, shape[axis] = left - 1, len(indices)
            inputs = [tensor, self.constant(f"{output}_indices", indices, np.int64)]
            tensor = self.make(node, "Gather", inputs, shape, "" if left else output, axis=axis)
        if any(step > 1 for step in strides):
            shape[2:] = [(size - 1) // step + 1 for size, step in zip(shape[2:], strides, strict=True)]
            self.make(
                *(node, "MaxPool", [tensor], shape, output), kernel_shape=[1] * len(strides), strides=strides
            )

    def _shuffled(self, node: NodeProto) -> np.ndarray | None:
        """Return the order in which Reshape, Transpose and Reshape put channels, if they do just this."""
        swap = self.makers.get(node.input[0]) if node.op_type in RESHAPES else None
        split = self.makers.get(swap.input[0]) if swap is not None and swap.op_type == "Transpose" else None
        if swap is None or split is None or split.op_type not in RESHAPES:
            return None
        before, apart, after = (self.shape(t) for t in (split.input[0], split.output[0], node.output[0]))
        rest = tuple(range(3, len(apart)))
        if (
            not (self.is_alone(split.output[0]) and self.is_alone(swap.output[0]))
            or before != after
            or len(apart) != len(before) + 1
            or (apart[0], math.prod(apart[1:3]), *apart[3:]) != before
            or tuple(attributes(swap).get("perm", ())) != (0, 2, 1, *rest)
        ):
            return None
        return np.arange(before[1]).reshape(apart[1:3]).T.reshape(-1)

    def _shuffle(self, node: NodeProto, order: np.ndarray) -> None:
        split = self.makers[self.makers[node.input[0]].input[0]]
        indices = self.constant(f"{node.output[0]}_indices", order, np.int64)
        shape = self.shape(node.output[0])
        self.make(node, "Gather", [split.input[0], indices], shape, node.output[0], axis=1)


class _Channels(Writer):
    """Moves Gathers of channels into products, and activations ahead of Concats of products' outputs.

    Attributes:
        parts: Tensors that are kept as the tensors that a Concat would join.
        origins: The Concat of each of them.
        joined: Those whose Concat is written, for a node that needs the whole tensor.
        quantized: Those with a quantizer between the products and the Concat.
    """

    def __init__(self, model: ModelWrapper) -> None:
        super().__init__(model)
        self.parts: dict[str, list[str]] = {}
        self.origins: dict[str, NodeProto] = {}
        self.joined: set[str] = set()
        self.quantized: set[str] = set()

    def write(self, node: NodeProto) -> None:
        """See `Writer`."""
        if _joins_channels(node, len(self.shape(node.output[0]))):
            operands = [part for name in node.input for part in self.parts.get(name, [name])]
            self._open(node, operands)
            return
        read = [name for name in node.input if name in self.parts]
        if read and read == self.computed(node) and self._is_movable(node, read):
            self._move(node, read)
            return
        for name in read:
            self._join(name)
        if (
            node.op_type == "Gather"
            and attributes(node).get("axis", 0) == 1
            and self.known(node.input[1]) is not None
        ):
            self._gather(node)
        else:
            self.keep(node)

    def end(self) -> None:
        """Join the graph's output, if it is in parts."""
        for output in self.model.graph.output:
            if output.name in self.parts:
                self._join(output.name)

    # Concats

    def _open(self, node: NodeProto, operands: list[str]) -> None:
        """Keep a Concat in parts if a product's outputs reach it without a quantizer."""
        if any(self._reaches_product(name) for name in operands):
            self.parts[node.output[0]], self.origins[node.output[0]] = operands, node
        else:
            self.copy(node, operands, self.shape(node.output[0]), node.output[0])

    def _reaches_product(self, tensor: str) -> bool:
        node = self.makers.get(tensor)
        while node is not None and not is_product(node):
            ahead = [name for name in node.input if self.known(name) is None]
            if node.op_type not in (ELEMENTWISE - _STEPS) | MOVING | _POOLS or not ahead:
                return False
            node = self.makers.get(ahead[0])
        return node is not None

    def _is_movable(self, node: NodeProto, read: list[str]) -> bool:
        """Return whether a node can be computed part by part."""
        sizes = [[self.shape(part)[1] for part in self.parts[name]] for name in read]
        if any(each != sizes[0] for each in sizes):
            return False
        if node.op_type in ELEMENTWISE:
            return True
        before, after = self.shape(node.input[0]), self.shape(node.output[0])
        is_flatten = node.op_type in RESHAPES and after == (before[0], math.prod(before[1:]))
        return read[0] not in self.quantized and (node.op_type in _POOLS or is_flatten)

    def _move(self, node: NodeProto, read: list[str]) -> None:
        """Write a node once for each part of its inputs."""
        output, made = node.output[0], []
        sizes = [self.shape(part)[1] for part in self.parts[read[0]]]
        rank, total = len(self.shape(read[0])), sum(sizes)
        for index, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True)):
            channels = np.arange(end - size, end)
            inputs = [
                self.parts[name][index]
                if name in self.parts
                else self._taken(node, name, channels, total, rank)
                for name in node.input
            ]
            source = self.shape(self.parts[read[0]][index])
            shape = list(self.shape(output))
            shape[1] = math.prod(source[1:]) if node.op_type in RESHAPES else size
            if node.op_type == "Reshape":
                inputs[1] = self.constant(f"{output}_shape", shape, np.int64)
            made.append(self.copy(node, inputs, shape))
        self.parts[output], self.origins[output] = made, self.origins[read[0]]
        if node.op_type in _STEPS or read[0] in self.quantized:
            self.quantized.add(output)

    def _join(self, tensor: str) -> None:
        """Write the Concat of a tensor in parts."""
        if tensor not in self.joined:
            self.joined.add(tensor)
            self.make(self.origins[tensor], "Concat", self.parts[tensor], self.shape(tensor), tensor, axis=1)

    # Gathers

    def _gather(self, node: NodeProto) -> None:
        indices = self.known(node.input[1])
        assert indices is not None
        tensor, indices = self._ahead_of_concats(node.input[0], indices)
        output, shape = node.output[0], self.shape(node.output[0])
        chain = self._chain(tensor) if tensor == node.input[0] else None
        if chain is not None:
            self._narrow(node, chain, indices)
        elif np.array_equal(indices, np.arange(self.shape(tensor)[1])):
            sizes = self.constant(f"{output}_shape", shape, np.int64)
            self.make(node, "Reshape", [tensor, sizes], shape, output)
        else:
            inputs = [tensor, self.constant(f"{output}_indices", indices, np.int64)]
            self.make(node, "Gather", inputs, shape, output, axis=1)

    def _ahead_of_concats(self, tensor: str, indices: np.ndarray) -> tuple[str, np.ndarray]:
        """Return the operand of a Concat that has all the channels, and their numbers in it."""
        while (maker := self.makers.get(tensor)) is not None and _joins_channels(
            maker, len(self.shape(tensor))
        ):
            ends = np.cumsum([self.shape(name)[1] for name in maker.input])
            places = np.searchsorted(ends, indices, side="right")
            if (places != places[0]).any():
                break
            tensor = maker.input[places[0]]
            indices = indices - (ends[places[0]] - self.shape(tensor)[1])
        return tensor, indices

    def _chain(self, tensor: str) -> list[NodeProto] | None:
        """Return a product and the nodes behind it up to a tensor of which only Gathers read each channel at most once."""
        readers = self.readers(tensor)
        chosen = [self.known(node.input[1]) for node in readers if node.op_type == "Gather"]
        channels = np.concatenate([each for each in chosen if each is not None]) if readers else np.zeros(0)
        apart = len(chosen) == len(readers) and len(np.unique(channels)) == len(channels)
        if not apart or self.is_output(tensor):
            return None
        chain: list[NodeProto] = []
        while (node := self.makers.get(tensor)) is not None:
            chain.insert(0, node)
            if is_product(node):
                whole = self.known(node.input[1]) is not None and attributes(node).get("group", 1) == 1
                return chain if whole else None
            ahead = self.computed(node)
            if node.op_type not in ELEMENTWISE - _STEPS or len(ahead) != 1 or not self.is_alone(ahead[0]):
                return None
            tensor = ahead[0]
        return None

    def _narrow(self, node: NodeProto, chain: list[NodeProto], indices: np.ndarray) -> None:
        """Write a product and the nodes behind it for some channels."""
        product = chain[0]
        total, tensor = self.shape(product.output[0])[1], product.input[0]
        for each in chain:
            shape = list(self.shape(each.output[0]))
            shape[1] = len(indices)
            inputs = [
                tensor if self.known(name) is None else self._taken(each, name, indices, total, len(shape))
                for name in each.input
            ]
            if each is product:
                inputs[0] = tensor
            tensor = self.copy(each, inputs, shape, node.output[0] if each is chain[-1] else "")

    def _taken(self, node: NodeProto, name: str, channels: np.ndarray, total: int, rank: int) -> str:
        """Return a constant of a node for some of its channels."""
        value = self.known(name)
        if value is None:
            return name
        if is_product(node):
            out = 1 if node.op_type == "MatMul" or not attributes(node).get("transB", 0) else 0
            axis = 0 if node.op_type == "Conv" else out if name == node.input[1] else value.ndim - 1
        elif node.op_type in BY_CHANNEL or (node.op_type in _BY_AXIS and value.ndim == 1):
            axis = 0
        else:
            axis = value.ndim - rank + 1
        if axis < 0 or value.ndim == 0 or value.shape[axis] != total or total == 1:
            return name
        return self.constant(f"{name}_part", value.take(channels, axis))


class _Means(Writer):
    """Moves means and sums of whole images into the convolutions that make the images.

    A convolution and the scales and biases behind it are linear. With stride 1 and without padding, the mean of its outputs
    is the convolution of the means of its inputs. Otherwise it is a convolution of the whole image, each of whose weights is
    the sum of those that meet this element; zeros around the image add nothing. If these sums need more than 8 bits, and the
    stride is 1, the means are those of the padded image.
    """

    def write(self, node: NodeProto) -> None:
        """See `Writer`."""
        chain = self._chain(node.input[0]) if self._is_whole(node) else None
        if chain is None:
            self.keep(node)
        else:
            self._swap(node, chain)

    def _is_whole(self, node: NodeProto) -> bool:
        """Return whether a node takes means or sums of whole images."""
        known, shape = attributes(node), self.shape(node.input[0]) if node.input else ()
        if len(shape) < 3:
            return False
        if node.op_type == "GlobalAveragePool":
            return True
        if node.op_type == "AveragePool":
            plain = not any(known.get("pads") or ()) and known.get("auto_pad", b"VALID") in (
                b"NOTSET",
                b"VALID",
            )
            return plain and tuple(known["kernel_shape"]) == shape[2:]
        if node.op_type in ("ReduceMean", "ReduceSum"):
            axes = known.get("axes")
            if axes is None and len(node.input) > 1:
                axes = self.known(node.input[1])
            return axes is not None and sorted(int(axis) % len(shape) for axis in np.ravel(axes)) == list(
                range(2, len(shape))
            )
        return False

    def _chain(self, tensor: str) -> list[NodeProto] | None:
        """Return the convolution that makes a tensor and the scales and biases behind it; None if there is another node."""
        chain: list[NodeProto] = []
        while (node := self.makers.get(tensor)) is not None and self.is_alone(tensor):
            chain.insert(0, node)
            if node.op_type == "Conv":
                if self.known(node.input[1]) is None:
                    return None
                fits = self._is_plain(node) or self._whole_weights(node) is not None or self._shifts(node)
                return chain if fits else None
            ahead, channels = self.computed(node), self.shape(tensor)[1]
            sizes = [value.size for name in node.input if (value := self.known(name)) is not None]
            if (
                node.op_type not in _LINES
                or len(ahead) != 1
                or any(size not in (1, channels) for size in sizes)
            ):
                return None
            if node.op_type == "Div" and node.input[0] != ahead[0]:
                return None
            tensor = ahead[0]
        return None

    def _is_plain(self, conv: NodeProto) -> bool:
        known = attributes(conv)
        spread = any(by != 1 for by in known.get("dilations") or ())
        return self._shifts(conv) and not spread and not any(known.get("pads") or ())

    def _shifts(self, conv: NodeProto) -> bool:
        """Return whether each weight meets one window of the padded image, as it does with stride 1."""
        known = attributes(conv)
        is_own = known.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
        return is_own and all(by == 1 for by in known.get("strides") or ())

    def _whole_weights(self, conv: NodeProto) -> np.ndarray | None:
        """Return weights (outputs, inputs, height, width) for the mean of a convolution's outputs.

        They have no groups. None if the image is a signal, or they need more than 8 bits.
        """
        known, image, places = attributes(conv), self.shape(conv.input[0]), self.shape(conv.output[0])[2:]
        if len(image) != 4:
            return None
        weights = np.asarray(self.known(conv.input[1]), np.float64)
        (down, right), (by_rows, by_columns) = (known.get(key) or (1, 1) for key in ("strides", "dilations"))
        top, left, bottom, far = own_padding(self.model, conv)
        total = np.zeros((*weights.shape[:2], image[2] + top + bottom, image[3] + left + far))
        rows, columns = (
            (size - 1) * by + 1 for size, by in zip(weights.shape[2:], (by_rows, by_columns), strict=True)
        )
        for row, column in np.ndindex(*places):
            window = total[:, :, row * down :, column * right :][:, :, :rows:by_rows, :columns:by_columns]
            window += weights
        mean = total[:, :, top : top + image[2], left : left + image[3]] / math.prod(places)
        found = np.zeros((len(mean), *image[1:]), np.float32)  # without groups
        outs, ins = len(mean) // known.get("group", 1), mean.shape[1]
        for channel, own in enumerate(mean):
            start = channel // outs * ins
            found[channel, start : start + ins] = own
        return found if has_integers(found) else None

    def _swap(self, node: NodeProto, chain: list[NodeProto]) -> None:
        conv, output = chain[0], node.output[0]
        image, made = self.shape(conv.input[0]), self.shape(conv.output[0])
        size = made[2:]
        one = (*made[:2], *[1] * len(size))
        if self._is_plain(conv) or self._whole_weights(conv) is None:
            kernel, known = self.known(conv.input[1]).shape[2:], attributes(conv)  # type: ignore[union-attr]
            pads = {"pads": known["pads"], "count_include_pad": 1} if any(known.get("pads") or ()) else {}
            tensor = self.make(
                *(node, "AveragePool", [conv.input[0]], (*image[:2], *kernel)),
                kernel_shape=size,
                strides=known.get("dilations") or [1] * len(size),
                **pads,
            )
            chain = [with_attributes(conv, pads=None, dilations=None, auto_pad=None), *chain[1:]]
        else:
            tensor, chain = conv.input[0], [self._of_the_whole(conv), *chain[1:]]
        after, is_sum = self.shape(output), node.op_type == "ReduceSum"
        for each in chain:
            self._used.discard(each.name)
            inputs = [
                tensor if name in (conv.input[0], self.computed(each)[0]) else name for name in each.input
            ]
            sink = output if each is chain[-1] and not is_sum and after == one else ""
            tensor = self.copy(each, inputs, one, sink)
        if is_sum:
            area = self.constant(f"{output}_area", math.prod(size), np.float32)
            tensor = self.make(
                node, "Mul", [tensor, area], one, output if after == one else "", labelled=False
            )
        if after != one:
            sizes = self.constant(f"{output}_shape", after, np.int64)
            self.make(node, "Reshape", [tensor, sizes], after, output, labelled=False)

    def _of_the_whole(self, conv: NodeProto) -> NodeProto:
        """Return a convolution whose outputs are the means of another one's."""
        only = {**dict.fromkeys(attributes(conv)), "kernel_shape": self.shape(conv.input[0])[2:]}
        made = with_attributes(conv, **only)
        made.input[1] = self.constant(f"{conv.output[0]}_weights", self._whole_weights(conv))
        return made


class _Ungrouped(Writer):
    """Writes a grouped convolution that makes the logits without groups, with weights of 0 between the groups."""

    def write(self, node: NodeProto) -> None:
        """See `Writer`."""
        if node.op_type == "Conv" and attributes(node).get("group", 1) > 1 and self._makes_logits(node):
            made = self._without_groups(node)
            self.copy(made, list(made.input), self.shape(node.output[0]), node.output[0])
        else:
            self.keep(node)

    def _makes_logits(self, node: NodeProto) -> bool:
        """Return whether only scales, biases and reshapes stand between a convolution and the scores or the class."""
        output, weights = node.output[0], self.known(node.input[1])
        shape = self.shape(output)
        if weights is None or math.prod(shape) != shape[1] or shape[1] == 1:
            return False
        wanted = [output]
        while wanted:
            for reader in self.readers(wanted.pop()):
                if is_product(reader) or reader.op_type in _STEPS | _POOLS | {"Concat"}:
                    return False
                wanted += reader.output
        return True

    def _without_groups(self, node: NodeProto) -> NodeProto:
        weights = self.known(node.input[1])
        assert weights is not None
        groups = attributes(node)["group"]
        outs, ins = len(weights) // groups, weights.shape[1]
        whole = np.zeros((len(weights), groups * ins, *weights.shape[2:]), np.float32)
        for group in range(groups):
            rows = slice(group * outs, (group + 1) * outs)
            whole[rows, group * ins : (group + 1) * ins] = weights[rows]
        made = with_attributes(node, group=None)
        made.input[1] = self.constant(f"{node.output[0]}_weights", whole)
        return made


def _joins_channels(node: NodeProto, rank: int) -> bool:
    return node.op_type == "Concat" and attributes(node)["axis"] in (1, 1 - rank)
