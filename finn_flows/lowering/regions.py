"""Regions between tensors of integers: what an activation and its quantizer are in a QONNX graph.

A region is made of elementwise nodes, whatever they compute, and of nodes that only move elements: pools, flattens,
transposes, padding. Cut at the latter, it is a row of segments, each a function of one value for each channel, which
is evaluated by executing its nodes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.execution import RESHAPES, Tensors, constants, execute
from zerocross.finn_flows.lowering.naming import labelled_layer
from zerocross.finn_flows.lowering.products import attributes

_STANDARD = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization Cast CastLike Ceil Celu Clip Cos Cosh
    DequantizeLinear Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity
    IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear
    Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan Tanh
    ThresholdedRelu Where Xor"""

_QONNX = "BipolarQuant Crossings FloatQuant IntQuant MultiThreshold Quant Trunc"

_QUANTIZERS = frozenset({"BipolarQuant", "IntQuant", "MultiThreshold", "Quant", "Trunc"})

ELEMENTWISE = frozenset(_STANDARD.split() + _QONNX.split())
"""Nodes whose every output element depends on the input elements at its own place, and on its channel."""

MOVING = RESHAPES | {"MaxPool", "Pad", "Transpose"}
"""Nodes that move, repeat or drop elements, and compute nothing of them but the largest."""

_BY_CHANNEL = frozenset({"BatchNormalization", "MultiThreshold"})
"""Nodes whose parameters are one for each channel, rather than arrays that broadcast."""


@dataclass(frozen=True)
class Region:
    """How one tensor is a function of another, element by element.

    Attributes:
        source: the tensor it is a function of.
        origin: the name of the node that makes the source, for messages.
        body: elementwise and moving nodes, in topological order.
        end: the tensor they make; the source itself if there are none.
        axis: where the source's channels are.
    """

    source: str
    origin: str
    body: tuple[NodeProto, ...]
    end: str
    axis: int = 1

    @property
    def quantizer(self) -> NodeProto | None:
        """The node after which an activation is called: one with a label, else a quantizer, else an elementwise one.

        Of several the last is meant; None if the body only moves elements.
        """
        nodes = [node for node in reversed(self.body) if node.op_type in ELEMENTWISE]
        labelled = [node for node in nodes if labelled_layer(node)]
        quantizers = [node for node in nodes if node.op_type in _QUANTIZERS]
        return next(iter(labelled + quantizers + nodes), None)


@dataclass(frozen=True)
class _Segment:
    """Elementwise nodes between two moving ones.

    Attributes:
        nodes: in topological order.
        source: the tensor they read.
        sink: the tensor they make.
        shape: of both, of one sample.
        axis: where the channels are.
        spread: for each channel of this segment, the channel of the one before it that it comes from; None where
            they are the same.
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
    """A region's body as a function of one value for each channel.

    Attributes:
        movers: the body's moving nodes; segment i + 1 begins behind mover i.
        segments: what stands between them.
    """

    model: ModelWrapper
    region: Region
    movers: list[NodeProto] = field(init=False)
    segments: list[_Segment] = field(init=False)

    def __post_init__(self) -> None:
        self.movers, self.segments = _cut(self.model, self.region)
        known = constants(self.model)
        self._constants = [_parameters(segment, known) for segment in self.segments]

    @property
    def channels(self) -> int:
        """Channels of the body's output; features if it flattens."""
        return self.segments[-1].channels

    @property
    def axis(self) -> int:
        """Where the channels of the body's output are."""
        return self.segments[-1].axis

    def stages(self, values: np.ndarray, start: int = 0) -> list[np.ndarray]:
        """Evaluate the body.

        Args:
            values: float32, shape (T, channels), at the source or behind a mover.
            start: the segment to begin with.

        Returns:
            What goes into each mover from there on, and at last the body's output; shapes (T, channels).

        Raises:
            LoweringError: if a node is not per channel or cannot be executed.
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
        """Evaluate the body from its beginning; return every elementwise node's output, shape (T, channels)."""
        seen: list[tuple[NodeProto, np.ndarray]] = []
        for segment, known in zip(self.segments, self._constants, strict=True):
            values = values if segment.spread is None else values[:, segment.spread]
            values = self._evaluate(segment, known, values, seen)
        return seen

    def padding(self) -> Iterator[tuple[NodeProto, float]]:
        """Give what every padding in the body adds to its output."""
        for index, node in enumerate(self.movers):
            if node.op_type == "Pad":
                segment = self.segments[index + 1]
                row = np.full((1, segment.channels), pad_value(self.model, node), np.float32)
                values = np.unique(self.stages(row, index + 1)[-1])
                if len(values) > 1:
                    raise LoweringError(f"{node.name} (Pad) pads with other values from channel to channel")
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
                self._check_numbers(node, tensors[node.input[0]].reshape(values.shape), values)
            execute(self.model, [node], tensors)
            for name in node.output:
                if name and tensors[name].shape != tuple(shape):
                    raise LoweringError(
                        f"{node.name} ({node.op_type}) does not work channel by channel: from {shape} it makes "
                        f"{list(tensors[name].shape)}"
                    )
            if seen is not None:
                seen.append((node, tensors[node.output[0]].reshape(len(values), segment.channels)))
        return tensors[segment.sink].reshape(len(values), segment.channels)

    def _check_numbers(self, node: NodeProto, found: np.ndarray, values: np.ndarray) -> None:
        """Refuse what is not a number, of which a quantizer would make its lowest level without a word."""
        if np.isnan(found).any():
            row, channel = np.argwhere(np.isnan(found))[0]
            raise LoweringError(
                f"{node.name} ({node.op_type}): what it quantizes is not a number in channel {channel} where "
                f"{values[row, channel]:g} comes of {self.region.origin}: keep the activation's arguments in its "
                "domain"
            )


def pad_value(model: ModelWrapper, node: NodeProto) -> float:
    """Return what a Pad node pads with.

    Raises:
        LoweringError: if it does not pad with a constant.
    """
    known = attributes(node)
    if known.get("mode", b"constant") != b"constant":
        raise LoweringError(
            f"{node.name} (Pad) repeats its input, which has no hardware: pad with a constant"
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
        if past := [name for name in dynamic if name not in made]:
            raise LoweringError(
                f"{node.name} ({node.op_type}) reads {past[0]} past {movers[-1].name} ({movers[-1].op_type}): an "
                "activation may not branch around a pool or a flatten"
            )
        if node.op_type in ELEMENTWISE:
            if node.op_type in _BY_CHANNEL and axis != 1:
                raise LoweringError(
                    f"{node.name} ({node.op_type}) finds its channels at axis 1, here they are at axis {axis}: "
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


def _moved(
    model: ModelWrapper, node: NodeProto, shape: tuple[int, ...], axis: int
) -> tuple[tuple[int, ...], int, np.ndarray | None]:
    """Return the shape behind a moving node, its channel axis, and where its channels come from."""
    after = tuple(model.get_tensor_shape(node.output[0]))
    if node.op_type == "Transpose":
        order = list(attributes(node).get("perm", range(len(shape))[::-1]))
        if order[0] != 0:
            raise LoweringError(f"{node.name} (Transpose) moves the batch axis, which has no hardware")
        return after, order.index(axis), None
    if node.op_type not in RESHAPES or after == shape:
        return after, axis, None
    size = math.prod(shape[1:])
    if len(after) == 2 and after[1] == size:
        origin = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(1, len(shape))])
        return after, 1, np.broadcast_to(origin, shape[1:]).reshape(-1)
    if size == shape[axis] and size in after[1:]:
        return after, 1 + after[1:].index(size), None
    raise LoweringError(
        f"{node.name} ({node.op_type}) makes {list(after)} of {list(shape)}: an activation may be flattened only"
    )


def _parameters(segment: _Segment, known: Tensors) -> Tensors:
    """Return the constants of a segment, those that repeat one value for each channel without the repetition."""
    found = {}
    for node in segment.nodes:
        for name in node.input:
            if name in known:
                value = np.asarray(known[name])
                found[name] = (
                    value if node.op_type in _BY_CHANNEL else _per_channel(value, name, node, segment)
                )
    return {"": None, **found}  # type: ignore[dict-item]  # QONNX's nodes look omitted inputs up


def _per_channel(value: np.ndarray, name: str, node: NodeProto, segment: _Segment) -> np.ndarray:
    first_axis = len(segment.shape) - value.ndim
    for axis in range(value.ndim):
        if value.shape[axis] == 1 or first_axis + axis == segment.axis:
            continue
        first = value.take([0], axis)
        if not (value == first).all():
            raise LoweringError(
                f"{node.name} ({node.op_type}): its parameter {name} of shape {list(value.shape)} differs from place to "
                "place: an activation with crossings may have one value for each channel"
            )
        value = first
    return value
