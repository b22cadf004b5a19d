"""All values of a tensor that depends on floats without limits, found from what the nodes ahead of it compute.

A monotone node is one whose output never falls, or never rises, as its input rises: Round, Clip, Sign, QuantizeLinear, a
product with a constant, and so on. A chain of monotone nodes is monotone in the float that it starts from. Bisection over
all floats therefore finds every value of the chain and every float at which it changes, or that there are too many values.
Behind tensors of few values nodes may compute anything: between two changes all of them are constant.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.graph.levels import MOST
from zerocross.finn_flows.lowering.graph.products import attributes
from zerocross.finn_flows.lowering.graph.regions import MOVING, Region, RegionFunction

_LIMITS = "Clip DequantizeLinear Greater GreaterOrEqual Identity Less LessOrEqual Max Min Relu Sign"

_SAFE = frozenset(_LIMITS.split())
"""Nodes that are monotone in a number if all their other inputs are constants, and do not overflow if they read integers."""

_ONE_PLACE = """
    BatchNormalization BipolarQuant Ceil Div Dropout Erf Exp FloatQuant Floor HardSigmoid IntQuant LeakyRelu
    MultiThreshold Neg Quant QuantizeLinear Round Sigmoid Tanh Trunc"""

_MONOTONE = _SAFE | {"Add", "Mul", "Sub", "Sum"} | frozenset(_ONE_PLACE.split())
"""Nodes that are monotone in a float if all their other inputs are constants."""

_EITHER_SIDE = frozenset(
    {"Add", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mul", "Sub", "Sum"}
)
"""Monotone nodes whose constants may be ahead of the tensor."""

_INFINITY = int(np.float32(np.inf).view(np.int32))
_LARGE = int(np.float32(2.0**64).view(np.int32))

_Function = Callable[[np.ndarray], np.ndarray]


def few_values(model: ModelWrapper, region: Region) -> np.ndarray | None:
    """Return all values of a region whose source can hold any float32.

    Args:
        model: The graph.
        region: Elementwise nodes, and moving nodes that keep the channels.

    Returns:
        Ascending values, shape (T, channels), in which the largest fills up the columns of fewer values. None if there may
        be more than 256 values in a channel, or if a node that is not monotone reads more.

    Raises:
        LoweringError: If a node does not work channel by channel, or cannot be executed.
    """
    channels = model.get_tensor_shape(region.source)[region.axis]
    whole = _source_ends(model, region.source, channels)
    limits = {region.source: _to_floats(whole)}  # values of tensors with many values, at both ends
    changes: list[np.ndarray] = []
    for index, node in enumerate(region.body):
        if not any(name in limits for name in node.input):
            continue
        if not _is_monotone(model, node, limits):
            return None
        part = replace(region, body=region.body[: index + 1], end=node.output[0])
        function = _on_keys(RegionFunction(model, part))
        start = _ends(function, whole)
        if start is None:
            return None
        found = _changes(function, start)
        if found is None:
            limits[node.output[0]] = function(start)
        else:
            changes.append(found)
    if region.end in limits:
        return None
    values = np.sort(_on_keys(RegionFunction(model, region))(np.concatenate(changes)), axis=0)
    return _kept(np.vstack([np.ones_like(values[:1], bool), values[1:] != values[:-1]]), values)[0]


def _is_monotone(model: ModelWrapper, node: NodeProto, limits: dict[str, np.ndarray]) -> bool:
    """Return whether a node is monotone in its only input of many values; `limits` holds the ends of the values."""
    places = [index for index, name in enumerate(node.input) if name in limits]
    others = [name for name in node.input if name and name not in limits]
    if len(places) != 1 or any(model.get_initializer(name) is None for name in others):
        return False
    (place,) = places
    ends = limits[node.input[place]]
    if node.op_type == "Cast":
        return _casts_all(node, ends)
    if node.op_type in MOVING:
        return True
    if node.op_type not in _MONOTONE or (place and node.op_type not in _EITHER_SIDE):
        return False
    if node.op_type == "LeakyRelu" and attributes(node).get("alpha", 0.01) < 0:
        return False
    return ends.dtype.kind == "f" or node.op_type in _SAFE


def _casts_all(node: NodeProto, ends: np.ndarray) -> bool:
    """Return whether the target type of a Cast can hold all values between the ends; other values have no defined result."""
    target = np.dtype(helper.tensor_dtype_to_np_dtype(attributes(node)["to"]))
    if target.kind not in "iu":
        return target.kind == "f"
    limits = np.iinfo(target)
    return bool(np.isfinite(ends).all()) and all(
        limits.min <= int(each) <= limits.max for each in np.unique(ends)
    )


def _on_keys(response: RegionFunction) -> _Function:
    def function(keys: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return response.stages(_to_floats(keys))[-1]

    return function


def _source_ends(model: ModelWrapper, source: str, channels: int) -> np.ndarray:
    """Return the keys of the least and the largest value of a source, shape (2, channels)."""
    datatype, ends = model.get_tensor_datatype(source), [-_INFINITY, _INFINITY]
    if datatype.is_integer():
        ends = [_key_towards_zero(int(each)) for each in (datatype.min(), datatype.max())]
    return np.repeat(np.array(ends)[:, None], channels, axis=1)


def _key_towards_zero(number: int) -> int:
    size = int(np.float32(abs(number)).view(np.int32))
    size -= int(np.int32(size).view(np.float32)) > abs(number)
    return size if number >= 0 else -size


def _ends(function: _Function, keys: np.ndarray) -> np.ndarray | None:
    """Return the ends of the source, without floats so large that the function overflows there; None if it always does."""
    for most in (_INFINITY, _INFINITY - 1, _LARGE):
        keys = keys.clip(-most, most)
        if not np.isnan(function(keys).astype(np.float64)).any():
            return keys
    return None


def _changes(function: _Function, keys: np.ndarray) -> np.ndarray | None:
    """Find the least key of every value of a monotone function.

    Args:
        function: From keys, shape (T, channels), to values of the same shape.
        keys: Least and largest key, shape (2, channels).

    Returns:
        Keys, shape (T, channels), in which the largest key fills up the columns of fewer values; None if a channel has more
        than 256 values.
    """
    values = function(keys)
    while True:
        differs = values[1:] != values[:-1]
        if differs.sum(axis=0).max() >= MOST:
            return None
        gap = differs & (keys[1:] - keys[:-1] > 1)
        if not gap.any():
            return _kept(np.vstack([np.ones_like(differs[:1]), differs]), keys)[0]
        middle = np.where(gap, (keys[1:] + keys[:-1]) // 2, keys[1:])[gap.any(axis=1)]
        keys, values = np.concatenate([keys, middle]), np.concatenate([values, function(middle)])
        order = np.argsort(keys, axis=0, kind="stable")
        keys, values = (np.take_along_axis(each, order, axis=0) for each in (keys, values))
        beside = np.ones(keys.shape, bool)
        beside[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
        keys, values = _kept(beside, keys, values)


def _kept(which: np.ndarray, *columns: np.ndarray) -> list[np.ndarray]:
    """Keep some numbers of every column, in order, and repeat the column's last number behind them."""
    counts = which.sum(axis=0)
    order = np.argsort(~which, axis=0, kind="stable")[: counts.max()]
    order = np.where(np.arange(len(order))[:, None] < counts, order, len(which) - 1)
    return [np.take_along_axis(each, order, axis=0) for each in columns]


def _to_floats(keys: np.ndarray) -> np.ndarray:
    """Return the float32 of each key; keys number all floats in ascending order, 0 is 0."""
    return np.where(keys < 0, -1, 1).astype(np.float32) * np.abs(keys).astype(np.int32).view(np.float32)
