"""Reading an absorbed graph: from QONNX, channels first, to an integer network, channels last."""

import math
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_flows.crossings import CrossingTable
from finn_flows.integer import IntegerNetwork
from finn_flows.lowering.absorb import Source, find_source
from finn_flows.lowering.errors import LoweringError
from finn_flows.lowering.execution import RESHAPES
from finn_flows.lowering.products import attributes, conv_padding, is_product, read_product
from finn_flows.lowering.regions import Response, find_region, pad_value
from finn_flows.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    NetworkError,
    Operation,
)

_NCHW = (0, 1, 2, 3)


def read_network(model: ModelWrapper) -> IntegerNetwork:
    """Read a graph whose activations are absorbed.

    Layers are named by kind and number: conv1, conv1_sign, pool1, flatten, dense1, dense1_sign, ..., and last
    classifier and label.

    Args:
        model: from `AbsorbActivations`.

    Returns:
        The same network, on integers: its input is the tensor `input_tensor` names, its output the class.

    Raises:
        LoweringError: if the graph is not a chain of products, crossings, max-pools and flattens that ends in
            a choice of the largest logit; the message names the node.
    """
    return _Reader(model).read()


def input_tensor(model: ModelWrapper) -> str:
    """Return the tensor that is the integer network's input, (1, features) or (1, channels, height, width).

    What stands ahead of it, the quantizer of the input too, is done before the hardware.
    """
    return _input(model)[0]


def _first_product(model: ModelWrapper) -> NodeProto:
    first = next((node for node in model.graph.node if is_product(node)), None)
    if first is None:
        raise LoweringError("the network has no product (Conv, MatMul or Gemm) that its input reaches")
    return first


def _input(model: ModelWrapper) -> tuple[str, Source, list[NodeProto]]:
    """Return the input's tensor, its source, and the moving nodes behind it."""
    source = find_source(model, _first_product(model))
    tensor, movers = source.tensor, list(source.movers)
    while movers and (
        movers[0].op_type == "Transpose"
        or (movers[0].op_type in RESHAPES and len(model.get_tensor_shape(tensor)) != 4)
    ):
        tensor = movers.pop(0).output[0]
    return tensor, source, movers


@dataclass
class _Layout:
    """How the current tensor of the graph lies, against channels last.

    Attributes:
        axes: which axis of (1, channels, height, width) each axis is; (0, 1) for features.
        features: for each feature its place in (height, width, channels) order; None where that is the same.
    """

    axes: tuple[int, ...]
    features: np.ndarray | None = None


class _Reader:
    """Follows the graph from its input and writes a layer for each node."""

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.layers: list[Layer] = []
        self.weights: dict[str, np.ndarray] = {}
        self.tables: dict[str, CrossingTable] = {}
        self.counts: dict[str, int] = {}
        self.padding = (0, 0)

    def read(self) -> IntegerNetwork:
        tensor, source, _ = _input(self.model)
        shape = self.model.get_tensor_shape(tensor)
        if len(shape) not in (2, 4):
            raise LoweringError(f"{tensor} has shape {shape}: the input must be (1, features) or an image")
        self.layout = _Layout(tuple(range(len(shape))))
        self.low = source.levels.low
        order = (2, 3, 1) if len(shape) == 4 else (1,)
        first = Input(tuple(shape[axis] for axis in order), source.levels.bits)
        last = [node for node in self.model.graph.node if is_product(node)][-1]
        while True:
            node = self._next(tensor)
            self._read_node(node, node is last)
            tensor = node.output[0]
            if node is last:
                break
        self._check_ending(last)
        self._add("label", LabelSelect())
        network = Network(first, tuple(self.layers))
        try:
            network.shapes()
            network.producers()
        except NetworkError as error:
            raise LoweringError(str(error)) from None
        return IntegerNetwork(network, self.weights, self.tables)

    def _next(self, tensor: str) -> NodeProto:
        readers = self.model.find_consumers(tensor) or []
        if len(readers) != 1:
            names = " and ".join(node.name for node in readers) or "nothing"
            raise LoweringError(f"{tensor} is read by {names}: only chains have hardware")
        return readers[0]

    def _read_node(self, node: NodeProto, is_last: bool) -> None:
        if self.padding != (0, 0) and node.op_type != "Conv":
            raise LoweringError(f"{node.name} ({node.op_type}) stands behind padding: only a Conv may")
        if is_product(node):
            self._product(node, is_last)
        elif node.op_type == "Crossings":
            self._crossings(node)
        elif node.op_type == "MaxPool":
            self._pool(node)
        elif node.op_type == "Pad":
            self._pad(node)
        elif node.op_type == "Transpose":
            perm = attributes(node)["perm"]
            self.layout = _Layout(tuple(self.layout.axes[axis] for axis in perm), self.layout.features)
        elif node.op_type in RESHAPES:
            self._flatten(node)
        else:
            raise LoweringError(
                f"{node.name} ({node.op_type}) is left between the layers and has no hardware"
            )

    def _add(self, name: str, operation: Operation) -> None:
        self.layers.append(Layer(name, operation, (self.layers[-1].name if self.layers else "input",)))

    def _number(self, kind: str) -> str:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}{self.counts[kind]}"

    def _shape(self, name: str) -> list[int]:
        return self.model.get_tensor_shape(name)

    def _need_channels_first(self, node: NodeProto) -> None:
        if self.layout.axes != _NCHW:
            raise LoweringError(
                f"{node.name} ({node.op_type}) reads a tensor that is not (1, channels, height, width): transpose it back"
            )

    def _product(self, node: NodeProto, is_last: bool) -> None:
        product = read_product(self.model, node)
        name = "classifier" if is_last else self._number(node.op_type.lower().replace("matmul", "dense"))
        if node.op_type == "Conv":
            self._need_channels_first(node)
            known = attributes(node)
            own = conv_padding(node)
            padding = (own[0] + self.padding[0], own[1] + self.padding[1])
            stride = tuple(known.get("strides") or (1, 1))
            signs = np.ascontiguousarray(product.signs.transpose(0, 2, 3, 1))
            kernel = (signs.shape[1], signs.shape[2])
            self._add(name, Conv(len(signs), kernel, stride, padding, known.get("group", 1)))
            self.padding = (0, 0)
        else:
            signs = product.signs
            if self.layout.features is not None:
                signs = np.empty_like(product.signs)
                signs[:, self.layout.features] = product.signs
            self._add(name, Dense(len(signs)))
            self.layout = _Layout((0, 1))
        self.weights[name] = signs

    def _crossings(self, node: NodeProto) -> None:
        op = self.model.get_customop_wrapper(node)
        table, bits = op.table, op.levels.bits
        if op.get_nodeattr("axis") != self.layout.axes.index(1):
            raise LoweringError(f"{node.name} (Crossings) has its channels at another axis than its input")
        if self.layout.features is not None:
            rows = np.arange(table.channels).reshape(-1, bits)
            ordered = np.empty_like(rows)
            ordered[self.layout.features] = rows
            table = table.select(ordered.reshape(-1))
        producer = next(
            layer.name for layer in reversed(self.layers) if isinstance(layer.operation, Conv | Dense)
        )
        name = f"{producer}_sign" if bits == 1 else f"{producer}_levels"
        self._add(name, Activation(tuple(int(count) for count in table.counts()), bits))
        self.tables[name], self.low = table, op.levels.low

    def _pool(self, node: NodeProto) -> None:
        self._need_channels_first(node)
        known = attributes(node)
        if not self.layers or all(isinstance(layer.operation, Flatten) for layer in self.layers):
            raise LoweringError(f"{node.name} (MaxPool) pools the network's input: pool the data instead")
        if (
            any(known.get("pads") or ())
            or any(by != 1 for by in known.get("dilations") or ())
            or known.get("ceil_mode", 0)
            or known.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
        ):
            raise LoweringError(f"{node.name} (MaxPool) pads, dilates or rounds up, which has no hardware")
        kernel = tuple(known["kernel_shape"])
        self._add(self._number("pool"), MaxPool(kernel, tuple(known.get("strides") or (1, 1))))

    def _pad(self, node: NodeProto) -> None:
        self._need_channels_first(node)
        amounts = np.asarray(self.model.get_initializer(node.input[1])).reshape(-1)
        if len(node.input) > 3 and node.input[3]:
            axes = [int(axis) % 4 for axis in self.model.get_initializer(node.input[3])]
            full = np.zeros(8, np.int64)
            full[axes] = amounts[: len(axes)]
            full[[axis + 4 for axis in axes]] = amounts[len(axes) :]
            amounts = full
        ahead, behind = amounts[:4], amounts[4:]
        if any(ahead[:2]) or (ahead != behind).any() or (ahead < 0).any():
            raise LoweringError(
                f"{node.name} (Pad) pads {[int(a) for a in ahead]} ahead and {[int(b) for b in behind]} behind: only "
                "height and width are padded, both sides alike"
            )
        value = pad_value(self.model, node)
        if value != self.low:
            raise LoweringError(
                f"{node.name} (Pad) pads with {value:g}, which is not the lowest level of its input, {self.low}"
            )
        self.padding = (self.padding[0] + int(ahead[2]), self.padding[1] + int(ahead[3]))

    def _flatten(self, node: NodeProto) -> None:
        before, after = self._shape(node.input[0]), self._shape(node.output[0])
        if before == after:
            return
        if len(before) != 4 or len(after) != 2 or after[1] != math.prod(before):
            raise LoweringError(
                f"{node.name} ({node.op_type}) makes {after} of {before}: only an image of one sample is flattened"
            )
        self._add("flatten", Flatten())
        sizes = dict(zip(self.layout.axes, before, strict=True))
        # Places in (height, width, channels) order, arranged as the graph's tensor lies.
        places = np.arange(after[1]).reshape(sizes[2], sizes[3], sizes[1])
        inner = [(2, 3, 1).index(axis) for axis in self.layout.axes[1:]]
        self.layout = _Layout((0, 1), places.transpose(inner).reshape(-1))

    def _check_ending(self, last: NodeProto) -> None:
        """Refuse an ending under which the largest accumulator would not be the class."""
        model, region = self.model, find_region(self.model, last)
        shape = self._shape(last.output[0])
        if math.prod(shape) != shape[1]:
            raise LoweringError(
                f"{last.name} ({last.op_type}) is the last product and still an image, {shape}"
            )
        if len(shape) == 4:
            self._add("flatten", Flatten())
        for node in (*region.body, *region.tail):
            if node.op_type in ("MaxPool", "Pad", "Transpose"):
                raise LoweringError(
                    f"{node.name} ({node.op_type}) stands behind the last product, {last.name}"
                )
        self._check_order(last, Response(model, region))
        _check_choice(model, region.ending)

    def _check_order(self, last: NodeProto, response: Response) -> None:
        signs = next(self.weights[layer.name] for layer in self.layers if layer.name == "classifier")
        source = find_source(self.model, last)
        reach = signs[0].size * source.levels.high
        grid = np.arange(-reach, reach + 1, source.levels.step, dtype=np.float32)
        columns = np.repeat(grid[:, None], len(signs), axis=1)
        if _keeps_order(response.stages(columns)[-1]):
            return
        trace = response.trace(columns)
        node, values = next((each for each in trace if not _keeps_order(each[1])), trace[-1])
        if (values != values[:, :1]).any():
            raise LoweringError(
                f"{node.name} ({node.op_type}) treats the classes differently, so that the largest accumulator of "
                f"{last.name} is not the class: give the logits one scale and no bias, and the activation ahead levels "
                "that start at 0, or signs"
            )
        raise LoweringError(
            f"{node.name} ({node.op_type}) changes the order of the logits of {last.name}, or makes different ones "
            "equal: end with one positive scale, a Softmax, an ArgMax or nothing"
        )


def _keeps_order(values: np.ndarray) -> bool:
    """Tell whether all classes (columns) have one function, and it rises."""
    same = (values == values[:, :1]).all()
    return bool(same and (np.diff(values[:, 0].astype(np.float64)) > 0).all())


def _check_choice(model: ModelWrapper, ending: tuple[NodeProto, ...]) -> None:
    """Refuse nodes behind the logits that are not a choice of the largest."""
    chosen = False
    for node in ending:
        known = attributes(node)
        fine = (
            (node.op_type in ("Softmax", "LogSoftmax") and not chosen and known.get("axis", -1) in (1, -1))
            or (node.op_type == "ArgMax" and not chosen and known.get("axis", 0) in (1, -1))
            or (node.op_type == "TopK" and not chosen and known.get("axis", -1) in (1, -1))
            or (chosen and node.op_type in (*RESHAPES, "Cast", "Identity"))
        )
        if node.op_type == "ArgMax" and known.get("select_last_index", 0):
            fine = False
        if node.op_type == "TopK":
            many = model.get_initializer(node.input[1])
            fine = fine and bool(known.get("largest", 1)) and many is not None and int(many.item()) == 1
        if not fine:
            raise LoweringError(
                f"{node.name} ({node.op_type}) stands behind the logits: only a Softmax over the classes and the choice of "
                "the largest (ArgMax, TopK) may"
            )
        chosen = chosen or node.op_type in ("ArgMax", "TopK")
