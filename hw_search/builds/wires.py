"""What the neurons of wired layers read and answer, for the report."""

import math

from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Activation, BitPlanes, Flatten, Layer, Sparse, Thermometer
from zerocross.finn_flows.nodes.sparse_weights import SparseWeights
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
    weights, table = net.weights[layer.name], net.tables[activation]
    read, shape, asked = _inputs(net, layer.inputs[0])
    bits = weights.shape[1] // math.prod(shape)
    if image and read == "input":
        shape = image
    assert isinstance(layer.operation, Sparse)
    sparse = SparseWeights(weights, layer.operation.fan_in, layer.operation.exact, layer.operation.indexed)
    neurons = []
    for channel in range(len(weights)):
        reads = sparse.reads(channel)
        if not reads:
            continue
        answers = table.row(channel)[sparse.points(channel)]
        neurons.append(
            WiredNeuron(
                number=channel,
                elements=[place // bits for place, _ in reads],
                conditions=[asked[place % len(asked)] for place, _ in reads],
                signs="".join("+" if sign > 0 else "-" for _, sign in reads),
                row="".join(str(bit) for bit in answers.tolist()),
            )
        )
    return WiredLayer(layer.name, read, list(shape), neurons, sparse.indexed)


def _inputs(net: IntegerNetwork, source: str) -> tuple[str, tuple[int, ...], list[str]]:
    """Return the layer whose elements a sparse layer reads, their shape, and what its inputs ask of them, in turn."""
    layer = net.network.inputs()[source]
    if not isinstance(layer, Layer):
        return source, layer.shape, [""]
    match layer.operation:
        case Flatten():
            return _inputs(net, layer.inputs[0])
        case Thermometer(thresholds):
            asked = [f"\u2265 {threshold}" for threshold in thresholds]
        case BitPlanes(planes):
            asked = [f"bit {plane}" for plane in planes]
        case _:
            return source, net.network.shapes()[source], [""]
    read, shape, _ = _inputs(net, layer.inputs[0])
    return read, shape, asked
