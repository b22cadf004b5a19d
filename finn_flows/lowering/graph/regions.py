"""Regions between tensors of integers: the nodes of an activation and its quantizer in a QONNX graph.

A region consists of elementwise nodes, whatever they compute, and of moving nodes: pools, flattens, transposes, padding.
Moving nodes cut it into a sequence of segments. Each segment is a function of one value in each channel and is evaluated
by executing its nodes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import RESHAPES, Tensors, constants, execute
from zerocross.finn_flows.lowering.graph.naming import called, labelled_layer
from zerocross.finn_flows.lowering.graph.products import attributes

_STANDARD = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization Cast CastLike Ceil Celu Clip Cos Cosh
    DequantizeLinear Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity
    IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear
    Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan Tanh
    ThresholdedRelu Where Xor"""

QONNX = frozenset({"BipolarQuant", "FloatQuant", "IntQuant", "MultiThreshold", "Quant", "Trunc"})
"""QONNX's quantizers."""

_QUANTIZERS = QONNX | {"QuantizeLinear"}

ELEMENTWISE = QONNX | {"Crossings"} | frozenset(_STANDARD.split())
"""Nodes whose output elements depend only on the input elements at the same place, and on the channel."""

MOVING = RESHAPES | {"Gather", "MaxPool", "Pad", "Transpose"}
"""Nodes that move, repeat or drop elements, and compute nothing but a maximum. A Gather chooses channels."""

BY_CHANNEL = frozenset({"BatchNormalization", "MultiThreshold"})
"""Nodes with one parameter for each channel, instead of arrays that broadcast."""

_WITH_AXIS = frozenset({"DequantizeLinear", "QuantizeLinear"})
"""Nodes that may have one parameter for each channel; an attribute names the axis."""


@dataclass(frozen=True)
class Region:
    """The nodes that compute one tensor from another, element by element.

    Attributes:
        source: Tensor that the region reads.
        origin: Name of the node that makes the source, for messages.
        body: Elementwise and moving nodes, in topological order.
        end: Tensor that the region makes; the source itself if the body is empty.
        axis: Axis of the source's channels.
    """

    source: str
    origin: str
    body: tuple[NodeProto, ...]
    end: str
    axis: int = 1

    @property
    def quantizer(self) -> NodeProto | None:
        """The node that gives an activation its name; None if the body only moves elements.

        It is the last node with a label, else the last quantizer, else the last elementwise node.
        """
        nodes = [node for node in reversed(self.body) if node.op_type in ELEMENTWISE]
        labelled = [node for node in nodes if labelled_layer(node)]
        quantizers = [node for node in nodes if node.op_type in _QUANTIZERS]
        return next(iter(labelled + quantizers + nodes), None)


@dataclass(frozen=True)
class _Segment:
    """Elementwise nodes between two moving nodes.

    Attributes:
        nodes: Nodes in topological order.
        source: Tensor that they read.
        sink: Tensor that they make.
        shape: Shape of both tensors for one sample.
        axis: Axis of the channels.
        spread: For each channel, the channel of the preceding segment that it comes from; None if they are the same.
    """

    nodes: tuple[NodeProto, ...]
    source: str
    sink: str
    shape: tuple[int, ...]
    axis: int
    spread: np.ndarray | None

    @property
    def channels(self) -> int:
        return self.shape[self.axis]


@dataclass
class RegionFunction:
    """A region's body as a function of one value in each channel.

    Attributes:
        movers: Moving nodes of the body; segment i + 1 begins behind mover i.
        segments: Segments ahead of, between and behind the movers.
    """

    model: ModelWrapper
    region: Region
    movers: list[NodeProto] = field(init=False)
    segments: list[_Segment] = field(init=False)

    def __post_init__(self) -> None:
        self.movers, self.segments = _cut(self.model, self.region)
        known = constants(self.model, {name for node in self.region.body for name in node.input})
        self._constants = [_parameters(segment, known) for segment in self.segments]

    @property
    def channels(self) -> int:
        """Number of channels of the body's output; of features if it flattens."""
        return self.segments[-1].channels

    @property
    def axis(self) -> int:
        """Axis of the channels of the body's output."""
        return self.segments[-1].axis

    def stages(self, values: np.ndarray, start: int = 0) -> list[np.ndarray]:
        """Evaluate the body.

        Args:
            values: Input of the first segment, float32, shape (T, channels).
            start: Index of the first segment to evaluate.

        Returns:
            The input of each mover from there on, and the body's output last; shapes (T, channels).

        Raises:
            LoweringError: If a node does not work channel by channel, or cannot be executed.
        """
        results = []
        for index in range(start, len(self.segments)):
            segment = self.segments[index]
            if segment.spread is not None and index > start:
                values = values[:, segment.spread]
            values = self._evaluate(segment, self._constants[index], values)
            results.append(values)
        return results

    def trace(self, values: np.ndarray) -> list[tuple[NodeProto, np.ndarray]]:
        """Evaluate the whole body; return every elementwise node with its output, shape (T, channels)."""
        seen: list[tuple[NodeProto, np.ndarray]] = []
        for segment, known in zip(self.segments, self._constants, strict=True):
            values = values if segment.spread is None else values[:, segment.spread]
            values = self._evaluate(segment, known, values, seen)
        return seen

    def padding(self) -> Iterator[tuple[NodeProto, float]]:
        """Yield every Pad of the body with the value that its padding has in the body's output."""
        for index, node in enumerate(self.movers):
            if node.op_type == "Pad":
                segment = self.segments[index + 1]
                row = np.full((1, segment.channels), pad_value(self.model, node), np.float32)
                values = np.unique(self.stages(row, index + 1)[-1])
                if len(values) > 1:
                    raise LoweringError(
                        f"{node.name} (Pad) pads channels with different values: let all channels have one"
                    )
                yield node, float(values[0])

    def _evaluate(
        self,
        segment: _Segment,
        known: Tensors,
        values: np.ndarray,
        seen: list[tuple[NodeProto, np.ndarray]] | None = None,
    ) -> np.ndarray:
        shape = [1] * len(segment.shape)
        shape[0], shape[segment.axis] = len(values), segment.channels
        tensors = {**known, segment.source: values.reshape(shape)}
        for node in segment.nodes:
            if node.op_type in _QUANTIZERS:
                found = np.broadcast_to(tensors[node.input[0]], shape).reshape(values.shape)
                self._check_numbers(node, found, values)
            execute(self.model, [node], tensors)
            for name in node.output:
                if name and tensors[name].shape != tuple(shape):
                    raise LoweringError(
                        f"{node.name} ({node.op_type}) does not work channel by channel: it turns {shape} into "
                        f"{list(tensors[name].shape)}"
                    )
            if seen is not None:
                seen.append((node, tensors[node.output[0]].reshape(len(values), segment.channels)))
        return tensors[segment.sink].reshape(len(values), segment.channels)

    def _check_numbers(self, node: NodeProto, found: np.ndarray, values: np.ndarray) -> None:
        """Refuse NaN, which a quantizer would silently turn into its lowest level."""
        if np.isnan(found).any():
            row, channel = np.argwhere(np.isnan(found))[0]
            raise LoweringError(
                f"{node.name} ({node.op_type}): its input is not a number in channel {channel} when the output of "
                f"{self.region.origin} is {values[row, channel]:g}: keep the activation's arguments in its domain"
            )


def pad_value(model: ModelWrapper, node: NodeProto) -> float:
    """Return the value that a Pad node pads with.

    Raises:
        LoweringError: If it does not pad with a constant.
    """
    known = attributes(node)
    if known.get("mode", b"constant") != b"constant":
        raise LoweringError(
            f"{node.name} (Pad) repeats its input, which is not supported: pad with a constant"
        )
    if len(node.input) > 2 and node.input[2]:
        return float(np.asarray(model.get_initializer(node.input[2])).reshape(-1)[0])
    return float(known.get("value", 0.0))


def _cut(model: ModelWrapper, region: Region) -> tuple[list[NodeProto], list[_Segment]]:
    """Cut a region's body into segments at its moving nodes."""
    tensor = region.source
    shape, axis = tuple(model.get_tensor_shape(tensor)), region.axis
    spread = None
    movers: list[NodeProto] = []
    segments: list[_Segment] = []
    nodes: list[NodeProto] = []
    made = {tensor}
    for node in region.body:
        dynamic = [name for name in node.input if name and model.get_initializer(name) is None]
        if any(name not in made for name in dynamic):
            raise LoweringError(
                f"{called(node)} reads the same tensor as {called(movers[-1])}, and its output: an activation may not "
                "branch around a choice of elements, a pool or a flatten"
            )
        if node.op_type in ELEMENTWISE:
            own = _own_axis(model, node, len(shape))
            if own not in (None, axis):
                raise LoweringError(
                    f"{node.name} ({node.op_type}) needs its channels on axis {own}, but they are on axis {axis}: "
                    "transpose behind it"
                )
            nodes.append(node)
            made.update(node.output)
            continue
        segments.append(_Segment(tuple(nodes), tensor, node.input[0], shape, axis, spread))
        movers.append(node)
        shape, axis, spread = _moved(model, node, shape, axis)
        tensor, nodes, made = node.output[0], [], {node.output[0]}
    segments.append(_Segment(tuple(nodes), tensor, region.end, shape, axis, spread))
    return movers, segments


def _own_axis(model: ModelWrapper, node: NodeProto, rank: int) -> int | None:
    """Return the axis of a node that has one parameter for each channel; None if they broadcast."""
    if node.op_type in BY_CHANNEL:
        return 1
    if node.op_type in _WITH_AXIS:
        scale = model.get_initializer(node.input[1])
        if scale is not None and scale.size > 1:
            return int(attributes(node).get("axis", 1)) % rank
    return None


def _moved(
    model: ModelWrapper, node: NodeProto, shape: tuple[int, ...], axis: int
) -> tuple[tuple[int, ...], int, np.ndarray | None]:
    """Return the shape behind a moving node, its channel axis, and the channel that each of its channels comes from."""
    after = tuple(model.get_tensor_shape(node.output[0]))
    if node.op_type == "Transpose":
        order = list(attributes(node).get("perm", range(len(shape))[::-1]))
        if order[0] != 0:
            raise LoweringError(f"{node.name} (Transpose) moves the batch axis: keep it first")
        return after, order.index(axis), None
    if node.op_type == "Gather":
        return after, axis, chosen_channels(model, node, shape, axis)
    if node.op_type not in RESHAPES or after == shape:
        return after, axis, None
    size = math.prod(shape[1:])
    if len(after) == 2 and after[1] == size:
        origin = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(1, len(shape))])
        return after, 1, np.broadcast_to(origin, shape[1:]).reshape(-1)
    if size == shape[axis] and size in after[1:]:
        return after, 1 + after[1:].index(size), None
    raise LoweringError(
        f"{node.name} ({node.op_type}) reshapes {list(shape)} to {list(after)}: an activation may only be flattened"
    )


def chosen_channels(model: ModelWrapper, node: NodeProto, shape: Sequence[int], axis: int) -> np.ndarray:
    """Return the channels that a Gather chooses, int64.

    Args:
        model: The graph.
        node: Gather that `zerocross.finn_flows.lowering.canonical.rewriting` wrote.
        shape: Shape of its input.
        axis: Axis of the channels.

    Raises:
        LoweringError: If it chooses rows or columns.
    """
    chosen = attributes(node).get("axis", 0)
    if chosen != axis:
        raise LoweringError(
            f"{called(node)} takes some elements of {list(shape)} along axis {chosen}: "
            "take whole channels, neighbouring rows or columns, or every second, third, ... from the first on"
        )
    return np.asarray(model.get_initializer(node.input[1]), np.int64)


def channels_behind(
    model: ModelWrapper, nodes: Iterable[NodeProto], axis: int
) -> tuple[np.ndarray | None, int]:
    """Follow channels through moving nodes.

    Args:
        model: The graph.
        nodes: Moving nodes, each of which reads the one before it.
        axis: Axis of the channels ahead of them.

    Returns:
        For each channel or feature behind the nodes, the channel ahead of them, or None if they are the same; and the axis
        of the channels behind them.
    """
    origin = None
    for node in nodes:
        _, axis, spread = _moved(model, node, tuple(model.get_tensor_shape(node.input[0])), axis)
        if spread is not None:
            origin = spread if origin is None else origin[spread]
    return origin, axis


def _parameters(segment: _Segment, known: Tensors) -> Tensors:
    """Return the constants of a segment, with one value for each channel wherever they repeat it."""
    found = {}
    for node in segment.nodes:
        for name in node.input:
            if name in known:
                value = np.asarray(known[name])
                by_channel = node.op_type in BY_CHANNEL or (
                    node.op_type in _WITH_AXIS and np.size(known[node.input[1]]) > 1
                )
                found[name] = value if by_channel else _per_channel(value, name, node, segment)
    return {"": None, **found}  # type: ignore[dict-item]  # QONNX's nodes look omitted inputs up


def _per_channel(value: np.ndarray, name: str, node: NodeProto, segment: _Segment) -> np.ndarray:
    first_axis = len(segment.shape) - value.ndim
    for axis in range(value.ndim):
        if value.shape[axis] == 1 or first_axis + axis == segment.axis:
            continue
        first = value.take([0], axis)
        if not (value == first).all():
            raise LoweringError(
                f"{node.name} ({node.op_type}): its parameter {name} of shape {list(value.shape)} varies within a channel: "
                "use one value for each channel"
            )
        value = first
    return value
