"""Encoders of the input: activations of its levels become one layer, a thermometer or bit planes.

A file writes an encoder of z bits in one of two ways:

- a Gather repeats each channel z times, and an activation of one bit reads the copies;
- z activations of one bit read the same levels, and a Concat joins them.

If all activations compare the levels with a threshold, both become a `Thermometer`. If each returns one bit of the levels'
binary numbers, they become `BitPlanes`. Channels of either are bit after bit of each channel of the input. The layers behind
it account for the order of the file.
"""

from dataclasses import dataclass, replace

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    BitPlanes,
    Concat,
    Conv,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Network,
    Pad,
    Select,
    Sparse,
    Thermometer,
)


def with_encoders(net: IntegerNetwork) -> IntegerNetwork:
    """Return the network with an encoder in place of each set of activations that is one.

    Only activations of the network's input count. All others stay activations.
    """
    for layer in net.network.layers:
        if isinstance(layer.operation, Concat):
            net = _joined(net, layer)
    for layer in net.network.layers:
        if isinstance(layer.operation, Activation):
            net = _repeated(net, layer)
    return net


def _repeated(net: IntegerNetwork, layer: Layer) -> IntegerNetwork:
    """Merge an activation with the Select ahead of it that repeats every channel equally often, if there is one."""
    network, source, bits = net.network, layer.inputs[0], 1
    before = network.inputs()[source]
    if isinstance(before, Layer) and isinstance(before.operation, Select):
        channels, source = np.array(before.operation.channels), before.inputs[0]
        count = network.shapes()[source][-1]
        bits = len(channels) // count
        if (
            not np.array_equal(channels, np.arange(count).repeat(bits))
            or len(network.readers(before.name)) > 1
        ):
            return net
    operation = _encoder([_Bits.of(net, layer.name, bits)]) if _is_of_input(network, source) else None
    if operation is None:
        return net
    made = Layer(layer.name, operation, (source,))
    dropped = set() if bits == 1 and source == layer.inputs[0] else {layer.inputs[0]}
    layers = tuple(
        made if each.name == layer.name else each for each in network.layers if each.name not in dropped
    )
    return _of_layers(net, layers, {layer.name})


def _joined(net: IntegerNetwork, layer: Layer) -> IntegerNetwork:
    """Merge a Concat with the activations that it joins, if all of them encode the same levels of the input."""
    network, known = net.network, net.network.inputs()
    parts = [known[name] for name in layer.inputs]
    sources = {
        part.inputs[0] if isinstance(part, Layer) and isinstance(part.operation, Activation) else ""
        for part in parts
    }
    if len(sources) != 1 or "" in sources or len(set(layer.inputs)) < len(parts):
        return net
    (source,) = sources
    if not _is_of_input(network, source) or any(len(network.readers(name)) > 1 for name in layer.inputs):
        return net
    made = _encoder([_Bits.of(net, name, 1) for name in layer.inputs])
    if made is None:
        return net
    channels = network.shapes()[source][-1]
    order = np.arange(channels * len(parts)).reshape(channels, -1).T.reshape(-1)  # of the Concat's channels
    readers = _products_behind(network, layer.name)
    name = layer.name if readers is not None else layer.inputs[0]
    layers = []
    for each in network.layers:
        if each.name == layer.name:
            layers.append(Layer(name, made, (source,)))
            if readers is None:
                layers.append(Layer(layer.name, Select(tuple(int(place) for place in order)), (name,)))
        elif each.name not in layer.inputs:
            layers.append(each)
    weights = dict(net.weights)
    for reader in readers or ():
        view = weights[reader].reshape(len(weights[reader]), -1, len(order))
        moved = np.empty_like(view)
        moved[:, :, order] = view
        weights[reader] = moved.reshape(weights[reader].shape)
    return _of_layers(replace(net, weights=weights), tuple(layers), set(layer.inputs))


@dataclass(frozen=True)
class _Bits:
    """What an activation of one bit returns of the levels that it reads.

    Attributes:
        thresholds: The level from which on each bit is +1, (channels, bits); None if this is not all that it does.
        planes: The numbers of the bits that it returns of each channel; None if it does not return bits of numbers.
    """

    thresholds: np.ndarray | None = None
    planes: tuple[int, ...] | None = None

    @classmethod
    def of(cls, net: IntegerNetwork, name: str, bits: int) -> "_Bits":
        """Look at an activation that returns so many bits of each channel."""
        table = net.tables[name]
        if net.network.bits(name) != 1 or table.grid.step != 1:
            return cls()
        return cls(_thresholds(table, bits), _planes(table, bits))


def _encoder(parts: list[_Bits]) -> Thermometer | BitPlanes | None:
    """Return the encoder whose channels have the bits of all parts, part after part; None if there is none."""
    thresholds = [part.thresholds for part in parts if part.thresholds is not None]
    if len(thresholds) == len(parts):
        joined = np.concatenate(thresholds, axis=1)
        return Thermometer(tuple(int(each) for each in joined.reshape(-1)), joined.shape[1])
    planes = [part.planes for part in parts if part.planes is not None]
    return BitPlanes(sum(planes, ())) if len(planes) == len(parts) else None


def _thresholds(table: CrossingTable, bits: int) -> np.ndarray | None:
    counts = table.counts()
    if (counts > 1).any() or (table.first.astype(bool) & (counts > 0)).any():
        return None
    thresholds = np.where(table.first > 0, 0, table.grid.high + 1)
    thresholds[counts > 0] = table.grid.low + table.places
    return thresholds.reshape(-1, bits)


def _planes(table: CrossingTable, bits: int) -> tuple[int, ...] | None:
    if table.grid.low != 0:
        return None
    levels = np.arange(len(table.grid))
    rows = {(levels >> plane & 1).tobytes(): plane for plane in range(table.grid.high.bit_length())}
    found = [rows.get(table.row(row).astype(levels.dtype).tobytes()) for row in range(table.channels)]
    first = tuple(plane for plane in found[:bits] if plane is not None)
    return first if list(first) * (table.channels // bits) == found else None


def _is_of_input(network: Network, name: str) -> bool:
    """Return whether a tensor is the network's input of several bits, possibly flattened."""
    known = network.inputs()
    while isinstance(layer := known[name], Layer) and isinstance(layer.operation, Flatten):
        name = layer.inputs[0]
    return name == "input" and not network.is_binary("input")


def _products_behind(network: Network, name: str) -> list[str] | None:
    """Return the products that read a tensor, possibly padded, pooled or flattened; None if anything else reads it."""
    found: list[str] = []
    for reader in network.readers(name):
        match reader.operation:
            case Dense() | Sparse() | Conv(groups=1):
                found.append(reader.name)
            case Pad() | MaxPool() | Flatten():
                behind = _products_behind(network, reader.name)
                if behind is None:
                    return None
                found += behind
            case _:
                return None
    return found


def _of_layers(net: IntegerNetwork, layers: tuple[Layer, ...], merged: set[str]) -> IntegerNetwork:
    """Return the network with other layers, without the tables of activations that were merged."""
    tables = {name: table for name, table in net.tables.items() if name not in merged}
    return replace(net, network=replace(net.network, layers=layers), tables=tables)
