"""Reads an absorbed QONNX graph (channels first) as an integer network (channels last)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.absorbing.class_scales import Reach
from zerocross.finn_flows.lowering.absorbing.endings import integer_choice, read_ending
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import RESHAPES
from zerocross.finn_flows.lowering.graph.naming import LABEL_SELECT, called, layer_name, unique
from zerocross.finn_flows.lowering.graph.padding import OWN_PAD, Amounts, own_padding, pad_amounts
from zerocross.finn_flows.lowering.graph.products import (
    ScaledProduct,
    as_sparse,
    attributes,
    is_product,
    read_product,
)
from zerocross.finn_flows.lowering.graph.quantizers import declared_levels
from zerocross.finn_flows.lowering.graph.regions import chosen_channels, pad_value
from zerocross.finn_flows.lowering.graph.structure import Structure
from zerocross.finn_flows.lowering.graph.windows import read_window
from zerocross.finn_flows.network import (
    Activation,
    Add,
    Concat,
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
    Pad,
    Select,
    Sparse,
    SumPool,
)

_NCHW = (0, 1, 2, 3)
_NCWH = (0, 1, 3, 2)


def read_network(model: ModelWrapper) -> IntegerNetwork:
    """Read a graph whose activations are absorbed.

    Layers get their names from nodes of the file (`zerocross.finn_flows.lowering.graph.naming`):

    - A product has the name of its Conv, MatMul or Gemm.
    - An activation has the name of its quantizer.
    - A sum, a pool and a flatten have the names of their own nodes.
    - A padding has the name of the node that reads it, followed by _padding.
    - The scale and bias of the logits have the name of the last product, followed by _bias.
    - The bit of a single logit has the name of its quantizer, or of the last product, followed by _class.
    - The last layer is called label.
    - A second layer of the same name gets a number: Quant_3, Quant_3_2.

    Args:
        model: Graph from `AbsorbActivations`.

    Returns:
        The same network on integers. Its input is the tensor that `input_tensor` returns, its output is the class.

    Raises:
        LoweringError: If the graph holds anything but products, crossings, sums, pools, flattens, Pad, Transpose and
            reshapes, or does not end with the choice of the largest logit; the message names the node.
    """
    try:
        return _Reader(model).read()
    except NetworkError as error:
        raise LoweringError(str(error)) from None


def input_tensor(model: ModelWrapper) -> str:
    """Return the tensor that is the integer network's input, (1, features) or (1, channels, height, width).

    The host computes everything before it, including the input's quantizer.
    """
    structure = Structure(model)
    return _behind_movers(structure, structure.input)


def _behind_movers(structure: Structure, tensor: str) -> str:
    """Follow the network's input through nodes that only rearrange it, while it has a single reader."""
    model = structure.model
    while (
        len(readers := model.find_consumers(tensor)) == 1
        and not is_product(readers[0])
        and (
            readers[0].op_type == "Transpose"
            or (readers[0].op_type in RESHAPES and len(model.get_tensor_shape(tensor)) != 4)
        )
    ):
        tensor = readers[0].output[0]
    return tensor


@dataclass(frozen=True)
class _View:
    """A tensor of the graph as a layer's output, and how their layouts differ.

    Attributes:
        layer: Name of the layer whose output it is.
        axes: For each axis, its number in (1, channels, height, width); (0, 1) for features.
        low: Least integer of its levels.
        features: For each feature, its place in (height, width, channels) order; for each channel of an image, its number in
            the layer. None if the order is the same.
        pad: Padding that is not a layer yet: the next node's own padding may add to it.
    """

    layer: str
    axes: tuple[int, ...]
    low: int
    features: np.ndarray | None = None
    pad: Pad | None = None

    def sides(self, pair: Sequence[int]) -> tuple[int, int]:
        """Return two numbers for the graph's last two axes as (vertical, horizontal) of the layer."""
        down, along = pair
        return (along, down) if self.axes == _NCWH else (down, along)

    def amounts(self, amounts: Amounts) -> Amounts:
        """Return a padding of the graph's image as that of the layer's."""
        top, left, bottom, right = amounts
        return (left, top, right, bottom) if self.axes == _NCWH else amounts


def _written(node: NodeProto) -> str:
    """Return the author's node for messages: a padding written out ahead of a node has the node's name."""
    name = node.name.removesuffix(OWN_PAD) if node.op_type == "Pad" else node.name
    return name if name != node.name else called(node)


class _Reader:
    """Follows the graph from its input and adds a layer for each node."""

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.structure = Structure(model)
        self.layers: list[Layer] = []
        self.names = {"input", LABEL_SELECT}
        self.logits = ""
        self.weights: dict[str, np.ndarray] = {}
        self.tables: dict[str, CrossingTable] = {}
        self.biases: dict[str, np.ndarray] = {}
        self.factors: dict[str, np.ndarray] = {}
        self.views: dict[str, _View] = {}

    def read(self) -> IntegerNetwork:
        structure = self.structure
        tensor = _behind_movers(structure, structure.input)
        shape = self._shape(tensor)
        if len(shape) not in (2, 4):
            raise LoweringError(
                f"{tensor} has shape {shape}: make the input (1, features) or (1, channels, height, width)"
            )
        order = (2, 3, 1) if len(shape) == 4 else (1,)
        counted = structure.is_summed(structure.input)
        levels = declared_levels(self.model, structure.input, structure.readers[0], counted)
        self.input = Input(tuple(shape[axis] for axis in order), levels.bits)
        self.views[tensor] = _View("input", tuple(range(len(shape))), levels.low)
        for node in self.model.graph.node:
            if any(name in self.views for name in node.input):
                self._read_node(node)
            if node.output[0] == structure.last.output[0]:
                break
        self._read_ending()
        self.layers.append(Layer(LABEL_SELECT, LabelSelect(), (self.layers[-1].name,)))
        network = self._network()
        network.grids()
        network.producers()
        return IntegerNetwork(network, self.weights, self.tables, self.biases, self.factors)

    def _network(self) -> Network:
        return Network(self.input, tuple(self.layers))

    def _read_node(self, node: NodeProto) -> None:
        view = self.views.get(node.input[0])
        if view is None:
            raise LoweringError(
                f"{node.name} ({node.op_type}) reads {node.input[0]}, which is not a layer's output"
            )
        if node.op_type == "Pad":
            self.views[node.output[0]] = self._pad(node, view)
            return
        view = self._padded(node, view)
        if is_product(node):
            found = self._product(node, view)
        elif node.op_type == "Crossings":
            found = self._crossings(node, view)
        elif node.op_type in ("Add", "Sum"):
            found = self._sum(node)
        elif node.op_type in ("MaxPool", "LpPool"):
            found = self._pool(node, view)
        elif node.op_type == "Concat":
            found = self._concat(node)
        elif node.op_type == "Gather":
            found = self._select(node, view)
        elif node.op_type == "Transpose":
            perm = attributes(node)["perm"]
            found = replace(view, axes=tuple(view.axes[axis] for axis in perm))
        elif node.op_type in RESHAPES:
            found = self._reshape(node, view)
        else:
            raise LoweringError(
                f"{node.name} ({node.op_type}) stands between the layers and is not supported"
            )
        self.views[node.output[0]] = found

    def _add(self, name: str, operation: Operation, *sources: str) -> str:
        """Add a layer and return its name, with a number if the name is taken."""
        name = unique(name, self.names)
        self.names.add(name)
        self.layers.append(Layer(name, operation, sources))
        return name

    def _shape(self, name: str) -> list[int]:
        return list(self.model.get_tensor_shape(name))

    def _layer_shape(self, layer: str) -> tuple[int, ...]:
        return self._network().shapes()[layer]

    def _need_image(self, node: NodeProto, view: _View) -> None:
        if view.axes not in (_NCHW, _NCWH):
            raise LoweringError(
                f"{_written(node)} reads a tensor that is not (1, channels, height, width): transpose it back"
            )
        if len(self._layer_shape(view.layer)) != 3:
            raise LoweringError(
                f"{node.name} ({node.op_type}) reads {view.layer}, features reshaped to an image: use a dense layer, or "
                "flatten later"
            )

    def _product(self, node: NodeProto, view: _View) -> _View:
        is_last = node.output[0] == self.structure.last.output[0]
        product = read_product(self.model, node, one_scale=is_last)
        weights = product.weights
        if node.op_type == "Conv":
            self._need_image(node, view)
            known = attributes(node)
            view, weights, order = self._ordered(node, view, weights)
            weights = np.ascontiguousarray(weights.transpose(0, view.axes[2], view.axes[3], 1))
            operation: Operation = Conv(
                len(weights),
                (weights.shape[1], weights.shape[2]),
                view.sides(known.get("strides") or (1, 1)),
                known.get("group", 1),
                view.sides(known.get("dilations") or (1, 1)),
                product.bits,
            )
        else:
            if view.features is not None:
                weights = np.empty_like(weights)
                weights[:, view.features] = product.weights
            operation = self._dense(view, product)
        name = self._add(layer_name(node), operation, view.layer)
        self.weights[name] = weights
        if is_last:
            self.logits = name
        return _View(name, view.axes, 0, order) if node.op_type == "Conv" else _View(name, (0, 1), 0)

    def _dense(self, view: _View, product: ScaledProduct) -> Dense | Sparse:
        found = as_sparse(product) if self._network().is_binary(view.layer) else None
        return Dense(product.channels, product.bits) if found is None else found

    def _crossings(self, node: NodeProto, view: _View) -> _View:
        op = self.model.get_customop_wrapper(node)
        table, bits = op.table, op.levels.bits
        if op.get_nodeattr("axis") != view.axes.index(1):
            raise LoweringError(f"{node.name} (Crossings): its channel axis is not its input's")
        if view.features is not None:
            rows = np.arange(table.channels).reshape(-1, bits)
            ordered = np.empty_like(rows)
            ordered[view.features] = rows
            table = table.select(ordered.reshape(-1))
        operation = Activation(tuple(int(count) for count in table.counts()), bits)
        name = self._add(layer_name(node), operation, view.layer)
        self.tables[name] = table
        return replace(view, layer=name, low=op.levels.low)

    def _sum(self, node: NodeProto) -> _View:
        views = [self._in_order(node, self._padded(node, self.views[name])) for name in node.input]
        orders = [None if view.features is None else view.features.tolist() for view in views]
        if any(order != orders[0] for order in orders):
            views = [self._natural(node, view) for view in views]
        shapes = [self._layer_shape(view.layer) for view in views]
        ranks = {len(self._shape(name)) for name in node.input}
        image = next((shape for shape in shapes if len(shape) == 3 and shape[:2] != (1, 1)), None)
        first = views[0] if image is None else views[shapes.index(image)]
        for name, view in zip(node.input, views, strict=True):
            if len(ranks) > 1 or view.axes != first.axes:
                raise LoweringError(
                    f"{node.name} ({node.op_type}): the output of {view.layer}, of shape {self._shape(name)}, does not have "
                    f"the layout of that of {views[0].layer}: add a vector to images as (1, channels, 1, 1), and other "
                    "tensors in one layout"
                )
        sources = [
            self._add("flatten", Flatten(), view.layer)
            if image is not None and shape[:-1] == (1, 1)
            else view.layer
            for view, shape in zip(views, shapes, strict=True)
        ]
        return replace(first, layer=self._add(layer_name(node), Add(), *sources), low=0)

    # Channels in another order.

    def _ordered(
        self, node: NodeProto, view: _View, weights: np.ndarray
    ) -> tuple[_View, np.ndarray, np.ndarray | None]:
        """Put a convolution's weights into the order of its input's channels.

        Returns:
            The input, the weights (channels, inputs, height, width), and the order of the output's channels.
        """
        order, groups = view.features, attributes(node).get("group", 1)
        if order is None:
            return view, weights, None
        if groups == 1:
            ordered = np.empty_like(weights)
            ordered[:, order] = weights
            return view, ordered, None
        if groups == len(order):  # each channel takes its outputs with it
            outs = np.arange(len(weights)).reshape(groups, -1)
            rows, moved = np.empty_like(outs), outs[order]
            rows[order] = outs
            return view, weights[rows.reshape(-1)], moved.reshape(-1)
        return self._in_order(node, view), weights, None

    def _in_order(self, node: NodeProto, view: _View) -> _View:
        """Return an image whose layer has its channels in order; add a layer that moves them if necessary."""
        return self._natural(node, view) if len(self._layer_shape(view.layer)) == 3 else view

    def _natural(self, node: NodeProto, view: _View) -> _View:
        """Return a view whose layer has its channels, or features, in order; add a layer that moves them if necessary."""
        if view.features is None:
            return view
        name = self._add(f"{layer_name(node)}_order", Select(tuple(map(int, view.features))), view.layer)
        return replace(view, layer=name, features=None)

    def _select(self, node: NodeProto, view: _View) -> _View:
        axis = view.axes.index(1)
        channels = chosen_channels(self.model, node, self._shape(node.input[0]), axis)
        chosen = channels if view.features is None else view.features[channels]
        if len(np.unique(chosen)) == len(chosen) == self._layer_shape(view.layer)[-1]:
            return replace(view, features=chosen)
        # The layer keeps the order of the stream; readers account for that of the graph.
        rising = np.argsort(chosen, kind="stable")
        name = self._add(layer_name(node), Select(tuple(int(each) for each in chosen[rising])), view.layer)
        order = np.empty_like(rising)
        order[rising] = np.arange(len(rising))
        is_same = np.array_equal(order, np.arange(len(order)))
        return replace(view, layer=name, features=None if is_same else order)

    def _concat(self, node: NodeProto) -> _View:
        views = [self._padded(node, self.views[name]) for name in node.input]
        shapes = [self._layer_shape(view.layer) for view in views]
        first, axis = views[0], attributes(node)["axis"] % len(self._shape(node.input[0]))
        for name, view, shape in zip(node.input, views, shapes, strict=True):
            if view.axes != first.axes or len(shape) != len(shapes[0]):
                raise LoweringError(
                    f"{node.name} (Concat): the output of {view.layer}, of shape {self._shape(name)}, does not have the "
                    f"layout of that of {first.layer}: join images with images, and features with features"
                )
        if first.axes[axis] != 1:
            raise LoweringError(f"{node.name} (Concat) joins its inputs along axis {axis}: join channels")
        begins = np.cumsum([0, *(shape[-1] for shape in shapes)])
        orders = [
            begin + (np.arange(shape[-1]) if view.features is None else view.features)
            for begin, view, shape in zip(begins, views, shapes, strict=False)
        ]
        order = None if all(view.features is None for view in views) else np.concatenate(orders)
        name = self._add(layer_name(node), Concat(), *(view.layer for view in views))
        return replace(first, layer=name, features=order, low=max(view.low for view in views))

    def _pool(self, node: NodeProto, view: _View) -> _View:
        self._need_image(node, view)
        if node.op_type == "LpPool":
            window = read_window(self.model, node)
            pool = SumPool(view.sides(window.kernel), view.sides(window.stride))
            name = self._add(layer_name(node), pool, view.layer)
            return replace(view, layer=name, low=0)
        known = attributes(node)
        if any(by != 1 for by in known.get("dilations") or ()):
            raise LoweringError(f"{node.name} (MaxPool) dilates, which is not supported: do without")
        operation = MaxPool(view.sides(known["kernel_shape"]), view.sides(known.get("strides") or (1, 1)))
        return replace(view, layer=self._add(layer_name(node), operation, view.layer))

    def _pad(self, node: NodeProto, view: _View) -> _View:
        self._need_image(node, view)
        return self._more(node, view, pad_amounts(self.model, node), round(pad_value(self.model, node)))

    def _padded(self, node: NodeProto, view: _View) -> _View:
        """Return a view with a node's own padding, and with all of its padding as a layer."""
        if node.op_type in ("Conv", "MaxPool") and any(amounts := own_padding(self.model, node)):
            self._need_image(node, view)
            value = 0 if node.op_type == "Conv" else self._network().grids()[view.layer].low
            view = self._more(node, view, amounts, value)
        return self._settled(node, view)

    def _more(self, node: NodeProto, view: _View, amounts: Amounts, value: int) -> _View:
        if view.pad is not None and view.pad.value != value:
            view = self._settled(node, view)
        amounts = view.amounts(amounts)
        if view.pad is not None:
            top, left, bottom, right = (old + new for old, new in zip(view.pad.amounts, amounts, strict=True))
            amounts = top, left, bottom, right
        return replace(view, pad=Pad(amounts, value)) if any(amounts) else view

    def _settled(self, node: NodeProto, view: _View) -> _View:
        if view.pad is None:
            return view
        return replace(view, layer=self._add(f"{layer_name(node)}_padding", view.pad, view.layer), pad=None)

    def _reshape(self, node: NodeProto, view: _View) -> _View:
        before, after = self._shape(node.input[0]), self._shape(node.output[0])
        if before == after:
            return view
        size = math.prod(before)
        if (
            len(before) == 4
            and len(after) == 2
            and after[1] == size
            and len(self._layer_shape(view.layer)) == 3
        ):
            layer = self._add(layer_name(node), Flatten(), view.layer)
            sizes = dict(zip(view.axes, before, strict=True))
            # Places in (height, width, channels) order, arranged in the graph's layout.
            places = np.arange(size).reshape(sizes[2], sizes[3], sizes[1])
            places = places if view.features is None else places[:, :, view.features]
            inner = [(2, 3, 1).index(axis) for axis in view.axes[1:]]
            return _View(layer, (0, 1), view.low, places.transpose(inner).reshape(-1))
        if size == before[view.axes.index(1)] and size in after[1:]:  # features, on any axis
            channels = 1 + after[1:].index(size)
            rest = [axis for axis in range(2, len(after))]
            axes = [0, *rest]
            axes.insert(channels, 1)
            return replace(view, axes=tuple(axes))
        raise LoweringError(
            f"{node.name} ({node.op_type}) reshapes {before} to {after}: only flattening an image is supported"
        )

    def _read_ending(self) -> None:
        """Read the nodes after the last product: a bit of one logit, or scales and biases and the choice of the largest."""
        last, ending = self.structure.last, self.structure.ending
        if self.structure.is_single:
            for node in ending:
                self._read_node(node)
            if len(self._layer_shape(self.layers[-1].name)) == 3:
                self._add("flatten", Flatten(), self.layers[-1].name)
            return
        found = read_ending(self.structure)
        if len(self._shape(last.output[0])) == 4:
            self._add("flatten", Flatten(), self.layers[-1].name)
        layer = next(layer for layer in self.layers if layer.name == self.logits)
        inputs = self._network().grids()[layer.inputs[0]]
        weights = self.weights[self.logits].astype(np.int64)
        step = inputs.step if self._network().weight_bits(self.logits) == 1 else 1
        choice = integer_choice(found, Reach(weights.reshape(len(weights), -1), inputs), step)
        if choice is not None:
            name = self._add(f"{self.logits}_bias", choice.layer, self.layers[-1].name)
            self.biases[name] = choice.biases
            if choice.factors is not None:
                self.factors[name] = choice.factors
