"""The integer network: weights and crossing tables, all integers.

It is a numpy program of the hardware's computation, and the reference for both the trained network and the RTL. The
functions that make it cheaper (`remove_unreached`, `remove_first_bits`, `remove_constants`) keep every logit.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.network import (
    Activation,
    Add,
    Bias,
    BitPlanes,
    Concat,
    Conv,
    Dense,
    Flatten,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Pad,
    Select,
    Sparse,
    SumPool,
    Thermometer,
    product_grid,
)


@dataclass(frozen=True)
class IntegerNetwork:
    """A network with its numbers.

    Attributes:
        network: Layers; their numbers of crossings agree with the tables.
        weights: Weights of every product by name: -1 or +1 (int8), or integers (int16) for several weight bits. The shape
            is (channels, features) for a dense or sparse layer, and (channels, kernel height, kernel width, input channels
            of a group) for a convolution.
        tables: Crossing table of every activation by name, with a row for each channel and bit plane (see `Activation`).
        biases: Integers of every bias by name, shape (channels,), int64.
        factors: Factors of every bias that has any, by name, shape (channels,), int64.
    """

    network: Network
    weights: dict[str, np.ndarray]
    tables: dict[str, CrossingTable]
    biases: dict[str, np.ndarray] = field(default_factory=dict)
    factors: dict[str, np.ndarray] = field(default_factory=dict)

    def run(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run samples through the network.

        Args:
            inputs: Integers of shape (N, *network.input.shape); -1 and +1 if the input is binary.

        Returns:
            The output of every layer by name, shape (N, ...): accumulators of a product, bits as -1 and +1 or levels from
            0 of an activation, class of the label select.
        """
        values = {"input": np.asarray(inputs, np.int64)}
        for layer in self.network.layers:
            x = values[layer.inputs[0]]
            match layer.operation:
                case Dense() | Sparse():
                    values[layer.name] = _product(x, self.weights[layer.name].T)
                case Conv() as conv:
                    values[layer.name] = _convolve(x, self.weights[layer.name], conv)
                case Activation(_, bits):
                    values[layer.name] = _activate(x, self.tables[layer.name], bits)
                case Thermometer(thresholds, bits):
                    passed = np.repeat(x, bits, axis=-1) >= np.array(thresholds)
                    values[layer.name] = 2 * passed.astype(np.int64) - 1
                case BitPlanes(planes):
                    found = x[..., None] >> np.array(planes) & 1
                    values[layer.name] = 2 * found.reshape(*x.shape[:-1], -1) - 1
                case Pad((top, left, bottom, right), value):
                    border = ((0, 0), (top, bottom), (left, right), (0, 0))
                    values[layer.name] = np.pad(x, border, constant_values=value)
                case MaxPool(kernel, stride):
                    values[layer.name] = _windows(x, kernel, stride).max(axis=(-2, -1))
                case SumPool(kernel, stride):
                    values[layer.name] = _windows(x, kernel, stride).sum(axis=(-2, -1))
                case Add():
                    values[layer.name] = _sum([values[name] for name in layer.inputs])
                case Concat():
                    values[layer.name] = np.concatenate([values[name] for name in layer.inputs], axis=-1)
                case Select(channels):
                    values[layer.name] = x[..., list(channels)]
                case Bias(shift):
                    scaled = x * self.factors.get(layer.name, 1)
                    values[layer.name] = (scaled << shift) + self.biases[layer.name]
                case Flatten():
                    values[layer.name] = x.reshape(len(x), -1)
                case LabelSelect():
                    values[layer.name] = x.argmax(axis=1)[:, None] if x.shape[1] > 1 else (x > 0).astype(int)
        return values


def _windows(
    x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """View images (N, H, W, C) as windows (N, H', W', C, kernel height, kernel width)."""
    reach = tuple((side - 1) * apart + 1 for side, apart in zip(kernel, dilation, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    return windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


def _sum(tensors: list[np.ndarray]) -> np.ndarray:
    """Add tensors. A vector (N, C) is added to every pixel of images (N, H, W, C)."""
    most = max(tensor.ndim for tensor in tensors)
    whole = [
        tensor if tensor.ndim == most else np.expand_dims(tensor, tuple(range(1, most - 1)))
        for tensor in tensors
    ]
    return np.sum(np.broadcast_arrays(*whole), axis=0)


def _activate(x: np.ndarray, table: CrossingTable, bits: int) -> np.ndarray:
    if bits == 1:
        return 2 * table.bits(x).astype(np.int64) - 1
    planes = table.bits(np.repeat(x, bits, axis=-1)).astype(np.int64)
    return planes.reshape(*x.shape, bits) @ (1 << np.arange(bits))


def _product(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    # Products of integers below 2^53 are exact in float64, and many times faster than in integers.
    return np.rint(x.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)


def _convolve(x: np.ndarray, weights: np.ndarray, conv: Conv) -> np.ndarray:
    windows = _windows(x, conv.kernel, conv.stride, conv.dilation)
    # Multiply windows (N, H, W, C, kh, kw) with weights (M, kh, kw, C), group by group.
    ins, outs = x.shape[-1] // conv.groups, len(weights) // conv.groups
    parts = []
    for group in range(conv.groups):
        patch = windows[..., group * ins : (group + 1) * ins, :, :].transpose(0, 1, 2, 4, 5, 3)
        kernel = weights[group * outs : (group + 1) * outs].reshape(outs, -1)
        parts.append(_product(patch.reshape(-1, kernel.shape[1]), kernel.T).reshape(*patch.shape[:3], outs))
    return np.concatenate(parts, axis=-1)


def _next_product(network: Network, activation: str) -> tuple[Layer, list[Layer]] | None:
    """Return the product that is the only reader of an activation, and the layers between; None if there is none."""
    between: list[Layer] = []
    name = activation
    while True:
        readers = network.readers(name)
        if len(readers) != 1:
            return None
        (reader,) = readers
        if isinstance(reader.operation, Dense | Conv):
            return reader, between
        if not isinstance(reader.operation, Flatten | MaxPool) and not _is_of_pools(network, reader):
            return None
        between.append(reader)
        name = reader.name


def _is_of_pools(network: Network, layer: Layer) -> bool:
    """Return whether a layer is a padding that changes no maximum: of the least value, for max-pools with larger windows."""
    pad = layer.operation
    if not isinstance(pad, Pad) or pad.value != network.grids()[layer.name].low:
        return False
    sides = max(pad.amounts[::2]), max(pad.amounts[1::2])
    pools = [reader.operation for reader in network.readers(layer.name)]
    return all(
        isinstance(pool, MaxPool) and pool.kernel[0] > sides[0] and pool.kernel[1] > sides[1]
        for pool in pools
    )


def _input_channels(operation: Dense | Conv, weights: np.ndarray, channels: int) -> np.ndarray:
    """View a product's weights as (outputs, places, input channels); the channel index varies fastest."""
    assert weights.size % (len(weights) * channels) == 0, operation
    return weights.reshape(len(weights), -1, channels)


def _is_grouped(layer: Layer) -> bool:
    return isinstance(layer.operation, Conv) and layer.operation.groups != 1


def remove_unreached(net: IntegerNetwork) -> IntegerNetwork:
    """Remove the crossings that no accumulator reaches with the weights of its channel.

    A product's grid holds the accumulators of any weights. Those of given weights reach less of it, unless inputs and
    weights are bits.
    """
    grids, inputs, tables = net.network.grids(), net.network.inputs(), dict(net.tables)
    for name, producer in net.network.producers().items():
        if producer not in net.weights:
            continue
        layer = inputs[producer]
        assert isinstance(layer, Layer)
        source = grids[layer.inputs[0]]
        weights = net.weights[producer].reshape(len(net.weights[producer]), -1).astype(np.int64)
        ends = weights * source.low, weights * source.high
        lows, highs = np.minimum(*ends).sum(axis=1), np.maximum(*ends).sum(axis=1)
        table = tables[name]
        tables[name] = table.within(
            *(each_row(ends, net.network, name, table.channels) for ends in (lows, highs))
        )
    counts = {name: tuple(int(count) for count in table.counts()) for name, table in tables.items()}
    return replace(net, network=net.network.with_crossings(counts), tables=tables)


def each_row(values: np.ndarray, network: Network, activation: str, rows: int) -> np.ndarray:
    """Repeat a number of each channel of a product for the rows of the table behind it.

    Rows are in the order (channel, bit), or (pixel, channel, bit) where a flatten lies between them.

    Args:
        values: Numbers, (channels,).
        network: The network.
        activation: Name of the activation.
        rows: Rows of its table.
    """
    (bits,) = (
        layer.operation.bits
        for layer in network.layers
        if layer.name == activation and isinstance(layer.operation, Activation)
    )
    own = np.repeat(values, bits)
    return np.tile(own, rows // len(own))


def remove_first_bits(net: IntegerNetwork) -> tuple[IntegerNetwork, dict[str, int]]:
    """Invert every channel whose first bit is 1, and negate the weights that read it.

    An activation is rewritten if a single product without groups reads it, and at most a flatten is between them. Padding
    would need the inverted bit in some of the channels, and a max-pool would have to become a min-pool. Other activations
    keep their first bits, which costs one XOR per channel.

    Returns:
        The rewritten network with the same logits, and the number of channels that still start at 1, by activation.
    """
    weights, tables, left = dict(net.weights), dict(net.tables), {}
    for name, table in net.tables.items():
        found = _next_product(net.network, name)
        flip = table.first.astype(bool)
        left[name] = int(flip.sum())
        if found is None or not left[name] or not net.network.is_binary(name):
            continue
        product, between = found
        if _is_grouped(product) or any(isinstance(layer.operation, MaxPool) for layer in between):
            continue
        assert isinstance(product.operation, Dense | Conv)
        view = _input_channels(product.operation, weights[product.name], table.channels)
        negated = np.where(flip[None, None, :], -view, view)
        weights[product.name] = negated.reshape(weights[product.name].shape)
        tables[name] = table.inverted(flip)
        left[name] = 0
    return replace(net, weights=weights, tables=tables), left


def remove_constants(net: IntegerNetwork) -> tuple[IntegerNetwork, dict[str, int]]:
    """Remove constant channels, and move their contribution into the next layer's crossings.

    An activation is rewritten if all of these hold:

    - Its producer is a product without groups that only this activation reads.
    - A single product without groups reads it, with at most flattens and max-pools between them.
    - Another activation follows that product.

    The inputs of the classifier stay, because its logits have no crossings to absorb an offset. At least one channel of a
    layer stays.

    Returns:
        The rewritten network with the same logits, and the number of removed channels, by activation.
    """
    removed = {}
    for name in net.tables:
        constants = net.tables[name].constants() if net.network.is_binary(name) else {}
        found = _next_product(net.network, name)
        follower = found and _reading_activation(net.network, found[0].name)
        producer = net.network.producers()[name]
        producer_layer = net.network.inputs()[producer]
        if not constants or found is None or not follower or not isinstance(producer_layer, Layer):
            continue
        product = found[0]
        alone = _reading_activation(net.network, producer) == name
        if not isinstance(producer_layer.operation, Dense | Conv) or not alone:
            continue
        if _is_grouped(product) or _is_grouped(producer_layer):
            continue
        if len(constants) == net.tables[name].channels:
            constants.pop(0)
            if not constants:
                continue
        net = _without_channels(net, name, producer, product.name, follower, constants)
        removed[name] = len(constants)
    return net, removed


def _reading_activation(network: Network, product: str) -> str | None:
    """Return the activation that is the only reader of a product, possibly through a pool."""
    name = product
    while True:
        readers = network.readers(name)
        if len(readers) != 1:
            return None
        (reader,) = readers
        if isinstance(reader.operation, Activation):
            return reader.name
        if not isinstance(reader.operation, MaxPool | Flatten):
            return None
        name = reader.name


def _without_channels(
    net: IntegerNetwork, name: str, producer: str, product: str, follower: str, constants: dict[int, int]
) -> IntegerNetwork:
    table = net.tables[name]
    keep = np.array([channel for channel in range(table.channels) if channel not in constants])
    gone = np.array(sorted(constants))
    bits = np.array([2 * constants[channel] - 1 for channel in gone])
    weights, tables = dict(net.weights), dict(net.tables)
    weights[producer] = weights[producer][keep]
    operation = next(layer.operation for layer in net.network.layers if layer.name == product)
    assert isinstance(operation, Dense | Conv)
    view = _input_channels(operation, weights[product], table.channels)
    shift = (view[:, :, gone].astype(np.int64) * bits).sum(axis=(1, 2))
    kept = view[:, :, keep]
    old_shape = weights[product].shape
    weights[product] = (
        kept.reshape(len(kept), *old_shape[1:-1], -1) if len(old_shape) == 4 else kept.reshape(len(kept), -1)
    )
    tables[name] = table.select(keep)
    fan_in, inputs = kept.shape[1] * kept.shape[2], net.network.grids()[name]
    grid = product_grid(fan_in, inputs, operation.weight_bits)
    rows = tables[follower].channels
    tables[follower] = tables[follower].moved(grid, each_row(shift, net.network, follower, rows))
    layers = (
        _narrowed(layer, len(keep)) if layer.name == producer else layer for layer in net.network.layers
    )
    network = replace(net.network, layers=tuple(layers)).with_crossings(
        {key: tuple(int(count) for count in value.counts()) for key, value in tables.items()}
    )
    return replace(net, network=network, weights=weights, tables=tables)


def _narrowed(layer: Layer, channels: int) -> Layer:
    assert isinstance(layer.operation, Dense | Conv)
    return replace(layer, operation=replace(layer.operation, channels=channels))
