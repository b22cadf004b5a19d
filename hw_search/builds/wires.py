"""What the neurons of wired layers read and answer, for the report."""

import math
from collections.abc import Callable

import numpy as np

from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Activation, BitPlanes, Flatten, Layer, Sparse, Thermometer
from zerocross.reports.build_records import WiredLayer, WiredNeuron


def wired_layers(net: IntegerNetwork, sample: tuple[int, ...] = ()) -> list[WiredLayer]:
    """Return the sparse layers with an activation of one bit behind them, in order.

    Neurons without inputs are left out: nothing reads them, or they are constant.

    Args:
        net: The network.
        sample: Shape of a sample for the host. If it is an image of one channel, (1, height, width), and the network reads
            its pixels in a row, they are shown as pixels.
    """
    image = (*sample[1:], 1) if len(sample) == 3 and sample[0] == 1 else ()
    if math.prod(image) != math.prod(net.network.input.shape):
        image = ()
    found = []
    for layer in net.network.layers:
        if not isinstance(layer.operation, Activation) or layer.operation.bits > 1:
            continue
        source = net.network.inputs()[layer.inputs[0]]
        if isinstance(source, Layer) and isinstance(source.operation, Sparse):
            found.append(_wired(net, source, layer.name, image))
    return found


def _wired(net: IntegerNetwork, layer: Layer, activation: str, image: tuple[int, ...]) -> WiredLayer:
    weights, table, read = net.weights[layer.name], net.tables[activation], _name(net, layer.inputs[0])
    shape, element, condition = _inputs(net, layer.inputs[0])
    if image and read == "input":
        shape = image
    neurons = []
    for channel, row in enumerate(weights):
        places = np.flatnonzero(row)
        if not len(places):
            continue
        sums = 2 * np.arange(len(places) + 1) - len(places)
        bits = table.row(channel)[(sums - table.grid.low) // table.grid.step]
        neurons.append(
            WiredNeuron(
                number=channel,
                elements=[element(place) for place in places.tolist()],
                conditions=[condition(place) for place in places.tolist()],
                signs="".join("+" if row[place] > 0 else "-" for place in places),
                row="".join(str(bit) for bit in bits.tolist()),
            )
        )
    return WiredLayer(layer.name, read, list(shape), neurons)


def _name(net: IntegerNetwork, source: str) -> str:
    """Return the layer whose elements a sparse layer reads; "input" for the network's input."""
    layer = net.network.inputs()[source]
    if isinstance(layer, Layer) and isinstance(layer.operation, Flatten | Thermometer | BitPlanes):
        return _name(net, layer.inputs[0])
    return source


def _inputs(
    net: IntegerNetwork, source: str
) -> tuple[tuple[int, ...], Callable[[int], int], Callable[[int], str]]:
    """Return the shape of what a sparse layer reads, the element of each of its inputs, and what it asks of the element."""
    layer, shapes = net.network.inputs()[source], net.network.shapes()
    if isinstance(layer, Layer) and isinstance(layer.operation, Flatten):
        return _inputs(net, layer.inputs[0])
    if isinstance(layer, Layer) and isinstance(layer.operation, Thermometer):
        thresholds, bits = layer.operation.thresholds, layer.operation.bits
        return (
            shapes[layer.inputs[0]],
            lambda place: place // bits,
            lambda place: f"\u2265 {thresholds[place % len(thresholds)]}",
        )
    if isinstance(layer, Layer) and isinstance(layer.operation, BitPlanes):
        planes, bits = layer.operation.planes, layer.operation.bits
        return (
            shapes[layer.inputs[0]],
            lambda place: place // bits,
            lambda place: f"bit {planes[place % bits]}",
        )
    return shapes[source], lambda place: place, lambda place: ""
