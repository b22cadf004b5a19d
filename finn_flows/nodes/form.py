"""Conversion of a node to plain values and back, for files and FINN's graphs. The node's numbers are not included."""

from dataclasses import fields
from typing import Any, get_type_hints

from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.nodes.stream import Stream


def shape_fields(kind: type[HardwareNode]) -> dict[str, Any]:
    """Return the names and types of the fields that define a node's shape and folding."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.compare}  # type: ignore[arg-type]


def to_values(node: HardwareNode) -> dict[str, Any]:
    """Return a node's shape and folding as integers, strings, lists of integers and None, by field."""
    return {name: _value(getattr(node, name)) for name in shape_fields(type(node))}


def from_values(kind: type[HardwareNode], values: dict[str, Any]) -> HardwareNode:
    """Return the node of values that `to_values` returned."""
    types = shape_fields(kind)
    return kind(**{name: _typed(types[name], value) for name, value in values.items()})


def _value(value: Any) -> Any:
    if isinstance(value, Stream):
        low, high = value.finn_range or (0, 0)
        return [value.lanes, value.bits, int(value.signed), low, high, *value.shape]
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, bool) else value


def _typed(kind: Any, value: Any) -> Any:
    if kind is Stream:
        lanes, bits, signed, low, high, *shape = value
        return Stream(tuple(shape), lanes, bits, bool(signed), (low, high) if (low, high) != (0, 0) else None)
    if isinstance(value, list | tuple):
        return tuple(value)
    return bool(value) if kind is bool else value
