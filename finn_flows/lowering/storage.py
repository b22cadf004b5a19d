"""Integer networks on disk: an .npz file of arrays, one of which holds the layers as JSON text. No pickles."""

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import TypeAdapter

from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Bias,
    Grid,
    Input,
    Layer,
    Network,
    NetworkError,
    Operation,
)
from zerocross.reading import Unreadable, as_record, parse_json, read_arrays, reason
from zerocross.writing import replacing

FORMAT = "zerocross integer network"
VERSION = 3
_MOST_BITS = 64

_OPERATIONS: dict[str, type] = {each.__name__: each for each in get_args(Operation)}


class StorageError(FlowError):
    """Raised for a file that cannot be written or is no integer network; the message names the file and the reason."""


def save(net: IntegerNetwork, path: Path) -> None:
    """Write an integer network atomically.

    Args:
        net: The network.
        path: File to write, usually `*.npz`; replaced if it exists.

    Raises:
        StorageError: If the file cannot be written.
    """
    layers = [
        {
            "name": layer.name,
            "operation": type(layer.operation).__name__,
            "inputs": layer.inputs,
            **{key: value for key, value in vars(layer.operation).items() if key != "crossings"},
        }
        for layer in net.network.layers
    ]
    grids = {name: dataclasses.astuple(table.grid) for name, table in net.tables.items()}
    shapes = {name: weights.shape for name, weights in net.weights.items()}
    record = {
        "format": FORMAT,
        "version": VERSION,
        "input": vars(net.network.input),
        "layers": layers,
        "grids": grids,
        "weights": shapes,
    }
    arrays = {"network": np.frombuffer(json.dumps(record).encode(), np.uint8)}
    for name, weights in net.weights.items():
        bits = net.network.weight_bits(name)
        arrays[f"weights/{name}"] = np.packbits(weights.reshape(-1) > 0) if bits == 1 else weights.reshape(-1)
    for name, table in net.tables.items():
        arrays[f"first/{name}"] = table.first
        arrays[f"offsets/{name}"] = table.offsets
        arrays[f"places/{name}"] = table.places
    for name, biases in net.biases.items():
        arrays[f"biases/{name}"] = biases
    for name, factors in net.factors.items():
        arrays[f"factors/{name}"] = factors
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's stub knows a flag there
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error})") from None


def load(path: Path) -> IntegerNetwork:
    """Read an integer network.

    Raises:
        StorageError: If the file is missing, damaged, of another version, or no integer network.
    """
    try:
        arrays = read_arrays(path)
    except FileNotFoundError:
        raise StorageError(f"{path} does not exist") from None
    except (OSError, Unreadable) as error:
        raise StorageError(f"{path} is damaged or no integer network ({error})") from None
    try:
        record = parse_json(arrays["network"].tobytes())
        if record["format"] != FORMAT:
            raise KeyError("format")
    except (KeyError, TypeError, ValueError):
        raise StorageError(f"{path} does not hold an integer network") from None
    if record.get("version") != VERSION:
        raise StorageError(
            f"{path} has format version {record.get('version')}, but this zerocross reads {VERSION}: lower the network again"
        )
    try:
        net = _network(record, arrays)
        _check(net)
    except NetworkError as error:
        raise StorageError(f"{path} is inconsistent: {error}") from None
    except Exception as error:  # a record of other types than `save` writes fails anywhere
        raise StorageError(f"{path} is inconsistent: {reason(error)}") from None
    return net


def _network(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> IntegerNetwork:
    tables = {
        name: CrossingTable(
            _grid(name, grid), arrays[f"first/{name}"], arrays[f"offsets/{name}"], arrays[f"places/{name}"]
        )
        for name, grid in record["grids"].items()
    }
    layers = tuple(_layer(layer, tables) for layer in record["layers"])
    source = record["input"]
    start = as_record(TypeAdapter(Input), {"shape": tuple(source["shape"]), "bits": source["bits"]})
    if not 1 <= start.bits <= _MOST_BITS or min(start.shape) < 1:
        raise NetworkError(f"the input has the shape {start.shape} and {start.bits} bits")
    network = Network(start, layers)
    weights = {}
    for name, shape in record["weights"].items():
        values = arrays[f"weights/{name}"]
        if network.weight_bits(name) == 1:
            values = 2 * np.unpackbits(values, count=int(np.prod(shape))).astype(np.int8) - 1
        weights[name] = values.reshape(shape)
    own = {layer.name: layer.operation for layer in layers if isinstance(layer.operation, Bias)}
    biases = {name: arrays[f"biases/{name}"] for name in own}
    factors = {name: arrays[f"factors/{name}"] for name, bias in own.items() if bias.has_factors}
    return IntegerNetwork(network, weights, tables, biases, factors)


def _grid(name: str, numbers: Any) -> Grid:
    low, high, step = numbers
    if not all(isinstance(each, int) for each in numbers) or step < 1 or high < low:
        raise NetworkError(
            f"{name} has the grid {numbers}: a grid rises from its first to its second number by the third"
        )
    return Grid(low, high, step)


def _layer(record: dict[str, Any], tables: dict[str, CrossingTable]) -> Layer:
    kind = _OPERATIONS[record["operation"]]
    fields = {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in dataclasses.fields(kind)
        if (value := record.get(field.name)) is not None
    }
    if kind is Activation:
        fields["crossings"] = tuple(int(count) for count in tables[record["name"]].counts())
    operation: Operation = as_record(TypeAdapter(kind), fields)
    if not 1 <= getattr(operation, "bits", 1) <= _MOST_BITS:
        raise NetworkError(f"{record['name']} has {fields['bits']} bits")
    return Layer(record["name"], operation, tuple(record["inputs"]))


def _check(net: IntegerNetwork) -> None:
    """Check that the arrays fit the layers they belong to."""
    network = net.network
    shapes, fan_ins = network.shapes(), network.fan_ins()
    if set(network.producers()) != set(net.tables) or set(fan_ins) != set(net.weights):
        raise NetworkError("its layers do not match its weights and tables")
    for name, fan_in in fan_ins.items():
        channels, weights = shapes[name][-1], net.weights[name]
        if weights.shape[0] != channels or weights[0].size != fan_in:
            raise NetworkError(f"{name} has weights of shape {weights.shape} for {channels} x {fan_in}")
    for layer in network.layers:
        if isinstance(layer.operation, Bias):
            bias, ones = layer.operation, np.ones(shapes[layer.name][-1:], np.int64)
            for what, numbers, low, high in (
                ("biases", net.biases[layer.name], bias.low, bias.high),
                ("factors", net.factors.get(layer.name, ones), bias.least, bias.most),
            ):
                if numbers.shape != ones.shape or numbers.min() < low or numbers.max() > high:
                    raise NetworkError(f"{layer.name} needs {what} of {low} to {high}, one for each channel")
    for name, table in net.tables.items():
        counts = table.counts()
        if len(counts) != table.channels or (counts < 0).any() or counts.sum() != len(table.places):
            raise NetworkError(f"{name} has {len(table.places)} crossings, which do not match its offsets")
        ordered = np.repeat(np.arange(table.channels), counts) * len(table.grid) + table.places
        inside = (table.places >= 1) & (table.places < len(table.grid))
        if table.offsets[0] != 0 or not inside.all() or (np.diff(ordered) <= 0).any():
            raise NetworkError(f"{name} has crossings off its grid, or out of order")
