"""Thermometers of the input: activations that compare its levels with thresholds become one layer.

A file writes a thermometer of z bits in one of two ways:

- a Gather repeats each channel z times, and an activation of one bit compares the copies;
- z activations of one bit read the same levels, and a Concat joins them.

Both become a `Thermometer`, whose channels are bit after bit of each channel of the input. The layers behind it account for
the order of the file.
"""

from dataclasses import replace

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
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


def with_thermometers(net: IntegerNetwork) -> IntegerNetwork:
    """Return the network with a thermometer in place of each set of activations that is one.

    Only activations of the network's input count. An activation whose bits fall with the levels, or change more than once,
    stays an activation.
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
    thresholds = _thresholds(net, layer.name) if _is_of_input(network, source) else None
    if thresholds is None:
        return net
    made = Layer(layer.name, Thermometer(tuple(int(each) for each in thresholds), bits), (source,))
    dropped = set() if bits == 1 and source == layer.inputs[0] else {layer.inputs[0]}
    layers = tuple(
        made if each.name == layer.name else each for each in network.layers if each.name not in dropped
    )
    return _of_layers(net, layers, {layer.name})


def _joined(net: IntegerNetwork, layer: Layer) -> IntegerNetwork:
    """Merge a Concat with the activations that it joins, if all of them compare the same levels of the input."""
    network, known = net.network, net.network.inputs()
    parts = [known[name] for name in layer.inputs]
    sources = {part.inputs if isinstance(part, Layer) else () for part in parts}
    rows = [_thresholds(net, name) for name in layer.inputs]
    if len(sources) != 1 or len(set(layer.inputs)) < len(parts) or any(row is None for row in rows):
        return net
    (source,) = next(iter(sources))
    if not _is_of_input(network, source) or any(len(network.readers(name)) > 1 for name in layer.inputs):
        return net
    thresholds = np.stack([row for row in rows if row is not None], axis=1)  # (channels, bits)
    order = np.arange(thresholds.size).reshape(thresholds.shape).T.reshape(-1)  # of the Concat's channels
    made = Thermometer(tuple(int(each) for each in thresholds.reshape(-1)), len(parts))
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


def _thresholds(net: IntegerNetwork, name: str) -> np.ndarray | None:
    """Return the level from which on each channel of an activation is +1; None if this is not all that it does."""
    layer = net.network.inputs()[name]
    if (
        not isinstance(layer, Layer)
        or not isinstance(layer.operation, Activation)
        or layer.operation.bits > 1
    ):
        return None
    table: CrossingTable = net.tables[name]
    counts = table.counts()
    if (counts > 1).any() or (table.first.astype(bool) & (counts > 0)).any() or table.grid.step != 1:
        return None
    thresholds = np.where(table.first > 0, 0, table.grid.high + 1)
    thresholds[counts > 0] = table.grid.low + table.places
    return thresholds


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
